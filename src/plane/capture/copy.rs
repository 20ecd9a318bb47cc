//! [`Copy`]: a packet on its way out.

use crate::plane::rewrite::{ETHERNET_HEADER, decrement_ttl, ethernet_header};
use crate::plane::{CannotForward, Port};
use std::net::IpAddr;

/// A packet on its way out: one hop older already, with room for a link header before it.
#[derive(Default)]
pub(super) struct Copy {
    octets: Vec<u8>,
}

impl Copy {
    pub(super) fn load(&mut self, datagram: &[u8]) -> Result<(), CannotForward> {
        self.octets.resize(ETHERNET_HEADER, 0);
        self.octets.truncate(ETHERNET_HEADER);
        self.octets.extend_from_slice(datagram);
        decrement_ttl(&mut self.octets[ETHERNET_HEADER..])
    }

    /// As it leaves through a port, once it was loaded.
    pub(super) fn through(&mut self, port: &Port, group: IpAddr) -> &[u8] {
        if port.link.has_ethernet_header() {
            self.octets[..ETHERNET_HEADER].copy_from_slice(&ethernet_header(group, port.mac));
            &self.octets
        } else {
            &self.octets[ETHERNET_HEADER..]
        }
    }
}
