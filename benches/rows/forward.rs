//! Forwarding in memory on one core, compared with a floor: code for this one setup, which makes the same copies from a
//! table that only one thread uses, without stamps and counters.
//!
//! There are 64k flows with a frame of 60 octets each, in an order that looks random to a prefetcher. Every packet is
//! copied to the same number of 16 ports, each with a ring of its own. Both contestants validate the link and IP
//! headers completely, look the flow up by its key, compare the arrival interface, decrement the TTL and adjust the
//! checksum. They write each copy with an Ethernet header of its own into a slot of its port's ring.
//!
//! `mgm` also compares one stamp for each packet and one for each copy, counts for each flow and outgoing interface,
//! and permits updates meanwhile. In its favour, its rings prefetch their next slots, which the floor's rings do not. A
//! second floor has stamps and counters, and shows their cost where nothing else is promised.

use super::scene::{Frames, Mgm, OUT, Receivers, SLOTS, flow, leaves, mac};
use super::{Row, Target};
use foldhash::quality::FixedState;
use mgm::plane::MacAddress;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};

/// The number of flows, and of frames.
const FLOWS: usize = 1 << 16;
/// The number of packets that one call forwards.
const BATCH: usize = 1 << 12;
/// The number of packets that are forwarded before the rings are emptied.
const BETWEEN: usize = 32;
const BURST: usize = 32;

/// Returns the rows. A figure is the time of one copy. The target is at least 0.7 times as many copies as the floor in
/// the same time.
pub(crate) fn rows() -> Vec<Row> {
    let row = |copies: usize| {
        let title = format!("forwarding in memory, {copies} to a packet");
        Row::batches(
            format!("forward/{copies}"),
            title,
            vec![Target::ratio("mgm", "floor", 1.0 / 0.7)],
            move || contestants(copies),
        )
    };
    [1, 4, 16].map(row).into()
}

/// Forwards the next [`BATCH`] packets, and returns the number of copies.
type Batch = Box<dyn FnMut() -> u64>;

/// Makes the contestants with their names, after checking that all of them make the same copies, octet by octet.
fn contestants(copies: usize) -> Vec<(&'static str, Batch)> {
    let frames: &'static Frames = Box::leak(Box::new(Frames::new(FLOWS)));
    let by_routing = Mgm::new(FLOWS, copies, Receivers::Routing);
    let by_igmp = Mgm::new(FLOWS, copies, Receivers::Igmp);
    let (floor, with_both) = (Floor::<false>::new(copies), Floor::<true>::new(copies));
    let mut all: Vec<(&'static str, Box<dyn Contestant>)> = vec![
        ("mgm", Box::new(by_routing)),
        ("mgm, receivers by IGMP", Box::new(by_igmp)),
        ("floor", Box::new(floor)),
        ("floor, with stamps and counters", Box::new(with_both)),
    ];
    check(frames, copies, &mut all);
    all.into_iter().map(|(name, contestant)| (name, batches(frames, contestant))).collect()
}

fn batches(frames: &'static Frames, mut contestant: Box<dyn Contestant>) -> Batch {
    let mut at = 0;
    Box::new(move || {
        let (mut copies, batch) = (0, at..at + BATCH);
        for some in batch.step_by(BETWEEN) {
            contestant.forward(frames, some..some + BETWEEN);
            copies += contestant.empty();
        }
        at = (at + BATCH) % FLOWS;
        copies
    })
}

trait Contestant {
    fn forward(&mut self, frames: &Frames, which: std::ops::Range<usize>);
    /// Empties the rings, and returns the number of copies that were in them.
    fn empty(&mut self) -> u64;
    /// Empties the rings, and calls `each` with the port and the frame of each copy.
    fn drain(&mut self, each: &mut dyn FnMut(usize, &[u8]));
}

fn check(frames: &Frames, copies: usize, all: &mut [(&'static str, Box<dyn Contestant>)]) {
    for at in (0..FLOWS).step_by(BETWEEN) {
        let mut made = all.iter_mut().map(|(name, contestant)| {
            contestant.forward(frames, at..at + BETWEEN);
            let mut made = vec![Vec::new(); OUT + 1];
            contestant.drain(&mut |port, frame| made[port].push(frame.to_vec()));
            (*name, made)
        });
        let (first, expected) = made.next().expect("a first contestant");
        assert_eq!(expected.iter().map(Vec::len).sum::<usize>(), BETWEEN * copies, "{first} loses nothing");
        for (name, made) in made {
            assert!(made == expected, "{name} makes other copies than {first}");
        }
    }
}

impl Contestant for Mgm {
    fn forward(&mut self, frames: &Frames, which: std::ops::Range<usize>) {
        self.worker.forward(0, frames.range(which), |_| ());
    }

    fn empty(&mut self) -> u64 {
        self.rings.iter_mut().map(|ring| ring.discard() as u64).sum()
    }

    fn drain(&mut self, each: &mut dyn FnMut(usize, &[u8])) {
        for (port, ring) in self.rings.iter_mut().enumerate() {
            ring.receive(usize::MAX, |frame| each(port, frame));
        }
    }
}

/// A flow in the floor's table, in one cache line.
#[derive(Clone, Copy, Default)]
#[repr(align(64))]
struct Cell {
    /// Source and group in network order; 0 in an empty cell.
    key: u64,
    arrival: u32,
    len: u32,
    ports: [u8; OUT],
    /// The index of the flow's first line of counters.
    counters: u32,
}

/// A cache line of counters. A flow's first line has packets, octets, copies, and the copies to four ports; further
/// lines have the copies to seven.
#[derive(Clone, Copy, Default)]
#[repr(align(64))]
struct Counters([u64; 8]);

/// Returns the number of lines of counters for a flow with this number of copies.
fn lines(copies: usize) -> usize {
    1 + copies.saturating_sub(4).div_ceil(7)
}

/// The owner of a port, in a line of its own.
#[repr(align(64))]
struct OwnerWord(AtomicU64);

/// A slot as large as one of the ring plane.
#[repr(align(64))]
#[derive(Clone)]
struct Slot([u8; 33 * 64]);

/// A port of the floor: a ring that only one thread uses.
struct FloorPort {
    slots: Vec<Slot>,
    tail: usize,
    head: usize,
    source: u64,
}

/// The floor, as described at the top of this file.
struct Floor<const STAMPS_AND_COUNTERS: bool> {
    cells: Vec<Cell>,
    hash: FixedState,
    ports: Vec<FloorPort>,
    /// The owner word of each port, and the value that it must have.
    owners: Vec<OwnerWord>,
    stamps: Vec<u64>,
    counters: Vec<Counters>,
}

fn key(source: [u8; 4], group: [u8; 4]) -> u64 {
    u64::from(u32::from_ne_bytes(source)) << 32 | u64::from(u32::from_ne_bytes(group))
}

impl<const STAMPS_AND_COUNTERS: bool> Floor<STAMPS_AND_COUNTERS> {
    fn new(copies: usize) -> Self {
        let hash = FixedState::with_seed(0x5EED);
        let mut cells = vec![Cell::default(); 2 * FLOWS];
        for n in 0..FLOWS {
            let (source, group) = flow(n);
            let key = key(source.octets(), group.octets());
            let mut at = hash.hash_one(key) as usize % cells.len();
            while cells[at].key != 0 {
                at = (at + 1) % cells.len();
            }
            let counters = (n * lines(copies)) as u32;
            let mut cell = Cell { key, counters, ..Cell::default() };
            for port in (1..=OUT).filter(|port| leaves(copies, n, *port)) {
                cell.ports[cell.len as usize] = port as u8;
                cell.len += 1;
            }
            cells[at] = cell;
        }
        let ring = |port| {
            let MacAddress([a, b, c, d, e, f]) = mac(port);
            let slots = vec![Slot([0; 33 * 64]); SLOTS];
            FloorPort { slots, tail: 0, head: 0, source: u64::from_ne_bytes([a, b, c, d, e, f, 0, 0]) }
        };
        let (ports, stamps) = ((0..=OUT).map(ring).collect(), (7..=7 + OUT as u64).collect::<Vec<_>>());
        let owners = stamps.iter().map(|word| OwnerWord(AtomicU64::new(*word))).collect();
        let counters = vec![Counters::default(); FLOWS * lines(copies)];
        Floor { cells, hash, ports, owners, stamps, counters }
    }

    /// Returns whether a frame holds a packet to forward: every check of the ring plane, for IPv4 without options.
    #[inline]
    fn is_valid(frame: &[u8]) -> bool {
        if frame.len() < 34 || frame[12..15] != [0x08, 0x00, 0x45] {
            return false;
        }
        let length = usize::from(u16::from_be_bytes([frame[16], frame[17]]));
        let words =
            frame[14..34].chunks_exact(4).map(|w| u64::from(u32::from_ne_bytes([w[0], w[1], w[2], w[3]])));
        let sum: u64 = words.sum();
        let sum = (sum & 0xffff_ffff) + (sum >> 32);
        let sum = (sum & 0xffff) + (sum >> 16);
        let sum = (sum & 0xffff) + (sum >> 16);
        let sum = (sum & 0xffff) + (sum >> 16);
        let [ttl, protocol] = [frame[22], frame[23]];
        let source = u32::from_be_bytes([frame[26], frame[27], frame[28], frame[29]]);
        let group = u32::from_be_bytes([frame[30], frame[31], frame[32], frame[33]]);
        !(length < 20
            || length > frame.len() - 14
            || sum != 0xffff
            || ttl <= 1
            || protocol == 2
            || group >> 28 != 0xe
            || group >> 8 == 0xe0_0000
            || source >> 28 == 0xe
            || source >> 16 == 0xa9fe
            || source >> 24 == 127
            || source == 0
            || source == u32::MAX)
    }

    fn burst(&mut self, frames: &[&[u8]]) {
        let mask = self.cells.len() - 1;
        let mut found = [(0, 0); BURST];
        for ((key_, at), frame) in found.iter_mut().zip(frames) {
            if !Self::is_valid(frame) {
                continue;
            }
            *key_ = key(
                [frame[26], frame[27], frame[28], frame[29]],
                [frame[30], frame[31], frame[32], frame[33]],
            );
            *at = self.hash.hash_one(*key_) as usize & mask;
            prefetch(&self.cells[*at]);
        }
        let probe = |cells: &[Cell], key: u64, mut at: usize| {
            while cells[at].key != key && cells[at].key != 0 {
                at = (at + 1) & mask;
            }
            at
        };
        if STAMPS_AND_COUNTERS {
            for (key, at) in &mut found[..frames.len()] {
                *at = probe(&self.cells, *key, *at);
                let cell = &self.cells[*at];
                let first = cell.counters as usize;
                self.counters[first..first + lines(cell.len as usize)].iter().for_each(prefetch);
            }
        }
        for ((key, at), frame) in found.into_iter().zip(frames) {
            if key == 0 {
                continue;
            }
            let at = probe(&self.cells, key, at);
            let cell = &self.cells[at];
            if cell.key != key || cell.arrival != 0 {
                continue;
            }
            if !STAMPS_AND_COUNTERS {
                copy(&mut self.ports, cell, frame, |_| true);
                continue;
            }
            let (owners, stamps) = (&self.owners, &self.stamps);
            let holds = |port: usize| owners[port].0.load(Ordering::SeqCst) == stamps[port];
            if !holds(0) {
                continue;
            }
            let counters = &mut self.counters[cell.counters as usize..];
            let mut copies = 0;
            copy(&mut self.ports, cell, frame, |port| {
                let holds = holds(port);
                if holds {
                    // The generation and three counters precede the first copy.
                    let place = 4 + copies;
                    let (line, place) =
                        if place < 8 { (0, place) } else { ((place - 1) / 7, 1 + (place - 1) % 7) };
                    counters[line].0[place] += 1;
                    copies += 1;
                }
                holds
            });
            let [_, packets, octets, all, ..] = &mut counters[0].0;
            *packets += 1;
            *octets += u64::from(u16::from_be_bytes([frame[16], frame[17]]));
            *all += copies as u64;
        }
    }
}

#[inline]
fn copy(ports: &mut [FloorPort], cell: &Cell, frame: &[u8], mut is_current: impl FnMut(usize) -> bool) {
    let datagram = &frame[14..14 + usize::from(u16::from_be_bytes([frame[16], frame[17]]))];
    let mut top = [0; 48];
    let rest = match datagram.split_first_chunk::<48>() {
        Some((first, rest)) => {
            top = *first;
            rest
        }
        None if datagram.len() >= 32 => {
            top[..32].copy_from_slice(&datagram[..32]);
            top[datagram.len() - 16..][..16].copy_from_slice(&datagram[datagram.len() - 16..]);
            &[]
        }
        None => {
            top[..datagram.len()].copy_from_slice(datagram);
            &[]
        }
    };
    top[8] -= 1;
    // RFC 1624 equation 3, where the old word and the new one differ by 0x0100.
    let (sum, carry) = (!u16::from_be_bytes([top[10], top[11]])).overflowing_add(!0x0100);
    top[10..12].copy_from_slice(&(!(sum + u16::from(carry))).to_be_bytes());
    let [l, m] = (14 + datagram.len() as u16).to_ne_bytes();
    let [_, b, c, d] = [datagram[16], datagram[17], datagram[18], datagram[19]];
    let first = u64::from_ne_bytes([l, m, 0x01, 0x00, 0x5e, b & 0x7f, c, d]);
    for port in &cell.ports[..cell.len as usize] {
        let ring = &mut ports[usize::from(*port)];
        if ring.tail - ring.head == SLOTS || !is_current((*port).into()) {
            continue;
        }
        let slot = &mut ring.slots[ring.tail % SLOTS].0;
        slot[..8].copy_from_slice(&first.to_ne_bytes());
        let second = ring.source | u64::from_ne_bytes([0, 0, 0, 0, 0, 0, 0x08, 0x00]);
        slot[8..16].copy_from_slice(&second.to_ne_bytes());
        slot[16..64].copy_from_slice(&top);
        if !rest.is_empty() {
            slot[64..64 + rest.len()].copy_from_slice(rest);
        }
        ring.tail += 1;
    }
}

fn prefetch<T>(place: &T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch accesses no memory that the program can observe and never faults.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(place).cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = place;
}

impl<const STAMPS_AND_COUNTERS: bool> Contestant for Floor<STAMPS_AND_COUNTERS> {
    fn forward(&mut self, frames: &Frames, which: std::ops::Range<usize>) {
        let mut some = frames.range(which);
        loop {
            let mut burst: [&[u8]; BURST] = [&[]; BURST];
            let mut count = 0;
            for (place, frame) in burst.iter_mut().zip(&mut some) {
                *place = frame;
                count += 1;
            }
            self.burst(&burst[..count]);
            if count < BURST {
                break;
            }
        }
    }

    fn empty(&mut self) -> u64 {
        let mut copies = 0;
        for ring in &mut self.ports {
            copies += (ring.tail - ring.head) as u64;
            ring.head = ring.tail;
        }
        copies
    }

    fn drain(&mut self, each: &mut dyn FnMut(usize, &[u8])) {
        for (port, ring) in self.ports.iter_mut().enumerate() {
            for n in ring.head..ring.tail {
                let slot = &ring.slots[n % SLOTS].0;
                let length = usize::from(u16::from_ne_bytes([slot[0], slot[1]]));
                each(port, &slot[2..2 + length]);
            }
            ring.head = ring.tail;
        }
    }
}
