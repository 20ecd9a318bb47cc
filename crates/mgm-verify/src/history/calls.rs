//! Calls, their answers, and their execution on a real manager.

use crate::spec::Outcome;
use mgm::forwarding::Flow;
use mgm::handle::Handle;
use mgm::manager::{GroupManager, Interface, Membership, Protocol, RegisterError, StateChange};
use serde::{Deserialize, Serialize};

/// A call. Clients are named by the bits of their handles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Call {
    /// `register`
    Register(Protocol),
    /// `deregister`
    Deregister(u64),
    /// `take`
    Take(u64, Interface),
    /// `release`
    Release(u64, Interface),
    /// `owner_of`
    OwnerOf(Interface),
    /// `protocol_of`
    Resolve(u64),
    /// `add_membership`
    Add(u64, Interface, Membership),
    /// `delete_membership`
    Delete(u64, Interface, Membership),
    /// `new_flow`
    NewFlow(Flow),
    /// `memberships`: all of them.
    Memberships,
    /// `entries`: all of them.
    Entries,
    /// `clients`: all of them, but not at one instant.
    Clients,
}

/// The answer of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// The call's outcome.
    Outcome(Outcome),
    /// The bits of a new client's handle.
    Handle(u64),
    /// The protocol of an owner or of a client.
    Protocol(Option<Protocol>),
    /// All memberships.
    Memberships(Vec<(Interface, Membership, Protocol)>),
    /// All entries: flow, incoming interface, outgoing interfaces.
    Entries(Vec<(Flow, Option<Interface>, Vec<Interface>)>),
    /// The clients that a walk showed: the bits of the handle, and the protocol.
    Clients(Vec<(u64, Protocol)>),
}

impl Call {
    /// The kinds of calls. Counts, latencies and weights are kept in this order.
    pub const KINDS: [&'static str; 12] = [
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
        "clients",
    ];

    /// Returns the call's index in [`Call::KINDS`].
    #[must_use]
    pub fn kind(&self) -> usize {
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
            Call::Clients => 11,
        }
    }

    /// Makes the call. `register` registers a new client for [`Call::Register`].
    pub(crate) fn execute(
        &self,
        manager: &GroupManager,
        register: impl FnOnce(Protocol) -> Result<Handle, RegisterError>,
    ) -> Answer {
        let outcome = match *self {
            Call::Register(protocol) => match register(protocol) {
                Ok(handle) => return Answer::Handle(handle.to_bits()),
                Err(refused) => refused.into(),
            },
            Call::Deregister(client) => {
                manager.deregister(Handle::from_bits(client).unwrap_or(Handle::STALE)).into()
            }
            Call::Take(client, interface) => {
                manager.take(Handle::from_bits(client).unwrap_or(Handle::STALE), interface).into()
            }
            Call::Release(client, interface) => {
                manager.release(Handle::from_bits(client).unwrap_or(Handle::STALE), interface).into()
            }
            Call::OwnerOf(interface) => return Answer::Protocol(manager.owner_of(interface).ok()),
            Call::Resolve(client) => {
                return Answer::Protocol(
                    manager.protocol_of(Handle::from_bits(client).unwrap_or(Handle::STALE)),
                );
            }
            Call::Add(client, interface, membership) => {
                let client = Handle::from_bits(client).unwrap_or(Handle::STALE);
                manager.add_membership(client, interface, membership, StateChange::Join).into()
            }
            Call::Delete(client, interface, membership) => {
                let client = Handle::from_bits(client).unwrap_or(Handle::STALE);
                manager.delete_membership(client, interface, membership, StateChange::Join).into()
            }
            Call::NewFlow(flow) => manager.new_flow(flow).into(),
            Call::Memberships => return all_memberships(manager),
            Call::Entries => return all_entries(manager),
            Call::Clients => {
                let clients = manager.clients().into_iter();
                return Answer::Clients(
                    clients.map(|client| (client.handle.to_bits(), client.protocol)).collect(),
                );
            }
        };
        Answer::Outcome(outcome)
    }
}

fn all_memberships(manager: &GroupManager) -> Answer {
    let records = manager.memberships();
    let mut all: Vec<_> = records.iter().map(|r| (r.interface, r.membership, r.protocol)).collect();
    all.sort_unstable();
    Answer::Memberships(all)
}

fn all_entries(manager: &GroupManager) -> Answer {
    let entries = manager.entries().into_iter().map(|entry| {
        let mut outgoing: Vec<_> = entry.outgoing.iter().map(|out| out.interface).collect();
        outgoing.sort_unstable();
        (entry.flow, entry.incoming, outgoing)
    });
    Answer::Entries(entries.collect())
}
