//! [`Router`]: the manager, its planes and its protocols, as a configuration and the kernel's interfaces have them.
//!
//! - `reconcile`: makes what runs equal to what the configuration and the present interfaces ask for. Start, reload and every
//!   change of an interface are the same step.
//! - `instance`: one protocol instance.
//! - `requests`: what the control socket asks for; `rows`: the lists that it shows; `counters`: what was counted.
//! - `events`: what happened lately.

mod counters;
mod events;
mod instance;
mod reconcile;
mod requests;
mod rows;

pub(crate) use events::Events;
pub(crate) use requests::RouterHandler;

use super::config::{Mistake, RouterConfig};
use crate::check;
use anyhow::Context;
use instance::{Names, RunningInstance};
use mgm::forwarding::Family;
use mgm::manager::{GroupManager, Interface, ManagerConfig, Membership};
use mgm::rpf::Prefix;
use mgm_linux::links::{LinkEvent, Links};
use mgm_linux::plane::{IgmpHandler, KernelPlane, KernelPlaneConfig};
use mgm_linux::routes::KernelRoutes;
use parking_lot::{Mutex, RwLock};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

/// Indices of interfaces that vanished and were not yet taken out: the next of that name may have the same index.
type Vanished = Arc<Mutex<BTreeSet<u32>>>;

/// A running router. Dropping it ends the forwarding, and leaves nothing behind in the kernel.
pub(crate) struct Router {
    path: PathBuf,
    config: RouterConfig,
    /// First, so that nothing is forwarded while the protocols end.
    planes: Vec<KernelPlane>,
    instances: Vec<RunningInstance>,
    links: Links,
    routes: Arc<KernelRoutes>,
    manager: Arc<GroupManager>,
    igmp_handlers: Arc<RwLock<Vec<IgmpHandler>>>,
    vanished: Vanished,
    names: Names,
    events: Arc<Events>,
    /// The interfaces of the planes, with index and threshold.
    vifs: BTreeMap<Interface, (u32, u8)>,
    /// The static joins in force, with their instance.
    joined: BTreeSet<(String, Interface, Membership)>,
    /// Why something of the configuration is not in force, by interface.
    refused: BTreeMap<Interface, BTreeSet<String>>,
    routes_in_force: Vec<(Prefix, Interface)>,
    added: Added,
}

/// What the control socket added beside the configuration.
#[derive(Debug, Default)]
struct Added {
    joins: BTreeSet<(String, Membership)>,
    routes: BTreeMap<Prefix, String>,
}

/// The failure of a reload. The router goes on with the old configuration.
pub(crate) enum ReloadError {
    Mistakes(Vec<Mistake>),
    Failed(anyhow::Error),
}

impl Router {
    /// Starts a router. `wake` is called from other threads when an interface has changed: then [`follow`](Self::follow) has
    /// something to do.
    pub(crate) fn start(
        path: PathBuf,
        config: RouterConfig,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> anyhow::Result<Router> {
        let routes = Arc::new(KernelRoutes::start().context("the kernel's routes cannot be read")?);
        let manager = Arc::new(GroupManager::new(ManagerConfig::default(), routes.clone())?);
        routes.follow(&manager).context("the kernel's routes cannot be followed")?;
        let (events, vanished) = (Arc::new(Events::default()), Vanished::default());
        let links = {
            let (events, vanished) = (events.clone(), vanished.clone());
            let links = Links::start(move |event| {
                note_link(event, &events, &vanished);
                wake();
            });
            links.context("the kernel's interfaces cannot be followed")?
        };
        let igmp_handlers = Arc::<RwLock<Vec<IgmpHandler>>>::default();
        let mut planes = Vec::new();
        for family in &config.router.families {
            let handlers = igmp_handlers.clone();
            let mut settings = KernelPlaneConfig::default().with_table(config.router.table);
            if *family == Family::V4 {
                settings = settings.with_igmp(Arc::new(move |interface, packet| {
                    let handlers = handlers.read().clone();
                    handlers.iter().for_each(|handler| handler(interface, packet));
                }));
            }
            let plane = KernelPlane::start(manager.clone(), *family, settings)
                .context("the kernel's multicast routing cannot be had")?;
            planes.push(plane);
        }
        let mut router = Router {
            path,
            config,
            planes,
            instances: Vec::new(),
            links,
            routes,
            manager,
            igmp_handlers,
            vanished,
            names: Names::default(),
            events,
            vifs: BTreeMap::new(),
            joined: BTreeSet::new(),
            refused: BTreeMap::new(),
            routes_in_force: Vec::new(),
            added: Added::default(),
        };
        router.start_instances()?;
        router.reconcile();
        router.events.add("router", "started");
        Ok(router)
    }

    /// Follows changes of interfaces, and tries again what was refused.
    pub(crate) fn follow(&mut self) {
        self.reconcile();
    }

    /// Ends what static entries added for flows that have ended. Call it about twice a minute.
    pub(crate) fn sweep(&mut self) {
        for instance in &self.instances {
            if let Some(joins) = instance.static_joins() {
                joins.forget_ended_flows();
            }
        }
    }

    /// Reads the configuration again, and applies what changed. Returns what changed, a sentence each.
    pub(crate) fn reload(&mut self) -> Result<Vec<String>, ReloadError> {
        let text = check::read(&self.path).map_err(ReloadError::Failed)?;
        let new = RouterConfig::parse(&text).map_err(ReloadError::Mistakes)?;
        let mut changes = Vec::new();
        let (old, section) = (&self.config.router, &new.router);
        if (&old.control, &old.control_group, old.table, old.log, old.log_level, &old.families)
            != (
                &section.control,
                &section.control_group,
                section.table,
                section.log,
                section.log_level,
                &section.families,
            )
        {
            changes.push("[router] changed: that takes effect at the next start".to_owned());
        }
        let mut new = new;
        // What takes effect at the next start alone stays as it is.
        new.router = self.config.router.clone();
        self.config = new;
        changes.extend(self.restart_instances().map_err(ReloadError::Failed)?);
        changes.extend(self.reconcile());
        if changes.is_empty() {
            changes.push("nothing has changed".to_owned());
        }
        self.events.add("router", format!("reloaded: {}", changes.join("; ")));
        Ok(changes)
    }

    /// Starts the instances of the configuration that do not run. The static ones come first, because IGMP's memberships end when
    /// the routing protocol of their interface changes.
    fn start_instances(&mut self) -> anyhow::Result<Vec<String>> {
        let mut changes = Vec::new();
        let mut wanted: Vec<_> = self.config.instances.clone();
        wanted.sort_by_key(|instance| instance.is_gmp());
        for config in wanted {
            if self.instances.iter().any(|instance| instance.config.name == config.name) {
                continue;
            }
            changes.push(format!("{} started", config.name));
            let instance = RunningInstance::start(config, &self.manager, &self.names, &self.events)?;
            self.instances.push(instance);
        }
        let handlers = self.instances.iter().flat_map(RunningInstance::igmp_handlers).collect();
        *self.igmp_handlers.write() = handlers;
        Ok(changes)
    }

    /// Ends the instances that the configuration has no more or has with other settings, and starts those that do not run.
    fn restart_instances(&mut self) -> anyhow::Result<Vec<String>> {
        let mut changes = Vec::new();
        let config = &self.config;
        self.instances.retain(|instance| {
            let stays = config.instance(&instance.config.name) == Some(&instance.config);
            if !stays {
                changes.push(format!("{} stopped", instance.config.name));
            }
            stays
        });
        let running: BTreeSet<&str> = self.instances.iter().map(|instance| &*instance.config.name).collect();
        self.joined.retain(|(instance, ..)| running.contains(&**instance));
        changes.extend(self.start_instances()?);
        Ok(changes)
    }

    /// Returns the name of an interface of the manager.
    fn name_of(&self, interface: Interface) -> String {
        self.names.read().get(&interface).cloned().unwrap_or_else(|| interface.to_string())
    }
}

/// Writes down a change of an interface.
fn note_link(event: &LinkEvent, events: &Events, vanished: &Vanished) {
    let (name, text) = match event {
        LinkEvent::Appeared(link) => (&link.name, format!("appeared with index {}", link.index)),
        LinkEvent::Vanished(link) => {
            vanished.lock().insert(link.index);
            (&link.name, "vanished".to_owned())
        }
        LinkEvent::Changed { before, now } => {
            let mut what = Vec::new();
            if before.name != now.name {
                what.push(format!("was {}", before.name));
            }
            if before.up != now.up {
                what.push(if now.up { "is up" } else { "is down" }.to_owned());
            }
            if before.addresses != now.addresses {
                what.push("has other addresses".to_owned());
            }
            if what.is_empty() {
                return;
            }
            (&now.name, what.join(", "))
        }
    };
    tracing::info!(interface = name, "{text}");
    events.add(name, text);
}
