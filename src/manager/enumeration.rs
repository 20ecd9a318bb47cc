//! Looking at everything there is: entries, memberships, clients.

use super::flows::EntryView;
use super::records::{Contribution, Share};
use super::{FlowState, GroupManager, Interface, Membership, Protocol};
use crate::forwarding::{Flow, FlowTotals};
use crate::handle::Handle;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// One entry of the manager's, as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryRecord {
    /// Whose packets.
    pub flow: Flow,
    /// What is done with them.
    pub state: FlowState,
    /// Where they have to arrive; `None` when there is no route to the source, or it leads to an interface that was
    /// never taken.
    pub incoming: Option<Interface>,
    /// The next router towards the source, if the routes named one.
    pub neighbour: Option<IpAddr>,
    /// Where they are copied to, in the order in which the interfaces were first taken.
    pub outgoing: Vec<Interface>,
    /// When the entry's lifetime is over, on the clock of [`GroupManager::advance`].
    pub expires: Duration,
    /// What was counted of the flow, over the lives of all its entries.
    pub totals: FlowTotals,
}

/// One membership on one interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MembershipRecord {
    /// Where the receivers are.
    pub interface: Interface,
    /// What they want.
    pub membership: Membership,
    /// Who says so.
    pub protocol: Protocol,
}

/// One registered client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientRecord {
    /// Who it is.
    pub protocol: Protocol,
    /// Its handle.
    pub handle: Handle,
    /// The interfaces it owns, in order.
    pub interfaces: Vec<Interface>,
}

impl GroupManager {
    /// Every entry of the manager's, by family, group and source, as they are at one instant but for the counters, which
    /// are exact once the workers rest. May wait for the membership lock.
    #[must_use]
    pub fn entries(&self) -> Vec<EntryRecord> {
        let state = self.state.lock();
        let owners = self.clients.table.owners();
        let mut entries = steady(|| {
            state
                .flows
                .entries(owners)
                .map(|entry| (entry.number, self.entry_record(&entry)))
                .collect::<Vec<_>>()
        });
        let counters = self.forwarding.counters();
        for (number, record) in &mut entries {
            record.totals = number.map(|number| counters.totals(number)).unwrap_or_default();
        }
        entries.into_iter().map(|(_, record)| record).collect()
    }

    fn entry_record(&self, entry: &EntryView<'_>) -> EntryRecord {
        let owners = self.clients.table.owners();
        let live = entry.outgoing.iter().filter(|out| out.stamp.holds(owners));
        let outgoing: Vec<_> = live.filter_map(|out| self.interface(out.interface)).collect();
        EntryRecord {
            flow: entry.flow,
            state: if outgoing.is_empty() { FlowState::Negative } else { FlowState::Active },
            incoming: entry.upstream.incoming().and_then(|incoming| self.interface(incoming.interface)),
            neighbour: entry.neighbour,
            outgoing,
            expires: entry.deadline,
            totals: FlowTotals::default(),
        }
    }

    /// Every membership, by family, group and source, a wildcard before every address, then by interface, as they are at
    /// one instant. May wait for the membership lock.
    #[must_use]
    pub fn memberships(&self) -> Vec<MembershipRecord> {
        let mut found: Vec<MembershipRecord> = {
            let state = self.state.lock();
            let owners = self.clients.table.owners();
            steady(|| {
                let live = state.records.iter().filter(|(_, _, c)| c.stamp.holds(owners));
                let record = |(share, membership, contribution): (Share, Membership, Contribution)| {
                    let interface = self.interface(share.0)?;
                    let protocol = self.clients.protocol(contribution.client)?;
                    Some(MembershipRecord { interface, membership, protocol })
                };
                live.filter_map(record).collect()
            })
        };
        found.sort_by_key(|record| {
            let membership = record.membership;
            (membership.family(), membership.group(), membership.source(), record.interface, record.protocol)
        });
        found
    }

    /// Every client that is registered throughout the call, by protocol, and perhaps some that are not. Takes no lock;
    /// what other threads take and release meanwhile may show or not.
    #[must_use]
    pub fn clients(&self) -> Vec<ClientRecord> {
        let mut interfaces: BTreeMap<Handle, Vec<Interface>> = BTreeMap::new();
        for record in self.interfaces.iter() {
            for owner in [record.routing, record.igmp] {
                if let Some(handle) = self.clients.table.owner_of(owner) {
                    interfaces.entry(handle).or_default().push(record.interface);
                }
            }
        }
        let mut clients: Vec<ClientRecord> = self
            .clients
            .table
            .iter()
            .map(|(handle, client)| {
                let mut interfaces = interfaces.remove(&handle).unwrap_or_default();
                interfaces.sort_unstable();
                ClientRecord { protocol: client.protocol, handle, interfaces }
            })
            .collect();
        clients.sort_by_key(|client| client.protocol);
        clients
    }
}

/// What is seen under the membership lock at one instant. Under the lock nothing comes to life, but what is there can die
/// at any moment: when two looks see the same, nothing they saw died between them.
fn steady<T: PartialEq>(look: impl Fn() -> T) -> T {
    let mut before = look();
    loop {
        let after = look();
        if after == before {
            return after;
        }
        before = after;
    }
}
