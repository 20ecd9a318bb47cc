//! Upcalls: what a packet path brings that must not wait, worked off by whoever calls
//! [`GroupManager::process_upcalls`].
//!
//! A flow without an entry is queued once; its other packets are counted with it until it is served. A flow that finds the
//! queue full is parked, if not too many are: no more than its name and counts are kept, for its next packet to try again. So
//! is one that was served and whose entry had no room, or no memory.
//!
//! ```text
//!              room                      process_upcalls
//!   (none) ------------------> queued ------------> (none)
//!      |                         ^                    ^
//!      | no room                 | its next packet    | none came for a while
//!      +----------------------> parked ---------------+
//! ```
//!
//! Each interface where packets arrive has a [`Share`] of the room, so that what is sent into one leaves room for the
//! others. A new flow that finds its interface's share used up is refused, and not parked.
//!
//! Packets that arrive on the wrong interface are queued as well, for their alert, one of a flow in a while.
//!
//! No packet waits for a lock, nor for a thread that serves: whoever finds a flow that has just been served takes it out
//! himself. The queues are bounded rings: a thread that is stopped within the few instructions that put something into one
//! holds up those who come to the same place of it, and no others.

use super::clock::nanos;
use super::flows::Account;
use super::waiting::{Closed, Counts, Waiting};
use super::{GroupManager, Interface, ManagerConfig, NewFlowError, WrongInterfaceAlert};
use crate::faults;
use crate::forwarding::Flow;
use crate::manager::points;
use crate::memory::{self, NoMemory};
use crossbeam_queue::ArrayQueue;
use papaya::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// So much of a packet is kept, from its IP header on.
const FRAGMENT: usize = 256;

/// A flow that found the queue full is remembered for at least so long after its last packet, and less than twice that.
const LONG: Duration = Duration::from_secs(10);

/// What became of an upcall.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Upcall {
    /// The flow is queued.
    Queued,
    /// It is queued already: the packet is counted.
    Waiting,
    /// There is no room in the queue, or no memory: the packet is counted.
    Refused,
    /// The group's packets never leave their link.
    DropCounters,
}

/// How much of what is waiting has come from one interface.
///
/// Orderings are relaxed, here and wherever room is counted: only the numbers themselves have to be right.
#[derive(Debug, Default)]
pub(super) struct Share {
    /// Flows in the queue.
    queued: AtomicU32,
    /// Flows of which a packet on the wrong interface was told a short time ago.
    wrong: AtomicU32,
}

fn reserve(count: &AtomicU32, most: u32) -> bool {
    let more = |count: u32| (count < most).then_some(count + 1);
    count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
}

fn give_back(count: &AtomicU32) {
    count.fetch_sub(1, Ordering::Relaxed);
}

/// A packet that a packet path brings, and on whose account.
#[derive(Clone, Copy)]
struct Brought<'a> {
    flow: Flow,
    arrival: Interface,
    account: Account,
    packet: &'a [u8],
}

/// A packet that is kept, and where it arrived.
struct Packet {
    flow: Flow,
    arrival: Interface,
    /// Of which interface's share its room is.
    account: Account,
    octets: Box<[u8]>,
}

impl Packet {
    fn of(Brought { flow, arrival, account, packet }: Brought<'_>) -> Result<Packet, NoMemory> {
        let kept = packet.len().min(FRAGMENT);
        Ok(Packet { flow, arrival, account, octets: memory::slice(kept, packet.iter().copied())? })
    }
}

/// A flow that is queued, with the packet that brought it.
type Queued = (Packet, Arc<Waiting>);

/// See the top of this file.
pub(super) struct Upcalls {
    /// The flows that are queued, being served, or parked.
    ///
    /// Hashed as the standard library does, here and below: what packets name is chosen by whoever sends them.
    waiting: HashMap<Flow, Arc<Waiting>>,
    /// Boxed, since the rings are made as large as they get.
    queue: ArrayQueue<Box<Queued>>,
    /// How many flows are parked, about: a thread that queues one may not have counted it off yet.
    parked: AtomicUsize,
    wrong: ArrayQueue<Box<Packet>>,
    /// When flows last had a packet on the wrong interface queued, in nanoseconds of the manager's clock.
    last_wrong: HashMap<Flow, LastWrong>,
    interval: u64,
    most: usize,
    most_of_interface: u32,
    /// The share of all interfaces together that were never taken.
    unknown: Share,
    /// When times that are over, and flows that are parked for long, are next looked for.
    tidy_at: [AtomicU64; 2],
    pub(super) refused: AtomicU64,
    pub(super) wrong_refused: AtomicU64,
}

/// When a flow last had a packet on the wrong interface queued.
struct LastWrong {
    at: AtomicU64,
    account: Account,
}

impl LastWrong {
    fn is_gone(&self) -> bool {
        self.at.load(Ordering::Relaxed) == GONE
    }
}

/// In place of a time: it is being taken out.
const GONE: u64 = u64::MAX;

impl Upcalls {
    pub(super) fn new(config: &ManagerConfig) -> Upcalls {
        let most = config.upcalls as usize;
        Upcalls {
            waiting: HashMap::new(),
            queue: ArrayQueue::new(most),
            parked: AtomicUsize::new(0),
            wrong: ArrayQueue::new(most),
            last_wrong: HashMap::new(),
            interval: nanos(config.wrong_interface_interval),
            most,
            most_of_interface: config.upcalls_per_interface,
            unknown: Share::default(),
            tidy_at: Default::default(),
            refused: AtomicU64::new(0),
            wrong_refused: AtomicU64::new(0),
        }
    }

    fn bring(&self, brought: Brought<'_>, share: &Share) -> Upcall {
        let flow = brought.flow;
        let waiting = self.waiting.pin();
        loop {
            let Some(present) = waiting.get(&flow) else {
                let new = Arc::new(Waiting::new());
                if self.queue.is_full() {
                    if !self.reserve_parking() {
                        return self.refuse();
                    }
                    new.park();
                    // Nobody else has it yet.
                    let _ = new.overflow();
                    if waiting.try_insert(flow, new).is_ok() {
                        return self.refuse();
                    }
                    self.parked.fetch_sub(1, Ordering::Relaxed);
                } else if !reserve(&share.queued, self.most_of_interface) {
                    return self.refuse();
                } else if waiting.try_insert(flow, new.clone()).is_ok() {
                    return self.queue(brought, &new, share);
                } else {
                    give_back(&share.queued);
                }
                continue;
            };
            let noted = if present.is_queued() {
                present.uninitialized().map(|()| Upcall::Waiting)
            } else if self.queue.is_full() || !reserve(&share.queued, self.most_of_interface) {
                present.overflow().map(|()| self.refuse())
            } else if self.unpark(present) {
                return self.queue(brought, &present.clone(), share);
            } else {
                give_back(&share.queued);
                continue;
            };
            match noted {
                Ok(upcall) => return upcall,
                // It has been served, and whoever did that may not have got to this yet.
                Err(Closed) => self.forget(flow, present),
            }
        }
    }

    /// Queues a flow that is the caller's to queue and has its part of a share, or parks it, or gives it up: for want of room, or
    /// of memory.
    fn queue(&self, brought: Brought<'_>, waiting: &Arc<Waiting>, share: &Share) -> Upcall {
        let flow = brought.flow;
        faults::point(points::UPCALL_UNQUEUED);
        let queued = || memory::boxed((Packet::of(brought)?, waiting.clone()));
        if queued().is_ok_and(|queued| self.queue.push(queued).is_ok()) {
            return Upcall::Queued;
        }
        give_back(&share.queued);
        if self.reserve_parking() {
            // Nobody else closes it before it is parked.
            let _ = waiting.overflow();
            waiting.park();
        } else {
            waiting.close();
            self.forget(flow, waiting);
        }
        self.refuse()
    }

    fn reserve_parking(&self) -> bool {
        let more = |parked: usize| (parked < self.most).then_some(parked + 1);
        self.parked.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    /// Whether it was parked, and is the caller's to queue now.
    fn unpark(&self, waiting: &Waiting) -> bool {
        let unparked = waiting.unpark();
        self.parked.fetch_sub(unparked.into(), Ordering::Relaxed);
        unparked
    }

    fn refuse(&self) -> Upcall {
        self.refused.fetch_add(1, Ordering::Relaxed);
        Upcall::Refused
    }

    /// Takes a flow out that does not wait any more. Anybody may.
    fn forget(&self, flow: Flow, waiting: &Arc<Waiting>) {
        // Whoever finds another there has come too late.
        let _ = self.waiting.pin().remove_if(&flow, |_, present| Arc::ptr_eq(present, waiting));
    }

    /// Whether a flow may have an alert now.
    fn may_alert(&self, flow: Flow, now: Duration, account: Account, share: &Share) -> bool {
        let times = self.last_wrong.pin();
        let now = nanos(now).min(GONE - 1);
        loop {
            let Some(last) = times.get(&flow) else {
                if times.len() >= self.most || !reserve(&share.wrong, self.most_of_interface) {
                    self.wrong_refused.fetch_add(1, Ordering::Relaxed);
                    return false;
                }
                if times.try_insert(flow, LastWrong { at: AtomicU64::new(now), account }).is_ok() {
                    return true;
                }
                give_back(&share.wrong);
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

    /// Takes out what is over, now and then. `share` finds an account's.
    fn tidy<'s>(&self, now: Duration, share: impl Fn(Account) -> &'s Share) {
        let now = nanos(now);
        let [times, parked] = &self.tidy_at;
        if due(times, now, self.interval) {
            let over = |last: &LastWrong| {
                let then = last.at.load(Ordering::Relaxed);
                if then == GONE || then.saturating_add(self.interval) > now {
                    return then == GONE;
                }
                // Marked first: a packet that has just found it must not count it up where nobody sees it any more. Who
                // marks it gives its room back.
                let marked =
                    last.at.compare_exchange(then, GONE, Ordering::Relaxed, Ordering::Relaxed).is_ok();
                if marked {
                    give_back(&share(last.account).wrong);
                }
                marked
            };
            self.last_wrong.pin().retain(|_, last| !over(last));
        }
        if due(parked, now, nanos(LONG)) {
            for (flow, waiting) in &self.waiting.pin() {
                if waiting.age() {
                    self.parked.fetch_sub(1, Ordering::Relaxed);
                    waiting.close();
                    self.forget(*flow, waiting);
                }
            }
        }
    }
}

/// Whether something that is to happen at intervals is due. Of several threads at once, more than one may be told so.
fn due(at: &AtomicU64, now: u64, interval: u64) -> bool {
    let due = at.load(Ordering::Relaxed) <= now;
    if due {
        at.store(now.saturating_add(interval.max(1)), Ordering::Relaxed);
    }
    due
}

impl GroupManager {
    /// A packet of a flow without an entry arrived: has the flow queued for [`process_upcalls`](Self::process_upcalls). For packet paths that
    /// cannot wait, as [`new_flow`](Self::new_flow) may. Takes no lock; allocates.
    ///
    /// A flow is queued once: further packets are counted (`uninitialized`), as are those that find the queue full
    /// (`queue_overflow`, [`ManagerConfig::upcalls`]; of as many flows, for 10 seconds at least); they are shown with the
    /// flow's totals once it has an entry. A new flow that finds the share of its interface used up
    /// ([`ManagerConfig::upcalls_per_interface`]) is refused and nothing of it kept. The packet is
    /// given from its IP header on; no more than 256 octets of it are kept. What becomes of the packet itself is the
    /// caller's business.
    pub fn upcall(&self, flow: Flow, arrival: Interface, packet: &[u8]) -> Upcall {
        if !super::building::leaves_its_link(flow.group()) {
            return Upcall::DropCounters;
        }
        let account = self.vif_index(arrival);
        self.upcalls.bring(Brought { flow, arrival, account, packet }, self.share(account))
    }

    /// A packet arrived on another interface than its flow's incoming one: has that interface's owner told, if it [wants to
    /// know](super::Client::wants_wrong_interface), by [`process_upcalls`](Self::process_upcalls). Whether it is queued. Takes no lock.
    ///
    /// A flow has one such packet queued in [`ManagerConfig::wrong_interface_interval`], on the manager's clock. The packet is
    /// not counted here.
    ///
    /// Source: RFC 2715 section 4, WrongIf alert, which asks for a limit.
    pub fn wrong_interface(&self, flow: Flow, arrival: Interface, packet: &[u8]) -> bool {
        let upcalls = &self.upcalls;
        if !self.clients.may_want_wrong_interface() {
            return false;
        }
        let account = self.vif_index(arrival);
        if !upcalls.may_alert(flow, self.clock.now(), account, self.share(account)) {
            return false;
        }
        let packet = || memory::boxed(Packet::of(Brought { flow, arrival, account, packet })?);
        let queued = packet().is_ok_and(|packet| upcalls.wrong.push(packet).is_ok());
        if !queued {
            upcalls.wrong_refused.fetch_add(1, Ordering::Relaxed);
        }
        queued
    }

    /// Works off at most `most` of what packet paths have queued, on this thread: makes entries as
    /// [`new_flow_with`](Self::new_flow_with) does, and has clients told of packets on the wrong interface. How many there
    /// were; fewer than `most` when nothing is left. Any number of threads may.
    ///
    /// Runs callbacks, with no lock held. May wait for the membership lock.
    pub fn process_upcalls(&self, most: usize) -> usize {
        self.upcalls.tidy(self.clock.now(), |account| self.share(account));
        let mut served = 0;
        while served < most {
            let before = served;
            if let Some(queued) = self.upcalls.queue.pop() {
                self.serve_upcall(&queued);
                served += 1;
            }
            if served < most
                && let Some(packet) = self.upcalls.wrong.pop()
            {
                self.serve_wrong_interface(*packet);
                served += 1;
            }
            if served == before {
                break;
            }
        }
        served
    }

    /// Whose share of the waiting room an account's packets take. Wait-free.
    fn share(&self, account: Account) -> &Share {
        let record = account.and_then(|number| self.interfaces.get(number));
        record.map_or(&self.upcalls.unknown, |record| &record.waiting)
    }

    fn serve_upcall(&self, (packet, waiting): &Queued) {
        let flow = packet.flow;
        give_back(&self.share(packet.account).queued);
        faults::point(points::UPCALL_DEQUEUED);
        let made = self.make_flow(flow, &packet.octets, packet.account);
        if let Err(NewFlowError::Full(_) | NewFlowError::NoMemory(_)) = made
            && self.upcalls.reserve_parking()
        {
            // It keeps its count for its next packet, which tries again.
            waiting.park();
            return;
        }
        if let Some(Counts { uninitialized, overflow }) = waiting.close() {
            self.state.lock().flows.count_upcalls(flow, uninitialized, overflow);
        }
        self.upcalls.forget(flow, waiting);
        // The packet has arrived somewhere else than its entry says.
        let mut reader = self.forwarding.reader();
        let entry = if made.is_ok() { reader.lookup(&flow) } else { None };
        let incoming = entry.and_then(|entry| entry.incoming());
        drop(reader);
        let incoming = incoming.and_then(|incoming| self.interface(incoming.interface));
        if incoming.is_some_and(|incoming| incoming != packet.arrival) {
            self.wrong_interface(flow, packet.arrival, &packet.octets);
        }
    }

    fn serve_wrong_interface(&self, packet: Packet) {
        let Packet { flow, arrival, octets, .. } = packet;
        if let Some(record) = self.interfaces.find(arrival) {
            self.tell_of_wrong_interface(record, WrongInterfaceAlert { flow, arrival, packet: octets });
        }
    }
}
