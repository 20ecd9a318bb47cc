//! The configuration file of `mgm forward` and `mgm soak`.

// By its path, since a fuzz target includes this file.
#[path = "config/gmp.rs"]
mod gmp;

use crate::terminal::plain::plain;
use anyhow::{Context, anyhow, bail};
use gmp::{Checks, Gmp, IgmpChecks, MldChecks};
use ipnet::IpNet;
use mgm::manager::Membership;
use mgm::plane::capture::Recording;
use mgm::protocol::gmp::GmpConfig;
use mgm::wire::MacAddress;
use serde::{Deserialize, Deserializer, de};
use std::collections::HashSet;
use std::fmt::Display;
use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;
use toml::Spanned;

/// A configuration, checked as far as possible without the capture.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Config {
    pub(crate) interfaces: Vec<Interface>,
    /// Static joins, each with the name of its interface.
    pub(crate) joins: Vec<(String, Membership)>,
    /// Routes, each with the name of the upstream interface.
    pub(crate) routes: Vec<(IpNet, String)>,
    /// The longest gap between the time of a packet and the times of all others.
    pub(crate) max_time_gap: Duration,
    pub(crate) igmp: GmpConfig,
    pub(crate) mld: GmpConfig,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Interface {
    pub(crate) name: String,
    /// The name in the capture.
    pub(crate) capture: String,
    /// Whether the interface takes part.
    pub(crate) enabled: bool,
    /// File and line, for messages.
    pub(crate) place: String,
    pub(crate) addresses: Vec<IpNet>,
    pub(crate) mac: Option<MacAddress>,
    pub(crate) protocols: Vec<ProtocolName>,
}

/// A protocol that can run on an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ProtocolName {
    Igmp,
    Mld,
    /// The file's `[[join]]`s, for both families.
    Static,
}

/// The protocols of an interface for which the file names none.
pub(crate) const DEFAULT_PROTOCOLS: [ProtocolName; 3] =
    [ProtocolName::Igmp, ProtocolName::Mld, ProtocolName::Static];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    interface: Vec<FileInterface>,
    #[serde(default)]
    join: Vec<FileJoin>,
    #[serde(default)]
    route: Vec<FileRoute>,
    #[serde(default)]
    capture: FileCapture,
    igmp: Option<Spanned<Gmp<IgmpChecks>>>,
    mld: Option<Spanned<Gmp<MldChecks>>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct FileCapture {
    #[serde(deserialize_with = "gmp::seconds")]
    max_time_gap: Option<Duration>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileInterface {
    name: Spanned<String>,
    capture: Option<String>,
    enabled: Option<bool>,
    #[serde(default)]
    address: Option<Prefix>,
    #[serde(default)]
    addresses: Vec<Prefix>,
    #[serde(default, deserialize_with = "mac")]
    mac: Option<MacAddress>,
    protocols: Option<Vec<ProtocolName>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileJoin {
    interface: Spanned<String>,
    group: Spanned<IpAddr>,
    source: Option<IpAddr>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileRoute {
    prefix: Spanned<Prefix>,
    interface: Spanned<String>,
}

/// An address with its prefix length.
struct Prefix(IpNet);

impl<'de> Deserialize<'de> for Prefix {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Prefix, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Prefix).map_err(|_| de::Error::custom(not_a_prefix(&text)))
    }
}

/// Returns what is wrong with a text that is no address with a prefix length, and what would be right.
fn not_a_prefix(text: &str) -> String {
    match text.parse::<IpAddr>() {
        Ok(address) => {
            let length = if address.is_ipv4() { 24 } else { 64 };
            format!("{text} has no prefix length: write {text}/{length} for a network of {length} bits")
        }
        Err(_) => format!("{text:?} is no address with a prefix length, such as 10.77.1.1/24 or fd77::1/64"),
    }
}

fn mac<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<MacAddress>, D::Error> {
    String::deserialize(deserializer)?.parse().map(Some).map_err(de::Error::custom)
}

impl Config {
    /// Reads the file of `--config`.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Config> {
        let name = path.display().to_string();
        let text = fs::read_to_string(path).with_context(|| format!("--config {name}: it cannot be read"))?;
        Config::parse(&name, &text)
    }

    /// Parses the text of a file. Every error names the file and the line.
    pub(crate) fn parse(file: &str, text: &str) -> anyhow::Result<Config> {
        // toml's message names line and column.
        let parsed: File =
            toml::from_str(text).map_err(|error| anyhow!("{file}: {}", error.to_string().trim_end()))?;
        let place = |at: usize| format!("{file}:{}", 1 + text[..at].matches('\n').count());

        let mut interfaces: Vec<Interface> = Vec::new();
        for interface in parsed.interface {
            let place = place(interface.name.span().start);
            let name = interface.name.into_inner();
            if interfaces.iter().any(|known| known.name == name) {
                bail!("{place}: a second [[interface]] \"{}\": put both into one", plain(&name));
            }
            let capture = interface.capture.unwrap_or_else(|| name.clone());
            if let Some(known) = interfaces.iter().find(|known| known.capture == capture) {
                bail!(
                    "{place}: \"{}\" and \"{}\" are both the interface \"{}\" of the capture: put both into one",
                    plain(&known.name),
                    plain(&name),
                    plain(&capture)
                );
            }
            let addresses = interface.address.into_iter().chain(interface.addresses);
            interfaces.push(Interface {
                name,
                capture,
                enabled: interface.enabled.unwrap_or(true),
                place,
                addresses: addresses.map(|Prefix(prefix)| prefix).collect(),
                mac: interface.mac,
                protocols: interface.protocols.unwrap_or_else(|| DEFAULT_PROTOCOLS.to_vec()),
            });
        }
        let known = |name: &Spanned<String>| {
            interfaces.iter().find(|interface| interface.name == *name.get_ref()).ok_or_else(|| {
                let place = place(name.span().start);
                let names = list(interfaces.iter().map(|interface| &interface.name));
                let name = plain(name.get_ref());
                anyhow!("{place}: this file has no [[interface]] \"{name}\", only {names}")
            })
        };

        let mut joins = Vec::new();
        for FileJoin { interface, group, source } in parsed.join {
            if !known(&interface)?.protocols.contains(&ProtocolName::Static) {
                let place = place(interface.span().start);
                bail!("{place}: a join needs \"static\" among the protocols of its interface");
            }
            let place = place(group.span().start);
            let group = group.into_inner();
            let membership = match source {
                Some(source) => Membership::one_source(source, group),
                None => Membership::any_source(group),
            };
            joins.push((interface.into_inner(), membership.context(place)?));
        }

        let mut routes = Vec::new();
        let mut prefixes = HashSet::new();
        for FileRoute { prefix, interface } in parsed.route {
            let place = place(prefix.span().start);
            let Prefix(prefix) = prefix.into_inner();
            if prefix.trunc() != prefix {
                bail!("{place}: {prefix} has bits after its prefix length: write {}", prefix.trunc());
            }
            if !prefixes.insert(prefix) {
                bail!("{place}: a second route for {prefix}");
            }
            known(&interface)?;
            routes.push((prefix, interface.into_inner()));
        }
        let max_time_gap = parsed.capture.max_time_gap.unwrap_or(Recording::MAX_GAP);
        let igmp = settings(parsed.igmp, "igmp", &place)?;
        let mld = settings(parsed.mld, "mld", &place)?;
        Ok(Config { interfaces, joins, routes, max_time_gap, igmp, mld })
    }
}

/// Returns the settings of a section, or the defaults without one.
fn settings<C: Checks>(
    section: Option<Spanned<Gmp<C>>>,
    name: &str,
    place: &impl Fn(usize) -> String,
) -> anyhow::Result<GmpConfig> {
    let Some(section) = section else { return Ok(GmpConfig::default()) };
    let at = section.span().start;
    section.into_inner().config().map_err(|wrong| anyhow!("{}: [{name}]: {wrong}", place(at)))
}

/// Returns names as a list for a message.
pub(crate) fn list(names: impl Iterator<Item = impl Display>) -> String {
    let names: Vec<_> = names.map(|name| format!("\"{}\"", plain(&name.to_string()))).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mgm::protocol::gmp::{HostLimits, Leave};

    fn parse(text: &str) -> anyhow::Result<Config> {
        Config::parse("file.toml", text)
    }

    #[test]
    fn the_example_shows_every_setting() {
        let text = include_str!("../../../examples/forward.toml");
        let config = parse(text).unwrap();
        let interface = |name: &str| config.interfaces.iter().find(|i| i.name == name).unwrap();
        assert_eq!(interface("studio").addresses.len(), 2);
        assert_eq!(interface("studio").mac, Some(MacAddress([2, 0x77, 0, 0, 1, 1])));
        assert_eq!(interface("office").protocols, DEFAULT_PROTOCOLS);
        assert!(!config.joins.is_empty() && !config.routes.is_empty());
        // The settings of IGMP and MLD in the example are the defaults.
        let ranges = |config: &GmpConfig| {
            config.clone().with_source_specific(vec![]).with_last_member_query_count(None)
        };
        assert_eq!([&config.igmp, &config.mld].map(ranges), [&GmpConfig::default(); 2].map(ranges));
        assert_eq!(config.igmp.last_member_count(), GmpConfig::default().last_member_count());
        assert_eq!(config.max_time_gap, Recording::MAX_GAP);
        // Every setting of the file's types is there.
        for key in ["capture = ", "enabled = ", "[igmp.checks]", "[mld.checks]", "[igmp.limits]", "leave = "]
        {
            assert!(text.contains(key), "{key}");
        }
    }

    #[test]
    fn the_settings_of_igmp_and_mld_are_read() {
        let text = "
            [igmp]
            robustness = 3
            query_interval = 60
            query_response_interval = 2.5
            last_member_query_interval = 0.5
            last_member_query_count = 4
            leave = 'query'
            track_hosts = false
            source_specific = ['232.1.0.0/16']
            checks = { ttl = false, router_alert = true, subnet = false }
            limits = { groups = 1, hosts = 2, sources = 3, group_sources = 4, total = 5 }
            [mld]
            leave = 'immediate'
            source_specific = []
            checks = { hop_limit = false, router_alert = false, link_local = false }
            [capture]
            max_time_gap = 0.5
        ";
        let Config { igmp, mld, max_time_gap, .. } = parse(text).unwrap();
        assert_eq!(max_time_gap, Duration::from_millis(500));
        assert_eq!((igmp.robustness, igmp.query_interval), (3, Duration::from_secs(60)));
        assert_eq!(igmp.query_response_interval, Duration::from_millis(2500));
        assert_eq!(igmp.last_member_query_time(), Duration::from_secs(2));
        assert_eq!((igmp.leave, igmp.track_hosts), (Leave::Query, false));
        assert_eq!(igmp.source_specific, ["232.1.0.0/16".parse().unwrap()]);
        assert!(!igmp.checks.ttl && igmp.checks.router_alert && !igmp.checks.subnet);
        let limits = HostLimits { groups: 1, hosts: 2, sources: 3, group_sources: 4, total: 5 };
        assert_eq!(igmp.limits, limits);
        assert_eq!((mld.leave, mld.source_specific.len()), (Leave::Immediate, 0));
        assert!(!mld.checks.mld_hop_limit && !mld.checks.mld_router_alert && !mld.checks.mld_link_local);
        assert!(mld.checks.ttl, "the checks of the other protocol");
    }

    #[test]
    fn an_empty_file_is_a_configuration() {
        let config = parse("").unwrap();
        assert_eq!((config.interfaces.len(), config.joins.len(), config.routes.len()), (0, 0, 0));
        assert_eq!(config.max_time_gap, Duration::from_secs(86_400));
        assert_eq!((config.igmp, config.mld), (GmpConfig::default(), GmpConfig::default()));
    }

    #[test]
    fn messages_name_the_place_and_the_mistake() {
        const EAST: &str = "[[interface]]\nname = \"east\"\n";
        let mistakes = [
            ("[[interface]]\nnome = \"x\"", &["line 2", "unknown field `nome`"][..]),
            ("[interfaces]", &["line 1", "unknown field `interfaces`"]),
            ("[[interface]]\nname = \"east\"\n[[interface]]\nname = \"east\"", &["file.toml:4", "second"]),
            (
                "[[interface]]\nname = \"x\"\naddress = \"10.0.0.1\"",
                &["line 3", "10.0.0.1 has no prefix length", "10.0.0.1/24"],
            ),
            (
                "[[interface]]\nname = \"x\"\naddresses = [\"fd00::1\"]",
                &["line 3", "fd00::1 has no prefix length", "fd00::1/64"],
            ),
            (
                "[[interface]]\nname = \"x\"\naddress = \"ten\"",
                &["line 3", "\"ten\" is no address with a prefix length", "10.77.1.1/24"],
            ),
            ("[[interface]]\nname = \"x\"\nmac = \"0\"", &["line 3", "six pairs"]),
            ("[[interface]]\nname = \"x\"\nprotocols = [\"pim\"]", &["line 3", "pim", "igmp"]),
            (
                "[[join]]\ninterface = \"west\"\ngroup = \"239.1.1.1\"",
                &["file.toml:4", "\"west\"", "\"east\""],
            ),
            (
                "[[join]]\ninterface = \"east\"\ngroup = \"10.1.1.1\"",
                &["file.toml:5", "not a multicast group"],
            ),
            (
                "[[join]]\ninterface = \"east\"\ngroup = \"239.1.1.1\"\nsource = \"ff02::1\"",
                &["file.toml:5", "different address families"],
            ),
            (
                "[[route]]\nprefix = \"10.1.0.0/8\"\ninterface = \"east\"",
                &["file.toml:4", "write 10.0.0.0/8"],
            ),
            ("[[route]]\nprefix = \"10.0.0.0\"\ninterface = \"east\"", &["line 4", "no prefix length"]),
            ("[[route]]\nprefix = \"10.0.0.0/8\"\ninterface = \"west\"", &["file.toml:5", "\"west\""]),
            ("[igmp]\nrobustness = 9", &["file.toml:3: [igmp]", "robustness is 9", "from 1 to 7"]),
            ("[igmp]\nrobustness = 300", &["line 4", "300"]),
            ("[mld]\nquery_interval = -1", &["line 4", "-1 is no number of seconds", "such as 125"]),
            (
                "[mld]\nquery_interval = 5",
                &["[mld]", "query_response_interval", "must be less than query_interval"],
            ),
            ("[mld]\nquery_interval = 1e300", &["line 4", "no number of seconds"]),
            ("[igmp]\nleave = \"never\"", &["line 4", "never", "immediate"]),
            ("[igmp]\nsource_specific = [\"ff3e::/32\"]", &["[igmp]", "ff3e::/32", "other address family"]),
            ("[igmp]\nsource_specific = [\"10.0.0.0/8\"]", &["[igmp]", "10.0.0.0/8", "take it out"]),
            ("[igmp.checks]\nhop_limit = true", &["line 4", "hop_limit", "ttl"]),
            ("[igmp.limits]\ngroups = 0", &["[igmp]", "groups is 0", "at least 1"]),
            ("[capture]\nmax_time_gap = \"day\"", &["line 4", "day"]),
            (
                "[[interface]]\nname = \"east\"\n[[interface]]\nname = \"west\"\ncapture = \"east\"",
                &["file.toml:4", "\"east\" and \"west\" are both", "put both into one"],
            ),
            (
                "[[route]]\nprefix = \"::/0\"\ninterface = \"east\"\n[[route]]\nprefix = \"::/0\"\ninterface = \"east\"",
                &["file.toml:7", "second route"],
            ),
        ];
        for (text, expected) in mistakes {
            let text = if text.contains("[interface") { text.to_owned() } else { format!("{EAST}{text}") };
            let error = format!("{:#}", parse(&text).unwrap_err());
            assert!(error.starts_with("file.toml:"), "{error}");
            for expected in expected {
                assert!(error.contains(expected), "{text}\n{error}\n{expected}");
            }
        }
        let text = "[[interface]]\nname = \"east\"\nprotocols = []\n[[join]]\ninterface = \"east\"\ngroup = \"ff0e::1\"";
        let error = parse(text).unwrap_err().to_string();
        assert!(error.contains("file.toml:5: a join needs \"static\""), "{error}");
    }
}
