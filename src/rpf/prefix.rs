//! [`Prefix`]: a network, as an address and the length of its prefix.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A network: an address and the length of its prefix. The bits behind the prefix are zero.
///
/// ```
/// use mgm::rpf::Prefix;
/// let prefix: Prefix = "10.77.1.9/16".parse()?;
/// assert_eq!(prefix.to_string(), "10.77.0.0/16");
/// assert!(prefix.contains("10.77.200.1".parse().unwrap()));
/// # Ok::<(), mgm::rpf::PrefixError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    network: IpAddr,
    length: u8,
}

/// The reason why a prefix is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PrefixError {
    /// The length exceeds the bits of the address.
    #[error("a prefix of {0} has at most {max} bits, not {1}", max = bits(*.0))]
    Length(IpAddr, u8),
    /// The text is not an address, a slash and a length.
    #[error("\"{0}\" is not a network: write an address and the length of its prefix, as 10.77.0.0/16")]
    Text(String),
}

const fn bits(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// Returns an address with all bits behind the prefix cleared.
fn truncate(address: IpAddr, length: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
            Ipv4Addr::from_bits(address.to_bits() & mask).into()
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
            Ipv6Addr::from_bits(address.to_bits() & mask).into()
        }
    }
}

impl Prefix {
    /// Makes the prefix of an address. Clears the bits behind it.
    ///
    /// # Errors
    /// [`PrefixError::Length`].
    pub fn new(address: IpAddr, length: u8) -> Result<Prefix, PrefixError> {
        if length > bits(address) {
            return Err(PrefixError::Length(address, length));
        }
        Ok(Prefix { network: truncate(address, length), length })
    }

    /// Returns the network address.
    #[must_use]
    pub const fn network(&self) -> IpAddr {
        self.network
    }

    /// Returns the length in bits.
    #[must_use]
    pub const fn length(&self) -> u8 {
        self.length
    }

    /// Returns whether an address is in this network.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.network.is_ipv4() && truncate(address, self.length) == self.network
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.length)
    }
}

impl FromStr for Prefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Prefix, PrefixError> {
        let invalid = || PrefixError::Text(text.to_owned());
        let (address, length) = text.split_once('/').ok_or_else(invalid)?;
        let address = address.parse().map_err(|_| invalid())?;
        // As it is written: digits alone, and no leading zero.
        let canonical =
            length.bytes().all(|octet| octet.is_ascii_digit()) && (length == "0" || !length.starts_with('0'));
        let length = length.parse().ok().filter(|_| canonical).ok_or_else(invalid)?;
        Prefix::new(address, length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_of_all_lengths_contain_their_network() {
        let of = |text: &str| text.parse::<Prefix>().unwrap();
        let cases = [
            ("0.0.0.0/0", "255.1.2.3", "::1"),
            ("10.1.2.3/32", "10.1.2.3", "10.1.2.4"),
            ("10.1.0.0/16", "10.1.255.9", "10.2.0.0"),
            ("::/0", "fd00::1", "1.2.3.4"),
            ("fd00::/64", "fd00::9", "fd00:0:0:1::9"),
            ("fd00::1/128", "fd00::1", "fd00::2"),
        ];
        for (prefix, inside, outside) in cases {
            assert!(of(prefix).contains(inside.parse().unwrap()), "{prefix} {inside}");
            assert!(!of(prefix).contains(outside.parse().unwrap()), "{prefix} {outside}");
            assert_eq!(of(prefix).to_string(), prefix);
        }
    }

    #[test]
    fn invalid_prefixes_are_refused() {
        let address = "10.0.0.0".parse().unwrap();
        assert_eq!("10.0.0.0/33".parse::<Prefix>(), Err(PrefixError::Length(address, 33)));
        assert!(PrefixError::Length(address, 33).to_string().contains("at most 32 bits, not 33"));
        for text in [
            "10.0.0.0",
            "10.0.0/8",
            "10.0.0.0/",
            "10.0.0.0/x",
            "/8",
            "10.0.0.0/+8",
            "10.0.0.0/008",
            "10.0.0.0/00",
            "10.0.0.0/-0",
        ] {
            assert_eq!(text.parse::<Prefix>(), Err(PrefixError::Text(text.to_owned())));
        }
    }
}
