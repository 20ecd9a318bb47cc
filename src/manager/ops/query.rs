//! Reading what the manager has: entries, memberships, clients.

use crate::forwarding::{Flow, FlowCounterId, FlowTotals, OifCounterId, OifTotals};
use crate::handle::Handle;
use crate::manager::flows::EntryView;
use crate::manager::state::read_stable;
use crate::manager::{
    ClientRecord, EntryRecord, FlowState, GroupManager, Interface, MembershipRecord, OutgoingRecord,
    SetEntryError,
};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// What one read found of an entry, and its counters' ids.
#[derive(PartialEq)]
struct Uncounted {
    counter: Option<FlowCounterId>,
    outgoing: Vec<(Interface, OifCounterId)>,
    /// Complete except for the counters.
    record: EntryRecord,
}

impl GroupManager {
    /// Returns the entry of a flow (`MgmGetMfe`, `MgmGetMfeStats`) at one instant. May wait for the membership lock.
    #[must_use]
    pub fn entry(&self, flow: Flow) -> Option<EntryRecord> {
        let state = self.state.lock();
        let owners = self.clients.table.owners();
        let read = || state.flows.entry(&flow, owners).map(|entry| self.entry_record(&entry));
        read_stable(read).map(|uncounted| self.counted(uncounted))
    }

    /// Returns at most `max` of the entries after `after`, or of all of them, by family, group and source
    /// (`MgmGetFirstMfe`, `MgmGetNextMfe`, and with `Stats`). `after` is the last flow of the previous call; it need not have
    /// an entry any more. The result is shorter than `max` only at the end.
    ///
    /// A walk of several calls sees each entry that exists throughout exactly once and in order, and no flow twice. The result
    /// of one call existed at one instant; the counters are exact once the workers rest. May wait for the membership lock,
    /// which is held no longer than the records of one call need.
    ///
    /// ```
    /// # use mgm::manager::{EntryRecord, GroupManager};
    /// fn walk(manager: &GroupManager, mut visit: impl FnMut(&EntryRecord)) {
    ///     let mut after = None;
    ///     loop {
    ///         let page = manager.entries_after(after, 100);
    ///         page.iter().for_each(&mut visit);
    ///         let Some(last) = page.last() else { break };
    ///         after = Some(last.flow);
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn entries_after(&self, after: Option<Flow>, max: usize) -> Vec<EntryRecord> {
        let state = self.state.lock();
        let owners = self.clients.table.owners();
        let read = || {
            let entries = state.flows.entries(after, owners).take(max);
            entries.map(|entry| self.entry_record(&entry)).collect::<Vec<_>>()
        };
        read_stable(read).into_iter().map(|uncounted| self.counted(uncounted)).collect()
    }

    /// Returns every entry of the manager, by family, group and source, at one instant except for the counters, which are
    /// exact once the workers rest. May wait for the membership lock.
    #[must_use]
    pub fn entries(&self) -> Vec<EntryRecord> {
        self.entries_after(None, usize::MAX)
    }

    /// Sets or clears the next router towards a flow's source (`MgmSetMfe`). For information only; it lasts as long as the
    /// entry. May wait for the membership lock.
    ///
    /// The client has to be the one that decides about the entry's incoming interface: its routing protocol, or IGMP where
    /// there is none.
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
        let (owner, live) = match record {
            Some(record) => {
                let (ownership, live) = self.ownership_while(record, || self.clients.validate(client));
                (ownership.deciding(), live)
            }
            None => (None, self.clients.validate(client)),
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

    /// Returns the record of an entry, except for its counters.
    fn entry_record(&self, entry: &EntryView<'_>) -> Uncounted {
        let owners = self.clients.table.owners();
        let live = entry.outgoing.iter().filter(|out| out.stamp.is_current(owners));
        let outgoing: Vec<_> = live
            .filter_map(|out| self.interface(out.interface).map(|interface| (interface, out.counter)))
            .collect();
        let incoming = entry.upstream.incoming().and_then(|incoming| self.interfaces.get(incoming.interface));
        let owner = incoming.and_then(|record| self.ownership(record).deciding());
        let record = EntryRecord {
            flow: entry.flow,
            state: if outgoing.is_empty() { FlowState::Negative } else { FlowState::Active },
            incoming: incoming.map(|record| record.interface),
            incoming_protocol: owner.and_then(|client| self.clients.protocol(client)),
            neighbour: entry.path.neighbour,
            route: entry.path.route,
            outgoing: Vec::new(),
            made: entry.made,
            expires: entry.deadline,
            timeout: entry.deadline.saturating_sub(entry.made),
            totals: FlowTotals::default(),
        };
        Uncounted { counter: entry.counter, outgoing, record }
    }

    /// Adds the counters to a record. Must be called under the membership lock, so that the ids still name the counters of
    /// this flow.
    fn counted(&self, Uncounted { counter, outgoing, mut record }: Uncounted) -> EntryRecord {
        let counters = self.forwarding().counters();
        record.totals = counter.map(|counter| counters.totals(counter)).unwrap_or_default();
        record.outgoing = outgoing
            .into_iter()
            .map(|(interface, counter)| {
                let OifTotals { packets, ttl_too_low, fragmentation_needed, discards } =
                    counters.oif_totals(counter);
                OutgoingRecord { interface, ttl_too_low, fragmentation_needed, packets, discards }
            })
            .collect();
        record
    }

    /// Returns every membership at one instant, by family, group and source, wildcards before addresses, then by interface.
    /// May wait for the membership lock.
    #[must_use]
    pub fn memberships(&self) -> Vec<MembershipRecord> {
        let mut found: Vec<MembershipRecord> = {
            let state = self.state.lock();
            let owners = self.clients.table.owners();
            read_stable(|| {
                let live = state.members.iter().filter(|(_, _, member)| member.stamp.is_current(owners));
                let records = live.filter_map(|(key, membership, member)| {
                    let interface = self.interface(key.vif)?;
                    let protocol = self.clients.protocol(member.client)?;
                    Some(MembershipRecord { interface, membership, protocol })
                });
                records.collect()
            })
        };
        found.sort_by_key(|record| {
            let membership = record.membership;
            (membership.family(), membership.group(), membership.source(), record.interface, record.protocol)
        });
        found
    }

    /// Returns the registered clients, by protocol: each that is registered throughout the call, and perhaps some that are
    /// not. Takes no lock. Interfaces that other threads take or release meanwhile may be listed or not.
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
        let registered = self.clients.table.iter().map(|(handle, client)| {
            let mut interfaces = interfaces.remove(&handle).unwrap_or_default();
            interfaces.sort_unstable();
            ClientRecord { protocol: client.protocol, handle, interfaces }
        });
        let mut clients: Vec<ClientRecord> = registered.collect();
        clients.sort_by_key(|client| client.protocol);
        clients
    }
}
