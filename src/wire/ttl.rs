//! [`decrement_ttl`]: what changes in a datagram from one hop to the next.

/// The reason why a datagram cannot be forwarded. The datagram is unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CannotForward {
    /// The TTL or hop limit is 1 or 0.
    #[error("the TTL or hop limit is 1 or 0: the datagram ends here")]
    Expired,
    /// The octets are not an IPv4 or IPv6 datagram with a whole header.
    #[error("the octets are not an IPv4 or IPv6 datagram with a whole header")]
    NotIp,
}

/// Decrements the TTL or hop limit of a datagram, and adjusts the checksum of an IPv4 header.
///
/// Updates the checksum incrementally (RFC 1624 equation 3), so that a header damaged on the way stays wrong.
///
/// # Errors
/// [`CannotForward`].
#[inline]
pub fn decrement_ttl(datagram: &mut [u8]) -> Result<(), CannotForward> {
    let length = datagram.len();
    let first = datagram.first_chunk_mut::<REWRITTEN>().ok_or(CannotForward::NotIp)?;
    let rewritten = decremented(first, length)?;
    first.as_chunks_mut().0.copy_from_slice(&rewritten.map(u64::to_ne_bytes));
    Ok(())
}

/// The number of octets at the beginning of a datagram that hold all fields a router changes.
pub(crate) const REWRITTEN: usize = 16;

/// Returns the first octets of a datagram of `length` octets with its TTL or hop limit decremented.
///
/// The words hold the octets in the order in which they lie in memory.
#[inline]
pub(crate) fn decremented(first: &[u8; REWRITTEN], length: usize) -> Result<[u64; 2], CannotForward> {
    let words = u128::from_be_bytes(*first);
    let (first, second) = ((words >> 64) as u64, words as u64);
    // TTL and hop limit are octets 8 and 7.
    let (first, second) = match first >> 60 {
        4 if length >= 20 && second >> 56 > 1 => (first, decrement_v4(second)),
        6 if length >= 40 && first as u8 > 1 => (first - 1, second),
        4 if length >= 20 => return Err(CannotForward::Expired),
        6 if length >= 40 => return Err(CannotForward::Expired),
        _ => return Err(CannotForward::NotIp),
    };
    Ok([first.to_be(), second.to_be()])
}

/// Decrements the TTL in octets 8 to 15 of an IPv4 header, and adjusts the checksum.
///
/// The TTL is the first of these octets, the checksum the third and fourth. `HC' = ~(~HC + ~m + m')` with
/// `m' = m - 0x0100`, which adds 0x0100 to the checksum itself.
#[inline]
fn decrement_v4(octets: u64) -> u64 {
    const TTL: u64 = 1 << 56;
    const CHECKSUM: u64 = 1 << 32;
    // The carry wraps around. All ones represent zero too, and the equation yields zero.
    let added = if (octets >> 32) as u16 >= 0xfeff {
        (0x0101 * CHECKSUM).wrapping_sub(CHECKSUM << 16)
    } else {
        0x0100 * CHECKSUM
    };
    octets.wrapping_add(added).wrapping_sub(TTL)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Returns the checksum of RFC 1071 over the whole header.
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
        fn octets_are_rewritten_or_left_unchanged(mut octets in prop::collection::vec(any::<u8>(), 0..64)) {
            let before = octets.clone();
            if decrement_ttl(&mut octets).is_err() {
                prop_assert_eq!(octets, before);
            }
        }
    }

    /// Compares with RFC 1624 equation 3 as it is written.
    #[test]
    fn every_checksum_is_adjusted_as_rfc_1624_says() {
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
                assert_eq!(decrement_v4(octets(old, checksum)), expected, "{checksum:#x} {old:#x}");
            }
        }
    }

    #[test]
    fn a_datagram_without_hops_left_is_refused() {
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
}
