//! Addresses and networks in a configuration and on the command line, with what would be right.

use mgm::forwarding::Family;
use mgm::rpf::Prefix;
use std::net::IpAddr;

/// Returns the address of a text.
pub(super) fn address(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| format!("{text:?} is no address: write one such as 239.1.1.1 or ff3e::1"))
}

/// Returns the network of a text. A single address is a network of one.
pub(super) fn network(text: &str) -> Result<Prefix, String> {
    let (address, length) = match text.split_once('/') {
        None => {
            let address = self::address(text)?;
            (address, if address.is_ipv4() { 32 } else { 128 })
        }
        Some(_) => {
            let prefix: Prefix = text.parse().map_err(|error: mgm::rpf::PrefixError| error.to_string())?;
            let written = text.split('/').next().and_then(|text| text.parse::<IpAddr>().ok());
            if written != Some(prefix.network()) {
                return Err(format!("{text} has bits after its prefix length: write {prefix}"));
            }
            (prefix.network(), prefix.length())
        }
    };
    Prefix::new(address, length).map_err(|error| error.to_string())
}

/// Returns the network of a text. All its addresses are groups.
pub(super) fn group_network(text: &str) -> Result<Prefix, String> {
    let prefix = network(text)?;
    let (min, all) = match Family::of(prefix.network()) {
        Family::V4 => (4, "224.0.0.0/4"),
        Family::V6 => (8, "ff00::/8"),
    };
    if prefix.network().is_multicast() && prefix.length() >= min {
        return Ok(prefix);
    }
    Err(format!("{text} is not a multicast group: write an address or a prefix within {all}"))
}

/// Returns the network of a text. All its addresses may be sources.
pub(super) fn source_network(text: &str) -> Result<Prefix, String> {
    let prefix = network(text)?;
    if prefix.network().is_multicast() {
        return Err(format!(
            "{text} is a multicast group, and a group is no source: write a unicast address"
        ));
    }
    Ok(prefix)
}

/// Returns a family as messages name it.
pub(super) fn family_name(family: Family) -> &'static str {
    match family {
        Family::V4 => "IPv4",
        Family::V6 => "IPv6",
    }
}
