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
pub fn decrement_ttl(datagram: &mut [u8]) -> Result<(), CannotForward> {
    let length = datagram.len();
    let top = datagram.first_chunk_mut::<CHANGING>().ok_or(CannotForward::NotIp)?;
    let older = one_hop_older(top, length)?;
    top.as_chunks_mut().0.copy_from_slice(&older.map(u64::to_ne_bytes));
    Ok(())
}

/// So many octets of a datagram hold all that changes on its way.
pub(super) const CHANGING: usize = 16;

/// The first octets of a datagram of so many, as they are one hop later: in words, octet by octet as they stand in memory.
#[inline]
pub(super) fn one_hop_older(top: &[u8; CHANGING], length: usize) -> Result<[u64; 2], CannotForward> {
    let words = u128::from_be_bytes(*top);
    let (first, second) = ((words >> 64) as u64, words as u64);
    // TTL and hop limit are octets 8 and 7.
    let (first, second) = match first >> 60 {
        4 if length >= 20 && second >> 56 > 1 => (first, one_hop_later(second)),
        6 if length >= 40 && first as u8 > 1 => (first - 1, second),
        4 if length >= 20 => return Err(CannotForward::Expired),
        6 if length >= 40 => return Err(CannotForward::Expired),
        _ => return Err(CannotForward::NotIp),
    };
    Ok([first.to_be(), second.to_be()])
}

/// The octets 8 to 15 of an IPv4 header after the TTL, which is the first of them, went down by one, and the checksum, the third
/// and fourth, with it: `HC' = ~(~HC + ~m + m')`, where `m' = m - 0x0100`. That is to add 0x0100 to the checksum itself.
#[inline]
fn one_hop_later(octets: u64) -> u64 {
    const TTL: u64 = 1 << 56;
    const CHECKSUM: u64 = 1 << 32;
    // A carry goes round; all ones are a zero too, and zero is what the equation has for it.
    let added = if (octets >> 32) as u16 >= 0xfeff {
        (0x0101 * CHECKSUM).wrapping_sub(CHECKSUM << 16)
    } else {
        0x0100 * CHECKSUM
    };
    octets.wrapping_add(added).wrapping_sub(TTL)
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
            prop_assert_eq!(decrement_ttl(&mut after), Ok(()));
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
            prop_assert_eq!(decrement_ttl(&mut header), Ok(()));
            prop_assert_ne!(checksum(&header), 0);
        }

        #[test]
        fn no_octets_make_it_panic(mut octets in prop::collection::vec(any::<u8>(), 0..64)) {
            let before = octets.clone();
            if decrement_ttl(&mut octets).is_err() {
                prop_assert_eq!(octets, before);
            }
        }
    }

    /// Equation 3 as it is written.
    #[test]
    fn every_checksum_is_adjusted_as_the_rfc_says() {
        let plus = |a: u16, b: u16| {
            let (sum, carry) = a.overflowing_add(b);
            sum + u16::from(carry)
        };
        for checksum in 0..=u16::MAX {
            for old in [0x0200, 0x4011, 0xff11, 0xffff_u16] {
                let octets = |word: u16, checksum: u16| {
                    u64::from(word) << 48 | u64::from(checksum) << 32 | 0x1234_5678
                };
                let new = old - 0x0100;
                let expected = octets(new, !plus(plus(!checksum, !old), new));
                assert_eq!(one_hop_later(octets(old, checksum)), expected, "{checksum:#x} {old:#x}");
            }
        }
    }

    #[test]
    fn hops_end() {
        let mut v4 = [0x45; 20];
        let mut v6 = [0x60; 40];
        for left in [0, 1] {
            (v4[8], v6[7]) = (left, left);
            assert_eq!(decrement_ttl(&mut v4), Err(CannotForward::Expired));
            assert_eq!(decrement_ttl(&mut v6), Err(CannotForward::Expired));
        }
        (v4[8], v6[7]) = (2, 2);
        assert_eq!(decrement_ttl(&mut v6), Ok(()));
        assert_eq!(v6[7], 1);
        assert_eq!(decrement_ttl(&mut v4[..19]), Err(CannotForward::NotIp));
        assert_eq!(decrement_ttl(&mut []), Err(CannotForward::NotIp));
    }

    #[test]
    fn the_link_header_names_group_and_sender() {
        let header = ethernet_header("224.1.2.3".parse().unwrap(), MacAddress([2, 0, 0, 0, 0, 9]));
        assert_eq!(header, [1, 0, 0x5e, 1, 2, 3, 2, 0, 0, 0, 0, 9, 8, 0]);
    }
}
