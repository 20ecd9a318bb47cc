//! [`Enumerations`]: the open enumerations of groups.

use super::cursor::Cursor;
use crate::handle::{Handle, HandleTable, Kind};
use crate::manager::Membership;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicU32, Ordering, fence};
use std::time::Duration;

/// A snapshot of the joined groups. Each record is handed out once.
pub(in crate::manager) struct Enumeration {
    pub(in crate::manager) owner: Handle,
    pub(in crate::manager) groups: Vec<Membership>,
    pub(in crate::manager) cursor: Cursor,
}

/// The open enumerations.
pub(in crate::manager) struct Enumerations {
    pub(in crate::manager) table: HandleTable<Enumeration>,
    /// The number of enumerations that are open or about to be; at most `max`. Its accesses are `Relaxed` and pair with each
    /// other: no other memory is read by it.
    open: AtomicU32,
    /// Held while an enumeration is opened.
    pub(in crate::manager) opening: Mutex<()>,
    pub(in crate::manager) max: u32,
}

/// The kind of enumeration handles: a client's handle is stale among them, and an enumeration's among the clients.
const KIND: Kind = Kind::new(2).expect("not 0");

/// The number of additional slots for ended enumerations that readers still hold.
const SPARE_SLOTS: u32 = 64;

/// The number of times that an insertion yields to other threads while it waits for such a reader.
const YIELDS: u32 = 100;
/// The number of times that it then sleeps before it gives up, some seconds in total. A reader that was descheduled needs
/// some time to run again.
const SLEEPS: u32 = 3_000;
const SLEEP: Duration = Duration::from_millis(1);

impl Enumerations {
    /// Returns an empty table of at least one and at most 2^20 enumerations.
    pub(in crate::manager) fn new(max: u32) -> Enumerations {
        let table = HandleTable::builder()
            .limit(max + SPARE_SLOTS)
            .kind(KIND)
            .build()
            .expect("fewer than 2^24 slots");
        Enumerations { table, open: AtomicU32::new(0), opening: Mutex::new(()), max }
    }

    /// Returns the number of enumerations that are open or about to be.
    pub(in crate::manager) fn open(&self) -> u32 {
        self.open.load(Ordering::Relaxed)
    }

    /// Reserves room for one more. Returns whether there was any.
    pub(in crate::manager) fn reserve(&self) -> bool {
        let more = |open: u32| (open < self.max).then_some(open + 1);
        self.open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    /// Reserves room for one more, waiting for threads that have ended an enumeration and not given its room back. Returns
    /// whether there was any.
    pub(in crate::manager) fn reserve_soon(&self) -> bool {
        for attempt in 0..YIELDS + SLEEPS {
            if self.reserve() {
                return true;
            }
            if self.table.keys().count() >= self.max as usize {
                return false;
            }
            if attempt < YIELDS { std::thread::yield_now() } else { std::thread::sleep(SLEEP) }
        }
        false
    }

    /// Returns reserved room that was not used.
    pub(in crate::manager) fn give_back(&self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }

    /// Inserts an enumeration that room is reserved for. Ended enumerations keep their slots until earlier readers have moved
    /// on, which may depend on the scheduler. Waits for that, but not for ever.
    pub(in crate::manager) fn insert(&self, mut enumeration: Enumeration) -> Option<Handle> {
        for attempt in 0..YIELDS + SLEEPS {
            match self.table.insert(enumeration) {
                Ok(handle) => {
                    // Paired with the fence in `end_dead`: of the thread that begins an enumeration and then checks its
                    // owner, and the thread that retires the owner and then looks here, one sees the other.
                    fence(Ordering::SeqCst);
                    return Some(handle);
                }
                Err(refused) => enumeration = refused.into_inner(),
            }
            if attempt < YIELDS { std::thread::yield_now() } else { std::thread::sleep(SLEEP) }
        }
        None
    }

    /// Ends an enumeration. Returns whether it was open.
    pub(in crate::manager) fn end(&self, handle: Handle) -> bool {
        let ended = self.table.remove(handle).is_ok();
        if ended {
            self.give_back();
            // A snapshot may be large: frees it now, not when the next enumeration starts.
            self.table.reclaim();
        }
        ended
    }

    /// Ends the enumerations of clients that have left.
    pub(in crate::manager) fn end_dead(&self, is_live: impl Fn(Handle) -> bool) {
        // An enumeration that is started meanwhile checks its owner after it is in the table. Paired with the fence in
        // `insert`.
        fence(Ordering::SeqCst);
        if self.open.load(Ordering::Relaxed) == 0 {
            return;
        }
        let all = self.table.iter().map(|(handle, enumeration)| (handle, enumeration.owner));
        let dead: Vec<_> = all.filter(|(_, owner)| !is_live(*owner)).map(|(handle, _)| handle).collect();
        for handle in dead {
            self.end(handle);
        }
    }
}
