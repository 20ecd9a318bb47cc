//! Converts addresses, interfaces and memberships between C and Rust.

use crate::codes::Code;
use crate::mib_types::SOURCE_GROUP_ENTRY;
use crate::windows::{DWORD, MGM_FORWARD_STATE_FLAG, MGM_JOIN_STATE_FLAG};
use mgm::forwarding::Family;
use mgm::manager::{Interface, Membership, StateChange};
use std::net::{IpAddr, Ipv4Addr};

/// The mask of a single address.
pub(crate) const HOST_MASK: DWORD = DWORD::MAX;

/// Converts an address in network byte order.
pub(crate) fn to_address(dword: DWORD) -> Ipv4Addr {
    Ipv4Addr::from(dword.to_ne_bytes())
}

/// Converts an address to network byte order. An IPv6 address becomes 0: the Windows interface cannot name it.
pub(crate) fn to_dword(address: IpAddr) -> DWORD {
    match address {
        IpAddr::V4(address) => DWORD::from_ne_bytes(address.octets()),
        IpAddr::V6(_) => 0,
    }
}

/// Converts the address of a neighbour; 0 is none.
pub(crate) fn to_neighbour(dword: DWORD) -> Option<IpAddr> {
    (dword != 0).then(|| to_address(dword).into())
}

pub(crate) fn to_interface(index: DWORD, next_hop: DWORD) -> Interface {
    Interface::with_next_hop(index, to_address(next_hop).into())
}

/// Converts a source and a group with their masks: an address with the mask of all ones, or 0 with 0 for any.
///
/// # Errors
/// `ERROR_INVALID_PARAMETER` for everything else.
pub(crate) fn to_membership(
    source: DWORD,
    source_mask: DWORD,
    group: DWORD,
    group_mask: DWORD,
) -> Result<Membership, Code> {
    let one = |address: DWORD, mask: DWORD| match (address, mask) {
        (0, 0) => Ok(None),
        (1.., HOST_MASK) => Ok(Some(IpAddr::V4(to_address(address)))),
        _ => Err(Code::INVALID_PARAMETER),
    };
    match (one(source, source_mask)?, one(group, group_mask)?) {
        (None, None) => Ok(Membership::everything(Family::V4)),
        (None, Some(group)) => Membership::any_source(group).map_err(|_| Code::INVALID_PARAMETER),
        (Some(source), Some(group)) => {
            Membership::one_source(source, group).map_err(|_| Code::INVALID_PARAMETER)
        }
        (Some(_), None) => Err(Code::INVALID_PARAMETER),
    }
}

/// Converts a membership to a source and a group with their masks.
pub(crate) fn from_membership(membership: Membership) -> SOURCE_GROUP_ENTRY {
    let one = |address: Option<IpAddr>| address.map_or((0, 0), |address| (to_dword(address), HOST_MASK));
    let (dwSourceAddr, dwSourceMask) = one(membership.source());
    let (dwGroupAddr, dwGroupMask) = one(membership.group());
    SOURCE_GROUP_ENTRY { dwSourceAddr, dwSourceMask, dwGroupAddr, dwGroupMask }
}

/// Converts the flags of a membership.
///
/// # Errors
/// `ERROR_INVALID_PARAMETER` for unknown flags and for none.
pub(crate) fn to_effect(flags: DWORD) -> Result<StateChange, Code> {
    const BOTH: DWORD = MGM_JOIN_STATE_FLAG | MGM_FORWARD_STATE_FLAG;
    match flags {
        MGM_JOIN_STATE_FLAG => Ok(StateChange::Join),
        MGM_FORWARD_STATE_FLAG => Ok(StateChange::Forward),
        BOTH => Ok(StateChange::JoinAndForward),
        _ => Err(Code::INVALID_PARAMETER),
    }
}
