//! Upcalls: what packet paths report without waiting, and its processing.

use super::flow_setup::leaves_its_link;
use crate::faults;
use crate::forwarding::Flow;
use crate::manager::points;
use crate::manager::state::pending_flow::Counts;
use crate::manager::state::{KeptPacket, QueuedFlow, QuotaKey, Reported, UpcallQuota};
use crate::manager::{GroupManager, Interface, NewFlowError, Upcall, WrongInterfaceAlert};

impl GroupManager {
    /// Reports a packet of a flow without an entry, and queues the flow for
    /// [`process_upcalls`](Self::process_upcalls). For packet paths that must not wait, as [`new_flow`](Self::new_flow) may.
    /// Allocates. Waits for no thread, except for another that reports while the map of waiting flows grows.
    ///
    /// A flow is queued once. Its further packets are counted (`uninitialized`). Packets that find the queue full are counted
    /// as well (`queue_overflow`, [`ManagerConfig::upcalls`](crate::manager::ManagerConfig::upcalls)), for as many flows, and
    /// for at least 10 seconds. Both counts are part of the flow's totals once it has an entry. A new flow that finds the
    /// quota of its interface used up
    /// ([`ManagerConfig::upcalls_per_interface`](crate::manager::ManagerConfig::upcalls_per_interface)) is refused, and nothing
    /// of it is kept.
    ///
    /// The packet is given from its IP header on; no more than 256 octets of it are kept. The caller disposes of the packet
    /// itself.
    pub fn upcall(&self, flow: Flow, arrival: Interface, packet: &[u8]) -> Upcall {
        if !leaves_its_link(flow.group()) {
            return Upcall::NotForwarded;
        }
        self.charge(arrival, |key, quota| {
            self.upcalls.report(Reported { flow, arrival, quota: key, packet }, quota)
        })
    }

    /// Reports a packet that arrived on another interface than its flow's incoming one. If the owner of that interface
    /// [wants such alerts](crate::manager::Client::wants_wrong_interface), queues the packet for
    /// [`process_upcalls`](Self::process_upcalls). Returns whether it was queued. Waits as
    /// [`upcall`](Self::upcall) does.
    ///
    /// One packet of a flow is queued in each
    /// [`ManagerConfig::wrong_interface_interval`](crate::manager::ManagerConfig::wrong_interface_interval), on the manager's
    /// clock. The packet is not counted here.
    ///
    /// Source: RFC 2715 section 4, WrongIf alert, which asks for a limit.
    pub fn wrong_interface(&self, flow: Flow, arrival: Interface, packet: &[u8]) -> bool {
        if !self.clients.may_want_wrong_interface() {
            return false;
        }
        self.charge(arrival, |key, quota| {
            let reported = Reported { flow, arrival, quota: key, packet };
            self.upcalls.report_wrong_interface(reported, self.clock.now(), quota)
        })
    }

    /// Processes at most `max` upcalls on this thread: makes entries as [`new_flow`](Self::new_flow) does, and notifies
    /// clients of packets on the wrong interface. Returns the number processed, which is less than `max` only when the queues
    /// are empty. Any number of threads may call it.
    ///
    /// An entry that cannot be made ([`NewFlowError`]) is no error of this call:
    ///
    /// - `Full`, `NoMemory`: the flow leaves the queue and keeps its counts for a while, unless too many flows do. Its next
    ///   upcall queues it again.
    /// - `Building`: another thread makes the entry, or its interfaces changed too often meanwhile. The flow leaves the
    ///   queue. The entry may appear shortly, or with the next upcall.
    ///
    /// So a packet that a plane has kept may still find no entry afterwards. The plane then drops it: one that makes another
    /// upcall for the same packet each time may do so for ever, as long as the table is full.
    ///
    /// Runs callbacks, with no lock held. May wait for the membership lock.
    pub fn process_upcalls(&self, max: usize) -> usize {
        self.upcalls.tidy(self.clock.now(), |key| self.upcall_quota(key));
        let mut processed = 0;
        while processed < max {
            let before = processed;
            if let Some(queued) = self.upcalls.next_flow() {
                self.process_flow(&queued);
                processed += 1;
            }
            if processed < max
                && let Some(packet) = self.upcalls.next_wrong_interface()
            {
                self.process_wrong_interface(*packet);
                processed += 1;
            }
            if processed == before {
                break;
            }
        }
        processed
    }

    /// Runs `report` with the quota of the interface where a packet arrived. What it reserves keeps the interface's place.
    fn charge<R>(&self, arrival: Interface, report: impl FnOnce(QuotaKey, &UpcallQuota) -> R) -> R {
        if let Some(record) = self.interfaces.find(arrival) {
            let quota = record.upcalls();
            quota.enter();
            let _inside = Inside(quota);
            if record.is_staying() {
                return report(Some(record.vif), quota);
            }
        }
        report(None, self.upcalls.unknown_quota())
    }

    /// Returns the quota of an interface. Wait-free.
    fn upcall_quota(&self, key: QuotaKey) -> &UpcallQuota {
        let record = key.and_then(|vif| self.interfaces.get(vif));
        record.map_or(self.upcalls.unknown_quota(), |record| record.upcalls())
    }

    fn process_flow(&self, (packet, pending): &QueuedFlow) {
        let flow = packet.flow;
        self.upcall_quota(packet.quota).queued.give_back();
        faults::point(points::UPCALL_DEQUEUED);
        let made = self.make_flow(flow, &packet.octets, packet.quota);
        if let Err(NewFlowError::Full(_) | NewFlowError::NoMemory(_)) = made
            && self.upcalls.park(pending)
        {
            return;
        }
        if let Some(Counts { uninitialized, overflow }) = pending.seal() {
            self.state.lock().flows.count_upcalls(flow, uninitialized, overflow);
        }
        self.upcalls.remove(flow, pending);
        // The packet may have arrived elsewhere than on the entry's incoming interface.
        let mut reader = self.forwarding().reader();
        let entry = if made.is_ok() { reader.lookup(&flow) } else { None };
        let incoming = entry.and_then(|entry| entry.incoming());
        drop(reader);
        let incoming = incoming.and_then(|incoming| self.interface(incoming.interface));
        if incoming.is_some_and(|incoming| incoming != packet.arrival) {
            self.wrong_interface(flow, packet.arrival, &packet.octets);
        }
    }

    fn process_wrong_interface(&self, packet: KeptPacket) {
        let KeptPacket { flow, arrival, octets, .. } = packet;
        if let Some(record) = self.interfaces.find(arrival) {
            self.notify_of_wrong_interface(&record, WrongInterfaceAlert::new(flow, arrival, octets));
        }
    }
}

/// A thread that may be reserving part of a quota.
struct Inside<'q>(&'q UpcallQuota);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.leave();
    }
}
