//! The rows of the forwarding table, compared with concurrent maps that find a flow's entry while writers may change
//! it.
//!
//! All contestants use the same flows, the same entries and the same kind of hash function, each with a random seed of
//! its own. One look-up in ten is of a flow without an entry. The order looks random to a prefetcher. Only `mgm`
//! guarantees that readers do not miss an entry while it is replaced.

use super::floors::BucketTable;
use super::memory;
use super::threads::beside;
use super::{Clock, Contestant, Row, SEED, Target, Walk, random};
use foldhash::quality::RandomState;
use mgm::forwarding::{
    Entry, Family, Flow, FlowCounterId, ForwardingTable, Incoming, NewEntry, OifCounter, OifCounterId,
    Outgoing, PublishError, Stamp, VifIndex,
};
use mgm::handle::OwnershipTable;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(super) const BURST: usize = 32;
/// The look-ups of a round: enough for a round to find in the caches what it left there itself.
pub(super) const fn lookups(size: usize) -> usize {
    if size < LOOKUPS / 4 {
        LOOKUPS
    } else if size < MAX_LOOKUPS / 4 {
        4 * size
    } else {
        MAX_LOOKUPS
    }
}
const LOOKUPS: usize = 1 << 14;
const MAX_LOOKUPS: usize = 1 << 20;

/// Makes flow `n`; there are sixteen groups to a source.
pub(crate) fn flow(family: Family, n: usize) -> Flow {
    let (source, group) = (n as u32 / 16, n as u32 % 16);
    let (source, group): (IpAddr, IpAddr) = match family {
        Family::V4 => (
            Ipv4Addr::from_bits(0x0A00_0000 + source).into(),
            Ipv4Addr::from_bits(0xE800_0100 + group).into(),
        ),
        Family::V6 => (
            Ipv6Addr::from_bits(0x2001_0db8 << 96 | u128::from(source)).into(),
            Ipv6Addr::from_bits(0xff3e << 112 | 0x8000_0000 | u128::from(group)).into(),
        ),
    };
    Flow::new(source, group).expect("a source and a group of one family")
}

/// Makes entries with one incoming and two outgoing interfaces, all with current stamps.
#[derive(Clone, Copy)]
pub(crate) struct EntryMaker {
    family: Family,
    counter: FlowCounterId,
    incoming: Incoming,
    outgoing: [Outgoing; 2],
}

impl EntryMaker {
    pub(crate) fn entry(&self, n: usize) -> NewEntry<'_> {
        self.entry_of(flow(self.family, n))
    }

    fn entry_of(&self, flow: Flow) -> NewEntry<'_> {
        self.entry_to(flow, &self.outgoing)
    }

    fn entry_to<'o>(&self, flow: Flow, outgoing: &'o [Outgoing]) -> NewEntry<'o> {
        NewEntry::new(flow, self.counter, Some(self.incoming), outgoing)
    }

    /// Makes other outgoing interfaces, one for each counter.
    fn outgoing<const N: usize>(&self, counters: [OifCounterId; N]) -> [Outgoing; N] {
        let mut interfaces = (1..).map(VifIndex);
        let stamp = self.incoming.stamp;
        counters.map(|counter| Outgoing::new(interfaces.next().expect("enough interfaces"), stamp, counter))
    }
}

/// Makes an empty table of this capacity, and the maker of its entries.
pub(crate) fn empty(family: Family, capacity: usize) -> (ForwardingTable, EntryMaker) {
    let clients = OwnershipTable::with_limit(1).expect("one client is a capacity");
    let client = clients.insert(()).expect("room for one client");
    let resource = clients.new_resource().expect("room for one resource");
    let word = clients.claim(client, resource).expect("unowned");
    let table = ForwardingTable::new(capacity as u32, Arc::clone(clients.owners()));
    let counter = table.alloc_counter().expect("a counter is free");
    let incoming = Incoming::new(VifIndex(0), Stamp::one(resource, word));
    let outgoing = [1, 2].map(|i| Outgoing::uncounted(VifIndex(i), incoming.stamp));
    (table, EntryMaker { family, counter, incoming, outgoing })
}

pub(crate) fn filled(family: Family, size: usize) -> (ForwardingTable, EntryMaker) {
    let (table, maker) = empty(family, size);
    (0..size).for_each(|n| table.publish(maker.entry(n)).expect("room for every flow"));
    (table, maker)
}

/// Returns the entries of a filled table, for other maps.
pub(super) fn entries(family: Family, size: usize) -> Vec<Entry> {
    let (table, _) = filled(family, size);
    let mut reader = table.reader();
    (0..size).map(|n| reader.lookup(&flow(family, n)).expect("every flow has one").clone()).collect()
}

/// Returns flows in random order, nine in ten of them with an entry in a table of `size` entries.
pub(crate) fn flows(family: Family, size: usize) -> Walk<Flow> {
    let mut random = random(SEED);
    let mut one = || {
        let n = random() as usize % size;
        flow(family, if random().is_multiple_of(10) { size + n } else { n })
    };
    Walk::along((0..lookups(size)).map(|_| one()).collect())
}

/// Reads an entry that was found, and returns its part of the checksum.
#[inline(always)]
pub(super) fn used(entry: &Entry) -> u64 {
    entry.incoming().map_or(0, |incoming| u64::from(incoming.interface.0)) + entry.outgoing().len() as u64
}

const MGM: &str = "mgm";
pub(super) const SCC: &str = "scc::HashIndex";
const PAPAYA: &str = "papaya";
const DASHMAP: &str = "dashmap";
const FLOOR: &str = "bucket table";
const QUIET: &str = "mgm, quiet";
const V4: &str = "mgm, IPv4";

pub(super) fn mgm(name: &'static str, family: Family, size: usize, flows: &Walk<Flow>) -> Contestant {
    let (table, _) = filled(family, size);
    let mut flows = flows.again();
    Contestant::new(name, move || {
        let mut reader = table.reader();
        flows.bursts::<BURST>(lookups(size), |flows| reader.lookup_burst(flows).flatten().map(used).sum())
    })
}

fn one_by_one(family: Family, size: usize, flows: &Walk<Flow>) -> Contestant {
    let (table, _) = filled(family, size);
    let mut flows = flows.again();
    Contestant::new("mgm, one by one", move || {
        let mut reader = table.reader();
        flows.sum(lookups(size), |flow| reader.lookup(&flow).map_or(0, used))
    })
}

fn floor(family: Family, size: usize, flows: &Walk<Flow>) -> Contestant {
    let mut table = BucketTable::with_capacity(size);
    (0..size).for_each(|n| table.insert(&flow(family, n), 0, 2));
    let mut flows = flows.again();
    Contestant::new(FLOOR, move || {
        flows.bursts::<BURST>(lookups(size), |flows| {
            let mut sum = 0;
            table.look_up(flows, |line| sum += u64::from(line.incoming) + u64::from(line.outgoing));
            sum
        })
    })
}

fn scc(family: Family, size: usize, flows: &Walk<Flow>) -> Contestant {
    let index = scc::HashIndex::with_capacity_and_hasher(size, RandomState::default());
    entries(family, size)
        .into_iter()
        .for_each(|entry| assert!(index.insert_sync(entry.flow(), entry).is_ok()));
    let mut flows = flows.again();
    Contestant::new(SCC, move || {
        flows.bursts::<BURST>(lookups(size), |flows| {
            let guard = scc::Guard::new();
            flows.iter().filter_map(|flow| index.peek(flow, &guard).map(used)).sum()
        })
    })
}

fn papaya(family: Family, size: usize, flows: &Walk<Flow>) -> Contestant {
    let map = papaya::HashMap::with_capacity_and_hasher(size, RandomState::default());
    entries(family, size)
        .into_iter()
        .for_each(|entry| assert!(map.pin().insert(entry.flow(), entry).is_none()));
    let mut flows = flows.again();
    Contestant::new(PAPAYA, move || {
        flows.bursts::<BURST>(lookups(size), |flows| {
            let map = map.pin();
            flows.iter().filter_map(|flow| map.get(flow).map(used)).sum()
        })
    })
}

fn dashmap(family: Family, size: usize, flows: &Walk<Flow>) -> Contestant {
    let map = dashmap::DashMap::with_capacity_and_hasher(size, RandomState::default());
    entries(family, size).into_iter().for_each(|entry| assert!(map.insert(entry.flow(), entry).is_none()));
    let mut flows = flows.again();
    Contestant::new(DASHMAP, move || {
        flows.sum(lookups(size), |flow| map.get(&flow).map_or(0, |entry| used(&entry)))
    })
}

/// Makes a contestant for one thread, like the floor, but with a well-known map.
fn hashbrown(family: Family, size: usize, flows: &Walk<Flow>) -> Contestant {
    let mut map = hashbrown::HashMap::with_capacity_and_hasher(size, RandomState::default());
    entries(family, size).into_iter().for_each(|entry| assert!(map.insert(entry.flow(), entry).is_none()));
    let mut flows = flows.again();
    Contestant::new("hashbrown, one thread", move || {
        flows.sum(lookups(size), |flow| map.get(&flow).map_or(0, used))
    })
}

/// A writer that replaces entries in random order.
struct Writer {
    maker: EntryMaker,
    size: usize,
    random: Box<dyn FnMut() -> u64 + Send>,
    /// The time of the next replacement, if there is a rate.
    due: Instant,
    every: Option<Duration>,
}

impl Writer {
    fn new(maker: EntryMaker, size: usize, every: Option<Duration>) -> Writer {
        Writer { maker, size, random: Box::new(random(SEED)), due: Instant::now(), every }
    }

    fn write(&mut self, table: &ForwardingTable) {
        if let Some(every) = self.every {
            // Replacements that were due before the writer started are not maker up for.
            self.due = self.due.max(Instant::now() - 10 * every) + every;
            while Instant::now() < self.due {
                std::hint::spin_loop();
            }
        }
        let n = (self.random)() as usize % self.size;
        // A reader that loses its core in the middle of a burst holds replaced entries back.
        while let Err(error) = table.replace(self.maker.entry(n)) {
            assert!(matches!(error, PublishError::Full(_)), "{error}");
            std::thread::yield_now();
        }
    }
}

fn beside_writer(size: usize, every: Option<Duration>) -> Contestant {
    let (table, maker) = filled(Family::V4, size);
    let mut flows = flows(Family::V4, size);
    let mut writer = Writer::new(maker, size, every);
    Contestant::timed(MGM, move || {
        beside(
            || writer.write(&table),
            || {
                Clock::Thread.time(|| {
                    let mut reader = table.reader();
                    flows.bursts::<BURST>(lookups(size), |flows| {
                        reader.lookup_burst(flows).flatten().map(used).sum()
                    })
                })
            },
        )
    })
}

const UPDATES: u64 = 1 << 12;

/// Makes the contestant of the writer: updates, while another thread looks flows up without pause.
fn updates(size: usize) -> Contestant {
    let (table, maker) = filled(Family::V4, size);
    let mut flows = flows(Family::V4, size);
    let mut writer = Writer::new(maker, size, None);
    Contestant::timed(MGM, move || {
        beside(
            || {
                let mut reader = table.reader();
                black_box(
                    flows.bursts::<BURST>(LOOKUPS, |flows| {
                        reader.lookup_burst(flows).flatten().map(used).sum()
                    }),
                );
            },
            || Clock::Thread.time(|| (0..UPDATES).map(|_| writer.write(&table)).count() as u64),
        )
    })
}

pub(super) fn name(size: usize) -> &'static str {
    match size {
        0x400 => "1k",
        0x1_0000 => "64k",
        _ => "1M",
    }
}

pub(crate) fn rows() -> Vec<Row> {
    let round = |size| (lookups(size) as u64, Clock::Thread);
    let mut rows = Vec::new();
    for (size, of_scc) in [(1 << 10, 0.95), (1 << 16, 0.75), (1 << 20, 0.7)] {
        let mut targets = vec![
            Target::ratio(MGM, SCC, of_scc),
            Target::ratio(MGM, PAPAYA, 1.0),
            Target::ratio(MGM, DASHMAP, 1.0),
        ];
        targets.extend((size > 1024).then(|| Target::ratio(MGM, FLOOR, 1.35)));
        rows.push(Row::rounds(
            format!("lookup/{}", name(size)),
            format!("(s,g) look-up in bursts of {BURST}, 10 % misses, {}, IPv4", name(size)),
            round(size),
            targets,
            move || {
                let family = Family::V4;
                let flows = &flows(family, size);
                vec![
                    mgm(MGM, family, size, flows),
                    floor(family, size, flows),
                    one_by_one(family, size, flows),
                    scc(family, size, flows),
                    papaya(family, size, flows),
                    dashmap(family, size, flows),
                    hashbrown(family, size, flows),
                ]
            },
        ));
    }
    for size in [1 << 10, 1 << 16, 1 << 20] {
        rows.push(Row::rounds(
            format!("lookup-v6/{}", name(size)),
            format!("the same, {}, IPv6", name(size)),
            round(size),
            vec![Target::ratio(MGM, V4, 1.3)],
            move || {
                let family = Family::V6;
                let (v4, flows) = (flows(Family::V4, size), &flows(family, size));
                vec![
                    mgm(MGM, family, size, flows),
                    mgm(V4, Family::V4, size, &v4),
                    floor(family, size, flows),
                    scc(family, size, flows),
                ]
            },
        ));
    }
    let paced = Some(Duration::from_micros(10));
    for (case, every, max) in [("100k", paced, 1.1), ("unbounded", None, 1.25)] {
        let title = match every {
            Some(_) => "the same with a writer at 100k updates a second, 64k",
            None => "the same with a writer without pause, 64k",
        };
        let size = 1 << 16;
        let contestants = move || {
            let flows = flows(Family::V4, size);
            vec![beside_writer(size, every), mgm(QUIET, Family::V4, size, &flows)]
        };
        rows.push(Row::rounds(
            format!("lookup-writer/{case}"),
            title,
            round(size),
            vec![Target::ratio(MGM, QUIET, max)],
            contestants,
        ));
    }
    rows.push(Row::rounds(
        "updates/64k",
        "updates by that writer, 64k (1000 ns are 1M a second)",
        (UPDATES, Clock::Thread),
        vec![Target::figure(MGM, 1000.0)],
        || vec![updates(1 << 16)],
    ));
    rows.push(Row::once(
        "growth/1M",
        "growth from empty to 1M entries: a reader's bursts, and inserts",
        "ns",
        vec![Target::ratio(P9999, MEDIAN, 4.0), Target::figure(INSERT, 250.0)],
        growth,
    ));
    rows
}

const MEDIAN: &str = "burst, median";
const P9999: &str = "burst, p99.99";
const INSERT: &str = "insert";

/// Lets one thread publish a million entries into an empty table while another looks up bursts. Each burst is timed by
/// the thread's own clock, which includes interrupts; the quiet figures show their share.
fn growth(quick: bool) -> Vec<(&'static str, f64)> {
    let size = if quick { 1 << 16 } else { 1 << 20 };
    let mut flows = flows(Family::V4, size);
    let (table, maker) = empty(Family::V4, size);
    let new = Vec::from_iter((0..size).map(|n| flow(Family::V4, n)));
    let mut histogram = times();
    let mut insert = Duration::ZERO;
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            super::threads::pin(1);
            let publish = |flow: &Flow| table.publish(maker.entry_of(*flow)).expect("room");
            Clock::Thread.time(|| new.iter().for_each(publish)).1
        });
        let mut reader = table.reader();
        while !writer.is_finished() {
            bursts(&mut reader, &mut flows, &mut histogram);
        }
        insert = writer.join().expect("the writer");
    });
    let mut quiet = times();
    let mut reader = table.reader();
    for _ in 0..1 + histogram.len() as usize * BURST / LOOKUPS {
        bursts(&mut reader, &mut flows, &mut quiet);
    }
    let at =
        |histogram: &hdrhistogram::Histogram<u64>, quantile| histogram.value_at_quantile(quantile) as f64;
    vec![
        (MEDIAN, at(&histogram, 0.5)),
        (P9999, at(&histogram, 0.9999)),
        ("quiet burst, median", at(&quiet, 0.5)),
        ("quiet burst, p99.99", at(&quiet, 0.9999)),
        (INSERT, insert.as_nanos() as f64 / size as f64),
    ]
}

/// Makes a histogram of times up to a minute. Longer times count as a minute.
fn times() -> hdrhistogram::Histogram<u64> {
    hdrhistogram::Histogram::new_with_max(60_000_000_000, 3).expect("three digits of a minute")
}

fn bursts(
    reader: &mut mgm::forwarding::ForwardingReader<'_>,
    flows: &mut Walk<Flow>,
    histogram: &mut hdrhistogram::Histogram<u64>,
) {
    let mut before = super::thread_time();
    black_box(flows.bursts::<BURST>(LOOKUPS, |flows| {
        let sum = reader.lookup_burst(flows).flatten().map(used).sum();
        let now = super::thread_time();
        histogram.saturating_record((now - before).as_nanos() as u64);
        before = now;
        sum
    }));
}

/// Returns the octets of one entry with four outgoing interfaces, measured over `size` of them.
pub(crate) fn entry_memory(size: usize) -> f64 {
    let (table, maker) = empty(Family::V4, size + 1);
    let outgoing = maker.outgoing([OifCounterId::NONE; 4]);
    let publish = |n| table.publish(maker.entry_to(flow(maker.family, n), &outgoing)).expect("room");
    memory::allocated(|| (0..size).for_each(publish)) as f64 / size as f64
}

/// Returns the octets of one worker's counters for an entry with four outgoing interfaces, measured over `size` of them
/// after a packet of each was forwarded. The process must not have done anything else.
pub(crate) fn counters_memory(size: usize) -> f64 {
    let (table, _) = empty(Family::V4, size + 1);
    let ids = Vec::from_iter((0..size).map(|_| {
        let id = table.alloc_counter().expect("a counter is free");
        (id, [0; 4].map(|_| table.alloc_oif_counter(id).expect("memory")))
    }));
    let mut worker = None;
    let counters = memory::resident(|| {
        let worker = worker.insert(table.counters().worker());
        for (id, outgoing) in &ids {
            worker.forwarded(*id, 46, 4);
            outgoing.iter().for_each(|id| worker.add_oif(*id, OifCounter::Packets, 1));
        }
    });
    counters as f64 / size as f64
}
