//! The noise-free gate: how many instructions the short paths have, counted by callgrind, each with a limit.
//!
//! ```sh
//! .ci/install-tools     # valgrind, and the runner of gungraun's version
//! cargo bench --bench instructions
//! ```
//!
//! ends with an error when a limit is passed. The counts are exact but for what the compiler makes of them, so the limits
//! are about a tenth above what was counted when they were set; who makes a path longer on purpose raises its limit, and
//! who makes it shorter lowers it. Of each operation there are [`TIMES`], all alike, and the loop around them counts too.
//! What a count cannot see: how long memory takes, and whether cores fight over a line.
//!
//! Feature `bug-extra-load` plants one more load in every look-up of a handle: `resolve` has to pass its limit then
//! (`.ci/run` tries it).

#![allow(missing_docs, reason = "the macros make public items")]

#[path = "rows/scene.rs"]
mod scene;

use gungraun::prelude::*;
use gungraun::{Callgrind, EventKind};
use mgm::forwarding::{
    Entry, Flow, ForwardingReader, ForwardingTable, Incoming, NewEntry, Outgoing, Stamp, VifIndex,
};
use mgm::handle::{Claims, Handle, HandleTable, Reader, ResourceId};
use scene::{Frames, Mgm, Receivers};
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

const TIMES: usize = 1024;
const BURST: usize = 32;

/// So many instructions an operation at most.
fn at_most(instructions: u64) -> LibraryBenchmarkConfig {
    let mut callgrind = Callgrind::default();
    callgrind.hard_limits([(EventKind::Ir, instructions * TIMES as u64)]);
    let mut config = LibraryBenchmarkConfig::default();
    config.tool(callgrind);
    config
}

type Table = HandleTable<u64>;

/// Kept to the end: what is taken down after a benchmark would count as part of it.
fn kept<T>(thing: T) -> &'static mut T {
    Box::leak(Box::new(thing))
}

fn table() -> (&'static Table, &'static [Handle]) {
    let table = kept(Table::new());
    let handles = (0..TIMES as u64).map(|value| table.insert(value).expect("room"));
    let handles = kept(Vec::from_iter(handles));
    (table, handles)
}

fn reader() -> (&'static mut Reader<'static, u64>, &'static [Handle]) {
    let (table, handles) = table();
    let reader = kept(table.reader());
    // Pinned, as it is from its second call on.
    reader.get(handles[0]);
    (reader, handles)
}

#[library_benchmark(config = at_most(LIMIT_VALIDATE))]
#[bench::all_live(table())]
fn validate((table, handles): (&Table, &[Handle])) -> u64 {
    handles.iter().map(|handle| u64::from(table.validate(black_box(*handle)))).sum()
}

#[library_benchmark(config = at_most(LIMIT_RESOLVE))]
#[bench::all_live(reader())]
fn resolve((reader, handles): (&mut Reader<'static, u64>, &[Handle])) -> u64 {
    handles.iter().map(|handle| reader.get(black_box(*handle)).copied().unwrap_or(0)).sum()
}

#[library_benchmark(config = at_most(LIMIT_RESOLVE_BURST))]
#[bench::all_live(reader())]
fn resolve_burst((reader, handles): (&mut Reader<'static, u64>, &[Handle])) -> u64 {
    let mut sum = 0;
    for handles in handles.chunks_exact(BURST) {
        let burst = reader.burst();
        sum += handles.iter().map(|handle| burst.get(black_box(*handle)).copied().unwrap_or(0)).sum::<u64>();
    }
    sum
}

/// A table that has seen a few batches of retired slots come and go.
fn worked_in() -> &'static Table {
    let table = kept(Table::new());
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
#[bench::one_after_the_other(worked_in())]
fn insert_remove(table: &Table) {
    insert_and_remove_all(table);
}

fn client() -> (&'static HandleTable<u64, Claims>, Handle, ResourceId) {
    let table = kept(HandleTable::with_claims(16).expect("a capacity"));
    let client = table.insert(1).expect("room");
    let thing = table.new_resource().expect("room");
    table.claim(client, thing).expect("nobody owns it");
    table.release(client, thing).expect("it is the client's");
    (table, client, thing)
}

#[library_benchmark(config = at_most(LIMIT_TAKE_RELEASE))]
#[bench::uncontended(client())]
fn take_release((table, client, thing): (&HandleTable<u64, Claims>, Handle, ResourceId)) {
    for _ in 0..TIMES {
        table.claim(black_box(client), thing).expect("nobody owns it");
        table.release(black_box(client), thing).expect("it is the client's");
    }
}

fn flow(n: u32) -> Flow {
    let source = IpAddr::V4(Ipv4Addr::from_bits(0x0A00_0000 + n / 16));
    let group = IpAddr::V4(Ipv4Addr::from_bits(0xE800_0100 + n % 16));
    Flow::new(source, group).expect("a source and a group of one family")
}

/// A reader, and flows that all have an entry. The table's seed is another each time; with the tables half full, what that
/// changes is a bucket passed here and there.
fn forwarding() -> (&'static mut ForwardingReader<'static>, &'static [Flow]) {
    let clients = HandleTable::with_claims(1).expect("a capacity");
    let client = clients.insert(()).expect("room");
    let thing = clients.new_resource().expect("room");
    let stamp = Stamp::one(thing, clients.claim(client, thing).expect("nobody owns it"));
    let table = kept(ForwardingTable::new(TIMES as u32, Arc::clone(clients.owners())));
    let number = table.alloc_counter().expect("a number is free");
    let incoming = Incoming { interface: VifIndex(0), stamp };
    let outgoing = [1, 2].map(|n| Outgoing::uncounted(VifIndex(n), stamp));
    let flows = kept(Vec::from_iter((0..TIMES as u32).map(flow)));
    for flow in flows.iter() {
        table.publish(NewEntry::new(*flow, number, Some(incoming), &outgoing)).expect("room");
    }
    let reader = kept(table.reader());
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

/// Packets of as many flows, and a worker that has counted under each before: so many copies each, by the whole way from a frame
/// to the rings.
fn worker(copies: usize) -> (&'static mut Mgm, &'static Frames) {
    let frames = kept(Frames::new(TIMES));
    let mgm = kept(Mgm::new(TIMES, copies, Receivers::Routing));
    forward_all(mgm, frames);
    (mgm, frames)
}

fn forward_all(mgm: &mut Mgm, frames: &Frames) -> u64 {
    let mut copies = 0;
    for at in (0..TIMES).step_by(BURST) {
        mgm.worker.forward(0, frames.some(at..at + BURST), |_| ());
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

// Instructions an operation; beside them, what was counted.
const LIMIT_VALIDATE: u64 = 21; // 19.0
const LIMIT_RESOLVE: u64 = 26; // 24.0
const LIMIT_RESOLVE_BURST: u64 = 22; // 20.5
const LIMIT_INSERT_REMOVE: u64 = 183; // 166.3
const LIMIT_TAKE_RELEASE: u64 = 506; // 460
const LIMIT_LOOKUP: u64 = 168; // 153.1
const LIMIT_LOOKUP_BURST: u64 = 161; // 143.9 to 152.5
const LIMIT_FORWARD: u64 = 894; // 812.9
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
