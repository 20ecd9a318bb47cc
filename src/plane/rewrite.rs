//! What a packet looks like when it leaves again: one hop older, under a new link header.

use super::MacAddress;
use std::net::IpAddr;

/// Octets of an Ethernet header without tags.
pub const ETHERNET_HEADER: usize = 14;

/// Why a datagram cannot be forwarded. It was not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CannotForward {
    /// Its hops are used up.
    #[error("its TTL or hop limit is 1 or less: it ends here")]
    Expired,
    /// It is not an IPv4 or IPv6 datagram with a whole header.
    #[error("it is not an IPv4 or IPv6 datagram with a whole header")]
    NotIp,
}

/// Makes a datagram one hop older: TTL or hop limit down by one, IPv4's header checksum adjusted to it.
///
/// The checksum is updated incrementally (RFC 1624 equation 3), so that a header that was damaged on the way stays wrong.
///
/// # Errors
/// [`CannotForward`].
#[inline]
pub fn lower_hop_limit(datagram: &mut [u8]) -> Result<(), CannotForward> {
    let length = datagram.len();
    let top = datagram.first_chunk_mut::<CHANGING>().ok_or(CannotForward::NotIp)?;
    *top = one_hop_older(top, length)?;
    Ok(())
}

/// So many octets of a datagram hold all that changes on its way.
pub(super) const CHANGING: usize = 16;

/// The first octets of a datagram of so many, as they are one hop later.
#[inline]
pub(super) fn one_hop_older(top: &[u8; CHANGING], length: usize) -> Result<[u8; CHANGING], CannotForward> {
    let mut words = u128::from_be_bytes(*top);
    match top[0] >> 4 {
        4 if length >= 20 => {
            // TTL and protocol are the word at octet 8, the checksum the one at octet 10.
            let old = (words >> 48) as u16;
            if old >> 8 <= 1 {
                return Err(CannotForward::Expired);
            }
            let new = old - 0x0100;
            let checksum = (words >> 32) as u16;
            let both = |word: u16, checksum: u16| u128::from(word) << 48 | u128::from(checksum) << 32;
            words ^= both(old, checksum) ^ both(new, adjusted(checksum, old, new));
        }
        6 if length >= 40 => {
            // The hop limit is octet 7.
            if (words >> 64) as u8 <= 1 {
                return Err(CannotForward::Expired);
            }
            words -= 1 << 64;
        }
        _ => return Err(CannotForward::NotIp),
    }
    Ok(words.to_be_bytes())
}

/// A checksum after one of the words it covers changed: `HC' = ~(~HC + ~m + m')`.
#[inline]
fn adjusted(checksum: u16, old: u16, new: u16) -> u16 {
    let (sum, carry) = (!checksum).overflowing_add(!old);
    let sum = sum + u16::from(carry);
    let (sum, carry) = sum.overflowing_add(new);
    !(sum + u16::from(carry))
}

/// The Ethernet header of a packet to a group, sent from `source`.
#[must_use]
pub fn ethernet_header(group: IpAddr, source: MacAddress) -> [u8; ETHERNET_HEADER] {
    let mut header = [0; ETHERNET_HEADER];
    header[..6].copy_from_slice(&MacAddress::of_group(group).0);
    header[6..12].copy_from_slice(&source.0);
    header[12..].copy_from_slice(match group {
        IpAddr::V4(_) => &[0x08, 0x00],
        IpAddr::V6(_) => &[0x86, 0xdd],
    });
    header
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 1071, over the whole header.
    fn checksum(header: &[u8]) -> u16 {
        let mut sum: u32 = header.chunks(2).map(|w| u32::from(u16::from_be_bytes([w[0], w[1]]))).sum();
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        !(sum as u16)
    }

    fn with_checksum(mut header: Vec<u8>) -> Vec<u8> {
        header[10..12].fill(0);
        let sum = checksum(&header);
        header[10..12].copy_from_slice(&sum.to_be_bytes());
        header
    }

    proptest! {
        #[test]
        fn the_updated_checksum_is_the_recomputed_one(options in 0_usize..=10, ttl in 2_u8.., mut header in prop::collection::vec(any::<u8>(), 60)) {
            header.truncate(20 + 4 * options);
            header[0] = 0x45 + options as u8;
            header[8] = ttl;
            let before = with_checksum(header);
            let mut after = before.clone();
            prop_assert_eq!(lower_hop_limit(&mut after), Ok(()));
            prop_assert_eq!(after[8], ttl - 1);
            prop_assert_eq!(&after, &with_checksum(after.clone()));
            prop_assert_eq!(&after[..8], &before[..8]);
            prop_assert_eq!(&after[12..], &before[12..]);
        }

        #[test]
        fn a_damaged_header_stays_damaged(ttl in 2_u8.., damage in 1_u16..0xffff, mut header in prop::collection::vec(any::<u8>(), 20)) {
            header[0] = 0x45;
            header[8] = ttl;
            let mut header = with_checksum(header);
            let wrong = u16::from_be_bytes([header[10], header[11]]).wrapping_add(damage);
            header[10..12].copy_from_slice(&wrong.to_be_bytes());
            prop_assume!(checksum(&header) != 0);
            prop_assert_eq!(lower_hop_limit(&mut header), Ok(()));
            prop_assert_ne!(checksum(&header), 0);
        }

        #[test]
        fn no_octets_make_it_panic(mut octets in prop::collection::vec(any::<u8>(), 0..64)) {
            let before = octets.clone();
            if lower_hop_limit(&mut octets).is_err() {
                prop_assert_eq!(octets, before);
            }
        }
    }

    #[test]
    fn hops_end() {
        let mut v4 = [0x45; 20];
        let mut v6 = [0x60; 40];
        for left in [0, 1] {
            (v4[8], v6[7]) = (left, left);
            assert_eq!(lower_hop_limit(&mut v4), Err(CannotForward::Expired));
            assert_eq!(lower_hop_limit(&mut v6), Err(CannotForward::Expired));
        }
        (v4[8], v6[7]) = (2, 2);
        assert_eq!(lower_hop_limit(&mut v6), Ok(()));
        assert_eq!(v6[7], 1);
        assert_eq!(lower_hop_limit(&mut v4[..19]), Err(CannotForward::NotIp));
        assert_eq!(lower_hop_limit(&mut []), Err(CannotForward::NotIp));
    }

    #[test]
    fn the_link_header_names_group_and_sender() {
        let header = ethernet_header("224.1.2.3".parse().unwrap(), MacAddress([2, 0, 0, 0, 0, 9]));
        assert_eq!(header, [1, 0, 0x5e, 1, 2, 3, 2, 0, 0, 0, 0, 9, 8, 0]);
    }
}
