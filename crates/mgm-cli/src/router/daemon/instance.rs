//! [`RunningInstance`]: a protocol instance of the configuration that is registered with the manager.

use super::events::Events;
use crate::router::config::{Instance, InstanceKind};
use anyhow::Context;
use mgm::forwarding::Family;
use mgm::handle::Handle;
use mgm::manager::{GroupManager, Interface};
use mgm::protocol::gmp::{GmpChange, GmpEvent, GmpObserver, GroupMembership};
use mgm::protocol::static_joins::{StaticEntry, StaticJoins};
use mgm_linux::gmp::GmpService;
use mgm_linux::links::Link;
use mgm_linux::plane::IgmpHandler;
use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// The names of interfaces, for events of other threads.
pub(super) type Names = Arc<RwLock<BTreeMap<Interface, String>>>;

/// A registered instance. Dropping it releases its interfaces and deregisters.
pub(super) struct RunningInstance {
    pub(super) config: Instance,
    pub(super) running: Running,
    /// The interfaces that it owns, with the addresses that it was told.
    pub(super) owned: BTreeMap<Interface, Vec<(IpAddr, u8)>>,
    /// The static entries in force.
    pub(super) entries: Vec<StaticEntry>,
}

/// The protocol of an instance.
pub(super) enum Running {
    Gmp(Vec<GmpFamily>),
    Static(StaticJoins),
}

/// IGMP or MLD of an instance.
pub(super) struct GmpFamily {
    /// Its thread ends first.
    pub(super) service: GmpService,
    pub(super) membership: Arc<GroupMembership>,
}

impl RunningInstance {
    /// Registers an instance with the manager. It owns no interface yet.
    pub(super) fn start(
        config: Instance,
        manager: &Arc<GroupManager>,
        names: &Names,
        events: &Arc<Events>,
    ) -> anyhow::Result<RunningInstance> {
        let name = &config.name;
        let running = match &config.kind {
            InstanceKind::Static { flows } => {
                let joins = StaticJoins::with_component(manager.clone(), config.component, *flows);
                Running::Static(joins.with_context(|| format!("{name} cannot be registered"))?)
            }
            InstanceKind::Gmp { igmp, mld } => {
                let mut families = Vec::new();
                for family in &config.families {
                    let settings = if *family == Family::V4 { igmp } else { mld };
                    // The reader of the configuration has checked that it fits.
                    let number = u16::try_from(config.component).context("component")?;
                    let settings = settings.as_ref().clone().with_instance(number);
                    let observer =
                        Observer { instance: name.clone(), names: names.clone(), events: events.clone() };
                    let membership = GroupMembership::new(manager.clone(), *family, settings)
                        .with_context(|| format!("{name} cannot be registered"))?
                        .with_observer(Arc::new(observer));
                    let membership = Arc::new(membership);
                    let service = GmpService::start(membership.clone())
                        .with_context(|| format!("{name}: {} cannot listen", protocol_name(*family)))?;
                    families.push(GmpFamily { service, membership });
                }
                Running::Gmp(families)
            }
        };
        Ok(RunningInstance { config, running, owned: BTreeMap::new(), entries: Vec::new() })
    }

    /// Takes an interface, and listens there.
    pub(super) fn take(&mut self, interface: Interface, link: &Link) -> anyhow::Result<()> {
        match &self.running {
            Running::Static(joins) => joins.take(interface)?,
            Running::Gmp(families) => {
                let family = find(families, interface).context("the instance is not of this family")?;
                family.service.add_interface(interface, link.index, link.addresses.clone())?;
            }
        }
        self.owned.insert(interface, link.addresses.clone());
        Ok(())
    }

    /// Releases an interface. What this instance added there ends.
    pub(super) fn release(&mut self, interface: Interface) {
        self.owned.remove(&interface);
        match &self.running {
            Running::Static(joins) => {
                if let Err(error) = joins.release(interface) {
                    tracing::warn!(instance = self.config.name, %interface, %error, "the interface was not released");
                }
            }
            Running::Gmp(families) => {
                if let Some(family) = find(families, interface)
                    && let Err(error) = family.service.remove_interface(interface)
                {
                    tracing::warn!(instance = self.config.name, %interface, %error, "the interface was not released");
                }
            }
        }
    }

    /// Tells IGMP or MLD the addresses of an interface, if they have changed.
    pub(super) fn follow_addresses(&mut self, interface: Interface, link: &Link) {
        let Some(known) = self.owned.get_mut(&interface) else { return };
        if *known == link.addresses {
            return;
        }
        known.clone_from(&link.addresses);
        if let Running::Gmp(families) = &self.running
            && let Some(family) = find(families, interface)
        {
            family.service.set_addresses(interface, link.addresses.clone());
        }
    }

    /// Returns its static joins, if it is of that kind.
    pub(super) fn static_joins(&self) -> Option<&StaticJoins> {
        match &self.running {
            Running::Static(joins) => Some(joins),
            Running::Gmp(_) => None,
        }
    }

    /// Returns the clients that it has registered: the name of the protocol and the handle of each.
    pub(super) fn clients(&self) -> Vec<(&'static str, Handle)> {
        match &self.running {
            Running::Static(joins) => vec![("static", joins.handle())],
            Running::Gmp(families) => {
                let client = |family: &GmpFamily| {
                    (protocol_name(family.membership.family()), family.membership.handle())
                };
                families.iter().map(client).collect()
            }
        }
    }

    /// Returns what receives IGMP messages that only the plane's socket gets.
    pub(super) fn igmp_handlers(&self) -> Vec<IgmpHandler> {
        match &self.running {
            Running::Static(_) => Vec::new(),
            Running::Gmp(families) => {
                let igmp = families.iter().filter(|family| family.membership.family() == Family::V4);
                igmp.map(|family| family.service.igmp_handler()).collect()
            }
        }
    }
}

/// Returns the name of the protocol of a family.
pub(super) fn protocol_name(family: Family) -> &'static str {
    match family {
        Family::V4 => "IGMP",
        Family::V6 => "MLD",
    }
}

fn find(families: &[GmpFamily], interface: Interface) -> Option<&GmpFamily> {
    families.iter().find(|family| family.membership.family() == interface.family())
}

/// Writes down what hosts join and leave.
struct Observer {
    instance: String,
    names: Names,
    events: Arc<Events>,
}

impl GmpObserver for Observer {
    fn changed(&self, event: &GmpEvent) {
        let change = match event.change {
            GmpChange::Joined => "joined",
            GmpChange::Left => "left",
            GmpChange::Lapsed => "lapsed",
        };
        let host = event.host.map(|host| format!(" by {host}")).unwrap_or_default();
        let name = self.names.read().get(&event.interface).cloned();
        let name = name.unwrap_or_else(|| event.interface.to_string());
        tracing::debug!(instance = self.instance, interface = name, "{} {change}{host}", event.subject);
        self.events.add(name, format!("{} {change}{host} ({})", event.subject, self.instance));
    }
}
