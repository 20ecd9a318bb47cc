//! [`ChurnThread`]: the cycle of one churn thread.

use super::counts::Operation;
use super::{CaptureInterfaces, ChurnCounts, INTERFACES_OF_THREAD, WrongAnswer, first_interface};
use mgm::forwarding::{
    Entry, Family, Flow, FlowCounterId, ForwardingReader, ForwardingTable, NewEntry, PublishError,
};
use mgm::handle::Handle;
use mgm::manager::{
    DeregisterError, GroupManager, Interface, NoOwner, Protocol, RegisterError, ReleaseError, TakeError,
};
use std::fmt::Debug;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

/// The number of flows that each thread has of its own.
const FLOWS: u16 = 8;
/// An unassigned protocol of type PROTO_TYPE_MCAST.
const ROUTING: u32 = 0x4000_F00D;
/// The first component number of the threads' clients in the IGMP role.
const IGMP_COMPONENTS: u32 = 1000;

/// Checks an answer and counts the operation.
fn expect<T: Debug>(
    counts: &mut ChurnCounts,
    operation: Operation,
    answer: T,
    is_right: impl FnOnce(&T) -> bool,
    call: impl FnOnce() -> String,
) -> Result<(), WrongAnswer> {
    if !is_right(&answer) {
        return Err(WrongAnswer::new(call(), format!("{answer:?}")));
    }
    counts.count(operation);
    Ok(())
}

/// Looks a flow up and parks the reader, so that it delays no reclamation afterwards.
fn look_up(reader: &mut ForwardingReader<'_>, flow: &Flow) -> Option<Flow> {
    let found = reader.lookup(flow).map(Entry::flow);
    reader.park();
    found
}

/// The state of one churn thread.
pub(super) struct ChurnThread<'m> {
    manager: &'m GroupManager,
    table: &'m ForwardingTable,
    capture: CaptureInterfaces,
    routing: Protocol,
    igmp: Protocol,
    own: Vec<Interface>,
    flows: Vec<(Flow, FlowCounterId)>,
    counts: ChurnCounts,
}

impl<'m> ChurnThread<'m> {
    pub(super) fn new(
        manager: &'m GroupManager,
        capture: CaptureInterfaces,
        number: u16,
    ) -> Result<ChurnThread<'m>, WrongAnswer> {
        let first = first_interface(number);
        let own = (first..first + INTERFACES_OF_THREAD)
            .map(|index| Interface::of(if index % 2 == 0 { Family::V4 } else { Family::V6 }, index));
        let table = manager.forwarding_table();
        let flows = (0..FLOWS).map(|at| {
            let flow =
                own_flow(number, at).map_err(|e| WrongAnswer::new("the name of a flow", e.to_string()))?;
            let counter =
                table.alloc_counter().map_err(|e| WrongAnswer::new("alloc_counter", e.to_string()))?;
            Ok((flow, counter))
        });
        Ok(ChurnThread {
            manager,
            table,
            capture,
            routing: Protocol::new(ROUTING, number.into()),
            igmp: Protocol::new(Protocol::IGMP, IGMP_COMPONENTS + u32::from(number)),
            own: own.collect(),
            flows: flows.collect::<Result<_, _>>()?,
            counts: ChurnCounts::default(),
        })
    }

    pub(super) fn counts(&self) -> &ChurnCounts {
        &self.counts
    }

    /// Runs one cycle, from registration to deregistration.
    pub(super) fn cycle(&mut self) -> Result<(), WrongAnswer> {
        let (routing, igmp) = (self.register(self.routing)?, self.register(self.igmp)?);
        self.take_own(routing, igmp)?;
        self.try_refused_calls(routing, igmp)?;
        // One reader a cycle: a reader is an epoch participant, and its two kilobytes wait for a grace period when it is
        // dropped.
        let mut reader = self.table.reader();
        for at in 0..self.flows.len() {
            let (flow, counter) = self.flows[at];
            self.publish(flow, counter, &mut reader)?;
        }
        self.leave(routing, igmp)
    }

    fn register(&mut self, protocol: Protocol) -> Result<Handle, WrongAnswer> {
        let ChurnThread { manager, counts, .. } = self;
        let handle = loop {
            match manager.register(protocol, Arc::new(())) {
                Ok(handle) => break handle,
                // Free slots wait for readers that may still look at them.
                Err(RegisterError::Full(_) | RegisterError::NoMemory) => {
                    counts.count(Operation::RegisterFull)
                }
                Err(error) => {
                    return Err(WrongAnswer::new(format!("register {protocol}"), error.to_string()));
                }
            }
            std::thread::yield_now();
        };
        counts.count(Operation::Register);
        counts.record_generation(handle.generation());
        if counts.is_reused(handle.generation()) {
            counts.count(Operation::RegisterReusedSlot);
        }
        let again = manager.register(protocol, Arc::new(()));
        let refused = Err(RegisterError::AlreadyRegistered(protocol));
        let call = || format!("a second registration of {protocol}");
        expect(counts, Operation::RegisterRefused, again, |a| *a == refused, call)?;
        Ok(handle)
    }

    fn take_own(&mut self, routing: Handle, igmp: Handle) -> Result<(), WrongAnswer> {
        let ChurnThread { manager, own, counts, routing: protocol, .. } = self;
        for &interface in own.iter() {
            let call = || format!("owner_of {interface}");
            let none = manager.owner_of(interface);
            expect(counts, Operation::OwnerOf, none, |a| *a == Err(NoOwner(interface)), call)?;
            for client in [routing, igmp] {
                let taken = manager.take(client, interface);
                expect(counts, Operation::Take, taken, Result::is_ok, || format!("take {interface}"))?;
            }
            let owner = manager.owner_of(interface);
            expect(counts, Operation::OwnerOf, owner, |a| *a == Ok(*protocol), call)?;
        }
        Ok(())
    }

    /// Makes calls that must all be refused.
    fn try_refused_calls(&mut self, routing: Handle, igmp: Handle) -> Result<(), WrongAnswer> {
        let ChurnThread { manager, own, capture, counts, .. } = self;
        let owned = [(routing, &*own), (igmp, &*own), (routing, &capture.routing), (igmp, &capture.igmp)];
        for (client, interfaces) in owned {
            for &interface in interfaces {
                let taken = manager.take(client, interface);
                let refused = Err(TakeError::Owned(interface));
                let call = || format!("take {interface}, which has an owner");
                expect(counts, Operation::TakeRefused, taken, |a| *a == refused, call)?;
            }
        }
        for (client, interfaces) in [(routing, &capture.routing), (igmp, &capture.igmp)] {
            for &interface in interfaces {
                let released = manager.release(client, interface);
                let refused = Err(ReleaseError::NotOwner(interface));
                let call = || format!("release {interface}, which another client owns");
                expect(counts, Operation::ReleaseRefused, released, |a| *a == refused, call)?;
            }
        }
        for client in [routing, igmp] {
            let gone = manager.deregister(client);
            let refused = Err(DeregisterError::StillOwns(INTERFACES_OF_THREAD));
            let call = || format!("deregister with {INTERFACES_OF_THREAD} interfaces");
            expect(counts, Operation::DeregisterRefused, gone, |a| *a == refused, call)?;
        }
        Ok(())
    }

    fn publish(
        &mut self,
        flow: Flow,
        counter: FlowCounterId,
        reader: &mut ForwardingReader<'_>,
    ) -> Result<(), WrongAnswer> {
        let ChurnThread { table, counts, .. } = self;
        let entry = || NewEntry::new(flow, counter, None, &[]);
        match table.publish(entry()) {
            Ok(()) => counts.count(Operation::Publish),
            // Withdrawn entries wait for readers that may still see them.
            Err(PublishError::Full(_)) => {
                std::thread::yield_now();
                return Ok(());
            }
            Err(error) => return Err(WrongAnswer::new(format!("publish {flow}"), error.to_string())),
        }
        let again = table.publish(entry());
        let refused = Err(PublishError::Exists(flow));
        let call = || format!("a second publish of {flow}");
        expect(counts, Operation::PublishRefused, again, |a| *a == refused, call)?;
        match table.replace(entry()) {
            Ok(()) => counts.count(Operation::Replace),
            Err(PublishError::Full(_)) => std::thread::yield_now(),
            Err(error) => return Err(WrongAnswer::new(format!("replace {flow}"), error.to_string())),
        }
        let found = look_up(reader, &flow);
        expect(counts, Operation::Lookup, found, |a| *a == Some(flow), || format!("lookup of {flow}"))?;
        let withdrawn = table.withdraw(&flow);
        expect(counts, Operation::Withdraw, withdrawn, |a| *a, || format!("withdraw {flow}"))?;
        let found = look_up(reader, &flow);
        let call = || format!("lookup of {flow} after its withdrawal");
        expect(counts, Operation::Lookup, found, Option::is_none, call)
    }

    fn leave(&mut self, routing: Handle, igmp: Handle) -> Result<(), WrongAnswer> {
        let ChurnThread { manager, own, capture, counts, .. } = self;
        for client in [routing, igmp] {
            for &interface in own.iter() {
                let released = manager.release(client, interface);
                let call = || format!("release {interface}");
                expect(counts, Operation::Release, released, Result::is_ok, call)?;
                let again = manager.release(client, interface);
                let refused = Err(ReleaseError::NotOwner(interface));
                let call = || format!("a second release of {interface}");
                expect(counts, Operation::ReleaseRefused, again, |a| *a == refused, call)?;
            }
            let gone = manager.deregister(client);
            expect(counts, Operation::Deregister, gone, Result::is_ok, || "deregister".to_owned())?;
            let interface = capture.routing.first().or(capture.igmp.first()).unwrap_or(&own[0]);
            let stale = manager.take(client, *interface);
            let call = || "take with a stale handle".to_owned();
            expect(counts, Operation::StaleRefused, stale, |a| *a == Err(TakeError::Stale), call)?;
            let stale = manager.deregister(client);
            let call = || "a second deregister".to_owned();
            expect(counts, Operation::StaleRefused, stale, |a| *a == Err(DeregisterError::Stale), call)?;
        }
        Ok(())
    }
}

impl Drop for ChurnThread<'_> {
    fn drop(&mut self) {
        for (_, counter) in &self.flows {
            self.table.free_counter(*counter);
        }
    }
}

/// Returns a flow of a thread. No packet has its source (RFC 1112 section 4, RFC 6666); its group is reserved for
/// documentation (RFC 6676).
fn own_flow(thread: u16, at: u16) -> Result<Flow, mgm::forwarding::FlowError> {
    let (source, group): (IpAddr, IpAddr) = if at.is_multiple_of(2) {
        let [high, low] = thread.to_be_bytes();
        (Ipv4Addr::new(240, high, low, at as u8).into(), Ipv4Addr::new(233, 252, 0, 1).into())
    } else {
        let source = Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, thread, at);
        (source.into(), Ipv6Addr::new(0xff0e, 0, 0, 0, 0, 0xdb8, 0, 1).into())
    };
    Flow::new(source, group)
}
