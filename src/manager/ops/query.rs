//! Reading what the manager has: entries, memberships, clients.

use super::snapshot::Snapshot;
use crate::forwarding::{Flow, FlowCounterId, FlowTotals, OifCounterId, OifTotals};
use crate::handle::Handle;
use crate::manager::flows::EntryView;
use crate::manager::{
    ClientRecord, EntryRecord, FlowState, GroupManager, Interface, MembershipRecord, OutgoingRecord,
    SetEntryError,
};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// What one read found of an entry, and its counters' ids.
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
        let entry = state.flows.entry(&flow)?;
        let snapshot = self.snapshot(entry.interfaces());
        is_current(&entry, &snapshot).then(|| self.counted(entry_record(&entry, &snapshot)))
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
        // Entries that are dead and not swept take no place in the result.
        let mut candidates = max;
        loop {
            let found: Vec<EntryView<'_>> = state.flows.entries(after).take(candidates).collect();
            let snapshot = self.snapshot(found.iter().flat_map(EntryView::interfaces));
            let current: Vec<Uncounted> =
                (found.iter().filter(|entry| is_current(entry, &snapshot)).take(max))
                    .map(|entry| entry_record(entry, &snapshot))
                    .collect();
            if current.len() == max || found.len() < candidates {
                return current.into_iter().map(|uncounted| self.counted(uncounted)).collect();
            }
            candidates = candidates.saturating_mul(2);
        }
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
        let entry = state.flows.entry(&flow).filter(|entry| entry.upstream.is_current(owners));
        let incoming = entry.as_ref().map(|entry| entry.upstream.incoming());
        let record = incoming.flatten().and_then(|incoming| self.interfaces.get(incoming.interface));
        let (owner, live) = match record {
            Some(record) => {
                let (ownership, live) = self.ownership_while(&record, || self.clients.validate(client));
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
            let snapshot = self.snapshot(state.members.interfaces());
            let live =
                state.members.iter().filter(|(key, _, member)| snapshot.is_current(key.vif, &member.stamp));
            let records = live.filter_map(|(key, membership, _)| {
                let interface = snapshot.interface(key.vif)?;
                let protocol = snapshot.protocol(key.vif, key.role)?;
                Some(MembershipRecord { interface, membership, protocol })
            });
            records.collect()
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
                // The name after the word, so that the word is this interface's.
                if let Some(handle) = self.clients.table.owner_of(owner)
                    && record.is_named()
                {
                    interfaces.entry(handle).or_default().push(record.interface);
                }
            }
        }
        let registered = self.clients.table.keys().filter_map(|handle| {
            let protocol = self.clients.protocol(handle)?;
            let mut interfaces = interfaces.remove(&handle).unwrap_or_default();
            interfaces.sort_unstable();
            Some(ClientRecord { protocol, handle, interfaces })
        });
        let mut clients: Vec<ClientRecord> = registered.collect();
        clients.sort_by_key(|client| client.protocol);
        clients
    }
}

/// Returns whether an entry's incoming interface has the owner that it had when the entry was made.
fn is_current(entry: &EntryView<'_>, snapshot: &Snapshot<'_>) -> bool {
    let incoming = entry.upstream.incoming();
    incoming.is_none_or(|incoming| snapshot.is_current(incoming.interface, &incoming.stamp))
}

/// Returns the record of an entry, except for its counters.
fn entry_record(entry: &EntryView<'_>, snapshot: &Snapshot<'_>) -> Uncounted {
    let live = entry.outgoing().filter(|out| snapshot.is_current(out.interface, &out.stamp));
    let outgoing: Vec<_> = live
        .filter_map(|out| snapshot.interface(out.interface).map(|interface| (interface, out.counter)))
        .collect();
    let incoming = entry.upstream.incoming().map(|incoming| incoming.interface);
    let record = EntryRecord {
        flow: entry.flow,
        state: if outgoing.is_empty() { FlowState::Negative } else { FlowState::Active },
        incoming: incoming.and_then(|vif| snapshot.interface(vif)),
        incoming_protocol: incoming.and_then(|vif| snapshot.deciding(vif)),
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
