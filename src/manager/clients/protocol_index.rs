//! [`ProtocolIndex`]: the protocol of each client handle, readable without a pin.
//!
//! Taking an interface, releasing it and naming its owner must succeed without memory, and a thread's first pin needs some.

use crate::faults;
use crate::handle::Handle;
use crate::manager::Protocol;
use crate::manager::points;
use std::sync::atomic::{AtomicU64, Ordering};

/// For each slot of the client table, the last handle issued and its protocol. Only the thread that registers a client in
/// a slot writes there, and it writes before any other thread can know the handle.
///
/// The two words are read as under a sequence lock; the handle is the sequence. Handles never recur, so a reader that finds
/// the same handle before and after has the protocol that belongs to it. All accesses are `SeqCst` and pair with each
/// other: writes are rare, and the loads cost nothing more.
pub(super) struct ProtocolIndex {
    slots: Box<[Slot]>,
}

#[derive(Default)]
struct Slot {
    handle: AtomicU64,
    protocol: AtomicU64,
}

impl ProtocolIndex {
    pub(super) fn new(slots: u32) -> ProtocolIndex {
        ProtocolIndex { slots: (0..slots).map(|_| Slot::default()).collect() }
    }

    /// Enters a handle that no other thread knows yet.
    pub(super) fn insert(&self, handle: Handle, protocol: Protocol) {
        if let Some(slot) = self.slots.get(handle.index() as usize) {
            slot.handle.store(0, Ordering::SeqCst);
            faults::point(points::CLIENT_UNINDEXED);
            let bits = u64::from(protocol.id) << 32 | u64::from(protocol.component);
            slot.protocol.store(bits, Ordering::SeqCst);
            slot.handle.store(handle.to_bits(), Ordering::SeqCst);
        }
    }

    /// Returns the protocol of a handle that is live, or was live until its slot was used again. Wait-free.
    pub(super) fn get(&self, handle: Handle) -> Option<Protocol> {
        let slot = self.slots.get(handle.index() as usize)?;
        let matches = || slot.handle.load(Ordering::SeqCst) == handle.to_bits();
        if !matches() {
            return None;
        }
        let bits = slot.protocol.load(Ordering::SeqCst);
        matches().then(|| Protocol::new((bits >> 32) as u32, bits as u32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handle::HandleTable;

    #[test]
    fn a_handle_has_its_protocol_until_its_slot_is_reused() {
        let table = HandleTable::with_limit(1).unwrap();
        let index = ProtocolIndex::new(1);
        let (first, second) = (Protocol::new(u32::MAX, 1), Protocol::new(3, u32::MAX));
        let old = table.insert(()).unwrap();
        assert_eq!(index.get(old), None);
        index.insert(old, first);
        table.remove(old).unwrap();
        assert_eq!(index.get(old), Some(first));
        let new = table.insert(()).unwrap();
        index.insert(new, second);
        assert_eq!((index.get(old), index.get(new)), (None, Some(second)));
    }
}
