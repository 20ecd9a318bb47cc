//! The gate without noise: the number of instructions of the short paths, counted by callgrind, each with a limit.
//!
//! ```sh
//! .ci/install-tools     # valgrind, and the runner of gungraun's version
//! cargo bench --bench instructions
//! ```
//!
//! It fails when a count exceeds its limit. The counts are exact for one compiler, so the limits are about a tenth
//! above the counts at the time they were set. A change that makes a path longer on purpose raises its limit; one that
//! makes it shorter lowers it. Each benchmark repeats its operation [`TIMES`] times, and the loop around it counts too.
//! valgrind supports AVX2 and not AVX-512, so the look-ups are counted with AVX2.
//! A count does not include memory latency or contention between cores.
//!
//! The planted bug `extra-load` adds a load to every look-up of a handle: `resolve` must exceed its limit then
//! (`.ci/run` checks it).

#![allow(missing_docs, reason = "the macros make public items")]

#[path = "rows/scene.rs"]
mod scene;

use gungraun::prelude::*;
use gungraun::{Callgrind, EventKind};
use mgm::forwarding::{
    Entry, Flow, ForwardingReader, ForwardingTable, Incoming, NewEntry, Outgoing, Stamp, VifIndex,
};
use mgm::handle::{Handle, HandleTable, OwnershipTable, Reader, ResourceId};
use scene::{Frames, Mgm, Receivers};
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

const TIMES: usize = 1024;
const BURST: usize = 32;

/// Configures a benchmark with this limit of instructions per operation.
fn at_most(instructions: u64) -> LibraryBenchmarkConfig {
    let mut callgrind = Callgrind::default();
    callgrind.hard_limits([(EventKind::Ir, instructions * TIMES as u64)]);
    let mut config = LibraryBenchmarkConfig::default();
    config.tool(callgrind);
    config
}

type Table = HandleTable<u64>;

/// Leaks a value: dropping it after a benchmark would count as part of the benchmark.
fn leaked<T>(value: T) -> &'static mut T {
    Box::leak(Box::new(value))
}

fn table() -> (&'static Table, &'static [Handle]) {
    let table = leaked(Table::new());
    let handles = (0..TIMES as u64).map(|value| table.insert(value).expect("room"));
    let handles = leaked(Vec::from_iter(handles));
    (table, handles)
}

fn reader() -> (&'static mut Reader<&'static HandleTable<u64>>, &'static [Handle]) {
    let (table, handles) = table();
    let reader = leaked(table.reader());
    // Pins the reader, as it is from its second call on.
    reader.get(handles[0]);
    (reader, handles)
}

#[library_benchmark(config = at_most(LIMIT_VALIDATE))]
#[bench::all_live(table())]
fn validate((table, handles): (&Table, &[Handle])) -> u64 {
    handles.iter().map(|handle| u64::from(table.contains(black_box(*handle)))).sum()
}

#[library_benchmark(config = at_most(LIMIT_RESOLVE))]
#[bench::all_live(reader())]
fn resolve((reader, handles): (&mut Reader<&'static HandleTable<u64>>, &[Handle])) -> u64 {
    handles.iter().map(|handle| reader.get(black_box(*handle)).copied().unwrap_or(0)).sum()
}

#[library_benchmark(config = at_most(LIMIT_RESOLVE_BURST))]
#[bench::all_live(reader())]
fn resolve_burst((reader, handles): (&mut Reader<&'static HandleTable<u64>>, &[Handle])) -> u64 {
    let mut sum = 0;
    for handles in handles.chunks_exact(BURST) {
        let burst = reader.pin();
        sum += handles.iter().map(|handle| burst.get(black_box(*handle)).copied().unwrap_or(0)).sum::<u64>();
    }
    sum
}

/// Makes a table that has already reclaimed a few batches of retired slots.
fn warmed_up() -> &'static Table {
    let table = leaked(Table::new());
    insert_and_remove_all(table);
    table
}

fn insert_and_remove_all(table: &Table) {
    for value in 0..TIMES as u64 {
        let handle = table.insert(black_box(value)).expect("room");
        table.remove(black_box(handle)).expect("inserted just now");
    }
}

#[library_benchmark(config = at_most(LIMIT_INSERT_REMOVE))]
#[bench::one_after_the_other(warmed_up())]
fn insert_remove(table: &Table) {
    insert_and_remove_all(table);
}

fn client() -> (&'static OwnershipTable<u64>, Handle, ResourceId) {
    let table = leaked(OwnershipTable::with_limit(16).expect("a capacity"));
    let client = table.insert(1).expect("room");
    let resource = table.new_resource().expect("room");
    table.claim(client, resource).expect("unowned");
    table.release(client, resource).expect("owned by the client");
    (table, client, resource)
}

#[library_benchmark(config = at_most(LIMIT_TAKE_RELEASE))]
#[bench::uncontended(client())]
fn take_release((table, client, resource): (&OwnershipTable<u64>, Handle, ResourceId)) {
    for _ in 0..TIMES {
        table.claim(black_box(client), resource).expect("unowned");
        table.release(black_box(client), resource).expect("owned by the client");
    }
}

fn flow(n: u32) -> Flow {
    let source = IpAddr::V4(Ipv4Addr::from_bits(0x0A00_0000 + n / 16));
    let group = IpAddr::V4(Ipv4Addr::from_bits(0xE800_0100 + n % 16));
    Flow::new(source, group).expect("a source and a group of one family")
}

/// Makes a reader, and flows that all have an entry. The table's seed differs each time; in a half-full table that
/// changes the probe sequences of a few flows.
fn forwarding() -> (&'static mut ForwardingReader<'static>, &'static [Flow]) {
    let clients = OwnershipTable::with_limit(1).expect("a capacity");
    let client = clients.insert(()).expect("room");
    let resource = clients.new_resource().expect("room");
    let stamp = Stamp::one(resource, clients.claim(client, resource).expect("unowned"));
    let table = leaked(ForwardingTable::new(TIMES as u32, Arc::clone(clients.owners())));
    let counter = table.alloc_counter().expect("a counter is free");
    let incoming = Incoming::new(VifIndex(0), stamp);
    let outgoing = [1, 2].map(|n| Outgoing::uncounted(VifIndex(n), stamp));
    let flows = leaked(Vec::from_iter((0..TIMES as u32).map(flow)));
    for flow in flows.iter() {
        table.publish(NewEntry::new(*flow, counter, Some(incoming), &outgoing)).expect("room");
    }
    let reader = leaked(table.reader());
    reader.lookup(&flows[0]);
    (reader, flows)
}

fn used(entry: &Entry) -> u64 {
    entry.outgoing().len() as u64
}

#[library_benchmark(config = at_most(LIMIT_LOOKUP))]
#[bench::hits(forwarding())]
fn lookup((reader, flows): (&mut ForwardingReader<'static>, &[Flow])) -> u64 {
    flows.iter().map(|flow| reader.lookup(black_box(flow)).map_or(0, used)).sum()
}

#[library_benchmark(config = at_most(LIMIT_LOOKUP_BURST))]
#[bench::hits(forwarding())]
fn lookup_burst((reader, flows): (&mut ForwardingReader<'static>, &[Flow])) -> u64 {
    let mut sum = 0;
    for flows in flows.chunks_exact(BURST) {
        sum += reader.lookup_burst(black_box(flows)).flatten().map(used).sum::<u64>();
    }
    sum
}

/// Makes a worker and a packet of each flow, with this number of copies. The worker has forwarded and counted each flow
/// before.
fn worker(copies: usize) -> (&'static mut Mgm, &'static Frames) {
    let frames = leaked(Frames::new(TIMES));
    let mgm = leaked(Mgm::new(TIMES, copies, Receivers::Routing));
    forward_all(mgm, frames);
    (mgm, frames)
}

fn forward_all(mgm: &mut Mgm, frames: &Frames) -> u64 {
    let mut copies = 0;
    for at in (0..TIMES).step_by(BURST) {
        mgm.worker.forward(0, frames.range(at..at + BURST), |_| ());
        copies += mgm.rings.iter_mut().map(|ring| ring.discard() as u64).sum::<u64>();
    }
    copies
}

#[library_benchmark(config = at_most(LIMIT_FORWARD))]
#[bench::four_copies(worker(4))]
fn forward((mgm, frames): (&mut Mgm, &Frames)) -> u64 {
    forward_all(black_box(mgm), black_box(frames))
}

#[library_benchmark(config = at_most(LIMIT_FORWARD_TO_MANY))]
#[bench::sixteen_copies(worker(16))]
fn forward_to_many((mgm, frames): (&mut Mgm, &Frames)) -> u64 {
    forward_all(black_box(mgm), black_box(frames))
}

// Instructions per operation; beside them, the counts at the time they were set.
const LIMIT_VALIDATE: u64 = 21; // 19.0
const LIMIT_RESOLVE: u64 = 26; // 24.0
const LIMIT_RESOLVE_BURST: u64 = 22; // 20.5
const LIMIT_INSERT_REMOVE: u64 = 157; // 143.3
const LIMIT_TAKE_RELEASE: u64 = 506; // 460
const LIMIT_LOOKUP: u64 = 131; // 118.8 to 120.8
const LIMIT_LOOKUP_BURST: u64 = 68; // 61.1 to 61.8
const LIMIT_FORWARD: u64 = 856; // 778.3
const LIMIT_FORWARD_TO_MANY: u64 = 1920; // 1745.1

library_benchmark_group!(
    name = instructions,
    benchmarks = [
        validate,
        resolve,
        resolve_burst,
        insert_remove,
        take_release,
        lookup,
        lookup_burst,
        forward,
        forward_to_many
    ]
);
main!(library_benchmark_groups = instructions);
