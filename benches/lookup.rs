//! The forwarding table's look-up beside concurrent maps that do the same: find a flow's entry while writers could
//! change it, and read from it.
//!
//! Same flows, same entries, the same hash function (each with its own random seed), one look-up in ten of a flow that
//! has no entry, in an order that looks random to a prefetcher. Only `mgm` replaces entries without readers missing them
//! by contract. A figure is for 32 look-ups; read ratios within one run, not figures across runs.

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use foldhash::quality::RandomState;
use mgm::forwarding::{
    Entry, Flow, FlowNumber, ForwardingTable, Incoming, InterfaceNumber, Outgoing, PublishError, Stamp,
};
use mgm::handle::HandleTable;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

const SIZES: [usize; 3] = [1 << 10, 1 << 16, 1 << 20];
const BURST: usize = 32;

fn flow(n: usize) -> Flow {
    let source = IpAddr::V4(Ipv4Addr::from_bits(0x0A00_0000 + n as u32 / 16));
    let group = IpAddr::V4(Ipv4Addr::from_bits(0xE800_0100 + n as u32 % 16));
    Flow::new(source, group).expect("a source and a group of one family")
}

/// Entries with one incoming and two outgoing interfaces, all alive.
struct Made {
    stamp: Stamp,
    number: FlowNumber,
}

impl Made {
    fn entry(&self, n: usize) -> Entry {
        let stamp = self.stamp;
        let incoming = Incoming { interface: InterfaceNumber(0), stamp };
        let outgoing = [1, 2].map(|i| Outgoing::uncounted(InterfaceNumber(i), stamp));
        Entry::new(flow(n), self.number, Some(incoming), &outgoing)
    }
}

fn table(capacity: usize) -> Result<(ForwardingTable, Made), PublishError> {
    let clients = HandleTable::with_claims(1).expect("one client is a capacity");
    let client = clients.insert(()).expect("room for one client");
    let thing = clients.new_owner().expect("room for one thing");
    let word = clients.claim(client, thing).expect("nobody owns it yet");
    let table = ForwardingTable::new(capacity as u32, Arc::clone(clients.owners()));
    let number = table.open_number()?;
    Ok((table, Made { stamp: Stamp::one(thing, word), number }))
}

/// Bursts of flows, nine in ten of them below `size`, each of those as often as any other.
fn bursts(size: usize) -> Vec<[Flow; BURST]> {
    let mut seed = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed >> 11) as usize
    };
    let one = |_| {
        let n = random() % size;
        flow(if random() % 10 == 0 { size + n } else { n })
    };
    let flows: Vec<Flow> = (0..(4 * size).next_multiple_of(BURST)).map(one).collect();
    flows.as_chunks().0.to_vec()
}

/// What is read from an entry that was found.
fn used(entry: &Entry) -> usize {
    entry.incoming().map_or(0, |incoming| incoming.interface.0 as usize) + entry.outgoing().len()
}

fn measure(
    group: &mut BenchmarkGroup<'_, WallTime>,
    id: BenchmarkId,
    bursts: &[[Flow; BURST]],
    mut look_up: impl FnMut(&[Flow; BURST]) -> usize,
) {
    let mut order = bursts.iter().cycle();
    group.bench_function(id, |b| b.iter(|| order.next().map(|burst| black_box(look_up(burst)))));
}

fn lookup(c: &mut Criterion) {
    let mut group = c.benchmark_group("lookup");
    group.throughput(Throughput::Elements(BURST as u64));
    for size in SIZES {
        let bursts = bursts(size);
        let (table, made) = table(size).expect("a number is free");

        (0..size).for_each(|n| table.publish(made.entry(n)).expect("room for every flow"));
        let mut reader = table.reader();
        measure(&mut group, BenchmarkId::new("mgm one by one", size), &bursts, |flows| {
            flows.iter().filter_map(|flow| reader.lookup(flow).map(used)).sum()
        });
        measure(&mut group, BenchmarkId::new("mgm burst", size), &bursts, |flows| {
            reader.lookup_burst(flows).flatten().map(used).sum()
        });
        drop(reader);
        drop(table);

        let index = scc::HashIndex::with_capacity_and_hasher(size, RandomState::default());
        (0..size).for_each(|n| assert!(index.insert_sync(flow(n), made.entry(n)).is_ok()));
        measure(&mut group, BenchmarkId::new("scc::HashIndex one by one", size), &bursts, |flows| {
            flows.iter().filter_map(|flow| index.peek_with(flow, |_, entry| used(entry))).sum()
        });
        measure(&mut group, BenchmarkId::new("scc::HashIndex burst", size), &bursts, |flows| {
            let guard = scc::Guard::new();
            flows.iter().filter_map(|flow| index.peek(flow, &guard).map(used)).sum()
        });
        drop(index);

        let map = papaya::HashMap::with_capacity_and_hasher(size, RandomState::default());
        (0..size).for_each(|n| assert!(map.pin().insert(flow(n), made.entry(n)).is_none()));
        measure(&mut group, BenchmarkId::new("papaya one by one", size), &bursts, |flows| {
            flows.iter().filter_map(|flow| map.pin().get(flow).map(used)).sum()
        });
        measure(&mut group, BenchmarkId::new("papaya burst", size), &bursts, |flows| {
            let map = map.pin();
            flows.iter().filter_map(|flow| map.get(flow).map(used)).sum()
        });
        drop(map);

        let map = dashmap::DashMap::with_capacity_and_hasher(size, RandomState::default());
        (0..size).for_each(|n| assert!(map.insert(flow(n), made.entry(n)).is_none()));
        measure(&mut group, BenchmarkId::new("dashmap one by one", size), &bursts, |flows| {
            flows.iter().filter_map(|flow| map.get(flow).map(|entry| used(&entry))).sum()
        });
    }
    group.finish();
}

fn quick() -> Criterion {
    Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(900))
}

criterion_group! {
    name = lookups;
    config = quick();
    targets = lookup
}
criterion_main!(lookups);
