//! [`MacAddress`]: Ethernet addresses, and the ones that multicast uses.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// An Ethernet address.
///
/// ```
/// use mgm::wire::MacAddress;
/// let mac: MacAddress = "02:00:5e:10:00:01".parse().unwrap();
/// assert_eq!(mac.to_string(), "02:00:5e:10:00:01");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddress(pub [u8; 6]);

/// The error for a text that is not an Ethernet address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not an Ethernet address: write six pairs of hexadecimal digits, as 02:00:5e:10:00:01")]
pub struct ParseMacError(String);

impl MacAddress {
    /// Returns the destination address of a group's packets.
    ///
    /// That is `01:00:5e` and the group's low 23 bits (RFC 1112 section 6.4), or `33:33` and its low 32 bits (RFC 2464
    /// section 7).
    ///
    /// ```
    /// use mgm::wire::MacAddress;
    /// let of = |group: &str| MacAddress::of_group(group.parse().unwrap()).to_string();
    /// assert_eq!(of("239.129.2.3"), "01:00:5e:01:02:03");
    /// assert_eq!(of("ff0e::1:2:3"), "33:33:00:02:00:03");
    /// ```
    #[inline]
    #[must_use]
    pub const fn of_group(group: IpAddr) -> MacAddress {
        let number = match group {
            IpAddr::V4(group) => group_v4(group.to_bits()),
            // The low bits.
            IpAddr::V6(group) => group_v6(group.to_bits() as u32),
        };
        let [_, _, octets @ ..] = number.to_be_bytes();
        MacAddress(octets)
    }

    /// Returns an address for an interface without a known address, always the same for one `number`.
    ///
    /// The address is locally administered (the second lowest bit of the first octet, IEEE 802-2014 section 8.2).
    #[must_use]
    pub const fn for_interface(number: u32) -> MacAddress {
        let [a, b, c, d] = number.to_be_bytes();
        MacAddress([0x02, 0x6d, a, b, c, d])
    }
}

/// Returns the Ethernet address of an IPv4 group as a number of 48 bits.
pub(super) const fn group_v4(group: u32) -> u64 {
    0x0100_5e00_0000 | (group & 0x7f_ffff) as u64
}

/// Returns the Ethernet address of an IPv6 group as a number of 48 bits.
pub(super) const fn group_v6(low_bits: u32) -> u64 {
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
    fn text_is_parsed_or_refused() {
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
    fn made_addresses_are_local_unicast_and_distinct() {
        let address = MacAddress::for_interface(258);
        assert_eq!(address.0[0] & 0b11, 0b10);
        assert_eq!(address.to_string(), "02:6d:00:00:01:02");
        assert_ne!(address, MacAddress::for_interface(259));
    }
}
