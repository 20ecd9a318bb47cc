//! Ethernet headers of packets to multicast groups.

use super::mac::{group_v4, group_v6};
use super::{MacAddress, VlanTags};
use std::net::IpAddr;

/// Octets of an Ethernet header without tags.
pub const ETHERNET_HEADER: usize = 14;

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;

/// Returns the Ethernet header of a packet to a group, sent from `source`.
#[must_use]
pub fn ethernet_header(group: IpAddr, source: MacAddress) -> [u8; ETHERNET_HEADER] {
    let mut header = [0; ETHERNET_HEADER];
    header[..6].copy_from_slice(&MacAddress::of_group(group).0);
    header[6..12].copy_from_slice(&source.0);
    let ether_type = if group.is_ipv4() { IPV4 } else { IPV6 };
    header[12..].copy_from_slice(&ether_type.to_be_bytes());
    header
}

/// Returns the Ethernet header of a packet to a group, with the tags of a VLAN before its EtherType.
pub(crate) fn tagged_header(group: IpAddr, source: MacAddress, vlans: VlanTags) -> Vec<u8> {
    let header = ethernet_header(group, source);
    let (addresses, ether_type) = header.split_at(12);
    [addresses, &vlans.octets(), ether_type].concat()
}

/// Returns the destination address of a group's packets as a 48-bit number, and their EtherType.
///
/// `low_bits` are the low 32 bits of the group's address: of an IPv4 group, the whole address.
#[inline]
pub(crate) const fn destination_and_type(is_v6: bool, low_bits: u32) -> (u64, u16) {
    if is_v6 { (group_v6(low_bits), IPV6) } else { (group_v4(low_bits), IPV4) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_names_group_and_sender() {
        let sender = MacAddress([2, 0, 0, 0, 0, 9]);
        let header = ethernet_header("224.1.2.3".parse().unwrap(), sender);
        assert_eq!(header, [1, 0, 0x5e, 1, 2, 3, 2, 0, 0, 0, 0, 9, 8, 0]);
    }

    #[test]
    fn the_number_is_the_address_of_the_group() {
        let octets = |group: &str| {
            let group: IpAddr = group.parse().unwrap();
            let header = ethernet_header(group, MacAddress([0; 6]));
            let low_bits = match group {
                IpAddr::V4(group) => group.to_bits(),
                IpAddr::V6(group) => group.to_bits() as u32,
            };
            let (destination, ether_type) = destination_and_type(group.is_ipv6(), low_bits);
            assert_eq!(header[..6], destination.to_be_bytes()[2..]);
            assert_eq!(header[12..], ether_type.to_be_bytes());
        };
        octets("239.129.2.3");
        octets("ff0e::1:2:3");
    }
}
