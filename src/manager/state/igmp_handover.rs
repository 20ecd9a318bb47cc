//! [`Handovers`]: disabling and enabling IGMP when a routing protocol takes or releases an interface that IGMP is on.
//!
//! At the instant of the change every membership of IGMP on the interface is dead, because its stamp includes the routing
//! protocol's owner word. From then on IGMP can neither add nor delete there, until the notice of the change was delivered as
//! far as `enable_igmp`. Comparing words tells whether it was: the interface's present routing word, and the one for which
//! `enable_igmp` was last called.
//!
//! ```text
//!   routing word       w1             w2                        (ownership changes)
//!   notified of        w1 ........... w1 ............. w2
//!                                     | refused        | disable_igmp, enable_igmp
//! ```
//!
//! Each change queues its own notice, so that the calls come in pairs, one for each change, and never interleave. Changes
//! share a pair when the client is so slow that its outbox is full.

use crate::forwarding::VifIndex;
use crate::handle::OwnerWord;
use crate::manager::Interface;
use std::collections::BTreeMap;

/// One change of the routing protocol on an interface of IGMP.
pub(in crate::manager) struct Handover {
    pub(in crate::manager) interface: Interface,
    pub(in crate::manager) vif: VifIndex,
    /// IGMP's owner word. A tenure that has ended needs no notice.
    pub(in crate::manager) tenure: OwnerWord,
    /// The routing word after the change.
    pub(in crate::manager) word: OwnerWord,
}

/// The last change of which one tenure of IGMP on an interface was notified.
struct Notified {
    word: OwnerWord,
    /// The number of notices that are queued.
    queued: u32,
}

/// The handovers of all interfaces that IGMP is on, by interface and tenure.
#[derive(Default)]
pub(in crate::manager) struct Handovers {
    tenures: BTreeMap<(VifIndex, OwnerWord), Notified>,
}

impl Handovers {
    /// Begins a tenure of IGMP on an interface with this routing word.
    pub(in crate::manager) fn begin(&mut self, vif: VifIndex, tenure: OwnerWord, word: OwnerWord) {
        // A change after the taking may have been queued first: IGMP is notified of the word when that is delivered.
        self.tenures.entry((vif, tenure)).or_insert(Notified { word, queued: 0 });
    }

    /// Ends the tenures of IGMP on an interface that it has released.
    pub(in crate::manager) fn end(&mut self, vif: VifIndex, released: OwnerWord) {
        let ended = (vif, OwnerWord(0))..(vif, released);
        let gone: Vec<_> = self.tenures.range(ended).map(|(key, _)| *key).collect();
        gone.iter().for_each(|key| _ = self.tenures.remove(key));
    }

    /// Forgets an interface that is not IGMP's, because its number will name nothing. A notice that is still queued requires a
    /// tenure that has ended.
    pub(in crate::manager) fn forget(&mut self, vif: VifIndex) {
        self.end(vif, OwnerWord(u64::MAX));
    }

    /// Notes that a notice was queued.
    pub(in crate::manager) fn queued(&mut self, vif: VifIndex, tenure: OwnerWord, word: OwnerWord) {
        self.tenures.entry((vif, tenure)).or_insert(Notified { word, queued: 0 }).queued += 1;
    }

    /// Notes that a notice was delivered as far as `enable_igmp`, or dropped.
    pub(in crate::manager) fn delivered(&mut self, handover: &Handover) {
        if let Some(notified) = self.tenures.get_mut(&(handover.vif, handover.tenure)) {
            notified.queued = notified.queued.saturating_sub(1);
            if notified.word.stamp() < handover.word.stamp() {
                notified.word = handover.word;
            }
        }
    }

    /// Returns whether IGMP may add and delete on an interface with this routing word.
    pub(in crate::manager) fn is_complete(&self, vif: VifIndex, tenure: OwnerWord, word: OwnerWord) -> bool {
        // None: the interface is just being taken.
        let notified = self.tenures.get(&(vif, tenure));
        notified.is_none_or(|notified| notified.queued == 0 && notified.word == word)
    }
}
