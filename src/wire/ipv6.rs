//! The chain of IPv6 extension headers.

use super::Defect;
use etherparse::IpNumber;

/// The upper-layer protocol of an IPv6 datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UpperLayer<'f> {
    /// An ICMPv6 message, or the first fragment of one. A later fragment has an empty `message`: it has no type octet.
    /// `router_alert` says whether a hop-by-hop header has the Router Alert option for MLD (RFC 2711).
    Icmp { message: &'f [u8], fragment: bool, router_alert: bool },
    /// Any other protocol, or a header that this crate does not parse.
    Other,
}

/// Walks the extension headers (RFC 8200 section 4, RFC 7045 section 1.1).
///
/// A router that only forwards does not check the order of the headers, so this is laxer than a host has to be.
pub(crate) fn upper_layer(first: IpNumber, payload: &[u8]) -> Result<UpperLayer<'_>, Defect> {
    let (mut next, mut rest, mut fragment, mut router_alert) = (first, payload, false, false);
    loop {
        let length_octet = || rest.get(1).copied().map(usize::from).ok_or(Defect::ExtensionHeader);
        let length = match next {
            IpNumber::IPV6_ICMP => return Ok(UpperLayer::Icmp { message: rest, fragment, router_alert }),
            IpNumber::IPV6_HEADER_HOP_BY_HOP
            | IpNumber::IPV6_ROUTE_HEADER
            | IpNumber::IPV6_DESTINATION_OPTIONS
            | IpNumber::MOBILITY_HEADER
            | IpNumber::HIP
            | IpNumber::SHIM6 => 8 + 8 * length_octet()?,
            IpNumber::AUTHENTICATION_HEADER => 8 + 4 * length_octet()?,
            IpNumber::IPV6_FRAGMENTATION_HEADER => 8,
            _ => return Ok(UpperLayer::Other),
        };
        let (header, behind) = rest.split_at_checked(length).ok_or(Defect::ExtensionHeader)?;
        if next == IpNumber::IPV6_HEADER_HOP_BY_HOP {
            router_alert |= has_router_alert(&header[2..]);
        }
        if next == IpNumber::IPV6_FRAGMENTATION_HEADER {
            let offset_and_flags = u16::from_be_bytes([header[2], header[3]]);
            if offset_and_flags >> 3 != 0 {
                let icmp = UpperLayer::Icmp { message: &[], fragment: true, router_alert };
                return Ok(if header[0] == IpNumber::IPV6_ICMP.0 { icmp } else { UpperLayer::Other });
            }
            fragment |= offset_and_flags & 1 != 0;
        }
        (next, rest) = (IpNumber(header[0]), behind);
    }
}

/// Returns whether the options of a hop-by-hop header contain Router Alert with the value of MLD (RFC 2711 section 2.1).
fn has_router_alert(mut options: &[u8]) -> bool {
    const PAD1: u8 = 0;
    const ROUTER_ALERT: [u8; 4] = [5, 2, 0, 0];
    while let Some(&kind) = options.first() {
        if options.starts_with(&ROUTER_ALERT) {
            return true;
        }
        let length = match (kind, options.get(1)) {
            (PAD1, _) => 1,
            (_, Some(&length)) => 2 + usize::from(length),
            (_, None) => return false,
        };
        options = options.get(length..).unwrap_or_default();
    }
    false
}
