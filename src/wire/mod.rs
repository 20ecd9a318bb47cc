//! Packet formats: Ethernet, IPv4, IPv6, IGMP and MLD.
//!
//! The ground floor: this room imports nothing of the rest of the crate. It reads and writes octets, and decides nothing
//! about them. Whether a router forwards a packet is for [`plane`](crate::plane) to say, and what a report means is for
//! [`protocol::gmp`](crate::protocol::gmp).
//!
//! - [`MacAddress`] and [`ethernet_header`]: Ethernet addresses, and the header of a packet to a group.
//! - [`Link`]: which header the frames of an interface begin with. [`VlanTags`]: the VLANs of an Ethernet header.
//! - [`decrement_ttl`]: what changes in a datagram from one hop to the next.
//! - [`gmp`]: the messages of IGMP and MLD.

pub(crate) mod checksum;
mod defect;
mod ethernet;
pub mod gmp;
pub(crate) mod ipv6;
mod link;
mod mac;
mod ttl;
mod vlan;

pub use defect::Defect;
pub use ethernet::{ETHERNET_HEADER, ethernet_header};
pub use link::Link;
pub use mac::{MacAddress, ParseMacError};
pub use ttl::{CannotForward, decrement_ttl};
pub use vlan::VlanTags;

pub(crate) use ethernet::{destination_and_type, tagged_header};
pub(crate) use link::{Payload, strip};
pub(crate) use ttl::{REWRITTEN, decremented};
pub(crate) use vlan::remove_tags;
