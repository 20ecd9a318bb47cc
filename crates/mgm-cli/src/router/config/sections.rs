//! The sections of `mgm.toml`, but the settings of IGMP and MLD.

use super::networks::{address, family_name, group_network, network, source_network};
use super::owners::{self, Known};
use super::reader::{At, Reader, Section};
use super::{
    DEFAULT_CONTROL, EntrySection, Instance, InstanceKind, InterfaceSection, JoinSection, LogTarget,
    RouteSection, RouterSection, gmp,
};
use mgm::forwarding::Family;
use mgm::manager::Membership;
use mgm::rpf::Prefix;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use tracing::level_filters::LevelFilter;

/// The families that a file may name.
const FAMILIES: [(&str, Family); 2] = [("ipv4", Family::V4), ("ipv6", Family::V6)];

/// The maximum length of an interface's name (netdevice(7): IFNAMSIZ less the zero octet).
const MAX_INTERFACE_NAME: usize = 15;

/// The maximum length of the path of a Unix socket (unix(7): 108 octets with the zero octet).
const MAX_SOCKET_PATH: usize = 107;

/// The maximum number of interfaces that the kernel's multicast routing has for one family (MAXVIFS of linux/mroute.h).
const MAX_INTERFACES: usize = 32;

/// The flows of a static instance with prefixes, unless the file says otherwise.
const DEFAULT_FLOWS: usize = 4096;

pub(super) fn router(section: Option<Section<'_>>) -> RouterSection {
    let mut router = RouterSection {
        control: DEFAULT_CONTROL.into(),
        control_group: None,
        table: None,
        log: LogTarget::Stderr,
        log_level: LevelFilter::INFO,
        families: vec![Family::V4, Family::V6],
    };
    let Some(mut section) = section else { return router };
    if let Some(path) = section.parsed("control", control_path) {
        router.control = path.value;
    }
    router.control_group = section.text("control_group").map(|group| group.value.to_owned());
    // 0 is the default table. 32 bits (ip(7), MRT_TABLE), less the numbers that the kernel refuses.
    router.table = section.number("table", 1..=999_999_999).map(|number| number.value);
    let targets = [("stderr", LogTarget::Stderr), ("journald", LogTarget::Journald)];
    if let Some(log) = section.choice("log", &targets) {
        router.log = log;
    }
    let levels = [
        ("error", LevelFilter::ERROR),
        ("warn", LevelFilter::WARN),
        ("info", LevelFilter::INFO),
        ("debug", LevelFilter::DEBUG),
    ];
    if let Some(level) = section.choice("log_level", &levels) {
        router.log_level = level;
    }
    if let Some(families) = families(&mut section) {
        router.families = families;
    }
    section.finish();
    router
}

fn control_path(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    if !path.is_absolute() {
        return Err(format!("{text:?} is not an absolute path: write one such as {DEFAULT_CONTROL}"));
    }
    if text.len() > MAX_SOCKET_PATH {
        return Err(format!(
            "{text:?} is longer than the {MAX_SOCKET_PATH} octets of a socket's path: shorten it"
        ));
    }
    Ok(path)
}

/// Reads the key `families`.
fn families(section: &mut Section<'_>) -> Option<Vec<Family>> {
    let example = r#"["ipv4", "ipv6"]"#;
    let texts = section.texts("families", example)?;
    let mut families = Vec::new();
    for text in texts {
        match FAMILIES.iter().find(|(name, _)| *name == text.value) {
            Some((_, family)) if !families.contains(family) => families.push(*family),
            Some(_) => section.wrong(text.at, format!("families names {} twice: take one out", text.value)),
            None => section.wrong(text.at, format!("families has {:?}: write {example}", text.value)),
        }
    }
    if families.is_empty() {
        section.wrong(
            section.place_of("families"),
            format!("families is empty: write {example}, or one of them"),
        );
    }
    Some(families)
}

/// Reads `[gmp.NAME]` and `[static.NAME]`.
pub(super) fn instances<'r>(file: &mut Section<'r>, router: &[Family]) -> Vec<At<Instance>> {
    let mut instances = Vec::new();
    for kind in ["gmp", "static"] {
        let sections = file.named_tables(kind);
        let mut components: BTreeMap<u32, &str> = BTreeMap::new();
        let mut unnumbered = Vec::new();
        for (name, mut section) in sections {
            if !name.value.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
                || name.value.is_empty()
            {
                let message =
                    format!("the name {:?} has other characters than letters, digits, - and _", name.value);
                section.wrong(name.at, message);
            }
            let component = section.number::<u32>("component", 0..=65_535);
            if let Some(component) = component {
                match components.get(&component.value) {
                    Some(owner) => section.wrong(
                        component.at,
                        format!("component {} is that of {kind}.{owner}: choose another", component.value),
                    ),
                    None => _ = components.insert(component.value, name.value),
                }
            }
            let families = families(&mut section).unwrap_or_else(|| router.to_vec());
            for family in families.iter().filter(|family| !router.contains(family)) {
                let at = section.place_of("families");
                let family = family_name(*family);
                section.wrong(
                    at,
                    format!("families has {family}, which [router] families leaves out: add it there"),
                );
            }
            let kind_of = if kind == "gmp" {
                let igmp = Box::new(gmp::settings(section.table("igmp"), Family::V4));
                let mld = Box::new(gmp::settings(section.table("mld"), Family::V6));
                InstanceKind::Gmp { igmp, mld }
            } else {
                let flows = section.number("flows", 1..=1 << 20).map_or(DEFAULT_FLOWS, |flows| flows.value);
                InstanceKind::Static { flows }
            };
            let instance = Instance {
                name: format!("{kind}.{}", name.value),
                component: component.map_or(0, |component| component.value),
                families,
                kind: kind_of,
            };
            if component.is_none() {
                unnumbered.push((instances.len(), name.value));
            }
            instances.push(At { value: instance, at: section.at() });
            section.finish();
        }
        for (place, name) in unnumbered {
            let free = (0..).find(|number| !components.contains_key(number)).unwrap_or_default();
            components.insert(free, name);
            instances[place].value.component = free;
        }
    }
    instances
}

/// Reads `[[interface]]`.
pub(super) fn interfaces(
    sections: Vec<Section<'_>>,
    instances: &[At<Instance>],
    reader: &Reader<'_>,
) -> Vec<At<InterfaceSection>> {
    let mut interfaces: Vec<At<InterfaceSection>> = Vec::new();
    for mut section in sections {
        let name = section.required("name", "eth0");
        let threshold = section.number("threshold", 1..=254).map_or(1, |threshold| threshold.value);
        let protocols = section.texts("protocols", r#"["gmp.lan"]"#).unwrap_or_default();
        section.finish();
        let Some(name) = name else { continue };
        if name.value.is_empty() || name.value.len() > MAX_INTERFACE_NAME || name.value.contains(['/', ' ']) {
            let message = format!(
                "name: {:?} is no name of an interface: they have 1 to {MAX_INTERFACE_NAME} characters, no space and no /",
                name.value
            );
            reader.wrong(name.at, message);
        }
        if let Some(first) = interfaces.iter().find(|known| known.value.name == name.value) {
            let line = reader.line(first.at);
            reader.wrong(
                name.at,
                format!("{:?} has an [[interface]] in line {line}: put both into one", name.value),
            );
            continue;
        }
        if interfaces.len() == MAX_INTERFACES {
            let message = format!(
                "{:?} is interface {}, and the kernel's multicast routing has {MAX_INTERFACES}: take it out, or run a second \
                 router with a [router] table of its own",
                name.value,
                MAX_INTERFACES + 1
            );
            reader.wrong(name.at, message);
        }
        let protocols = owners::protocols(name.value, &protocols, instances, reader);
        let interface = InterfaceSection { name: name.value.to_owned(), threshold, protocols };
        interfaces.push(At { value: interface, at: name.at });
    }
    interfaces
}

/// Reads `[[join]]`.
pub(super) fn join(mut section: Section<'_>, known: &Known<'_>) -> Option<JoinSection> {
    let interface = section.required("interface", "eth0");
    let group = section.required("group", "239.1.1.1");
    let group = group.and_then(|group| match one_group(group.value) {
        Ok(value) => Some(At { value, at: group.at }),
        Err(wrong) => {
            section.wrong(group.at, format!("group: {wrong}"));
            None
        }
    });
    let has_source = section.text("source");
    let source = has_source.and_then(|text| match address(text.value) {
        Ok(value) => Some(At { value, at: text.at }),
        Err(wrong) => {
            section.wrong(text.at, format!("source: {wrong}"));
            None
        }
    });
    let membership = group.and_then(|group| match source {
        None => Membership::any_source(group.value)
            .map_err(|error| section.wrong(group.at, error.to_string()))
            .ok(),
        Some(source) => Membership::one_source(source.value, group.value)
            .map_err(|error| section.wrong(source.at, error.to_string()))
            .ok(),
    });
    section.finish();
    let interface = interface?;
    let Some(membership) = membership else {
        known.interface("interface", interface);
        return None;
    };
    known.static_of("interface", interface, membership.family())?;
    Some(JoinSection { interface: interface.value.to_owned(), membership })
}

/// Returns the one group of a text.
fn one_group(text: &str) -> Result<IpAddr, String> {
    let address = address(text)?;
    group_network(text).map(|_| address)
}

/// Reads `[[entry]]`.
pub(super) fn entry(mut section: Section<'_>, known: &Known<'_>) -> Option<EntrySection> {
    let group = section.required("group", "239.1.0.0/16");
    let group = group.and_then(|group| match group_network(group.value) {
        Ok(value) => Some(value),
        Err(wrong) => {
            section.wrong(group.at, format!("group: {wrong}"));
            None
        }
    });
    let source = section.parsed("source", source_network);
    let incoming = section.required("incoming", "eth0");
    let outgoing = section.texts("outgoing", r#"["eth1", "eth2"]"#);
    if outgoing.as_ref().is_none_or(Vec::is_empty) && section.place_of("outgoing") == section.at() {
        section.wrong(section.at(), r#"[[entry]] has no outgoing: add outgoing = ["eth1"]"#);
    }
    section.finish();
    let group = group?;
    let family = Family::of(group.network());
    if let Some(source) = &source
        && Family::of(source.value.network()) != family
    {
        let message =
            format!("source: {} and the group {group} are of different address families", source.value);
        known.reader.wrong(source.at, message);
    }
    let incoming = incoming?;
    let instance = known.static_of("incoming", incoming, family);
    let mut names = Vec::new();
    for name in outgoing.unwrap_or_default() {
        let owner = known.static_of("outgoing", name, family);
        if name.value == incoming.value {
            known
                .reader
                .wrong(name.at, format!("outgoing has the incoming interface {:?}: take it out", name.value));
        }
        if let (Some(owner), Some(instance)) = (owner, instance)
            && owner.name != instance.name
        {
            let message = format!(
                "outgoing: {} owns {:?}, but {} owns the incoming interface: one instance has to own both",
                owner.name, name.value, instance.name
            );
            known.reader.wrong(name.at, message);
        }
        names.push(name.value.to_owned());
    }
    let source = source.map(|source| source.value).or_else(|| any(family))?;
    Some(EntrySection {
        instance: instance?.name.clone(),
        source,
        group,
        incoming: incoming.value.to_owned(),
        outgoing: names,
    })
}

/// Returns the network of all addresses of a family.
fn any(family: Family) -> Option<Prefix> {
    let address: IpAddr = match family {
        Family::V4 => Ipv4Addr::UNSPECIFIED.into(),
        Family::V6 => Ipv6Addr::UNSPECIFIED.into(),
    };
    Prefix::new(address, 0).ok()
}

/// Reads `[[route]]`.
pub(super) fn routes(sections: Vec<Section<'_>>, known: &Known<'_>) -> Vec<RouteSection> {
    let mut routes: Vec<At<RouteSection>> = Vec::new();
    for mut section in sections {
        let prefix = section.required("prefix", "10.0.0.0/8");
        let prefix = prefix.and_then(|prefix| match network(prefix.value) {
            Ok(value) => Some(At { value, at: prefix.at }),
            Err(wrong) => {
                section.wrong(prefix.at, format!("prefix: {wrong}"));
                None
            }
        });
        let interface = section.required("interface", "eth0");
        section.finish();
        let interface = interface.and_then(|name| known.interface("interface", name));
        let Some(prefix) = prefix else { continue };
        if let Some(first) = routes.iter().find(|route| route.value.prefix == prefix.value) {
            let line = known.reader.line(first.at);
            let message = format!("{} has a [[route]] in line {line}: take one out", prefix.value);
            known.reader.wrong(prefix.at, message);
            continue;
        }
        let Some(interface) = interface else { continue };
        let route = RouteSection { prefix: prefix.value, interface: interface.name.clone() };
        routes.push(At { value: route, at: prefix.at });
    }
    routes.into_iter().map(|route| route.value).collect()
}
