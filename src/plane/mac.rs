//! [`MacAddress`]: the addresses of Ethernet headers, and the ones multicast uses.

use crate::forwarding::{Family, Flow};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// An Ethernet address.
///
/// ```
/// use mgm::plane::MacAddress;
/// let mac: MacAddress = "02:00:5e:10:00:01".parse().unwrap();
/// assert_eq!(mac.to_string(), "02:00:5e:10:00:01");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddress(pub [u8; 6]);

/// The text is not an Ethernet address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not an Ethernet address: write six pairs of hexadecimal digits, as 02:00:5e:10:00:01")]
pub struct ParseMacError(String);

impl MacAddress {
    /// The address that a group's packets are sent to: `01:00:5e` and the group's low 23 bits (RFC 1112 section 6.4), or
    /// `33:33` and the group's low 32 bits (RFC 2464 section 7).
    ///
    /// ```
    /// use mgm::plane::MacAddress;
    /// let of = |group: &str| MacAddress::of_group(group.parse().unwrap()).to_string();
    /// assert_eq!(of("239.129.2.3"), "01:00:5e:01:02:03");
    /// assert_eq!(of("ff0e::1:2:3"), "33:33:00:02:00:03");
    /// ```
    #[inline]
    #[must_use]
    pub const fn of_group(group: IpAddr) -> MacAddress {
        let number = match group {
            IpAddr::V4(group) => number_v4(group.to_bits()),
            // The low bits.
            IpAddr::V6(group) => number_v6(group.to_bits() as u32),
        };
        let [_, _, octets @ ..] = number.to_be_bytes();
        MacAddress(octets)
    }

    /// An address for an interface whose own is not known: locally administered (the second lowest bit of the first
    /// octet, IEEE 802-2014 section 8.2), from the interface's number, so that it is the same each time.
    #[must_use]
    pub const fn for_interface(number: u32) -> MacAddress {
        let [a, b, c, d] = number.to_be_bytes();
        MacAddress([0x02, 0x6d, a, b, c, d])
    }
}

/// [`MacAddress::of_group`] of a flow's group, as a number of 48 bits, and the ether type of its packets.
#[inline]
pub(super) fn number_and_type(flow: &Flow) -> (u64, u16) {
    let group = flow.numbers().1 as u32;
    match flow.family() {
        Family::V4 => (number_v4(group), 0x0800),
        Family::V6 => (number_v6(group), 0x86dd),
    }
}

const fn number_v4(group: u32) -> u64 {
    0x0100_5e00_0000 | (group & 0x7f_ffff) as u64
}

const fn number_v6(low_bits: u32) -> u64 {
    0x3333_0000_0000 | low_bits as u64
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl FromStr for MacAddress {
    type Err = ParseMacError;

    fn from_str(text: &str) -> Result<MacAddress, ParseMacError> {
        let mut octets = [0; 6];
        let mut pairs = text.split([':', '-']);
        for octet in &mut octets {
            let pair = pairs.next().filter(|p| p.len() == 2 && p.bytes().all(|b| b.is_ascii_hexdigit()));
            *octet = pair
                .and_then(|pair| u8::from_str_radix(pair, 16).ok())
                .ok_or_else(|| ParseMacError(text.to_owned()))?;
        }
        if pairs.next().is_some() {
            return Err(ParseMacError(text.to_owned()));
        }
        Ok(MacAddress(octets))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_or_refused() {
        assert_eq!("02-00-5E-10-00-fF".parse(), Ok(MacAddress([2, 0, 0x5e, 0x10, 0, 0xff])));
        for text in [
            "",
            "02:00:5e:10:00",
            "02:00:5e:10:00:01:02",
            "2:0:5e:10:0:1",
            "+2:00:5e:10:00:01",
            "é2:00:5e:10:00:01",
        ] {
            assert_eq!(text.parse::<MacAddress>(), Err(ParseMacError(text.to_owned())), "{text}");
        }
    }

    #[test]
    fn interface_addresses_are_local_and_unicast_and_differ() {
        let address = MacAddress::for_interface(258);
        assert_eq!(address.0[0] & 0b11, 0b10);
        assert_eq!(address.to_string(), "02:6d:00:00:01:02");
        assert_ne!(address, MacAddress::for_interface(259));
    }
}
