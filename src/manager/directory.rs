//! Which protocol a handle was issued for, to be read without pinning anything: taking, releasing and naming an owner
//! must get by without memory, and a thread's first pin needs some.

use super::Protocol;
use crate::faults;
use crate::handle::Handle;
use crate::manager::points;
use std::sync::atomic::{AtomicU64, Ordering};

/// For each slot of the table of clients, the handle issued last and its protocol. A slot belongs to the one thread that
/// is registering a client in it, which writes before it lets anybody know the handle.
///
/// The two words are read as under a sequence lock whose sequence is the handle: handles never recur, so one that reads
/// the same before and after its protocol goes with it. All accesses are `SeqCst`, for simplicity's sake: writes are
/// rare and the loads cost nothing more.
pub(super) struct Directory {
    slots: Box<[Slot]>,
}

#[derive(Default)]
struct Slot {
    handle: AtomicU64,
    protocol: AtomicU64,
}

impl Directory {
    pub(super) fn new(slots: u32) -> Directory {
        Directory { slots: (0..slots).map(|_| Slot::default()).collect() }
    }

    /// Enters a handle that nobody knows yet.
    pub(super) fn enter(&self, handle: Handle, protocol: Protocol) {
        if let Some(slot) = self.slots.get(handle.index() as usize) {
            slot.handle.store(0, Ordering::SeqCst);
            faults::point(points::CLIENT_UNINDEXED);
            let bits = u64::from(protocol.id) << 32 | u64::from(protocol.component);
            slot.protocol.store(bits, Ordering::SeqCst);
            slot.handle.store(handle.bits(), Ordering::SeqCst);
        }
    }

    /// The protocol of a handle that is live, or was until its slot was used again. Wait-free.
    pub(super) fn protocol(&self, handle: Handle) -> Option<Protocol> {
        let slot = self.slots.get(handle.index() as usize)?;
        let named = || slot.handle.load(Ordering::SeqCst) == handle.bits();
        if !named() {
            return None;
        }
        let bits = slot.protocol.load(Ordering::SeqCst);
        named().then(|| Protocol::new((bits >> 32) as u32, bits as u32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handle::HandleTable;

    #[test]
    fn a_handle_has_its_protocol_until_its_slot_is_used_again() {
        let table = HandleTable::with_capacity(1).unwrap();
        let directory = Directory::new(1);
        let (first, second) = (Protocol::new(u32::MAX, 1), Protocol::new(3, u32::MAX));
        let old = table.insert(()).unwrap();
        assert_eq!(directory.protocol(old), None);
        directory.enter(old, first);
        table.remove(old).unwrap();
        assert_eq!(directory.protocol(old), Some(first));
        let new = table.insert(()).unwrap();
        directory.enter(new, second);
        assert_eq!((directory.protocol(old), directory.protocol(new)), (None, Some(second)));
        assert_eq!(directory.protocol(Handle::from(0)), None);
        assert_eq!(directory.protocol(Handle::from(u64::MAX)), None);
    }
}
