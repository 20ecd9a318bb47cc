//! The structures and numbers of linux/mroute6.h. The options have the numbers that they have in linux/mroute.h.

use super::MAX_VIFS;
use std::net::Ipv6Addr;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// `ICMP6_FILTER` of linux/icmpv6.h.
pub(super) const ICMP6_FILTER: i32 = 1;

/// `struct sockaddr_in6` of linux/in6.h.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub(super) struct SockAddrIn6 {
    family: u16,
    port: u16,
    flow_info: u32,
    address: [u8; 16],
    scope: u32,
}

impl From<Ipv6Addr> for SockAddrIn6 {
    fn from(address: Ipv6Addr) -> SockAddrIn6 {
        let family = libc::AF_INET6 as u16;
        SockAddrIn6 { family, port: 0, flow_info: 0, address: address.octets(), scope: 0 }
    }
}

/// `struct mif6ctl`.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub(super) struct Mif6Ctl {
    pub(super) mif: u16,
    pub(super) flags: u8,
    pub(super) threshold: u8,
    pub(super) ifindex: u16,
    pub(super) padding: [u8; 2],
    pub(super) rate_limit: u32,
}

/// `struct mf6cctl`.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub(super) struct Mf6cCtl {
    pub(super) origin: SockAddrIn6,
    pub(super) group: SockAddrIn6,
    pub(super) parent: u16,
    pub(super) padding: [u8; 2],
    /// One bit for each outgoing mif.
    pub(super) outgoing: [u32; 8],
}

/// `struct sioc_sg_req6`.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub(super) struct SgReq6 {
    pub(super) source: SockAddrIn6,
    pub(super) group: SockAddrIn6,
    pub(super) packets: u64,
    pub(super) octets: u64,
    pub(super) wrong_if: u64,
}

const _: () = {
    assert!(size_of::<SockAddrIn6>() == 28);
    assert!(size_of::<Mif6Ctl>() == 12);
    assert!(size_of::<Mf6cCtl>() == 92);
    assert!(size_of::<SgReq6>() == 80);
};

impl Mf6cCtl {
    pub(super) fn new(source: Ipv6Addr, group: Ipv6Addr, parent: u16, ttls: [u8; MAX_VIFS]) -> Mf6cCtl {
        let bits = (0..).zip(ttls).filter(|(_, ttl)| *ttl > 0).fold(0, |bits, (vif, _)| bits | 1_u32 << vif);
        let mut outgoing = [0; 8];
        outgoing[0] = bits;
        Mf6cCtl { origin: source.into(), group: group.into(), parent, padding: [0; 2], outgoing }
    }
}
