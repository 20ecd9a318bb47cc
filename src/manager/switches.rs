//! Switching IGMP off and on: what happens when a routing protocol takes or releases an interface that IGMP is on.
//!
//! At the instant of the change every membership of IGMP's there is dead, because it carries the routing protocol's owner
//! word as well. From then on IGMP can neither add nor delete there, until the notice that tells of the change has been
//! delivered as far as `enable_igmp`. Whether it has is seen by comparing words again: the interface's present routing
//! word, and the one that `enable_igmp` was last called for.
//!
//! ```text
//!   routing word       w1             w2                        (changes hands)
//!   told of            w1 ........... w1 ............. w2
//!                                     | refused        | disable_igmp, enable_igmp
//! ```
//!
//! Each change queues a notice of its own, so that the calls come in pairs, one for each change, and never mix. (Those of a
//! client so slow that its outbox is full share a pair.)

use super::{GroupManager, Interface};
use crate::forwarding::VifIndex;
use crate::handle::OwnerWord;
use std::collections::BTreeMap;

/// One change of the routing protocol, for IGMP to be told of.
pub(super) struct Switch {
    pub(super) interface: Interface,
    pub(super) number: VifIndex,
    /// IGMP's owner word: a tenure that ended has nothing to be told any more.
    pub(super) tenure: OwnerWord,
    /// The routing word after the change.
    pub(super) word: OwnerWord,
}

/// How far one tenure of IGMP on an interface has been told.
struct Told {
    of: OwnerWord,
    /// How many notices are on their way.
    queued: u32,
}

/// How far IGMP has been told, of each interface it is on.
#[derive(Default)]
pub(super) struct Switches {
    tenures: BTreeMap<(VifIndex, OwnerWord), Told>,
}

impl Switches {
    /// IGMP has taken an interface, whose routing word is this.
    pub(super) fn begin(&mut self, number: VifIndex, tenure: OwnerWord, word: OwnerWord) {
        // A change that came after the taking may have been queued first: then the word is told of when that is delivered.
        self.tenures.entry((number, tenure)).or_insert(Told { of: word, queued: 0 });
    }

    /// IGMP has released an interface.
    pub(super) fn end(&mut self, number: VifIndex, released: OwnerWord) {
        let ended = (number, OwnerWord(0))..(number, released);
        let gone: Vec<_> = self.tenures.range(ended).map(|(key, _)| *key).collect();
        gone.iter().for_each(|key| _ = self.tenures.remove(key));
    }

    /// A notice is queued.
    pub(super) fn queue(&mut self, number: VifIndex, tenure: OwnerWord, word: OwnerWord) {
        self.tenures.entry((number, tenure)).or_insert(Told { of: word, queued: 0 }).queued += 1;
    }

    /// A notice has been delivered as far as `enable_igmp`, or dropped.
    pub(super) fn delivered(&mut self, switch: &Switch) {
        if let Some(told) = self.tenures.get_mut(&(switch.number, switch.tenure)) {
            told.queued = told.queued.saturating_sub(1);
            if told.of.stamp() < switch.word.stamp() {
                told.of = switch.word;
            }
        }
    }

    /// Whether IGMP may add and delete on an interface, whose routing word is this.
    pub(super) fn settled(&self, number: VifIndex, tenure: OwnerWord, word: OwnerWord) -> bool {
        // None: it is just being taken.
        self.tenures.get(&(number, tenure)).is_none_or(|told| told.queued == 0 && told.of == word)
    }
}

impl GroupManager {
    /// IGMP may speak again, as far as this change is concerned.
    pub(super) fn switched(&self, switch: &Switch) {
        self.state.lock().switches.delivered(switch);
    }
}
