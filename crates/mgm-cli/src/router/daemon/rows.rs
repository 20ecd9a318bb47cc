//! The lists of a running router, for `mgm show`.

use super::Router;
use super::instance::Running;
use super::reconcile::family;
use crate::control::protocol::{ClientRow, EntryRow, GroupRow, InterfaceRow, MAX_ROWS, Page, Refusal};
use mgm::forwarding::{Family, Flow};
use mgm::manager::{EntryRecord, Interface, MembershipRecord};
use mgm::protocol::gmp::Querier;
use std::collections::BTreeMap;

impl Router {
    /// Returns the clients of the manager, in the order of the configuration.
    pub(super) fn client_rows(&self) -> Vec<ClientRow> {
        let records: BTreeMap<_, _> =
            self.manager.clients().into_iter().map(|record| (record.handle, record)).collect();
        let mut memberships = BTreeMap::<_, u64>::new();
        for record in self.manager.memberships() {
            *memberships.entry(record.protocol).or_default() += 1;
        }
        let mut rows = Vec::new();
        for instance in &self.instances {
            for (protocol, handle) in instance.clients() {
                let Some(record) = records.get(&handle) else { continue };
                let mut interfaces: Vec<_> =
                    record.interfaces.iter().map(|interface| self.name_of(*interface)).collect();
                // A static client has an interface of each family under one name.
                interfaces.sort();
                interfaces.dedup();
                rows.push(ClientRow {
                    name: instance.config.name.clone(),
                    protocol: protocol.to_owned(),
                    component: record.protocol.component,
                    interfaces,
                    memberships: memberships.get(&record.protocol).copied().unwrap_or(0),
                });
            }
        }
        rows
    }

    /// Returns the interfaces of the configuration, one row for each family.
    pub(super) fn interface_rows(&self) -> Vec<InterfaceRow> {
        let mut rows = Vec::new();
        for section in &self.config.interfaces {
            let link = self.links.by_name(&section.name);
            for plane in &self.planes {
                let interface = link.as_ref().map(|link| Interface::of(plane.family(), link.index));
                let counters = interface
                    .filter(|interface| self.vifs.contains_key(interface))
                    .and_then(|interface| plane.interface_counters(interface).ok().flatten());
                let state = link.as_ref().map_or("absent", |link| if link.up { "up" } else { "down" });
                let owner = |gmp: bool| {
                    let interface = interface?;
                    let mut owners = self.instances.iter().filter(|instance| instance.config.is_gmp() == gmp);
                    let owner = owners.find(|instance| instance.owned.contains_key(&interface))?;
                    Some(owner.config.name.clone())
                };
                let refused = interface.and_then(|interface| self.refused.get(&interface));
                rows.push(InterfaceRow {
                    name: section.name.clone(),
                    family: family_name(plane.family()).to_owned(),
                    index: link.as_ref().map(|link| link.index),
                    state: state.to_owned(),
                    threshold: section.threshold,
                    routing: owner(false),
                    gmp: owner(true),
                    querier: interface.and_then(|interface| self.querier(interface)),
                    received: counters.map_or(0, |counters| counters.in_packets),
                    transmitted: counters.map_or(0, |counters| counters.out_packets),
                    refused: refused.into_iter().flatten().cloned().collect(),
                });
            }
        }
        rows
    }

    /// Returns the querier of an interface, as IGMP or MLD know it.
    fn querier(&self, interface: Interface) -> Option<String> {
        let owner = self
            .instances
            .iter()
            .find(|instance| instance.config.is_gmp() && instance.owned.contains_key(&interface))?;
        let Running::Gmp(families) = &owner.running else { return None };
        let of = families.iter().find(|of| of.membership.family() == interface.family())?;
        Some(match of.membership.interface_state(interface)?.querier? {
            Querier::This { .. } => "this router".to_owned(),
            Querier::Other { address, .. } => address.to_string(),
        })
    }

    /// Returns the memberships from a place on.
    pub(super) fn group_rows(&self, after: Option<&str>) -> Result<Page<GroupRow>, Refusal> {
        let from: usize = match after {
            None => 0,
            Some(after) => after.parse().map_err(|_| unknown_place(after))?,
        };
        let names: BTreeMap<_, _> = self
            .instances
            .iter()
            .flat_map(|instance| {
                instance.clients().into_iter().map(|(_, handle)| (handle, instance.config.name.clone()))
            })
            .filter_map(|(handle, name)| Some((self.manager.protocol_of(handle)?, name)))
            .collect();
        let mut records = self.manager.memberships();
        let key = |record: &MembershipRecord| {
            (record.membership.group(), record.membership.source(), record.interface, record.protocol)
        };
        records.sort_by_key(key);
        let rows: Vec<GroupRow> = records
            .iter()
            .skip(from)
            .take(MAX_ROWS)
            .map(|record| GroupRow {
                interface: self.name_of(record.interface),
                group: record.membership.group(),
                source: record.membership.source(),
                by: names.get(&record.protocol).cloned().unwrap_or_else(|| record.protocol.to_string()),
            })
            .collect();
        let end = from.saturating_add(rows.len());
        let next = (end < records.len()).then(|| end.to_string());
        Ok(Page { rows, next })
    }

    /// Returns the entries after a flow, with the kernel's counters.
    pub(super) fn entry_rows(&self, after: Option<&str>) -> Result<Page<EntryRow>, Refusal> {
        let after = after.map(|after| flow(after).ok_or_else(|| unknown_place(after))).transpose()?;
        let records = self.manager.entries_after(after, MAX_ROWS);
        let full = records.len() == MAX_ROWS;
        let next = records.last().filter(|_| full);
        let next = next.map(|record| format!("{} {}", record.flow.source(), record.flow.group()));
        Ok(Page { rows: records.iter().map(|record| self.entry_row(record)).collect(), next })
    }

    fn entry_row(&self, record: &EntryRecord) -> EntryRow {
        let flow = record.flow;
        let plane = self.planes.iter().find(|plane| plane.family() == flow.family());
        let counters = plane.and_then(|plane| plane.entry_counters(flow).ok().flatten());
        EntryRow {
            source: flow.source(),
            group: flow.group(),
            incoming: record.incoming.map(|interface| self.name_of(interface)),
            outgoing: record.outgoing.iter().map(|outgoing| self.name_of(outgoing.interface)).collect(),
            packets: counters.map_or(0, |counters| counters.packets),
            octets: counters.map_or(0, |counters| counters.octets),
            wrong_interface: counters.map_or(0, |counters| counters.wrong_interface),
        }
    }
}

/// Returns the flow of a place in the list of entries.
fn flow(place: &str) -> Option<Flow> {
    let (source, group) = place.split_once(' ')?;
    Flow::new(source.parse().ok()?, group.parse().ok()?).ok()
}

fn unknown_place(place: &str) -> Refusal {
    Refusal::refused(format!(
        "{place:?} is no place in the list: send the \"next\" of an answer as \"after\""
    ))
}

fn family_name(of: Family) -> &'static str {
    family(Interface::of(of, 0))
}
