//! [`PacketProcessor`]: applies the entry of a flow to a packet, and counts. The same in every plane; an [`Egress`] of the
//! plane makes the copies.

use super::{CannotForward, DropCounters};
use crate::forwarding::{
    Counters, Entry, FlowCounter, OutgoingPaths, PacketCounts, Verdict, VifIndex, WorkerCounters,
};
use std::fmt;

/// Makes the copies of one packet. Each plane has its own.
///
/// ```
/// use mgm::forwarding::{Family, Flow, Verdict, VifIndex};
/// use mgm::manager::{GroupManager, Interface, ManagerConfig, Membership};
/// use mgm::plane::{CannotForward, CopyOutcome, Egress, Link, MacAddress, NoFastPath};
/// use mgm::plane::{PacketProcessor, Port, PortMap};
/// use mgm::{protocol::static_joins::StaticJoins, rpf::RouteTable, wire::decrement_ttl};
/// use std::sync::Arc;
///
/// /// Keeps each copy with the index of its port.
/// struct Copies<'a> {
///     map: &'a PortMap,
///     datagram: &'a [u8],
///     sent: Vec<(usize, Vec<u8>)>,
/// }
///
/// impl Egress for Copies<'_> {
///     type Rewritten = Vec<u8>;
///     type Fast<'q>
///         = NoFastPath
///     where
///         Self: 'q;
///
///     fn rewrite(&mut self) -> Result<Vec<u8>, CannotForward> {
///         let mut datagram = self.datagram.to_vec();
///         decrement_ttl(&mut datagram)?;
///         Ok(datagram)
///     }
///
///     fn copy(&mut self, rewritten: &Vec<u8>, interface: VifIndex) -> CopyOutcome {
///         let Some(port) = self.map.port(interface) else { return CopyOutcome::OtherPlane };
///         self.sent.push((port, rewritten.clone()));
///         CopyOutcome::Made
///     }
/// }
///
/// let routes = RouteTable::new([("192.0.2.0/24".parse()?, Interface::v4(1))]);
/// let manager = Arc::new(GroupManager::new(ManagerConfig::default(), Arc::new(routes))?);
/// let joins = StaticJoins::new(manager.clone())?;
/// [1, 2].into_iter().try_for_each(|index| joins.take(Interface::v4(index)))?;
/// let flow = Flow::new("192.0.2.7".parse()?, "239.1.2.3".parse()?)?;
/// joins.join(Interface::v4(2), Membership::any_source(flow.group())?)?;
/// manager.new_flow(flow)?;
///
/// let port = |index| Port {
///     name: format!("lan{index}"),
///     index,
///     link: Link::Ethernet,
///     mac: MacAddress::for_interface(index),
/// };
/// let map = PortMap::new(&manager, &[port(1), port(2)]);
/// let datagram = [0x45, 0, 0, 20, 0, 0, 0, 0, 9, 17, 0xfe, 0xcd, 192, 0, 2, 7, 239, 1, 2, 3];
/// let mut copies = Copies { map: &map, datagram: &datagram, sent: Vec::new() };
/// let mut processor = PacketProcessor::new(manager.forwarding().counters());
/// let mut reader = manager.forwarding().reader();
/// let entry = reader.lookup(&flow).ok_or("no entry")?;
/// let verdict = processor.process(entry, map.arrival(0, Family::V4), 20, &mut copies);
/// assert_eq!(verdict, Verdict::Accept);
/// assert_eq!((copies.sent[0].0, copies.sent[0].1[8]), (1, 8));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Egress {
    /// The part that all copies of a packet have in common.
    type Rewritten;
    /// The fast path; [`NoFastPath`] if there is none.
    type Fast<'q>: FastEgress
    where
        Self: 'q;

    /// Decrements the TTL of the packet, before the first copy.
    ///
    /// # Errors
    /// [`CannotForward`]; the packet is dropped.
    fn rewrite(&mut self) -> Result<Self::Rewritten, CannotForward>;

    /// Makes a copy for an interface. The processor has checked its stamp just before.
    fn copy(&mut self, rewritten: &Self::Rewritten, interface: VifIndex) -> CopyOutcome;

    /// Returns the fast path for this packet, if it has one.
    fn fast<'q>(&'q mut self, rewritten: &'q Self::Rewritten) -> Option<Self::Fast<'q>> {
        let _ = rewritten;
        None
    }
}

/// Makes most copies of a packet in few steps.
// A type of its own, so that all its parts stay in registers while copies are made.
pub trait FastEgress {
    /// Makes a copy for an interface. The processor has checked its stamp just before.
    ///
    /// Returns `false` if it made none: then the processor calls [`Egress::copy`].
    fn copy(&mut self, interface: VifIndex) -> bool;
}

/// The fast path of planes without one.
#[derive(Debug)]
pub enum NoFastPath {}

impl FastEgress for NoFastPath {
    fn copy(&mut self, _: VifIndex) -> bool {
        match *self {}
    }
}

/// The outcome of one copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyOutcome {
    /// The copy was made.
    Made,
    /// There was no room for the copy.
    NoRoom,
    /// The interface is not a port of this plane.
    OtherPlane,
}

/// Applies entries to packets and counts them, for one worker.
pub struct PacketProcessor {
    counters: WorkerCounters,
    pub(super) forwarded_packets: u64,
    pub(super) copies: u64,
    pub(super) dropped: DropCounters,
    pub(super) no_room: u64,
}

impl fmt::Debug for PacketProcessor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PacketProcessor")
            .field("forwarded_packets", &self.forwarded_packets)
            .field("copies", &self.copies)
            .finish_non_exhaustive()
    }
}

impl PacketProcessor {
    /// Makes a processor that counts in these counters of a forwarding table. May block, as making a worker's counters may.
    #[must_use]
    pub fn new(counters: &Counters) -> PacketProcessor {
        PacketProcessor {
            counters: counters.worker(),
            forwarded_packets: 0,
            copies: 0,
            dropped: DropCounters::default(),
            no_room: 0,
        }
    }

    /// Returns the number of packets that were forwarded on at least one interface.
    #[must_use]
    pub fn forwarded_packets(&self) -> u64 {
        self.forwarded_packets
    }

    /// Returns the number of copies that were made.
    #[must_use]
    pub fn copies(&self) -> u64 {
        self.copies
    }

    /// Returns the number of packets without room for any copy.
    #[must_use]
    pub fn no_room(&self) -> u64 {
        self.no_room
    }

    /// Returns the number of packets that were dropped, by reason.
    #[must_use]
    pub fn dropped(&self) -> &DropCounters {
        &self.dropped
    }

    /// Returns the same, for the plane to count the packets that it drops before they reach an entry.
    pub fn dropped_mut(&mut self) -> &mut DropCounters {
        &mut self.dropped
    }

    /// Prefetches the parts of an entry that [`process`](Self::process) reads next, and its flow's counters.
    #[inline]
    pub fn prefetch(&self, entry: &Entry) {
        self.counters.prefetch(entry.counter());
        entry.oif_counters().prefetch();
    }

    /// Prefetches the counters of copies that lie in other cache lines.
    #[inline]
    pub fn prefetch_copies(&self, entry: &Entry) {
        self.counters.prefetch_copies(entry);
    }

    /// Applies an entry to a packet of `octets` octets that arrived on `arrival`.
    ///
    /// Checks the stamp of each outgoing interface directly before its copy is made. Counts the packet, unless it returns
    /// [`Verdict::Stale`]: then the plane treats the packet as one without an entry.
    #[inline]
    pub fn process(
        &mut self,
        entry: &Entry,
        arrival: VifIndex,
        octets: usize,
        egress: &mut impl Egress,
    ) -> Verdict {
        let verdict = entry.check(arrival);
        match verdict {
            Verdict::Stale => {}
            Verdict::WrongInterface => {
                self.dropped.wrong_interface += 1;
                self.counters.add(entry.counter(), FlowCounter::WrongInterface, 1);
            }
            Verdict::NoReceivers => self.discard(entry),
            Verdict::Accept => self.copy_out(entry, octets, egress),
        }
        verdict
    }

    // Not inlined: its loop needs all registers.
    #[inline(never)]
    fn copy_out(&mut self, entry: &Entry, octets: usize, egress: &mut impl Egress) {
        let Ok(rewritten) = egress.rewrite() else {
            // Does not happen to a packet that was classified as data.
            self.dropped.ttl_expired += 1;
            self.counters.add(entry.counter(), FlowCounter::HeaderErrors, 1);
            return;
        };
        let counts = self.counters.packet(entry.counter());
        let (copies, any_full) = match counts.near(entry) {
            Some(few) => {
                let (made, full) = copy_each(entry.outgoing_paths(), egress, &rewritten);
                let copies = few.add_copies(made);
                if full != 0 {
                    counts.add_discards(entry, 0, full);
                }
                (copies, full != 0)
            }
            None => copy_many(entry, egress, &rewritten, &counts),
        };
        if copies > 0 {
            counts.forwarded(octets as u64, copies);
            self.forwarded_packets += 1;
            self.copies += copies;
        } else if any_full {
            self.no_room += 1;
            self.counters.add(entry.counter(), FlowCounter::Discards, 1);
        } else {
            self.discard(entry);
        }
    }

    #[cold]
    fn discard(&mut self, entry: &Entry) {
        self.dropped.no_receivers += 1;
        self.counters.add(entry.counter(), FlowCounter::NoReceivers, 1);
    }
}

/// Makes the copies of a packet with any number of outgoing interfaces, and counts each copy.
///
/// Returns the number of copies made, and whether any copy had no room.
#[inline(never)]
fn copy_many<E: Egress>(
    entry: &Entry,
    egress: &mut E,
    rewritten: &E::Rewritten,
    counts: &PacketCounts<'_>,
) -> (u64, bool) {
    let (mut copies, mut any_full) = (0, false);
    let (mut first, mut rest) = (0, Some(entry.outgoing_paths()));
    while let Some(paths) = rest {
        let (made, full) = copy_each(paths, egress, rewritten);
        counts.add_copies(entry, first, made);
        copies += u64::from(made.count_ones());
        if full != 0 {
            any_full = true;
            counts.add_discards(entry, first, full);
        }
        first += paths.piece_len();
        rest = paths.next_piece();
    }
    (copies, any_full)
}

/// Makes the copies of a packet for the interfaces of one piece, at most 64.
///
/// Returns two bit masks in the order of the paths: the copies made, and the copies without room. Counting comes later: a
/// processor has no registers left for it beside the copies.
#[inline(always)]
fn copy_each<E: Egress>(paths: OutgoingPaths<'_>, egress: &mut E, rewritten: &E::Rewritten) -> (u64, u64) {
    let (mut made, mut full) = (0, 0);
    let mut live = paths.live();
    loop {
        let mut left_over = None;
        match egress.fast(rewritten) {
            Some(mut fast) => {
                for (bit, interface) in live.by_ref() {
                    if !fast.copy(interface) {
                        left_over = Some((bit, interface));
                        break;
                    }
                    made |= bit;
                }
            }
            None => left_over = live.next(),
        }
        let Some((bit, interface)) = left_over else { return (made, full) };
        match egress.copy(rewritten, interface) {
            CopyOutcome::Made => made |= bit,
            CopyOutcome::NoRoom => full |= bit,
            CopyOutcome::OtherPlane => {}
        }
    }
}
