//! [`Entry`]: what is done with the packets of one flow, and for how long that may be believed.
//!
//! Whatever an entry was derived from may change hands at any moment. So each interface in it carries a [`Stamp`]: the
//! owner words that have to read as they read then. The packet path compares before it emits, and an ownership that
//! was given up stops forwarding at that instant, without anybody having touched the entry.

use super::counters::{FlowNumber, OutgoingNumber};
use super::flow::Flow;
use crate::handle::{OwnerId, OwnerWord, Owners};
use crate::memory::{self, NoMemory};
use crate::prefetch::prefetch;

/// A router interface as the packet path knows it: a small number, never reused, dense enough to index arrays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InterfaceNumber(pub u32);

/// The one or two owner words something was derived from. It holds while they are unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, packed(4))]
pub struct Stamp {
    /// Of `word`; and of `other`, if there is one, it is the first of the pair.
    id: OwnerId,
    word: OwnerWord,
    /// How the other word of the pair read, which is never 0; 0 for none.
    other: OwnerWord,
}

impl Stamp {
    /// Derived from one owner word.
    #[inline]
    #[must_use]
    pub const fn one(id: OwnerId, word: OwnerWord) -> Stamp {
        Stamp { id, word, other: OwnerWord(0) }
    }

    /// Derived from both words of the pair that `id` is one of, given in the pair's order
    /// ([`HandleTable::new_owner_pair`](crate::handle::HandleTable::new_owner_pair)).
    #[inline]
    #[must_use]
    pub const fn pair(id: OwnerId, [word, other]: [OwnerWord; 2]) -> Stamp {
        Stamp { id: id.pair()[0], word, other }
    }

    /// Whether this is derived from that too: it dies with it, at the latest.
    #[must_use]
    pub fn hangs_on(&self, other: &Stamp) -> bool {
        other.words().into_iter().flatten().all(|word| self.words().contains(&Some(word)))
    }

    fn words(&self) -> [Option<(OwnerId, OwnerWord)>; 2] {
        let other = self.other;
        let other = (other != OwnerWord(0)).then_some((self.id.pair()[1], other));
        [Some((self.id, self.word)), other]
    }

    /// Whether nothing it was derived from has changed hands since. Wait-free: one load a word, in an order that pairs
    /// with the store that takes or releases: a check that begins after a release took effect fails.
    #[inline]
    #[must_use]
    pub fn holds(&self, owners: &Owners) -> bool {
        let Stamp { id, word, other } = *self;
        owners.unchanged(id, word) && (other == OwnerWord(0) || owners.unchanged(id.pair()[1], other))
    }
}

/// The interface a flow's packets have to arrive on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Incoming {
    /// Which interface.
    pub interface: InterfaceNumber,
    /// Whose it was when the entry was made.
    pub stamp: Stamp,
}

/// An interface a flow's packets are copied to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Outgoing {
    /// Which interface.
    pub interface: InterfaceNumber,
    /// Whose interest it serves.
    pub stamp: Stamp,
    /// Under which number the packets copied to it are counted.
    pub number: OutgoingNumber,
}

impl Outgoing {
    /// An outgoing interface whose packets are not counted apart.
    #[must_use]
    pub const fn uncounted(interface: InterfaceNumber, stamp: Stamp) -> Outgoing {
        Outgoing { interface, stamp, number: OutgoingNumber::NONE }
    }
}

/// What is done with the packets of one flow.
// With the state word of the slot it lies in, a cache line: what a look-up reads. What follows is one step away, in a piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    flow: Flow,
    /// First the way in, with the flow's number in the place of an outgoing interface's; then the ways out.
    ways: Box<[Outgoing]>,
    /// The interface of the way in once more.
    arrival: InterfaceNumber,
    /// Without it the way in says nothing.
    has_incoming: bool,
}

const _: () = assert!(size_of::<Entry>() == 56 && size_of::<Outgoing>() == 32);

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

/// What an entry keeps: the way in, whatever that is, and the ways out.
fn ways(
    number: FlowNumber,
    incoming: Option<Incoming>,
    outgoing: &[Outgoing],
) -> impl Iterator<Item = Outgoing> {
    let Incoming { interface, stamp } = incoming.unwrap_or(Incoming {
        interface: InterfaceNumber(u32::MAX),
        stamp: Stamp::one(OwnerId(u32::MAX), OwnerWord(0)),
    });
    let way_in = Outgoing { interface, stamp, number: number.in_the_place_of_outgoing() };
    let kept = move |o: &&Outgoing| incoming.is_some_and(|i| i.interface != o.interface);
    std::iter::once(way_in).chain(outgoing.iter().filter(kept).copied())
}

impl Entry {
    /// An entry. The incoming interface is never an outgoing one: it is left out if it is among them. Without an
    /// incoming interface (no route to the source) the entry is negative.
    #[must_use]
    pub fn new(flow: Flow, number: FlowNumber, incoming: Option<Incoming>, outgoing: &[Outgoing]) -> Entry {
        // Room for all at once: most are kept.
        let mut kept = Vec::with_capacity(1 + outgoing.len());
        kept.extend(ways(number, incoming, outgoing));
        Entry::of(flow, incoming, kept.into_boxed_slice())
    }

    /// The same, where there may be no memory for it.
    ///
    /// # Errors
    /// [`NoMemory`].
    pub fn try_new(
        flow: Flow,
        number: FlowNumber,
        incoming: Option<Incoming>,
        outgoing: &[Outgoing],
    ) -> Result<Entry, NoMemory> {
        let ways = || ways(number, incoming, outgoing);
        Ok(Entry::of(flow, incoming, memory::slice(ways().count(), ways())?))
    }

    fn of(flow: Flow, incoming: Option<Incoming>, ways: Box<[Outgoing]>) -> Entry {
        let arrival = incoming.map_or(InterfaceNumber(u32::MAX), |incoming| incoming.interface);
        Entry { flow, ways, arrival, has_incoming: incoming.is_some() }
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
    pub fn number(&self) -> FlowNumber {
        // There is always a way in.
        self.ways.first().map_or(FlowNumber::NONE, |way_in| FlowNumber::in_its_place(way_in.number))
    }

    /// Where they have to arrive; `None` when there was no route to the source.
    #[inline]
    #[must_use]
    pub fn incoming(&self) -> Option<Incoming> {
        let way_in = self.ways.first().filter(|_| self.has_incoming)?;
        Some(Incoming { interface: self.arrival, stamp: way_in.stamp })
    }

    /// Where they are copied to, dead stamps included.
    #[inline]
    #[must_use]
    pub fn outgoing(&self) -> &[Outgoing] {
        self.ways.get(1..).unwrap_or_default()
    }

    /// Whether nobody wanted the flow when the entry was made.
    #[inline]
    #[must_use]
    pub fn is_negative(&self) -> bool {
        self.outgoing().is_empty()
    }

    /// What to do with a packet that arrived on `arrival`. Wait-free.
    #[inline]
    #[must_use]
    pub fn judge(&self, arrival: InterfaceNumber, owners: &Owners) -> Verdict {
        match self.incoming() {
            Some(incoming) if !cfg!(feature = "bug-dead-stamp-forwards") && !incoming.stamp.holds(owners) => {
                Verdict::Miss
            }
            Some(incoming) if incoming.interface != arrival => Verdict::WrongInterface,
            Some(_) if !self.is_negative() => Verdict::Accept,
            _ => Verdict::NoReceivers,
        }
    }

    /// The outgoing interfaces whose stamp holds now. Wait-free.
    #[inline]
    pub fn live_outgoing<'e>(&'e self, owners: &'e Owners) -> impl Iterator<Item = InterfaceNumber> + 'e {
        self.live(owners).map(|o| o.interface)
    }

    /// The same, with the numbers under which they are counted. Wait-free.
    #[inline]
    pub fn live<'e>(&'e self, owners: &'e Owners) -> impl Iterator<Item = &'e Outgoing> + 'e {
        self.outgoing().iter().filter(|o| o.stamp.holds(owners))
    }

    /// Asks for what a packet path reads next of an entry that it has found.
    #[inline]
    pub(super) fn prefetch_ways(&self) {
        if let Some(way_in) = self.ways.first() {
            prefetch(way_in);
        }
    }
}
