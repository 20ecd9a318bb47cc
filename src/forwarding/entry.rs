//! [`Entry`]: what is done with the packets of one flow, and for how long that may be believed.
//!
//! Whatever an entry was derived from may change hands at any moment. So each interface in it carries a [`Stamp`]: the
//! owner words that have to read as they read then. The packet path compares before it emits, and an ownership that
//! was given up stops forwarding at that instant, without anybody having touched the entry.

use super::counters::{FlowNumber, OutgoingNumber};
use super::flow::Flow;
use crate::handle::{OwnerId, OwnerWord, Owners};
use crate::memory::{self, NoMemory};

/// A router interface as the packet path knows it: a small number, never reused, dense enough to index arrays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InterfaceNumber(pub u32);

/// The one or two owner words something was derived from. It holds while they are unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    first: (OwnerId, OwnerWord),
    second: Option<(OwnerId, OwnerWord)>,
}

impl Stamp {
    /// Derived from one owner word.
    #[must_use]
    pub const fn one(id: OwnerId, word: OwnerWord) -> Stamp {
        Stamp { first: (id, word), second: None }
    }

    /// Derived from two owner words.
    #[must_use]
    pub const fn both(first: (OwnerId, OwnerWord), second: (OwnerId, OwnerWord)) -> Stamp {
        Stamp { first, second: Some(second) }
    }

    /// Whether this is derived from that too: it dies with it, at the latest.
    #[must_use]
    pub fn hangs_on(&self, other: &Stamp) -> bool {
        let mine = [Some(self.first), self.second];
        [Some(other.first), other.second].into_iter().flatten().all(|word| mine.contains(&Some(word)))
    }

    /// Whether nothing it was derived from has changed hands since. Wait-free: one load a word, in an order that pairs
    /// with the store that takes or releases: a check that begins after a release took effect fails.
    #[inline]
    #[must_use]
    pub fn holds(&self, owners: &Owners) -> bool {
        owners.unchanged(self.first.0, self.first.1)
            && self.second.is_none_or(|(id, word)| owners.unchanged(id, word))
    }
}

/// The interface a flow's packets have to arrive on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// Which interface.
    pub interface: InterfaceNumber,
    /// Whose it was when the entry was made.
    pub stamp: Stamp,
}

/// An interface a flow's packets are copied to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    flow: Flow,
    number: FlowNumber,
    incoming: Option<Incoming>,
    outgoing: Box<[Outgoing]>,
}

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

/// The outgoing interfaces that an entry keeps.
fn kept(incoming: Option<Incoming>, outgoing: &[Outgoing]) -> impl Iterator<Item = Outgoing> {
    let kept = move |o: &&Outgoing| incoming.is_some_and(|i| i.interface != o.interface);
    outgoing.iter().filter(kept).copied()
}

impl Entry {
    /// An entry. The incoming interface is never an outgoing one: it is left out if it is among them. Without an
    /// incoming interface (no route to the source) the entry is negative.
    #[must_use]
    pub fn new(flow: Flow, number: FlowNumber, incoming: Option<Incoming>, outgoing: &[Outgoing]) -> Entry {
        let kept = kept(incoming, outgoing).collect();
        Entry { flow, number, incoming, outgoing: kept }
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
        let kept = || kept(incoming, outgoing);
        Ok(Entry { flow, number, incoming, outgoing: memory::slice(kept().count(), kept())? })
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
        self.number
    }

    /// Where they have to arrive; `None` when there was no route to the source.
    #[inline]
    #[must_use]
    pub fn incoming(&self) -> Option<&Incoming> {
        self.incoming.as_ref()
    }

    /// Where they are copied to, dead stamps included.
    #[inline]
    #[must_use]
    pub fn outgoing(&self) -> &[Outgoing] {
        &self.outgoing
    }

    /// Whether nobody wanted the flow when the entry was made.
    #[inline]
    #[must_use]
    pub fn is_negative(&self) -> bool {
        self.outgoing.is_empty()
    }

    /// What to do with a packet that arrived on `arrival`. Wait-free.
    #[inline]
    #[must_use]
    pub fn judge(&self, arrival: InterfaceNumber, owners: &Owners) -> Verdict {
        match &self.incoming {
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
        self.outgoing.iter().filter(|o| o.stamp.holds(owners))
    }
}
