//! The calls that are made, the answers they get, and how they are made of a real manager.

use super::listener::Listener;
use mgm::forwarding::Flow;
use mgm::handle::Handle;
use mgm::manager::{
    GroupManager, Interface, Membership, Protocol, RegisterError, ReversePath, RpfLookup, StateChange,
};
use mgm_verify::spec::Outcome;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// A call. Handles are named by their bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Call {
    Register(Protocol),
    Deregister(u64),
    Take(u64, Interface),
    Release(u64, Interface),
    OwnerOf(Interface),
    Resolve(u64),
    Add(u64, Interface, Membership),
    Delete(u64, Interface, Membership),
    NewFlow(Flow),
    /// Every membership there is.
    Memberships,
    /// Every entry there is.
    Entries,
}

/// What it answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Answer {
    Is(Outcome),
    Handle(u64),
    Name(Option<Protocol>),
    Memberships(Vec<(Interface, Membership, Protocol)>),
    /// Each with where its packets arrive and where they are copied to.
    Entries(Vec<(Flow, Option<Interface>, Vec<Interface>)>),
}

impl Call {
    /// What latencies and counts are kept by.
    pub(crate) const KINDS: [&'static str; 11] = [
        "register",
        "deregister",
        "take",
        "release",
        "owner_of",
        "resolve",
        "add_membership",
        "delete_membership",
        "new_flow",
        "memberships",
        "entries",
    ];

    /// Its place in [`Call::KINDS`].
    pub(crate) fn kind(&self) -> usize {
        match self {
            Call::Register(_) => 0,
            Call::Deregister(_) => 1,
            Call::Take(..) => 2,
            Call::Release(..) => 3,
            Call::OwnerOf(_) => 4,
            Call::Resolve(_) => 5,
            Call::Add(..) => 6,
            Call::Delete(..) => 7,
            Call::NewFlow(_) => 8,
            Call::Memberships => 9,
            Call::Entries => 10,
        }
    }

    /// Makes the call; `listener` is who registers.
    pub(crate) fn make(&self, manager: &GroupManager, listener: impl FnOnce() -> Arc<Listener>) -> Answer {
        let outcome = match *self {
            Call::Register(protocol) => {
                let listener = listener();
                match manager.register(protocol, listener.clone()) {
                    Ok(handle) => {
                        listener.registered(handle);
                        return Answer::Handle(handle.bits());
                    }
                    Err(refused) => refused.into(),
                }
            }
            Call::Deregister(client) => manager.deregister(Handle::from(client)).into(),
            Call::Take(client, interface) => manager.take(Handle::from(client), interface).into(),
            Call::Release(client, interface) => manager.release(Handle::from(client), interface).into(),
            Call::OwnerOf(interface) => return Answer::Name(manager.owner_of(interface).ok()),
            Call::Resolve(client) => return Answer::Name(manager.protocol_of(Handle::from(client))),
            Call::Add(client, interface, what) => {
                manager.add_membership(Handle::from(client), interface, what, StateChange::Join).into()
            }
            Call::Delete(client, interface, what) => {
                manager.delete_membership(Handle::from(client), interface, what, StateChange::Join).into()
            }
            Call::NewFlow(flow) => manager.new_flow(flow).into(),
            Call::Memberships => {
                let all = manager.memberships();
                let mut all: Vec<_> =
                    all.iter().map(|of| (of.interface, of.membership, of.protocol)).collect();
                all.sort_unstable();
                return Answer::Memberships(all);
            }
            Call::Entries => {
                let entries = manager.entries().into_iter().map(|entry| {
                    let mut outgoing: Vec<_> = entry.outgoing.iter().map(|out| out.interface).collect();
                    outgoing.sort_unstable();
                    (entry.flow, entry.incoming, outgoing)
                });
                return Answer::Entries(entries.collect());
            }
        };
        Answer::Is(outcome)
    }
}

/// Whether a registration was refused for want of room: slots of clients that left may still wait for readers.
pub(crate) fn is_full(answer: &Answer) -> bool {
    *answer == Answer::Is(RegisterError::Full(0).into())
}

/// What there is in the world of a run: small numbers become names.
pub(crate) mod world {
    use super::*;

    /// The routing protocol of a number; `None` is IGMP.
    pub(crate) fn protocol(number: Option<u32>) -> Protocol {
        number.map_or(Protocol::new(Protocol::IGMP, 0), |number| Protocol::new(0x4000_0001, number))
    }

    /// An interface; sources are behind number 0.
    pub(crate) fn interface(number: u32) -> Interface {
        Interface::v4(number)
    }

    fn group(number: u32) -> IpAddr {
        Ipv4Addr::from(0xEF01_0000_u32.wrapping_add(number)).into()
    }

    /// A source of a group's.
    pub(crate) fn flow(group_number: u32, source: u32) -> Flow {
        let source = Ipv4Addr::from(0x0A00_0001_u32.wrapping_add(source)).into();
        Flow::new(source, group(group_number)).expect("a host's address and a group's")
    }

    /// Where every source is.
    pub(crate) fn towards_sources() -> Interface {
        interface(0)
    }

    /// Every source is reached through interface 0.
    pub(crate) fn routes() -> Arc<dyn RpfLookup> {
        Arc::new(|_| Some(ReversePath::through(towards_sources())))
    }
}
