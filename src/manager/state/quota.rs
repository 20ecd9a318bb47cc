//! [`UpcallQuota`] and [`EntryQuotas`]: limits for each interface.
//!
//! Packets make entries, and a sender can write any source into its packets. What the packets of one interface have made is
//! charged to that interface, so that it uses up its own quota and not the others'. An upcall is charged to the interface
//! where the packet arrived. An entry is charged to that interface as well, when the caller named it, because a sender cannot
//! choose where its packets arrive; otherwise to the interface towards the source.

use crate::forwarding::{Flow, VifIndex};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};

/// The interface that is charged; `None` stands for all interfaces that were never taken.
pub(in crate::manager) type QuotaKey = Option<VifIndex>;

/// A count that is reserved and returned. Its accesses are `Relaxed` and pair with each other: no other memory is read by
/// it. [`UpcallQuota::is_unused`] is ordered by `reporting`.
#[derive(Debug, Default)]
pub(in crate::manager) struct Reserved(AtomicU32);

impl Reserved {
    /// Reserves one unless `max` are reserved. Returns whether it did.
    pub(in crate::manager) fn reserve(&self, max: u32) -> bool {
        let more = |count: u32| (count < max).then_some(count + 1);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    fn is_unused(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }

    /// Returns one reservation.
    pub(in crate::manager) fn give_back(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The number of looks for an instant without reports.
const LOOKS: u32 = 1_000;

/// The part of the upcall queues that one interface uses.
#[derive(Debug, Default)]
pub(in crate::manager) struct UpcallQuota {
    /// Flows in the queue.
    pub(in crate::manager) queued: Reserved,
    /// Flows with packets on the wrong interface that were reported within the last interval.
    pub(in crate::manager) wrong_interface: Reserved,
    /// The threads that may be reserving at this moment.
    reporting: AtomicU32,
}

impl UpcallQuota {
    /// Announces that this thread may reserve. It then has to check that the interface keeps its place
    /// ([`InterfaceRecord::is_staying`](super::InterfaceRecord::is_staying)), and to [`leave`](Self::leave).
    pub(in crate::manager) fn enter(&self) {
        // SeqCst, paired with `is_unused`, as a store before the load of the mark.
        self.reporting.fetch_add(1, Ordering::SeqCst);
    }

    /// Ends what [`enter`](Self::enter) began.
    pub(in crate::manager) fn leave(&self) {
        // Release, paired with `is_unused`: it finds what this thread has reserved.
        self.reporting.fetch_sub(1, Ordering::Release);
    }

    /// Returns whether a thread may be reserving at this moment.
    pub(in crate::manager) fn is_reporting(&self) -> bool {
        // SeqCst, paired with `enter`: either this thread finds the other one, or that finds the mark. And Acquire, paired
        // with `leave`.
        self.reporting.load(Ordering::SeqCst) != 0
    }

    /// Returns whether nothing is reserved, nor will be by a thread that entered before the interface was marked as leaving.
    /// Must be called after the mark.
    pub(in crate::manager) fn is_unused(&self) -> bool {
        // A report takes less than a microsecond, and one that begins after the mark reserves nothing: so an instant without
        // reports comes soon, even in a flood of them.
        for look in 0..LOOKS {
            if !self.is_reporting() {
                break;
            }
            if look % 16 == 15 { std::thread::yield_now() } else { std::hint::spin_loop() }
        }
        !self.is_reporting() && self.queued.is_unused() && self.wrong_interface.is_unused()
    }
}

/// The entries charged to one interface.
#[derive(Default)]
struct EntryQuota {
    entries: usize,
    /// The negative entries, by the event that made each negative.
    negative: BTreeMap<u64, Flow>,
}

/// The entries charged to each interface. Interfaces without entries are not kept.
#[derive(Default)]
pub(in crate::manager) struct EntryQuotas {
    quotas: BTreeMap<QuotaKey, EntryQuota>,
}

impl EntryQuotas {
    /// Returns the number of entries charged to an interface.
    pub(in crate::manager) fn entries(&self, key: QuotaKey) -> usize {
        self.quotas.get(&key).map_or(0, |quota| quota.entries)
    }

    /// Returns whether an entry is charged to an interface.
    pub(in crate::manager) fn charges(&self, vif: VifIndex) -> bool {
        self.quotas.contains_key(&Some(vif))
    }

    /// Charges a new entry.
    pub(in crate::manager) fn add(&mut self, key: QuotaKey) {
        self.quotas.entry(key).or_default().entries += 1;
    }

    /// Returns the charge of an entry that ended; `negative` is the event that made it negative.
    pub(in crate::manager) fn remove(&mut self, key: QuotaKey, negative: Option<u64>) {
        let Some(quota) = self.quotas.get_mut(&key) else { return };
        if let Some(event) = negative {
            quota.negative.remove(&event);
        }
        quota.entries -= 1;
        if quota.entries == 0 {
            self.quotas.remove(&key);
        }
    }

    /// Notes that an entry became negative. Returns the interface's oldest negative entry if there are more than `max`.
    pub(in crate::manager) fn became_negative(
        &mut self,
        key: QuotaKey,
        event: u64,
        flow: Flow,
        max: usize,
    ) -> Option<Flow> {
        let negative = &mut self.quotas.get_mut(&key)?.negative;
        negative.insert(event, flow);
        if negative.len() > max { negative.first_key_value().map(|(_, oldest)| *oldest) } else { None }
    }

    /// Notes that an entry ceased to be negative.
    pub(in crate::manager) fn became_active(&mut self, key: QuotaKey, event: u64) {
        if let Some(quota) = self.quotas.get_mut(&key) {
            quota.negative.remove(&event);
        }
    }
}
