//! Looking at everything there is: entries, memberships, clients.

use super::flows::EntryView;
use super::interfaces::Role;
use super::records::{Contribution, Share};
use super::{FlowState, GroupManager, Interface, Membership, Protocol, Route, SetEntryError};
use crate::forwarding::{Flow, FlowCounterId, FlowTotals, OifCounterId, OutgoingTotals};
use crate::handle::Handle;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::IpAddr;
use std::time::Duration;

/// One entry of the manager's, as it is at one instant (`MIB_IPMCAST_MFE` and `MIB_IPMCAST_MFE_STATS_EX` of the Windows
/// SDK).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryRecord {
    /// Whose packets.
    pub flow: Flow,
    /// What is done with them.
    pub state: FlowState,
    /// Where they have to arrive; `None` when there is no route to the source, or it leads to an interface that was
    /// never taken.
    pub incoming: Option<Interface>,
    /// Who decides about that interface: the routing protocol, else IGMP.
    pub incoming_protocol: Option<Protocol>,
    /// The next router towards the source, if the routes or a client named one. For information only.
    pub neighbour: Option<IpAddr>,
    /// The route to the source, if the routes or a client named one. For information only.
    pub route: Option<Route>,
    /// Where they are copied to, in the order in which the interfaces were first taken.
    pub outgoing: Vec<OutgoingRecord>,
    /// When the entry was made, on the clock of [`GroupManager::advance`].
    pub made: Duration,
    /// When the entry's lifetime is over, on the same clock.
    pub expires: Duration,
    /// How long that is from its making: [`expires`](Self::expires) less [`made`](Self::made).
    pub timeout: Duration,
    /// What was counted of the flow, over the lives of all its entries.
    pub totals: FlowTotals,
}

/// An outgoing interface of an entry, and what was counted of the flow there, over the lives of all its entries
/// (`MIB_IPMCAST_OIF_STATS` of the Windows SDK).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutgoingRecord {
    /// Which interface.
    pub interface: Interface,
    /// Packets not copied to it because their TTL was too low for it.
    pub ttl_too_low: u64,
    /// Packets not copied to it because they were too large for it and must not be fragmented.
    pub fragmentation_needed: u64,
    /// Packets copied to it.
    pub packets: u64,
    /// Copies discarded there for another reason.
    pub discards: u64,
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

/// What is seen of an entry, and under which numbers it is counted.
#[derive(PartialEq)]
struct Seen {
    number: Option<FlowCounterId>,
    outgoing: Vec<(Interface, OifCounterId)>,
    /// But for what was counted.
    record: EntryRecord,
}

impl GroupManager {
    /// The entry of a flow (`MgmGetMfe`, `MgmGetMfeStats`), as it is at one instant. May wait for the membership lock.
    #[must_use]
    pub fn entry(&self, flow: Flow) -> Option<EntryRecord> {
        let state = self.state.lock();
        let owners = self.clients.table.owners();
        let seen = steady(|| state.flows.entry(&flow, owners).map(|entry| self.entry_record(&entry)));
        seen.map(|seen| self.counted(seen))
    }

    /// At most `most` of the entries that come behind `after`, or of all of them, by family, group and source
    /// (`MgmGetFirstMfe`, `MgmGetNextMfe`, and with `Stats`). `after` is where the last call left off; it need not have an
    /// entry (any more). The answer is short only at the end.
    ///
    /// A walk of several calls sees each entry that is there throughout exactly once and in order, and no flow twice.
    /// What one call answers was so at one instant; the counters are exact once the workers rest. May wait for the
    /// membership lock, which is held no longer than a call's own records take.
    ///
    /// ```
    /// # use mgm::manager::{EntryRecord, GroupManager};
    /// fn walk(manager: &GroupManager, mut see: impl FnMut(&EntryRecord)) {
    ///     let mut after = None;
    ///     loop {
    ///         let page = manager.entries_after(after, 100);
    ///         page.iter().for_each(&mut see);
    ///         let Some(last) = page.last() else { break };
    ///         after = Some(last.flow);
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn entries_after(&self, after: Option<Flow>, most: usize) -> Vec<EntryRecord> {
        let state = self.state.lock();
        let owners = self.clients.table.owners();
        let seen = steady(|| {
            let entries = state.flows.entries(after, owners).take(most);
            entries.map(|entry| self.entry_record(&entry)).collect::<Vec<_>>()
        });
        seen.into_iter().map(|seen| self.counted(seen)).collect()
    }

    /// Every entry of the manager's, by family, group and source, as they are at one instant but for the counters, which
    /// are exact once the workers rest. May wait for the membership lock.
    #[must_use]
    pub fn entries(&self) -> Vec<EntryRecord> {
        self.entries_after(None, usize::MAX)
    }

    /// Names the next router towards a flow's source (`MgmSetMfe`), or says that there is none. For information only; it
    /// lasts as long as the entry. May wait for the membership lock.
    ///
    /// The client has to be the one that decides about the entry's incoming interface: its routing protocol, or IGMP where
    /// it is alone.
    ///
    /// # Errors
    /// [`SetEntryError`].
    pub fn set_upstream_neighbour(
        &self,
        client: Handle,
        flow: Flow,
        neighbour: Option<IpAddr>,
    ) -> Result<(), SetEntryError> {
        let mut state = self.state.lock();
        let owners = self.clients.table.owners();
        let entry = state.flows.entry(&flow, owners);
        let incoming = entry.as_ref().map(|entry| entry.upstream.incoming());
        let record = incoming.flatten().and_then(|incoming| self.interfaces.get(incoming.interface));
        let decides = |record| self.owned_while(record, || self.clients.table.validate(client));
        let (owner, live) = match record.map(decides) {
            Some((owned, live)) => (owned.by(Role::Routing).or(owned.by(Role::Igmp)), live),
            None => (None, self.clients.table.validate(client)),
        };
        match state.flows.path_mut(&flow) {
            _ if !live => Err(SetEntryError::Stale),
            Some(path) if incoming.is_some() => {
                if owner != Some(client) {
                    return Err(SetEntryError::NotOwner(flow));
                }
                path.neighbour = neighbour;
                Ok(())
            }
            _ => Err(SetEntryError::NoEntry(flow)),
        }
    }

    /// The record of an entry but for what was counted.
    fn entry_record(&self, entry: &EntryView<'_>) -> Seen {
        let owners = self.clients.table.owners();
        let live = entry.outgoing.iter().filter(|out| out.stamp.holds(owners));
        let outgoing: Vec<_> = live
            .filter_map(|out| self.interface(out.interface).map(|interface| (interface, out.number)))
            .collect();
        let way_in = entry.upstream.incoming().and_then(|incoming| self.interfaces.get(incoming.interface));
        let owner = way_in.map(|record| self.owned(record));
        let owner = owner.and_then(|owned| owned.by(Role::Routing).or(owned.by(Role::Igmp)));
        let record = EntryRecord {
            flow: entry.flow,
            state: if outgoing.is_empty() { FlowState::Negative } else { FlowState::Active },
            incoming: way_in.map(|record| record.interface),
            incoming_protocol: owner.and_then(|client| self.clients.protocol(client)),
            neighbour: entry.path.neighbour,
            route: entry.path.route,
            outgoing: Vec::new(),
            made: entry.made,
            expires: entry.deadline,
            timeout: entry.deadline.saturating_sub(entry.made),
            totals: FlowTotals::default(),
        };
        Seen { number: entry.number, outgoing, record }
    }

    /// With what was counted. To be called under the membership lock: what is counted under the number now is counted of
    /// this flow.
    fn counted(&self, Seen { number, outgoing, mut record }: Seen) -> EntryRecord {
        let counters = self.forwarding.counters();
        record.totals = number.map(|number| counters.totals(number)).unwrap_or_default();
        record.outgoing = outgoing
            .into_iter()
            .map(|(interface, number)| {
                let OutgoingTotals { packets, ttl_too_low, fragmentation_needed, discards } =
                    counters.outgoing_totals(number);
                OutgoingRecord { interface, ttl_too_low, fragmentation_needed, packets, discards }
            })
            .collect();
        record
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
pub(super) fn steady<T: PartialEq>(look: impl Fn() -> T) -> T {
    let Ok(seen) = try_steady(|| Ok::<_, Infallible>(look()));
    seen
}

/// The same, unless a look fails.
pub(super) fn try_steady<T: PartialEq, E>(look: impl Fn() -> Result<T, E>) -> Result<T, E> {
    let mut before = look()?;
    loop {
        let after = look()?;
        if after == before {
            return Ok(after);
        }
        before = after;
    }
}
