//! Route netlink sockets (netlink(7), rtnetlink(7)): requests, dumps and events.
//!
//! The crates netlink-packet-core and netlink-packet-route know the messages; this room moves them. A socket for requests
//! receives no events, so that an answer is never mixed with them.

mod error;
mod socket;

pub use error::NetlinkError;
pub(crate) use socket::NetlinkSocket;

/// The numbers of `enum rtnetlink_groups` in linux/rtnetlink.h.
pub(crate) mod groups {
    pub(crate) const LINK: i32 = 1;
    pub(crate) const IPV4_ADDRESS: i32 = 5;
    pub(crate) const IPV4_ROUTE: i32 = 7;
    pub(crate) const IPV4_RULE: i32 = 8;
    pub(crate) const IPV6_ADDRESS: i32 = 9;
    pub(crate) const IPV6_ROUTE: i32 = 11;
    pub(crate) const IPV6_RULE: i32 = 19;
    pub(crate) const NEXT_HOP: i32 = 32;
}
