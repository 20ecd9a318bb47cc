//! The structures and numbers of linux/mroute.h.

use super::MAX_VIFS;
use std::net::Ipv4Addr;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

pub(super) const MRT_INIT: i32 = 200;
pub(super) const MRT_DONE: i32 = 201;
pub(super) const MRT_ADD_VIF: i32 = 202;
pub(super) const MRT_DEL_VIF: i32 = 203;
pub(super) const MRT_ADD_MFC: i32 = 204;
pub(super) const MRT_DEL_MFC: i32 = 205;
pub(super) const MRT_ASSERT: i32 = 207;
pub(super) const MRT_PIM: i32 = 208;
pub(super) const MRT_TABLE: i32 = 209;
pub(super) const MRT_FLUSH: i32 = 212;
/// Every flag of `MRT_FLUSH`: entries and interfaces, static ones too.
pub(super) const FLUSH_ALL: i32 = 15;
/// `SIOCPROTOPRIVATE` of linux/sockios.h: `SIOCGETVIFCNT`, and `SIOCGETMIFCNT_IN6` on IPv6 sockets.
pub(super) const SIOCGETVIFCNT: libc::Ioctl = 0x89e0;
/// `SIOCGETSGCNT`, and `SIOCGETSGCNT_IN6` on IPv6 sockets.
pub(super) const SIOCGETSGCNT: libc::Ioctl = 0x89e1;
/// The interface of a vif is named by its index.
pub(super) const VIFF_USE_IFINDEX: u8 = 8;

/// `struct vifctl`.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub(super) struct VifCtl {
    pub(super) vif: u16,
    pub(super) flags: u8,
    pub(super) threshold: u8,
    pub(super) rate_limit: u32,
    pub(super) ifindex: i32,
    pub(super) remote: [u8; 4],
}

/// `struct mfcctl`.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub(super) struct MfcCtl {
    pub(super) origin: [u8; 4],
    pub(super) group: [u8; 4],
    pub(super) parent: u16,
    /// The threshold of each outgoing vif; 0 for the others.
    pub(super) ttls: [u8; MAX_VIFS],
    pub(super) padding: [u8; 2],
    pub(super) packets: u32,
    pub(super) octets: u32,
    pub(super) wrong_if: u32,
    pub(super) expire: i32,
}

/// `struct sioc_sg_req`.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub(super) struct SgReq {
    pub(super) source: [u8; 4],
    pub(super) group: [u8; 4],
    pub(super) packets: u64,
    pub(super) octets: u64,
    pub(super) wrong_if: u64,
}

/// `struct sioc_vif_req`, and `struct sioc_mif_req6`.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub(super) struct VifReq {
    pub(super) vif: u16,
    pub(super) padding: [u8; 6],
    pub(super) in_packets: u64,
    pub(super) out_packets: u64,
    pub(super) in_octets: u64,
    pub(super) out_octets: u64,
}

const _: () = {
    assert!(size_of::<VifCtl>() == 16);
    assert!(size_of::<MfcCtl>() == 60);
    assert!(size_of::<SgReq>() == 32);
    assert!(size_of::<VifReq>() == 40);
    assert!(std::mem::offset_of!(MfcCtl, packets) == 44);
};

impl MfcCtl {
    pub(super) fn new(source: Ipv4Addr, group: Ipv4Addr, parent: u16, ttls: [u8; MAX_VIFS]) -> MfcCtl {
        MfcCtl {
            origin: source.octets(),
            group: group.octets(),
            parent,
            ttls,
            padding: [0; 2],
            packets: 0,
            octets: 0,
            wrong_if: 0,
            expire: 0,
        }
    }
}
