//! [`NewEntry`]: the contents of an entry that is about to be published.

use super::counters::counter_id::{FlowCounterId, OifCounterId};
use super::flow::Flow;
use super::stamp::Stamp;
use std::cmp::Ordering;

/// The index of a router interface on the packet path (`vifi_t` of the BSD and Linux kernels).
///
/// ```text
///  31                  20 19                                   0
/// +----------------------+--------------------------------------+
/// |      generation      |                place                 |
/// +----------------------+--------------------------------------+
/// ```
///
/// Places are small and dense enough to index arrays. When the manager has as many interfaces as it may have, it gives the
/// place of one that has no owner to another, with the next generation. So a number is never reused, and one that is kept for
/// too long names nothing. An array that is indexed by place has to compare the whole number.
/// Numbers are ordered by place, then by generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VifIndex(pub u32);

impl Ord for VifIndex {
    fn cmp(&self, other: &VifIndex) -> Ordering {
        let key = |vif: &VifIndex| vif.0.rotate_left(u32::BITS - VifIndex::PLACE_BITS);
        key(self).cmp(&key(other))
    }
}

impl PartialOrd for VifIndex {
    fn partial_cmp(&self, other: &VifIndex) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl VifIndex {
    const PLACE_BITS: u32 = 20;

    /// The number of places.
    pub const PLACES: u32 = 1 << Self::PLACE_BITS;

    /// The number of generations of a place.
    pub const GENERATIONS: u32 = 1 << (u32::BITS - Self::PLACE_BITS);

    /// The number of no interface. No entry contains it.
    pub const NONE: VifIndex = VifIndex(u32::MAX);

    /// Makes a number; `None` if the place or the generation is too large, and for [`NONE`](Self::NONE).
    #[must_use]
    pub const fn new(place: u32, generation: u32) -> Option<VifIndex> {
        if place >= Self::PLACES || generation >= Self::GENERATIONS {
            return None;
        }
        let number = generation << Self::PLACE_BITS | place;
        if number == Self::NONE.0 { None } else { Some(VifIndex(number)) }
    }

    /// Returns the place, to index arrays with.
    #[inline]
    #[must_use]
    pub const fn place(self) -> u32 {
        self.0 & (Self::PLACES - 1)
    }

    /// Returns the generation: how often the place was reused before.
    #[inline]
    #[must_use]
    pub const fn generation(self) -> u32 {
        self.0 >> Self::PLACE_BITS
    }
}

/// The interface that a flow's packets must arrive on (the RPF interface).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Incoming {
    /// The interface.
    pub interface: VifIndex,
    /// The ownership of the interface when the entry was made.
    pub stamp: Stamp,
}

impl Incoming {
    /// Makes the incoming interface of an entry.
    #[inline]
    #[must_use]
    pub const fn new(interface: VifIndex, stamp: Stamp) -> Incoming {
        Incoming { interface, stamp }
    }
}

/// An interface that a flow's packets are copied to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outgoing {
    /// The interface.
    pub interface: VifIndex,
    /// The ownership under which receivers were announced there.
    pub stamp: Stamp,
    /// The counters of the packets copied to the interface.
    pub counter: OifCounterId,
}

impl Outgoing {
    /// Makes an outgoing interface with counters of its own.
    #[inline]
    #[must_use]
    pub const fn new(interface: VifIndex, stamp: Stamp, counter: OifCounterId) -> Outgoing {
        Outgoing { interface, stamp, counter }
    }

    /// Makes an outgoing interface without counters of its own.
    #[inline]
    #[must_use]
    pub const fn uncounted(interface: VifIndex, stamp: Stamp) -> Outgoing {
        Outgoing::new(interface, stamp, OifCounterId::NONE)
    }
}

/// The contents of a new entry, which [`ForwardingTable::publish`](super::ForwardingTable::publish) and
/// [`replace`](super::ForwardingTable::replace) copy.
///
/// The table leaves the incoming interface out of the outgoing ones. An entry without an incoming interface (no route
/// to the source) is negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewEntry<'o> {
    /// The key of the entry.
    pub flow: Flow,
    /// The counters of the flow's packets.
    pub counter: FlowCounterId,
    /// The interface that packets must arrive on.
    pub incoming: Option<Incoming>,
    /// The interfaces that packets are copied to.
    pub outgoing: &'o [Outgoing],
}

impl<'o> NewEntry<'o> {
    /// Makes the contents of an entry.
    #[must_use]
    pub const fn new(
        flow: Flow,
        counter: FlowCounterId,
        incoming: Option<Incoming>,
        outgoing: &'o [Outgoing],
    ) -> NewEntry<'o> {
        NewEntry { flow, counter, incoming, outgoing }
    }

    /// Returns the outgoing interfaces but the incoming one; none where there is no incoming interface.
    pub(super) fn effective_outgoing(&self) -> impl Iterator<Item = &'o Outgoing> + Clone + use<'o> {
        let incoming = self.incoming.map(|incoming| incoming.interface);
        self.outgoing.iter().filter(move |o| incoming.is_some_and(|incoming| incoming != o.interface))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_ordered_by_place_and_are_never_none() {
        let [last_place, last] = [VifIndex::PLACES, VifIndex::GENERATIONS].map(|count| count - 1);
        let number = |place, generation| VifIndex::new(place, generation).unwrap();
        for (place, generation) in [(0, 0), (5, 7), (last_place, last - 1), (last_place - 1, last)] {
            let vif = number(place, generation);
            assert_eq!((vif.place(), vif.generation()), (place, generation));
        }
        assert!(number(1, 9) < number(2, 0) && number(2, 0) < number(2, 1));
        for (place, generation) in [(last_place, last), (last_place + 1, 0), (0, last + 1)] {
            assert_eq!(VifIndex::new(place, generation), None);
        }
    }
}
