//! The configuration of `mgm run`: `mgm.toml`.
//!
//! [`RouterConfig::parse`] reads the whole text and answers with a configuration or with every mistake. `examples/mgm.toml` shows
//! every key.

mod gmp;
mod mistake;
mod networks;
mod owners;
mod reader;
mod sections;
#[cfg(test)]
mod tests;

pub(crate) use mistake::{Mistake, nearest};

use mgm::forwarding::Family;
use mgm::manager::Membership;
use mgm::protocol::gmp::GmpConfig;
use mgm::rpf::Prefix;
use reader::{Reader, Section};
use std::path::PathBuf;
use toml::de::DeTable;
use tracing::level_filters::LevelFilter;

/// The configuration that `mgm run` and `mgm check` read without another path.
pub(crate) const DEFAULT_PATH: &str = "/etc/mgm.toml";

/// The control socket without another path.
pub(crate) const DEFAULT_CONTROL: &str = "/run/mgm.sock";

/// A configuration without mistakes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RouterConfig {
    pub(crate) router: RouterSection,
    pub(crate) interfaces: Vec<InterfaceSection>,
    pub(crate) instances: Vec<Instance>,
    pub(crate) joins: Vec<JoinSection>,
    pub(crate) entries: Vec<EntrySection>,
    pub(crate) routes: Vec<RouteSection>,
}

/// `[router]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RouterSection {
    pub(crate) control: PathBuf,
    pub(crate) control_group: Option<String>,
    /// The kernel's multicast routing table; `None` for its default one.
    pub(crate) table: Option<u32>,
    pub(crate) log: LogTarget,
    pub(crate) log_level: LevelFilter,
    pub(crate) families: Vec<Family>,
}

/// The destination of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogTarget {
    Stderr,
    Journald,
}

/// `[[interface]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InterfaceSection {
    pub(crate) name: String,
    /// Packets with a lower TTL are not forwarded to the interface.
    pub(crate) threshold: u8,
    /// The names of its instances: `gmp.lan`, `static.cameras`.
    pub(crate) protocols: Vec<String>,
}

/// `[gmp.NAME]` or `[static.NAME]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Instance {
    /// With its kind: `gmp.lan`.
    pub(crate) name: String,
    pub(crate) component: u32,
    pub(crate) families: Vec<Family>,
    pub(crate) kind: InstanceKind,
}

/// A protocol with its settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum InstanceKind {
    /// IGMP and MLD.
    Gmp { igmp: Box<GmpConfig>, mld: Box<GmpConfig> },
    /// Static joins and entries.
    Static {
        /// The maximum number of flows that the entries with prefixes forward at a time.
        flows: usize,
    },
}

/// `[[join]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JoinSection {
    pub(crate) interface: String,
    pub(crate) membership: Membership,
}

/// `[[entry]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EntrySection {
    /// The static instance that owns its interfaces.
    pub(crate) instance: String,
    pub(crate) source: Prefix,
    pub(crate) group: Prefix,
    pub(crate) incoming: String,
    pub(crate) outgoing: Vec<String>,
}

/// `[[route]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RouteSection {
    pub(crate) prefix: Prefix,
    pub(crate) interface: String,
}

impl Instance {
    /// Returns whether the instance is of the role that IGMP and MLD have.
    pub(crate) fn is_gmp(&self) -> bool {
        matches!(self.kind, InstanceKind::Gmp { .. })
    }
}

impl RouterConfig {
    /// Parses the text of a file.
    ///
    /// # Errors
    /// Every mistake, in the order of their places.
    pub(crate) fn parse(text: &str) -> Result<RouterConfig, Vec<Mistake>> {
        let reader = Reader::new(text);
        let (document, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            let at = error.span().map_or(0, |span| span.start);
            reader.wrong(at, format!("this is not TOML: {}", error.message()));
        }
        // What follows a mistake of the syntax may be read wrongly, and would be named for nothing.
        if !errors.is_empty() {
            return Err(reader.mistakes());
        }
        let config = read(&reader, document.get_ref());
        let mistakes = reader.mistakes();
        if mistakes.is_empty() { Ok(config) } else { Err(mistakes) }
    }

    /// Returns the section of an interface.
    pub(crate) fn interface(&self, name: &str) -> Option<&InterfaceSection> {
        self.interfaces.iter().find(|interface| interface.name == name)
    }

    /// Returns an instance by its name.
    pub(crate) fn instance(&self, name: &str) -> Option<&Instance> {
        self.instances.iter().find(|instance| instance.name == name)
    }

    /// Returns the static instance of an interface in a family.
    pub(crate) fn static_of(&self, interface: &str, family: Family) -> Option<&Instance> {
        let section = self.interface(interface)?;
        let mut instances = section.protocols.iter().filter_map(|name| self.instance(name));
        instances.find(|instance| !instance.is_gmp() && instance.families.contains(&family))
    }
}

/// Reads the sections of a document. The reader has the mistakes afterwards.
fn read<'r>(reader: &'r Reader<'r>, document: &'r DeTable<'r>) -> RouterConfig {
    let mut file = Section::whole(reader, document);
    let router = sections::router(file.table("router"));
    let instances = sections::instances(&mut file, &router.families);
    let interfaces = sections::interfaces(file.tables("interface"), &instances, reader);
    let known = owners::Known { reader, interfaces: &interfaces, instances: &instances };
    let joins = file.tables("join").into_iter().filter_map(|section| sections::join(section, &known));
    let joins = joins.collect();
    let entries = file.tables("entry").into_iter().filter_map(|section| sections::entry(section, &known));
    let entries = entries.collect();
    let routes = sections::routes(file.tables("route"), &known);
    file.finish();
    RouterConfig {
        router,
        interfaces: interfaces.into_iter().map(|interface| interface.value).collect(),
        instances: instances.into_iter().map(|instance| instance.value).collect(),
        joins,
        entries,
        routes,
    }
}
