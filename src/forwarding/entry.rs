//! [`Entry`]: what is done with the packets of one flow, and for how long that may be believed.
//!
//! Whatever an entry was derived from may change hands at any moment. So each interface in it carries a [`Stamp`]: the
//! owner words that have to read as they read then. The packet path compares before it emits, and an ownership that
//! was given up stops forwarding at that instant, without anybody having touched the entry.

use super::copies::Copies;
use super::flow::Flow;
use super::numbers::{FlowCounterId, OifCounterId};
use super::ways::{AllWays, Way, Ways};
use crate::handle::{OwnerWord, OwnerWords, ResourceId};
use crate::memory::NoMemory;
use std::sync::Arc;

/// A router interface as the packet path knows it: a small number, never reused, dense enough to index arrays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VifIndex(pub u32);

/// The one or two owner words something was derived from. It holds while they are unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, packed(4))]
pub struct Stamp {
    /// Of `word`; and of `other`, if there is one, it is the first of the pair.
    pub(super) id: ResourceId,
    pub(super) word: OwnerWord,
    /// How the other word of the pair read, which is never 0; 0 for none.
    pub(super) other: OwnerWord,
}

impl Stamp {
    /// Derived from one owner word.
    #[inline]
    #[must_use]
    pub const fn one(id: ResourceId, word: OwnerWord) -> Stamp {
        Stamp { id, word, other: OwnerWord(0) }
    }

    /// Derived from both words of the pair that `id` is one of, given in the pair's order
    /// ([`HandleTable::new_resource_pair`](crate::handle::HandleTable::new_resource_pair)).
    #[inline]
    #[must_use]
    pub const fn pair(id: ResourceId, [word, other]: [OwnerWord; 2]) -> Stamp {
        Stamp { id: id.pair()[0], word, other }
    }

    /// Whether this is derived from that too: it dies with it, at the latest.
    #[must_use]
    pub fn hangs_on(&self, other: &Stamp) -> bool {
        other.words().into_iter().flatten().all(|word| self.words().contains(&Some(word)))
    }

    fn words(&self) -> [Option<(ResourceId, OwnerWord)>; 2] {
        let other = self.other;
        let other = (other != OwnerWord(0)).then_some((self.id.pair()[1], other));
        [Some((self.id, self.word)), other]
    }

    /// Whether nothing it was derived from has changed hands since. Wait-free: one load a word, in an order that pairs
    /// with the store that takes or releases: a check that begins after a release took effect fails.
    #[inline]
    #[must_use]
    pub fn holds(&self, owners: &OwnerWords) -> bool {
        let Stamp { id, word, other } = *self;
        owners.unchanged(id, word) && (other == OwnerWord(0) || owners.unchanged(id.pair()[1], other))
    }
}

/// The interface a flow's packets have to arrive on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// Which interface.
    pub interface: VifIndex,
    /// Whose it was when the entry was made.
    pub stamp: Stamp,
}

/// An interface a flow's packets are copied to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Which interface.
    pub interface: VifIndex,
    /// Whose interest it serves.
    pub stamp: Stamp,
    /// Under which number the packets copied to it are counted.
    pub number: OifCounterId,
}

impl Outgoing {
    /// An outgoing interface whose packets are not counted apart.
    #[must_use]
    pub const fn uncounted(interface: VifIndex, stamp: Stamp) -> Outgoing {
        Outgoing { interface, stamp, number: OifCounterId::NONE }
    }
}

/// What an entry is to say: what [`ForwardingTable::publish`](super::ForwardingTable::publish) and
/// [`replace`](super::ForwardingTable::replace) make one of.
///
/// The incoming interface is never an outgoing one: it is left out if it is among them. Without an incoming interface (no
/// route to the source) the entry is negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewEntry<'o> {
    /// Whose packets.
    pub flow: Flow,
    /// Under which number they are counted.
    pub number: FlowCounterId,
    /// Where they have to arrive.
    pub incoming: Option<Incoming>,
    /// Where they are copied to.
    pub outgoing: &'o [Outgoing],
}

impl<'o> NewEntry<'o> {
    /// An entry that has yet to be published.
    #[must_use]
    pub const fn new(
        flow: Flow,
        number: FlowCounterId,
        incoming: Option<Incoming>,
        outgoing: &'o [Outgoing],
    ) -> NewEntry<'o> {
        NewEntry { flow, number, incoming, outgoing }
    }

    /// The outgoing interfaces that are not left out.
    pub(super) fn kept(&self) -> impl Iterator<Item = &'o Outgoing> + Clone + use<'o> {
        let incoming = self.incoming.map(|incoming| incoming.interface);
        self.outgoing.iter().filter(move |o| incoming.is_some_and(|incoming| incoming != o.interface))
    }
}

/// What is done with the packets of one flow. A table makes it of a [`NewEntry`].
// With the state word of the slot it lies in, a cache line: what a look-up reads, and whatever is the flow's own. Where
// packets go is one step away (`Ways`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    flow: Flow,
    ways: Arc<Ways>,
    number: FlowCounterId,
    /// Under which numbers what leaves by each way out is counted.
    copies: Copies,
}

const _: () = assert!(size_of::<Entry>() == 56);

/// What to do with one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It arrived where it should: copy it to the outgoing interfaces whose stamp holds. There may be none left.
    Accept,
    /// It did not arrive on the incoming interface.
    WrongInterface,
    /// The entry is negative: nobody wants it.
    NoReceivers,
    /// The incoming interface has changed hands: treat the packet as one without an entry.
    Miss,
}

impl Entry {
    /// An entry, among all that a table has.
    pub(super) fn try_new(new: &NewEntry<'_>, all: &mut AllWays) -> Result<Entry, NoMemory> {
        let ways = all.of(new)?;
        let copies = Copies::try_new(new.number, ways.out().len(), new.kept().map(|o| o.number))?;
        Ok(Entry { flow: new.flow, ways, number: new.number, copies })
    }

    /// Whose packets.
    #[inline]
    #[must_use]
    pub fn flow(&self) -> Flow {
        self.flow
    }

    /// Under which number they are counted.
    #[inline]
    #[must_use]
    pub fn number(&self) -> FlowCounterId {
        self.number
    }

    /// Where they have to arrive; `None` when there was no route to the source.
    #[inline]
    #[must_use]
    pub fn incoming(&self) -> Option<Incoming> {
        self.ways.way_in().map(|way| Incoming { interface: way.interface, stamp: way.stamp })
    }

    /// Where they are copied to, dead stamps included.
    #[inline]
    pub fn outgoing(&self) -> impl ExactSizeIterator<Item = Outgoing> + Clone + '_ {
        self.ways.out().iter().enumerate().map(|at| self.outgoing_at(at))
    }

    /// The way out at a place among them.
    #[inline]
    fn outgoing_at(&self, (at, way): (usize, &Way)) -> Outgoing {
        Outgoing { interface: way.interface, stamp: way.stamp, number: self.outgoing_number(at) }
    }

    /// Under which number copies are counted that leave by the way at a place among the ways out.
    #[inline]
    pub(super) fn outgoing_number(&self, at: usize) -> OifCounterId {
        self.copies.number_at(self.number, at)
    }

    /// Whether nobody wanted the flow when the entry was made.
    #[inline]
    #[must_use]
    pub fn is_negative(&self) -> bool {
        self.ways.out().is_empty()
    }

    /// What to do with a packet that arrived on `arrival`. Wait-free.
    #[inline]
    #[must_use]
    pub fn judge(&self, arrival: VifIndex) -> Verdict {
        let Some(way) = self.ways.way_in() else { return Verdict::NoReceivers };
        // SAFETY: it is one of `self.ways`, which keep the words they lead to.
        let holds = planted!("dead-stamp-forwards") || unsafe { way.holds() };
        if !holds {
            Verdict::Miss
        } else if way.interface != arrival {
            Verdict::WrongInterface
        } else if self.is_negative() {
            Verdict::NoReceivers
        } else {
            Verdict::Accept
        }
    }

    /// The outgoing interfaces whose stamp holds now. Wait-free.
    #[inline]
    pub fn live_outgoing(&self) -> impl Iterator<Item = VifIndex> + '_ {
        self.live().map(|o| o.interface)
    }

    /// The same, with the numbers under which they are counted. Wait-free.
    #[inline]
    pub fn live(&self) -> impl Iterator<Item = Outgoing> + '_ {
        // SAFETY: it is one of `self.ways`, which keep the words they lead to.
        let live = |way: &Way| unsafe { is_live(way) };
        self.ways.out().iter().enumerate().filter(move |(_, way)| live(way)).map(|at| self.outgoing_at(at))
    }

    /// Where copies may go, dead stamps included, for a packet path.
    #[inline]
    pub(crate) fn ways_out(&self) -> WaysOut<'_> {
        WaysOut { ways: self.ways.out() }
    }

    /// Under which numbers the copies are counted, for each of those.
    #[inline]
    pub(crate) fn copies(&self) -> &Copies {
        &self.copies
    }

    #[cfg(test)]
    pub(super) fn ways(&self) -> &Arc<Ways> {
        &self.ways
    }
}

/// Whether a way out's stamp holds now.
///
/// # Safety
/// As [`Way::holds`].
#[inline(always)]
unsafe fn is_live(way: &Way) -> bool {
    // SAFETY: the caller's promise.
    planted!("dead-outgoing-copied") || unsafe { way.holds() }
}

/// Ways out of an entry.
#[derive(Clone, Copy)]
pub(crate) struct WaysOut<'e> {
    /// Some of an entry's, which is borrowed.
    ways: &'e [Way],
}

impl<'e> WaysOut<'e> {
    /// The first of these, at most so many; and the others, if there are any.
    #[inline]
    pub(crate) fn split(self, most: usize) -> (WaysOut<'e>, Option<WaysOut<'e>>) {
        match self.ways.split_at_checked(most) {
            Some((ways, others)) if !others.is_empty() => (WaysOut { ways }, Some(WaysOut { ways: others })),
            _ => (self, None),
        }
    }

    /// The interfaces whose stamp holds now, each with a bit that says which of these it is: the lowest for the first. Those
    /// beyond 64 have none.
    #[inline(always)]
    pub(crate) fn live(self) -> impl Iterator<Item = (u64, VifIndex)> {
        let mut next = 1_u64;
        self.ways.iter().filter_map(move |way| {
            let bit = next;
            next <<= 1;
            // SAFETY: the entry whose ways they are is borrowed, and keeps them.
            unsafe { is_live(way) }.then_some((bit, way.interface))
        })
    }
}
