//! The privileges of a router: after the start it keeps two capabilities.

use anyhow::{Context, bail};
use caps::{CapSet, Capability, CapsHashSet};
use std::fs;

/// The capabilities that a router needs: multicast routing, and raw sockets for IGMP and MLD.
const NEEDED: [Capability; 2] = [Capability::CAP_NET_ADMIN, Capability::CAP_NET_RAW];

/// Gives up every capability but the two that a router needs, for this thread and those that it makes from now on.
pub(super) fn drop_all_but_network() -> anyhow::Result<()> {
    let needed: CapsHashSet = NEEDED.into_iter().collect();
    let permitted = caps::read(None, CapSet::Permitted).context("the capabilities cannot be read")?;
    let missing: Vec<_> = needed.difference(&permitted).map(ToString::to_string).collect();
    if !missing.is_empty() {
        bail!("the router lacks {}: run it as root, or give it these capabilities", missing.join(" and "));
    }
    // A program that this one starts could get them back from the bounding set. It takes CAP_SETPCAP to empty it.
    if permitted.contains(&Capability::CAP_SETPCAP) {
        let bounding = caps::read(None, CapSet::Bounding).context("the capabilities cannot be read")?;
        for capability in bounding.difference(&needed) {
            caps::drop(None, CapSet::Bounding, *capability)
                .with_context(|| format!("{capability} cannot be given up"))?;
        }
    }
    caps::clear(None, CapSet::Ambient).context("the capabilities cannot be given up")?;
    // The effective and inheritable ones first: they are within the permitted ones.
    caps::set(None, CapSet::Inheritable, &CapsHashSet::new())
        .context("the capabilities cannot be given up")?;
    caps::set(None, CapSet::Effective, &needed).context("the capabilities cannot be given up")?;
    caps::set(None, CapSet::Permitted, &needed).context("the capabilities cannot be given up")
}

/// Returns the number of a group by its name or number, from /etc/group (group(5)).
pub(super) fn group_id(name: &str) -> anyhow::Result<u32> {
    if let Ok(number) = name.parse() {
        return Ok(number);
    }
    let groups = fs::read_to_string("/etc/group").context("/etc/group")?;
    let found = groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == name).then(|| fields.nth(1)?.parse().ok()).flatten()
    });
    found.with_context(|| {
        format!(
            "[router] control_group: there is no group {name:?} in /etc/group: make it, or write its number"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_found_by_name_and_number() {
        assert_eq!((group_id("root").unwrap(), group_id("77").unwrap()), (0, 77));
        let error = group_id("no such group").unwrap_err().to_string();
        assert!(error.contains("make it, or write its number"), "{error}");
    }
}
