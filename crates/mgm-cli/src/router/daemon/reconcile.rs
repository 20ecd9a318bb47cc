//! Makes what runs equal to what the configuration and the present interfaces ask for.
//!
//! Each step compares what is wanted with what is there, and changes only the difference. What the kernel or the manager refuses
//! is noted with its interface, and tried again at the next call.

use super::Router;
use mgm::forwarding::Family;
use mgm::manager::{Interface, Membership};
use mgm::protocol::static_joins::StaticEntry;
use mgm::rpf::{Prefix, RouteTable};
use mgm_linux::links::Link;
use std::collections::{BTreeMap, BTreeSet};

/// The present interfaces of the configuration.
type Present = BTreeMap<String, Link>;

impl Router {
    /// Makes what runs equal to what is wanted. Returns what changed, a sentence each.
    pub(super) fn reconcile(&mut self) -> Vec<String> {
        let mut changes = Vec::new();
        let gone = std::mem::take(&mut *self.vanished.lock());
        let present = self.present();
        let wanted = self.wanted_owners(&present);
        let vifs = self.wanted_vifs(&present);
        self.release_unwanted(&wanted, &gone, &mut changes);
        self.remove_vifs(&vifs, &gone);
        *self.names.write() = vifs.iter().map(|(interface, (name, ..))| (*interface, name.clone())).collect();
        let mut refused = BTreeMap::<Interface, BTreeSet<String>>::new();
        // The owners first: a take of an interface that a plane has interrupts the forwarding there for a moment.
        self.take_wanted(&wanted, &present, &mut refused, &mut changes);
        self.add_vifs(&vifs, &mut refused);
        self.follow_joins(&present, &mut refused);
        self.follow_entries(&present, !changes.is_empty());
        self.follow_routes(&present);
        self.note_refused(refused);
        changes
    }

    /// Returns the interfaces of the configuration that exist, with their addresses in order.
    fn present(&self) -> Present {
        let names = self.config.interfaces.iter().map(|interface| &interface.name);
        let link = |name: &String| Some((name.clone(), self.links.by_name(name)?));
        names.filter_map(link).collect()
    }

    /// Returns the name, the index and the threshold of each interface that the planes should have.
    fn wanted_vifs(&self, present: &Present) -> BTreeMap<Interface, (String, u32, u8)> {
        let mut wanted = BTreeMap::new();
        for section in &self.config.interfaces {
            let Some(link) = present.get(&section.name) else { continue };
            for plane in &self.planes {
                let interface = Interface::of(plane.family(), link.index);
                wanted.insert(interface, (section.name.clone(), link.index, section.threshold));
            }
        }
        wanted
    }

    /// Returns the interfaces that each instance should own, by its name.
    fn wanted_owners(&self, present: &Present) -> BTreeMap<String, BTreeMap<Interface, String>> {
        let mut wanted = BTreeMap::<String, BTreeMap<Interface, String>>::new();
        for section in &self.config.interfaces {
            let Some(link) = present.get(&section.name) else { continue };
            for instance in section.protocols.iter().filter_map(|name| self.config.instance(name)) {
                for family in &instance.families {
                    let interface = Interface::of(*family, link.index);
                    wanted.entry(instance.name.clone()).or_default().insert(interface, section.name.clone());
                }
            }
        }
        wanted
    }

    fn release_unwanted(
        &mut self,
        wanted: &BTreeMap<String, BTreeMap<Interface, String>>,
        gone: &BTreeSet<u32>,
        changes: &mut Vec<String>,
    ) {
        for instance in &mut self.instances {
            let wants = wanted.get(&instance.config.name);
            let ends = |interface: &Interface| {
                gone.contains(&interface.index()) || !wants.is_some_and(|wants| wants.contains_key(interface))
            };
            let unwanted: Vec<_> =
                instance.owned.keys().filter(|interface| ends(interface)).copied().collect();
            for interface in unwanted {
                instance.release(interface);
                self.joined.retain(|(name, on, _)| *name != instance.config.name || *on != interface);
                let name =
                    self.names.read().get(&interface).cloned().unwrap_or_else(|| interface.to_string());
                let change = format!("{} released {name} ({})", instance.config.name, family(interface));
                tracing::info!(interface = name, instance = instance.config.name, "released");
                self.events.add(name, change.clone());
                changes.push(change);
            }
        }
    }

    /// Takes the interfaces from the planes that vanished, are not wanted, or have another index or threshold.
    fn remove_vifs(&mut self, wanted: &BTreeMap<Interface, (String, u32, u8)>, gone: &BTreeSet<u32>) {
        let planes = &self.planes;
        self.vifs.retain(|interface, (index, threshold)| {
            let same = wanted.get(interface).is_some_and(|(_, i, t)| (i, t) == (index, threshold));
            let stays = same && !gone.contains(index);
            if !stays && let Some(plane) = planes.iter().find(|plane| plane.family() == interface.family()) {
                // The plane has it, so this is not refused.
                if let Err(error) = plane.remove_interface(*interface) {
                    tracing::warn!(%interface, %error, "the plane keeps the interface");
                }
            }
            stays
        });
    }

    fn add_vifs(
        &mut self,
        wanted: &BTreeMap<Interface, (String, u32, u8)>,
        refused: &mut BTreeMap<Interface, BTreeSet<String>>,
    ) {
        for (interface, (name, index, threshold)) in wanted {
            if self.vifs.contains_key(interface) {
                continue;
            }
            let Some(plane) = self.planes.iter().find(|plane| plane.family() == interface.family()) else {
                continue;
            };
            match plane.add_interface(*interface, *index, *threshold) {
                Ok(()) => _ = self.vifs.insert(*interface, (*index, *threshold)),
                Err(error) => _ = refused.entry(*interface).or_default().insert(format!("{name}: {error}")),
            }
        }
    }

    fn take_wanted(
        &mut self,
        wanted: &BTreeMap<String, BTreeMap<Interface, String>>,
        present: &Present,
        refused: &mut BTreeMap<Interface, BTreeSet<String>>,
        changes: &mut Vec<String>,
    ) {
        for at in 0..self.instances.len() {
            let instance = &mut self.instances[at];
            let instance_name = instance.config.name.clone();
            for (interface, name) in wanted.get(&instance_name).into_iter().flatten() {
                let Some(link) = present.get(name) else { continue };
                let instance = &mut self.instances[at];
                if instance.owned.contains_key(interface) {
                    instance.follow_addresses(*interface, link);
                    continue;
                }
                match instance.take(*interface, link) {
                    Ok(()) => {
                        let change = format!("{instance_name} took {name} ({})", family(*interface));
                        tracing::info!(interface = name, instance = instance_name, "taken");
                        self.events.add(name, change.clone());
                        changes.push(change);
                    }
                    Err(error) => {
                        let owner = self.routing_owner(*interface);
                        let owner = owner.map(|owner| format!("; {owner} owns it")).unwrap_or_default();
                        let why = format!("{instance_name}: {error:#}{owner}");
                        refused.entry(*interface).or_default().insert(why);
                    }
                }
            }
        }
    }

    /// Returns the name of the instance that owns an interface in the routing role.
    fn routing_owner(&self, interface: Interface) -> Option<String> {
        let protocol = self.manager.owner_of(interface).ok()?;
        let of = self.instances.iter().find(|instance| {
            let mut clients = instance.clients().into_iter();
            clients.any(|(_, handle)| self.manager.protocol_of(handle) == Some(protocol))
        });
        Some(of.map_or_else(|| protocol.to_string(), |instance| instance.config.name.clone()))
    }

    /// Makes the static joins those of the configuration and of the control socket.
    fn follow_joins(&mut self, present: &Present, refused: &mut BTreeMap<Interface, BTreeSet<String>>) {
        let configured = self.config.joins.iter().map(|join| (&join.interface, join.membership));
        let added = self.added.joins.iter().map(|(interface, membership)| (interface, *membership));
        let mut wanted = BTreeSet::<(String, Interface, Membership)>::new();
        for (name, membership) in configured.chain(added) {
            let Some(link) = present.get(name) else { continue };
            let Some(instance) = self.config.static_of(name, membership.family()) else { continue };
            let interface = Interface::of(membership.family(), link.index);
            wanted.insert((instance.name.clone(), interface, membership));
        }
        let unwanted: Vec<_> = self.joined.difference(&wanted).cloned().collect();
        for key in unwanted {
            let (name, interface, membership) = &key;
            let joins = self.instances.iter().find(|instance| instance.config.name == *name);
            if let Some(joins) = joins.and_then(|instance| instance.static_joins())
                && let Err(error) = joins.leave(*interface, *membership)
            {
                tracing::warn!(%interface, %membership, %error, "the static join stays");
            }
            self.joined.remove(&key);
        }
        for key in wanted {
            let (name, interface, membership) = &key;
            let instance = self.instances.iter().find(|instance| instance.config.name == *name);
            let Some(joins) = instance.and_then(|instance| instance.static_joins()) else { continue };
            if self.joined.contains(&key) {
                continue;
            }
            match joins.join(*interface, *membership) {
                Ok(()) => _ = self.joined.insert(key),
                Err(error) => {
                    let why = format!("{name}: the join of {membership}: {error}");
                    refused.entry(*interface).or_default().insert(why);
                }
            }
        }
    }

    /// Gives each static instance its entries, with the interfaces that are present. `moved`: an interface was taken or released,
    /// and memberships of entries may have ended with it.
    fn follow_entries(&mut self, present: &Present, moved: bool) {
        for instance in &mut self.instances {
            let of_instance =
                self.config.entries.iter().filter(|entry| entry.instance == instance.config.name);
            let entries = of_instance.filter_map(|entry| {
                let family = Family::of(entry.group.network());
                let interface = |name: &String| Some(Interface::of(family, present.get(name)?.index));
                Some(StaticEntry {
                    source: entry.source,
                    group: entry.group,
                    incoming: interface(&entry.incoming)?,
                    outgoing: entry.outgoing.iter().filter_map(interface).collect(),
                })
            });
            let entries: Vec<_> = entries.collect();
            if (moved || entries != instance.entries)
                && let Some(joins) = instance.static_joins()
            {
                joins.set_entries(entries.clone());
                instance.entries = entries;
            }
        }
    }

    /// Sets the routes for multicast alone. Those of the control socket win.
    fn follow_routes(&mut self, present: &Present) {
        let configured = self.config.routes.iter().map(|route| (route.prefix, &route.interface));
        let added = self.added.routes.iter().map(|(prefix, interface)| (*prefix, interface));
        let all: BTreeMap<Prefix, &String> = configured.chain(added).collect();
        let routes: Vec<(Prefix, Interface)> = all
            .into_iter()
            .filter_map(|(prefix, name)| {
                let index = present.get(name)?.index;
                Some((prefix, Interface::of(Family::of(prefix.network()), index)))
            })
            .collect();
        if routes != self.routes_in_force {
            self.routes.set_configured(RouteTable::new(routes.iter().copied()));
            self.routes_in_force = routes;
        }
    }

    /// Logs what is refused and was not before. Repetitions are not logged.
    fn note_refused(&mut self, refused: BTreeMap<Interface, BTreeSet<String>>) {
        for (interface, reasons) in &refused {
            let name = self.name_of(*interface);
            for why in reasons {
                if !self.refused.get(interface).is_some_and(|before| before.contains(why)) {
                    tracing::warn!(interface = name, "refused: {why}");
                    self.events.add(name.clone(), format!("refused: {why}"));
                }
            }
        }
        self.refused = refused;
    }
}

/// Returns the family of an interface, for messages.
pub(super) fn family(interface: Interface) -> &'static str {
    match interface.family() {
        Family::V4 => "IPv4",
        Family::V6 => "IPv6",
    }
}
