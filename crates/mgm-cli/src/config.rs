//! The configuration file of `mgm forward`.

use anyhow::{Context, anyhow, bail};
use ipnet::IpNet;
use mgm::manager::Membership;
use mgm::plane::MacAddress;
use serde::{Deserialize, Deserializer, de};
use std::collections::HashSet;
use std::fmt::Display;
use std::fs;
use std::net::IpAddr;
use std::path::Path;
use toml::Spanned;

/// What the file says, checked as far as it can be without the capture.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Config {
    pub(crate) interfaces: Vec<Interface>,
    /// On which interface, and what.
    pub(crate) joins: Vec<(String, Membership)>,
    /// Which sources are reached through which interface.
    pub(crate) routes: Vec<(IpNet, String)>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Interface {
    pub(crate) name: String,
    /// Where in which file it is named.
    pub(crate) place: String,
    pub(crate) addresses: Vec<IpNet>,
    pub(crate) mac: Option<MacAddress>,
    pub(crate) protocols: Vec<ProtocolName>,
}

/// What can run on an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ProtocolName {
    Igmp,
    Mld,
    /// What the file's `[[join]]`s say, for both families.
    Static,
}

/// What runs where nothing else was said.
pub(crate) const USUAL: [ProtocolName; 3] = [ProtocolName::Igmp, ProtocolName::Mld, ProtocolName::Static];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    interface: Vec<WrittenInterface>,
    #[serde(default)]
    join: Vec<WrittenJoin>,
    #[serde(default)]
    route: Vec<WrittenRoute>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenInterface {
    name: Spanned<String>,
    #[serde(default)]
    address: Option<IpNet>,
    #[serde(default)]
    addresses: Vec<IpNet>,
    #[serde(default, deserialize_with = "mac")]
    mac: Option<MacAddress>,
    protocols: Option<Vec<ProtocolName>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenJoin {
    interface: Spanned<String>,
    group: Spanned<IpAddr>,
    source: Option<IpAddr>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenRoute {
    prefix: Spanned<IpNet>,
    interface: Spanned<String>,
}

fn mac<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<MacAddress>, D::Error> {
    String::deserialize(deserializer)?.parse().map(Some).map_err(de::Error::custom)
}

impl Config {
    pub(crate) fn read(path: &Path) -> anyhow::Result<Config> {
        let name = path.display().to_string();
        let text = fs::read_to_string(path).with_context(|| name.clone())?;
        Config::parse(&name, &text)
    }

    pub(crate) fn parse(file: &str, text: &str) -> anyhow::Result<Config> {
        // toml tells line and column itself.
        let written: Written =
            toml::from_str(text).map_err(|error| anyhow!("{file}: {}", error.to_string().trim_end()))?;
        let place = |at: usize| format!("{file}:{}", 1 + text[..at].matches('\n').count());

        let mut interfaces: Vec<Interface> = Vec::new();
        for interface in written.interface {
            let place = place(interface.name.span().start);
            let name = interface.name.into_inner();
            if interfaces.iter().any(|known| known.name == name) {
                bail!("{place}: interface \"{name}\" is there twice");
            }
            interfaces.push(Interface {
                name,
                place,
                addresses: interface.address.into_iter().chain(interface.addresses).collect(),
                mac: interface.mac,
                protocols: interface.protocols.unwrap_or_else(|| USUAL.to_vec()),
            });
        }
        let known = |name: &Spanned<String>| {
            interfaces.iter().find(|interface| interface.name == *name.get_ref()).ok_or_else(|| {
                let place = place(name.span().start);
                let names = list(interfaces.iter().map(|interface| &interface.name));
                anyhow!(
                    "{place}: there is no [[interface]] \"{}\" in this file, only {names}",
                    name.get_ref()
                )
            })
        };

        let mut joins = Vec::new();
        for WrittenJoin { interface, group, source } in written.join {
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
        for WrittenRoute { prefix, interface } in written.route {
            let place = place(prefix.span().start);
            let prefix = prefix.into_inner();
            if prefix.trunc() != prefix {
                bail!("{place}: {prefix} has bits beyond its length: {} is the prefix", prefix.trunc());
            }
            if !prefixes.insert(prefix) {
                bail!("{place}: a second route for {prefix}");
            }
            known(&interface)?;
            routes.push((prefix, interface.into_inner()));
        }
        Ok(Config { interfaces, joins, routes })
    }
}

/// Names, for a message.
pub(crate) fn list(names: impl Iterator<Item = impl Display>) -> String {
    let names: Vec<_> = names.map(|name| format!("\"{name}\"")).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> anyhow::Result<Config> {
        Config::parse("file.toml", text)
    }

    #[test]
    fn the_example_says_everything_that_can_be_said() {
        let text = include_str!("../../../examples/forward.toml");
        let config = parse(text).unwrap();
        let told = |name: &str| config.interfaces.iter().find(|i| i.name == name).unwrap();
        assert_eq!(told("studio").addresses.len(), 2);
        assert_eq!(told("studio").mac, Some(MacAddress([2, 0x77, 0, 0, 1, 1])));
        assert_eq!(told("office").protocols, USUAL);
        assert!(!config.joins.is_empty() && !config.routes.is_empty());
    }

    #[test]
    fn nothing_is_a_config() {
        assert_eq!(parse("").unwrap(), Config { interfaces: vec![], joins: vec![], routes: vec![] });
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        const EAST: &str = "[[interface]]\nname = \"east\"\n";
        let mistakes = [
            ("[[interface]]\nnome = \"x\"", &["line 2", "unknown field `nome`"][..]),
            ("[interfaces]", &["line 1", "unknown field `interfaces`"]),
            ("[[interface]]\nname = \"east\"\n[[interface]]\nname = \"east\"", &["file.toml:4", "twice"]),
            ("[[interface]]\nname = \"x\"\naddress = \"10.0.0.1\"", &["line 3"]),
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
            ("[[route]]\nprefix = \"10.1.0.0/8\"\ninterface = \"east\"", &["file.toml:4", "10.0.0.0/8"]),
            ("[[route]]\nprefix = \"10.0.0.0/8\"\ninterface = \"west\"", &["file.toml:5", "\"west\""]),
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
