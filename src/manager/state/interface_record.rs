//! [`InterfaceRecord`]: an interface, and the place in the table that has its owner words.
//!
//! A place has two owner words for as long as the table lives, and one name at a time. Each name of a place has a generation
//! of its own, which is a part of its [`VifIndex`]: the number of a former name names nothing.
//!
//! # Words
//!
//! ```text
//!   state   [ generation:32 | 0 | writing | leaving ]
//!   name    interface index and family, next hop          valid while `state` is not writing
//!   fresh   the owner words at the time of naming         as above
//! ```
//!
//! These are a sequence lock with one writer, the holder of the allocator: it marks the place as being written, then writes
//! name and owner words, then stores the state with the next generation. A reader that finds the same generation before and
//! after has read what belongs to it.
//!
//! # Taking an interface while its place gets another name
//!
//! A take must not claim the words of a place for an interface that the place no longer has. The two threads:
//!
//! ```text
//!   take                                            rename
//!   1  read the name: A                             a  mark A as leaving
//!   2  read the owner word: free, stamp k           b  touch the IGMP word, then the routing word
//!   3  the name is A, and not leaving               c  write the other name
//!   4  claim, if the word is still (free, k)
//! ```
//!
//! If 3 comes before a, then so does 2, and b finds the word as 2 did, or later. So either 4 comes before b: then b finds that
//! the word is not free, and the mark is taken back. Or b changes the stamp: then 4 is refused, and the take starts over. If 3
//! comes after a, it finds the mark or another name. All these accesses are `SeqCst`, so there is one order of them.
//!
//! A release and a read of the owner need no mark: an owned place keeps its name. They read the name again after the word.

use super::{Role, UpcallQuota};
use crate::forwarding::VifIndex;
use crate::handle::{OwnerWord, OwnerWords, ResourceId};
use crate::manager::Interface;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};

/// The mark of a name that is about to be given up, unless the interface is taken meanwhile.
const LEAVING: u64 = 1;
/// The mark of a name that is being written.
const WRITING: u64 = 2;
const GENERATION_SHIFT: u32 = 32;

const fn state(generation: u32) -> u64 {
    (generation as u64) << GENERATION_SHIFT
}

/// A place of the table: two owner words, and the name that they have at present.
pub(super) struct Place {
    number: u32,
    routing: ResourceId,
    igmp: ResourceId,
    state: AtomicU64,
    /// The name's index and family, and its next hop.
    name: [AtomicU64; 3],
    /// The owner words (routing, IGMP) when the place got its name.
    fresh: [AtomicU64; 2],
    /// Whether data under the membership lock may mention this interface. A thread sets it before it reads the owner words
    /// for such a mention; a thread that changed an owner word reads it afterwards. So either the mentioning thread sees
    /// the change, or the changing thread sees the mention and sweeps. All accesses are `SeqCst` and pair with each other,
    /// as the owner words' accesses do.
    in_use: AtomicBool,
    /// The upcall queues' room that packets which arrived here use.
    upcalls: UpcallQuota,
}

impl Place {
    /// Makes a place with a first name and unused owner words.
    pub(super) fn new(number: u32, interface: Interface, [routing, igmp]: [ResourceId; 2]) -> Place {
        Place {
            number,
            routing,
            igmp,
            state: AtomicU64::new(state(0)),
            name: encode(interface).map(AtomicU64::new),
            fresh: [OwnerWord::FIRST; 2].map(|word| AtomicU64::new(word.0)),
            // Entries may be waiting for this interface: the thread that takes it first sweeps.
            in_use: AtomicBool::new(true),
            upcalls: UpcallQuota::default(),
        }
    }

    /// Returns the present name; `None` while another one is written. Wait-free.
    pub(super) fn record(&self) -> Option<InterfaceRecord<'_>> {
        // SeqCst, paired with the marks and with the store of the next state.
        let before = self.state.load(Ordering::SeqCst);
        // Relaxed: discarded unless the state is unchanged.
        let name = self.name.each_ref().map(|part| part.load(Ordering::Relaxed));
        let fresh = self.fresh.each_ref().map(|word| OwnerWord(word.load(Ordering::Relaxed)));
        // Acquire fence, paired with the release fence in `rename`: a reader of any part that is written there then finds the
        // mark, or a later state.
        fence(Ordering::Acquire);
        let after = self.state.load(Ordering::Relaxed);
        if before & WRITING != 0 || (before ^ after) & !LEAVING != 0 {
            return None;
        }
        let generation = (before >> GENERATION_SHIFT) as u32;
        Some(InterfaceRecord {
            interface: decode(name),
            vif: VifIndex::new(self.number, generation)?,
            routing: self.routing,
            igmp: self.igmp,
            fresh,
            place: self,
        })
    }

    /// Marks the present name as leaving. Only the holder of the allocator calls this.
    pub(super) fn mark_leaving(&self) {
        // SeqCst, paired with the loads of takes and of packet paths.
        self.state.fetch_or(LEAVING, Ordering::SeqCst);
    }

    /// Takes the mark back. Only the holder of the allocator calls this.
    pub(super) fn stay(&self) {
        // SeqCst, as above.
        self.state.fetch_and(!LEAVING, Ordering::SeqCst);
    }

    /// Marks the present name as being replaced. From here on the place has no name.
    pub(super) fn unname(&self) {
        // Relaxed: ordered before the writes of the name by the fence.
        self.state.fetch_or(WRITING, Ordering::Relaxed);
        // Release fence, paired with the acquire fence in `record`.
        fence(Ordering::Release);
    }

    /// Gives the place its next name, after [`unname`](Self::unname), with owner words that read `fresh` now. Only the holder of
    /// the allocator calls this.
    pub(super) fn name(&self, interface: Interface, generation: u32, fresh: [OwnerWord; 2]) {
        for (part, value) in self.name.iter().zip(encode(interface)) {
            part.store(value, Ordering::Relaxed);
        }
        for (word, value) in self.fresh.iter().zip(fresh) {
            word.store(value.0, Ordering::Relaxed);
        }
        // As for a new place.
        self.in_use.store(true, Ordering::SeqCst);
        // SeqCst, paired with the loads in `record`.
        self.state.store(state(generation), Ordering::SeqCst);
    }
}

/// An interface and its place, as they were when the record was read. The place may have another name by now: see
/// [`is_named`](Self::is_named).
#[derive(Clone, Copy)]
pub(in crate::manager) struct InterfaceRecord<'t> {
    pub(in crate::manager) interface: Interface,
    pub(in crate::manager) vif: VifIndex,
    pub(in crate::manager) routing: ResourceId,
    pub(in crate::manager) igmp: ResourceId,
    fresh: [OwnerWord; 2],
    place: &'t Place,
}

impl<'t> InterfaceRecord<'t> {
    pub(super) fn place(&self) -> &'t Place {
        self.place
    }

    #[cfg(test)]
    pub(super) fn fresh(&self) -> [OwnerWord; 2] {
        self.fresh
    }

    /// Returns the id of a role's owner word.
    pub(in crate::manager) fn owner(&self, role: Role) -> ResourceId {
        match role {
            Role::Routing => self.routing,
            Role::Igmp => self.igmp,
        }
    }

    /// Returns whether the place still has this name. Wait-free.
    ///
    /// With `true`, owner words that were read before this call are those of this interface. Under the membership lock the
    /// answer does not change.
    pub(in crate::manager) fn is_named(&self) -> bool {
        // SeqCst, paired with the stores of the renaming thread.
        let now = self.place.state.load(Ordering::SeqCst);
        now & !LEAVING == state(self.vif.generation())
    }

    /// Returns whether the place still has this name and is not about to get another one. Wait-free.
    ///
    /// With `true`, an owner word that was read before this call, and that is still the same when it is claimed, is this
    /// interface's. See the top of this file.
    pub(in crate::manager) fn is_staying(&self) -> bool {
        // SeqCst, paired with the mark.
        self.place.state.load(Ordering::SeqCst) == state(self.vif.generation())
    }

    /// Returns whether a role of the interface was ever claimed.
    pub(in crate::manager) fn was_taken(&self, owners: &OwnerWords) -> bool {
        let [routing, igmp] = self.fresh;
        // A touch changes the stamp of a free word once; a claim and a release change it twice.
        let claimed = |id, fresh: OwnerWord| {
            owners.word(id).is_some_and(|word| word != fresh && word != fresh.touched())
        };
        (claimed(self.routing, routing) || claimed(self.igmp, igmp)) && self.is_named()
    }

    /// Returns whether a sweep is due. Must be called after an owner word of the interface was changed.
    pub(in crate::manager) fn is_in_use(&self) -> bool {
        self.place.in_use.load(Ordering::SeqCst)
    }

    /// Notes whether the interface is mentioned. Must be called under the membership lock; with `true`, before the owner
    /// words are read for the mention.
    pub(in crate::manager) fn set_in_use(&self, in_use: bool) {
        // Another name of the place begins in use, until it is swept.
        if in_use || self.is_named() {
            let order = if planted!("mention-relaxed") { Ordering::Release } else { Ordering::SeqCst };
            self.place.in_use.store(in_use, order);
        }
    }

    /// Returns the room in the upcall queues that packets use which arrive here.
    pub(in crate::manager) fn upcalls(&self) -> &'t UpcallQuota {
        &self.place.upcalls
    }
}

/// The words of a name.
fn encode(interface: Interface) -> [u64; 3] {
    let (family, hop) = match interface.next_hop() {
        IpAddr::V4(hop) => (0, u128::from(hop.to_bits())),
        IpAddr::V6(hop) => (1, hop.to_bits()),
    };
    [u64::from(interface.index()) | family << 32, (hop >> 64) as u64, hop as u64]
}

fn decode([index, high, low]: [u64; 3]) -> Interface {
    let hop = match index >> 32 {
        0 => IpAddr::V4(Ipv4Addr::from_bits(low as u32)),
        _ => IpAddr::V6(Ipv6Addr::from_bits(u128::from(high) << 64 | u128::from(low))),
    };
    Interface::with_next_hop(index as u32, hop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_was_written() {
        for hop in ["0.0.0.0", "255.0.0.1", "::", "::ffff:10.0.0.1", "fe80::1:2", "ffff::ffff"] {
            let interface = Interface::with_next_hop(0xFFFF_FFF7, hop.parse().unwrap());
            assert_eq!(decode(encode(interface)), interface);
        }
    }
}
