//! [`UpcallQueue`]: the flows and packets that packet paths leave for
//! [`process_upcalls`](crate::manager::GroupManager::process_upcalls).
//!
//! A flow without an entry is queued once. Its other packets are counted until the flow is processed. A flow that finds the
//! queue full is parked, unless too many are: only its name and its counts are kept, and its next packet tries again. A flow
//! that was processed in vain, for want of room or memory, is parked as well.
//!
//! ```text
//!              room                    processed
//!   (none) ------------------> queued ------------> (none)
//!      |                         ^                    ^
//!      | no room                 | its next packet    | no packet for an interval
//!      +----------------------> parked ---------------+
//! ```
//!
//! Each interface where packets arrive has an [`UpcallQuota`], so that the packets of one interface leave room for the others.
//! A new flow that finds the quota of its interface used up is refused and not parked.
//!
//! Packets that arrive on the wrong interface are queued as well, for their alert, one of each flow in an interval.
//!
//! No packet waits for a thread that processes: a thread that finds a flow which has just been processed removes it itself. The
//! maps are papaya's. A look-up there waits for nothing; threads that insert may wait for each other while a map grows. The queues are bounded rings. A thread that is stopped within the few instructions that push into a ring delays
//! only threads that reach the same place of the ring.

use super::pending_flow::{PendingFlow, Sealed};
use super::{QuotaKey, UpcallQuota};
use crate::faults;
use crate::forwarding::Flow;
use crate::manager::points;
use crate::manager::{Interface, ManagerConfig, Upcall};
use crate::memory::{self, NoMemory};
use crate::wake_deadline::nanos;
use crossbeam_queue::ArrayQueue;
use papaya::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// The number of octets of a packet that are kept, from its IP header on.
const KEPT_OCTETS: usize = 256;

/// A parked flow is kept for at least this long after its last packet, and less than twice as long.
const PARKED_INTERVAL: Duration = Duration::from_secs(10);

/// A packet that a packet path reports, and the interface that is charged.
#[derive(Clone, Copy)]
pub(in crate::manager) struct Reported<'a> {
    pub(in crate::manager) flow: Flow,
    pub(in crate::manager) arrival: Interface,
    pub(in crate::manager) quota: QuotaKey,
    pub(in crate::manager) packet: &'a [u8],
}

/// The kept part of a reported packet.
pub(in crate::manager) struct KeptPacket {
    pub(in crate::manager) flow: Flow,
    pub(in crate::manager) arrival: Interface,
    /// The interface that is charged.
    pub(in crate::manager) quota: QuotaKey,
    pub(in crate::manager) octets: Box<[u8]>,
}

impl KeptPacket {
    fn of(Reported { flow, arrival, quota, packet }: Reported<'_>) -> Result<KeptPacket, NoMemory> {
        let kept = packet.len().min(KEPT_OCTETS);
        Ok(KeptPacket { flow, arrival, quota, octets: memory::slice(kept, packet.iter().copied())? })
    }
}

/// A queued flow, with the packet that started it.
pub(in crate::manager) type QueuedFlow = (KeptPacket, Arc<PendingFlow>);

/// The queues of upcalls. See the top of this file. Where no other ordering is named, accesses are `Relaxed`: they count, and
/// no other memory is read by them.
pub(in crate::manager) struct UpcallQueue {
    /// The flows that are queued, being processed, or parked. Here and below the hasher is the standard library's: senders
    /// choose the keys.
    pending: HashMap<Flow, Arc<PendingFlow>>,
    /// Boxed, because the rings are allocated at their full size.
    flows: ArrayQueue<Box<QueuedFlow>>,
    /// The approximate number of parked flows: a thread that queues one may not have subtracted it yet.
    parked: AtomicUsize,
    wrong_interface: ArrayQueue<Box<KeptPacket>>,
    /// The time at which each flow last had a packet on the wrong interface queued.
    last_wrong: HashMap<Flow, LastWrong>,
    interval: u64,
    max: usize,
    max_per_interface: u32,
    /// The quota of all interfaces together that were never taken.
    unknown: UpcallQuota,
    /// The times at which `last_wrong` and the parked flows are next tidied.
    tidy_at: [AtomicU64; 2],
    pub(in crate::manager) refused: AtomicU64,
    pub(in crate::manager) wrong_refused: AtomicU64,
}

/// The time at which a flow last had a packet on the wrong interface queued, in nanoseconds of the manager's clock.
struct LastWrong {
    at: AtomicU64,
    quota: QuotaKey,
}

impl LastWrong {
    fn is_gone(&self) -> bool {
        self.at.load(Ordering::Relaxed) == GONE
    }
}

/// Takes the place of a time while the record is being removed.
const GONE: u64 = u64::MAX;

impl UpcallQueue {
    pub(in crate::manager) fn new(config: &ManagerConfig) -> UpcallQueue {
        let max = config.upcalls as usize;
        UpcallQueue {
            pending: HashMap::new(),
            flows: ArrayQueue::new(max),
            parked: AtomicUsize::new(0),
            wrong_interface: ArrayQueue::new(max),
            last_wrong: HashMap::new(),
            interval: nanos(config.wrong_interface_interval),
            max,
            max_per_interface: config.upcalls_per_interface,
            unknown: UpcallQuota::default(),
            tidy_at: Default::default(),
            refused: AtomicU64::new(0),
            wrong_refused: AtomicU64::new(0),
        }
    }

    /// Returns the quota of all interfaces that were never taken.
    pub(in crate::manager) fn unknown_quota(&self) -> &UpcallQuota {
        &self.unknown
    }

    /// Queues, counts or refuses a packet of a flow without an entry.
    pub(in crate::manager) fn report(&self, reported: Reported<'_>, quota: &UpcallQuota) -> Upcall {
        let flow = reported.flow;
        let pending = self.pending.pin();
        loop {
            let Some(present) = pending.get(&flow) else {
                let new = Arc::new(PendingFlow::new());
                if self.flows.is_full() {
                    if !self.reserve_parking() {
                        return self.refuse();
                    }
                    new.park();
                    // No other thread has the flow yet.
                    let _ = new.count_overflow();
                    if pending.try_insert(flow, new).is_ok() {
                        return self.refuse();
                    }
                    self.parked.fetch_sub(1, Ordering::Relaxed);
                } else if !quota.queued.reserve(self.max_per_interface) {
                    return self.refuse();
                } else if pending.try_insert(flow, new.clone()).is_ok() {
                    return self.queue(reported, &new, quota);
                } else {
                    quota.queued.give_back();
                }
                continue;
            };
            let counted = if present.is_queued() {
                present.count_uninitialized().map(|()| Upcall::Waiting)
            } else if self.flows.is_full() || !quota.queued.reserve(self.max_per_interface) {
                present.count_overflow().map(|()| self.refuse())
            } else if self.unpark(present) {
                return self.queue(reported, &present.clone(), quota);
            } else {
                quota.queued.give_back();
                continue;
            };
            match counted {
                Ok(upcall) => return upcall,
                // The flow was processed, and the processing thread may not have removed it yet.
                Err(Sealed) => self.remove(flow, present),
            }
        }
    }

    /// Queues a flow that this thread has to queue and has reserved room for. Without room or memory, parks the flow or drops
    /// it.
    fn queue(&self, reported: Reported<'_>, pending: &Arc<PendingFlow>, quota: &UpcallQuota) -> Upcall {
        let flow = reported.flow;
        faults::point(points::UPCALL_UNQUEUED);
        let queued = || memory::boxed((KeptPacket::of(reported)?, pending.clone()));
        if queued().is_ok_and(|queued| self.flows.push(queued).is_ok()) {
            return Upcall::Queued;
        }
        quota.queued.give_back();
        if self.reserve_parking() {
            // No other thread seals the flow before it is parked.
            let _ = pending.count_overflow();
            pending.park();
        } else {
            pending.seal();
            self.remove(flow, pending);
        }
        self.refuse()
    }

    /// Takes a queued flow out.
    pub(in crate::manager) fn next_flow(&self) -> Option<Box<QueuedFlow>> {
        self.flows.pop()
    }

    /// Parks a flow that was processed in vain, unless too many are parked. Returns whether it did. The flow keeps its counts
    /// for its next packet, which tries again.
    pub(in crate::manager) fn park(&self, pending: &PendingFlow) -> bool {
        let reserved = self.reserve_parking();
        if reserved {
            pending.park();
        }
        reserved
    }

    fn reserve_parking(&self) -> bool {
        let more = |parked: usize| (parked < self.max).then_some(parked + 1);
        self.parked.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    /// Unparks a flow. Returns whether this thread did: it has to queue the flow.
    fn unpark(&self, pending: &PendingFlow) -> bool {
        let unparked = pending.unpark();
        self.parked.fetch_sub(unparked.into(), Ordering::Relaxed);
        unparked
    }

    fn refuse(&self) -> Upcall {
        self.refused.fetch_add(1, Ordering::Relaxed);
        Upcall::Refused
    }

    /// Removes a flow that is not pending any more. Every thread may.
    pub(in crate::manager) fn remove(&self, flow: Flow, pending: &Arc<PendingFlow>) {
        // Leaves the record of a later upcall of the same flow alone.
        let _ = self.pending.pin().remove_if(&flow, |_, present| Arc::ptr_eq(present, pending));
    }

    /// Queues a packet on the wrong interface, unless one of its flow was queued within the interval. Returns whether it was
    /// queued.
    pub(in crate::manager) fn report_wrong_interface(
        &self,
        reported: Reported<'_>,
        now: Duration,
        quota: &UpcallQuota,
    ) -> bool {
        if !self.may_alert(reported.flow, now, reported.quota, quota) {
            return false;
        }
        let packet = || memory::boxed(KeptPacket::of(reported)?);
        let queued = packet().is_ok_and(|packet| self.wrong_interface.push(packet).is_ok());
        if !queued {
            self.wrong_refused.fetch_add(1, Ordering::Relaxed);
        }
        queued
    }

    /// Takes a queued packet on the wrong interface out.
    pub(in crate::manager) fn next_wrong_interface(&self) -> Option<Box<KeptPacket>> {
        self.wrong_interface.pop()
    }

    /// Returns whether a flow may have an alert now, and notes it.
    fn may_alert(&self, flow: Flow, now: Duration, key: QuotaKey, quota: &UpcallQuota) -> bool {
        let times = self.last_wrong.pin();
        let now = nanos(now).min(GONE - 1);
        loop {
            let Some(last) = times.get(&flow) else {
                if times.len() >= self.max || !quota.wrong_interface.reserve(self.max_per_interface) {
                    self.wrong_refused.fetch_add(1, Ordering::Relaxed);
                    return false;
                }
                if times.try_insert(flow, LastWrong { at: AtomicU64::new(now), quota: key }).is_ok() {
                    return true;
                }
                quota.wrong_interface.give_back();
                continue;
            };
            let then = last.at.load(Ordering::Relaxed);
            if then == GONE {
                let _ = times.remove_if(&flow, |_, last| last.is_gone());
            } else if now < then.saturating_add(self.interval) {
                return false;
            } else if last.at.compare_exchange(then, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
                return true;
            }
        }
    }

    /// Removes outdated records, at intervals. `quota` finds the quota of an interface.
    pub(in crate::manager) fn tidy<'s>(&self, now: Duration, quota: impl Fn(QuotaKey) -> &'s UpcallQuota) {
        let now = nanos(now);
        let [times, parked] = &self.tidy_at;
        if is_due(times, now, self.interval) {
            let is_over = |last: &LastWrong| {
                let then = last.at.load(Ordering::Relaxed);
                if then == GONE || then.saturating_add(self.interval) > now {
                    return then == GONE;
                }
                // Marks the record first: a packet that has just found it must not update a time that no thread reads any
                // more. The marking thread returns the reservation.
                let marked =
                    last.at.compare_exchange(then, GONE, Ordering::Relaxed, Ordering::Relaxed).is_ok();
                if marked {
                    quota(last.quota).wrong_interface.give_back();
                }
                marked
            };
            self.last_wrong.pin().retain(|_, last| !is_over(last));
        }
        if is_due(parked, now, nanos(PARKED_INTERVAL)) {
            for (flow, pending) in &self.pending.pin() {
                if pending.age() {
                    self.parked.fetch_sub(1, Ordering::Relaxed);
                    pending.seal();
                    self.remove(*flow, pending);
                }
            }
        }
    }
}

/// Returns whether a periodic task is due, and sets its next time. Of several concurrent threads more than one may see it
/// due.
fn is_due(at: &AtomicU64, now: u64, interval: u64) -> bool {
    let due = at.load(Ordering::Relaxed) <= now;
    if due {
        at.store(now.saturating_add(interval.max(1)), Ordering::Relaxed);
    }
    due
}
