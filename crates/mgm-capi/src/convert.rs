//! Addresses, interfaces and memberships, as C has them and as Rust has them.

use super::codes::Code;
use super::windows::{DWORD, MGM_FORWARD_STATE_FLAG, MGM_JOIN_STATE_FLAG, SOURCE_GROUP_ENTRY};
use mgm::forwarding::Family;
use mgm::manager::{Interface, Membership, StateChange};
use std::net::{IpAddr, Ipv4Addr};

/// The mask that goes with one address.
pub(super) const ONE: DWORD = DWORD::MAX;

/// An address whose octets lie in memory in network order.
pub(super) fn address(dword: DWORD) -> Ipv4Addr {
    Ipv4Addr::from(dword.to_ne_bytes())
}

/// The same the other way round; 0 for an IPv6 address, which the Windows interface cannot name.
pub(super) fn dword(address: IpAddr) -> DWORD {
    match address {
        IpAddr::V4(address) => DWORD::from_ne_bytes(address.octets()),
        IpAddr::V6(_) => 0,
    }
}

/// A neighbour; 0 for none.
pub(super) fn neighbour(dword: DWORD) -> Option<IpAddr> {
    (dword != 0).then(|| address(dword).into())
}

pub(super) fn interface(index: DWORD, next_hop: DWORD) -> Interface {
    Interface::with_next_hop(index, address(next_hop).into())
}

/// Two addresses with their masks: one address with all ones, or 0 with 0 for any.
pub(super) fn membership(
    source: DWORD,
    source_mask: DWORD,
    group: DWORD,
    group_mask: DWORD,
) -> Result<Membership, Code> {
    let one = |address: DWORD, mask: DWORD| match (address, mask) {
        (0, 0) => Ok(None),
        (1.., ONE) => Ok(Some(IpAddr::V4(self::address(address)))),
        _ => Err(Code::INVALID),
    };
    match (one(source, source_mask)?, one(group, group_mask)?) {
        (None, None) => Ok(Membership::everything(Family::V4)),
        (None, Some(group)) => Membership::any_source(group).map_err(|_| Code::INVALID),
        (Some(source), Some(group)) => Membership::one_source(source, group).map_err(|_| Code::INVALID),
        (Some(_), None) => Err(Code::INVALID),
    }
}

/// The same the other way round.
pub(super) fn source_group(membership: Membership) -> SOURCE_GROUP_ENTRY {
    let one = |address: Option<IpAddr>| address.map_or((0, 0), |address| (dword(address), ONE));
    let (dwSourceAddr, dwSourceMask) = one(membership.source());
    let (dwGroupAddr, dwGroupMask) = one(membership.group());
    SOURCE_GROUP_ENTRY { dwSourceAddr, dwSourceMask, dwGroupAddr, dwGroupMask }
}

pub(super) fn effect(flags: DWORD) -> Result<StateChange, Code> {
    const BOTH: DWORD = MGM_JOIN_STATE_FLAG | MGM_FORWARD_STATE_FLAG;
    match flags {
        MGM_JOIN_STATE_FLAG => Ok(StateChange::Join),
        MGM_FORWARD_STATE_FLAG => Ok(StateChange::Forward),
        BOTH => Ok(StateChange::JoinAndForward),
        _ => Err(Code::INVALID),
    }
}
