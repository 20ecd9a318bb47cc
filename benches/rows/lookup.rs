//! The forwarding table's rows, beside concurrent maps that find a flow's entry while writers could change it.
//!
//! Same flows, same entries, hash functions of one make (each table with a random seed of its own), one look-up in ten of
//! a flow that has no entry, in an order that looks random to a prefetcher. Only `mgm` replaces entries without readers
//! missing them by contract.

use super::floors::BucketTable;
use super::memory;
use super::threads::beside;
use super::{Clock, Contestant, Row, SEED, Target, Walk, random};
use foldhash::quality::RandomState;
use mgm::forwarding::{
    Entry, Family, Flow, FlowCounterId, ForwardingTable, Incoming, NewEntry, OifCounterId, Outgoing,
    OutgoingCounter, PublishError, Stamp, VifIndex,
};
use mgm::handle::HandleTable;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

const BURST: usize = 32;
/// Look-ups a round: so many that a round finds in the caches what it left there itself.
const fn lookups(size: usize) -> usize {
    if size < LOOKUPS / 4 {
        LOOKUPS
    } else if size < MOST / 4 {
        4 * size
    } else {
        MOST
    }
}
const LOOKUPS: usize = 1 << 14;
const MOST: usize = 1 << 20;

/// Sixteen groups to a source.
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

/// Entries with one incoming and two outgoing interfaces, all alive.
#[derive(Clone, Copy)]
pub(crate) struct Made {
    family: Family,
    number: FlowCounterId,
    incoming: Incoming,
    outgoing: [Outgoing; 2],
}

impl Made {
    pub(crate) fn entry(&self, n: usize) -> NewEntry<'_> {
        self.entry_of(flow(self.family, n))
    }

    fn entry_of(&self, flow: Flow) -> NewEntry<'_> {
        NewEntry::new(flow, self.number, Some(self.incoming), &self.outgoing)
    }

    /// Other outgoing interfaces, one for each number.
    fn to<const N: usize>(&self, numbers: [OifCounterId; N]) -> [Outgoing; N] {
        let mut interfaces = (1..).map(VifIndex);
        let stamp = self.incoming.stamp;
        numbers.map(|number| Outgoing {
            interface: interfaces.next().expect("there are enough"),
            stamp,
            number,
        })
    }
}

/// An empty table of this capacity, and what makes its entries.
pub(crate) fn empty(family: Family, capacity: usize) -> (ForwardingTable, Made) {
    let clients = HandleTable::with_claims(1).expect("one client is a capacity");
    let client = clients.insert(()).expect("room for one client");
    let thing = clients.new_resource().expect("room for one thing");
    let word = clients.claim(client, thing).expect("nobody owns it yet");
    let table = ForwardingTable::new(capacity as u32, Arc::clone(clients.owners()));
    let number = table.alloc_counter().expect("a number is free");
    let incoming = Incoming { interface: VifIndex(0), stamp: Stamp::one(thing, word) };
    let outgoing = [1, 2].map(|i| Outgoing::uncounted(VifIndex(i), incoming.stamp));
    (table, Made { family, number, incoming, outgoing })
}

pub(crate) fn filled(family: Family, size: usize) -> (ForwardingTable, Made) {
    let (table, made) = empty(family, size);
    (0..size).for_each(|n| table.publish(made.entry(n)).expect("room for every flow"));
    (table, made)
}

/// The entries of a filled table, for others to keep.
fn entries(family: Family, size: usize) -> Vec<Entry> {
    let (table, _) = filled(family, size);
    let mut reader = table.reader();
    (0..size).map(|n| reader.lookup(&flow(family, n)).expect("every flow has one").clone()).collect()
}

/// Flows, nine in ten of them below `size`, each of those as often as any other.
pub(crate) fn flows(family: Family, size: usize) -> Walk<Flow> {
    let mut random = random(SEED);
    let mut one = || {
        let n = random() as usize % size;
        flow(family, if random().is_multiple_of(10) { size + n } else { n })
    };
    Walk::along((0..lookups(size)).map(|_| one()).collect())
}

/// What is read from an entry that was found.
#[inline(always)]
fn used(entry: &Entry) -> u64 {
    entry.incoming().map_or(0, |incoming| u64::from(incoming.interface.0)) + entry.outgoing().len() as u64
}

const MGM: &str = "mgm";
const SCC: &str = "scc::HashIndex";
const PAPAYA: &str = "papaya";
const DASHMAP: &str = "dashmap";
const FLOOR: &str = "bucket table";
const QUIET: &str = "mgm, quiet";
const V4: &str = "mgm, IPv4";

fn mgm(name: &'static str, family: Family, size: usize, flows: &Walk<Flow>) -> Contestant {
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

/// For one thread, like the floor, but a good map of somebody else's.
fn hashbrown(family: Family, size: usize, flows: &Walk<Flow>) -> Contestant {
    let mut map = hashbrown::HashMap::with_capacity_and_hasher(size, RandomState::default());
    entries(family, size).into_iter().for_each(|entry| assert!(map.insert(entry.flow(), entry).is_none()));
    let mut flows = flows.again();
    Contestant::new("hashbrown, one thread", move || {
        flows.sum(lookups(size), |flow| map.get(&flow).map_or(0, used))
    })
}

/// Replaces entries at random.
struct Writer {
    made: Made,
    size: usize,
    random: Box<dyn FnMut() -> u64 + Send>,
    /// When the next is due, if there is a rate.
    due: Instant,
    every: Option<Duration>,
}

impl Writer {
    fn new(made: Made, size: usize, every: Option<Duration>) -> Writer {
        Writer { made, size, random: Box::new(random(SEED)), due: Instant::now(), every }
    }

    fn write(&mut self, table: &ForwardingTable) {
        if let Some(every) = self.every {
            // What was due before there was somebody to write is not made up for.
            self.due = self.due.max(Instant::now() - 10 * every) + every;
            while Instant::now() < self.due {
                std::hint::spin_loop();
            }
        }
        let n = (self.random)() as usize % self.size;
        // A reader that loses its core in the middle of a burst holds back what is replaced meanwhile.
        while let Err(error) = table.replace(self.made.entry(n)) {
            assert!(matches!(error, PublishError::Full(_)), "{error}");
            std::thread::yield_now();
        }
    }
}

fn beside_writer(size: usize, every: Option<Duration>) -> Contestant {
    let (table, made) = filled(Family::V4, size);
    let mut flows = flows(Family::V4, size);
    let mut writer = Writer::new(made, size, every);
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

/// The writer's own side: updates, while another thread looks up without pause.
fn updates(size: usize) -> Contestant {
    let (table, made) = filled(Family::V4, size);
    let mut flows = flows(Family::V4, size);
    let mut writer = Writer::new(made, size, None);
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

fn name(size: usize) -> &'static str {
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
    for (case, every, most) in [("100k", paced, 1.1), ("unbounded", None, 1.25)] {
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
            vec![Target::ratio(MGM, QUIET, most)],
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

/// One thread publishes a million entries into an empty table; another looks up bursts meanwhile, each timed by the
/// thread's own clock (which counts interrupts that come meanwhile: the quiet figures tell how many).
fn growth(quick: bool) -> Vec<(&'static str, f64)> {
    let size = if quick { 1 << 16 } else { 1 << 20 };
    let mut flows = flows(Family::V4, size);
    let (table, made) = empty(Family::V4, size);
    let new = Vec::from_iter((0..size).map(|n| flow(Family::V4, n)));
    let mut histogram = times();
    let mut insert = Duration::ZERO;
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            super::threads::pin(1);
            let publish = |flow: &Flow| table.publish(made.entry_of(*flow)).expect("room");
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

/// Up to a minute; what takes longer is kept as a minute.
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

/// Bytes of one of `size` entries with four outgoing interfaces.
pub(crate) fn entry_memory(size: usize) -> f64 {
    let (table, made) = empty(Family::V4, size + 1);
    let outgoing = made.to([OifCounterId::NONE; 4]);
    let publish = |n| table.publish(NewEntry { outgoing: &outgoing, ..made.entry(n) }).expect("room");
    memory::taken(|| (0..size).for_each(publish)) as f64 / size as f64
}

/// Bytes of the counters of one of `size` entries with four outgoing interfaces, for one worker, once a packet of each was
/// forwarded. To be asked of a process that has done nothing else.
pub(crate) fn counters_memory(size: usize) -> f64 {
    let (table, _) = empty(Family::V4, size + 1);
    let numbers = Vec::from_iter((0..size).map(|_| {
        let number = table.alloc_counter().expect("a number is free");
        (number, [0; 4].map(|_| table.alloc_oif_counter(number).expect("memory")))
    }));
    let mut worker = None;
    let counters = memory::resident(|| {
        let worker = worker.insert(table.counters().worker());
        for (number, outgoing) in &numbers {
            worker.forwarded(*number, 46, 4);
            outgoing.iter().for_each(|number| worker.add_outgoing(*number, OutgoingCounter::Packets, 1));
        }
    });
    counters as f64 / size as f64
}
