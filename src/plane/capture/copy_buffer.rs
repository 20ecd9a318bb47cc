//! [`CopyBuffer`]: a packet with its TTL decremented, and room for a link header.

use crate::plane::{CannotForward, Port};
use crate::wire::{ETHERNET_HEADER, decrement_ttl, ethernet_header, tagged_header};
use std::net::IpAddr;

/// A packet with its TTL decremented, and room for a link header before it.
#[derive(Default)]
pub(super) struct CopyBuffer {
    octets: Vec<u8>,
    /// The packet as it left with tags last.
    tagged: Vec<u8>,
}

impl CopyBuffer {
    /// Loads a packet, and decrements its TTL.
    pub(super) fn load(&mut self, datagram: &[u8]) -> Result<(), CannotForward> {
        self.octets.resize(ETHERNET_HEADER, 0);
        self.octets.truncate(ETHERNET_HEADER);
        self.octets.extend_from_slice(datagram);
        decrement_ttl(&mut self.octets[ETHERNET_HEADER..])
    }

    /// Returns the loaded packet as it leaves through a port.
    pub(super) fn leaving(&mut self, port: &Port, group: IpAddr) -> &[u8] {
        let vlans = port.link.vlans();
        if !vlans.is_empty() {
            self.tagged.clear();
            self.tagged.extend_from_slice(&tagged_header(group, port.mac, vlans));
            self.tagged.extend_from_slice(&self.octets[ETHERNET_HEADER..]);
            &self.tagged
        } else if port.link.has_ethernet_header() {
            self.octets[..ETHERNET_HEADER].copy_from_slice(&ethernet_header(group, port.mac));
            &self.octets
        } else {
            &self.octets[ETHERNET_HEADER..]
        }
    }
}
