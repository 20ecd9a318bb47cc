//! [`Ledger`]: what is done with a packet whose flow has an entry, and what is counted of it. The same in every plane; how
//! copies are made is the plane's ([`Exits`]).

use super::CannotForward;
use crate::forwarding::{
    Counter, Entry, ForwardingTable, PacketCounts, Verdict, VifIndex, WaysOut, WorkerCounters,
};
use std::ops::AddAssign;

/// Why packets were not forwarded: each counts under the first reason that is met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DropCounters {
    /// Not an IP packet to a multicast group.
    pub not_multicast: u64,
    /// Well-formed messages of IGMP and MLD.
    pub control: u64,
    /// From or to an address that must not leave its link.
    pub link_local: u64,
    /// TTL or hop limit 1 or less.
    pub ttl_expired: u64,
    /// Not from the interface towards their source.
    pub wrong_interface: u64,
    /// Nobody wanted them, or there is no route to their source.
    pub no_receivers: u64,
    /// Cut short, damaged, or not as its RFC says.
    pub malformed: u64,
    /// No entry could be made for want of room. The capture plane waits for entries and loses nothing else.
    pub queue_full: u64,
}

impl DropCounters {
    /// The reasons by name.
    #[must_use]
    pub const fn reasons(&self) -> [(&'static str, u64); 8] {
        [
            ("not_multicast", self.not_multicast),
            ("control", self.control),
            ("link_local", self.link_local),
            ("ttl_expired", self.ttl_expired),
            ("wrong_interface", self.wrong_interface),
            ("no_receivers", self.no_receivers),
            ("malformed", self.malformed),
            ("queue_full", self.queue_full),
        ]
    }
}

impl AddAssign<&DropCounters> for DropCounters {
    fn add_assign(&mut self, other: &DropCounters) {
        let DropCounters {
            not_multicast,
            control,
            link_local,
            ttl_expired,
            wrong_interface,
            no_receivers,
            malformed,
            queue_full,
        } = other;
        self.not_multicast += not_multicast;
        self.control += control;
        self.link_local += link_local;
        self.ttl_expired += ttl_expired;
        self.wrong_interface += wrong_interface;
        self.no_receivers += no_receivers;
        self.malformed += malformed;
        self.queue_full += queue_full;
    }
}

/// Where a packet's copies go.
pub(super) trait Exits {
    /// What all copies of a packet have in common.
    type Older;
    /// See [`Self::quick`].
    type Quick<'q>: QuickExits
    where
        Self: 'q;

    /// Makes the packet one hop older, before the first copy.
    fn load(&mut self) -> Result<Self::Older, CannotForward>;

    /// Makes a copy to an interface whose stamp has just been found to hold.
    fn copy(&mut self, older: &Self::Older, interface: VifIndex) -> Copied;

    /// A way to make most copies of a packet in few steps, if there is one.
    fn quick<'q>(&'q mut self, older: &'q Self::Older) -> Option<Self::Quick<'q>>;
}

/// Where most copies of a packet go.
// By itself, so that all it takes is in registers while copies are made.
pub(super) trait QuickExits {
    /// Makes a copy to an interface whose stamp has just been found to hold. `false`: it was not made, and
    /// [`Exits::copy`] has to see to it.
    fn copy(&mut self, interface: VifIndex) -> bool;
}

/// What became of a copy.
pub(super) enum Copied {
    /// It was made.
    Made,
    /// There was no room for it.
    NoRoom,
    /// The interface is none of this plane's.
    Elsewhere,
}

/// One worker's account of the packets whose flows have entries.
pub(super) struct Ledger {
    counters: WorkerCounters,
    pub(super) forwarded_packets: u64,
    pub(super) copies: u64,
    pub(super) not_forwarded: DropCounters,
    /// Packets of which every copy found no room.
    pub(super) no_room: u64,
}

impl Ledger {
    /// May block, as a worker's counters may.
    pub(super) fn new(table: &ForwardingTable) -> Ledger {
        Ledger {
            counters: table.counters().worker(),
            forwarded_packets: 0,
            copies: 0,
            not_forwarded: DropCounters::default(),
            no_room: 0,
        }
    }

    /// Asks for what is read next of an entry that was found, and for its flow's counters.
    #[inline]
    pub(super) fn prefetch(&self, entry: &Entry) {
        self.counters.prefetch(entry.number());
        entry.copies().prefetch();
    }

    /// Asks for the counters of copies that are not in the same line.
    #[inline]
    pub(super) fn prefetch_copies(&self, entry: &Entry) {
        self.counters.prefetch_copies(entry);
    }

    /// Does with a packet of so many octets what its entry says, and counts it unless that is to miss. Each copy's stamp is
    /// looked at right before it is made.
    #[inline]
    pub(super) fn act(
        &mut self,
        entry: &Entry,
        arrival: VifIndex,
        octets: usize,
        exits: &mut impl Exits,
    ) -> Verdict {
        let verdict = entry.judge(arrival);
        match verdict {
            Verdict::Miss => {}
            Verdict::WrongInterface => {
                self.not_forwarded.wrong_interface += 1;
                self.counters.add(entry.number(), Counter::WrongInterface, 1);
            }
            Verdict::NoReceivers => self.discard(entry),
            Verdict::Accept => self.copy_out(entry, octets, exits),
        }
        verdict
    }

    // By itself, where its loop has the registers.
    #[inline(never)]
    fn copy_out(&mut self, entry: &Entry, octets: usize, exits: &mut impl Exits) {
        let Ok(older) = exits.load() else {
            // Not of a packet that was classified as data.
            self.not_forwarded.ttl_expired += 1;
            self.counters.add(entry.number(), Counter::HeaderErrors, 1);
            return;
        };
        let counts = self.counters.of(entry.number());
        let (copies, dropped) = match counts.few_of(entry) {
            Some(few) => {
                let (made, full) = copy_each(entry.ways_out(), exits, &older);
                let copies = few.copied(made);
                if full != 0 {
                    counts.discarded(entry, 0, full);
                }
                (copies, full != 0)
            }
            None => copy_many(entry, exits, &older, &counts),
        };
        if copies > 0 {
            counts.forwarded(octets as u64, copies);
            self.forwarded_packets += 1;
            self.copies += copies;
        } else if dropped {
            self.no_room += 1;
            self.counters.add(entry.number(), Counter::Discards, 1);
        } else {
            self.discard(entry);
        }
    }

    #[cold]
    fn discard(&mut self, entry: &Entry) {
        self.not_forwarded.no_receivers += 1;
        self.counters.add(entry.number(), Counter::NoReceivers, 1);
    }
}

/// Makes the copies of a packet, and counts each: how many were made, and whether some found no room.
#[inline(never)]
fn copy_many<E: Exits>(
    entry: &Entry,
    exits: &mut E,
    older: &E::Older,
    counts: &PacketCounts<'_>,
) -> (u64, bool) {
    let (mut copies, mut dropped) = (0, false);
    let (mut first, mut rest) = (0, Some(entry.ways_out()));
    while let Some(ways) = rest {
        let (some, others) = ways.split(u64::BITS as usize);
        let (made, full) = copy_each(some, exits, older);
        counts.copied(entry, first, made);
        copies += u64::from(made.count_ones());
        if full != 0 {
            dropped = true;
            counts.discarded(entry, first, full);
        }
        first += u64::BITS as usize;
        rest = others;
    }
    (copies, dropped)
}

/// Makes the copies of a packet to at most 64 interfaces: which were made, and which found no room, a bit for each in the
/// order of the ways. What is counted of them comes after: beside the copies, there is no room for it in a processor's registers.
#[inline(always)]
fn copy_each<E: Exits>(ways: WaysOut<'_>, exits: &mut E, older: &E::Older) -> (u64, u64) {
    let (mut made, mut full) = (0, 0);
    let mut live = ways.live();
    loop {
        let mut careful = None;
        match exits.quick(older) {
            Some(mut quick) => {
                for (bit, interface) in live.by_ref() {
                    if !quick.copy(interface) {
                        careful = Some((bit, interface));
                        break;
                    }
                    made |= bit;
                }
            }
            None => careful = live.next(),
        }
        let Some((bit, interface)) = careful else { return (made, full) };
        match exits.copy(older, interface) {
            Copied::Made => made |= bit,
            Copied::NoRoom => full |= bit,
            Copied::Elsewhere => {}
        }
    }
}
