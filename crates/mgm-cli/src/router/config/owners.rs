//! Which protocol owns an interface: each family of an interface has at most one routing protocol, and at most one of IGMP or MLD.

use super::mistake::{list, nearest};
use super::networks::family_name;
use super::reader::{At, Reader};
use super::{Instance, InterfaceSection};
use mgm::forwarding::Family;

/// The interfaces and instances that a file has, for sections that name them.
pub(super) struct Known<'k> {
    pub(super) reader: &'k Reader<'k>,
    pub(super) interfaces: &'k [At<InterfaceSection>],
    pub(super) instances: &'k [At<Instance>],
}

impl<'k> Known<'k> {
    /// Returns the interface that a text names, or notes a mistake.
    pub(super) fn interface(&self, key: &str, name: At<&str>) -> Option<&'k InterfaceSection> {
        let found = self.interfaces.iter().find(|interface| interface.value.name == name.value);
        if found.is_none() {
            let names = || self.interfaces.iter().map(|interface| &*interface.value.name);
            let right = right(name.value, names, "[[interface]]");
            self.reader
                .wrong(name.at, format!("{key}: no [[interface]] has the name {:?}: {right}", name.value));
        }
        found.map(|interface| &interface.value)
    }

    /// Returns the static instance of an interface in a family, or notes a mistake that names the owner.
    pub(super) fn static_of(&self, key: &str, name: At<&str>, family: Family) -> Option<&'k Instance> {
        let interface = self.interface(key, name)?;
        let all = self.instances.iter().map(|instance| &instance.value);
        let is_static = |instance: &&Instance| !instance.is_gmp() && instance.families.contains(&family);
        let found =
            all.clone().filter(is_static).find(|instance| interface.protocols.contains(&instance.name));
        if found.is_none() {
            let example = all.clone().find(is_static).map_or("static.NAME", |instance| &instance.name);
            let owners = list(interface.protocols.iter().map(String::as_str));
            let family = family_name(family);
            self.reader.wrong(
                name.at,
                format!(
                    "{key}: no static instance owns {:?} for {family} (its protocols: {owners}): add {example:?} to them",
                    name.value
                ),
            );
        }
        found
    }
}

/// Checks the names of an interface's protocols, and returns those that may own it.
pub(super) fn protocols(
    interface: &str,
    names: &[At<&str>],
    instances: &[At<Instance>],
    reader: &Reader<'_>,
) -> Vec<String> {
    let mut owners: Vec<&Instance> = Vec::new();
    for name in names {
        let Some(instance) = instances.iter().find(|instance| instance.value.name == name.value) else {
            let names = || instances.iter().map(|instance| &*instance.value.name);
            let right = right(name.value, names, "[gmp.NAME] or [static.NAME]");
            reader.wrong(name.at, format!("protocols: there is no instance {:?}: {right}", name.value));
            continue;
        };
        let instance = &instance.value;
        let shared = owners.iter().find_map(|owner| {
            let same_role = owner.is_gmp() == instance.is_gmp();
            let family = owner.families.iter().find(|family| instance.families.contains(family))?;
            same_role.then_some((*owner, *family))
        });
        match shared {
            Some((owner, _)) if owner.name == instance.name => {
                reader.wrong(name.at, format!("protocols names {} twice: take one out", instance.name));
            }
            Some((owner, family)) => reader.wrong(
                name.at,
                format!(
                    "protocols: {} already owns {interface:?} for {}, and an interface has one owner of a role: take {} out",
                    owner.name,
                    family_name(family),
                    instance.name
                ),
            ),
            None => owners.push(instance),
        }
    }
    owners.into_iter().map(|owner| owner.name.clone()).collect()
}

/// Returns what would be right in place of a wrong name.
fn right<'n, I: Iterator<Item = &'n str>>(wrong: &str, names: impl Fn() -> I, section: &str) -> String {
    match nearest(wrong, names()) {
        Some(near) => format!("did you mean {near:?}?"),
        None => format!("there are {}; make a {section}", list(names())),
    }
}
