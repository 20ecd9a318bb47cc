//! [`Rewritten`]: the part that all copies of a packet have in common.

use super::frames::{DATAGRAM_AT, SLOT};
use crate::forwarding::{Family, Flow};
use crate::plane::{CannotForward, MacAddress};
use crate::wire::{ETHERNET_HEADER, REWRITTEN, decremented, destination_and_type};
use std::mem::MaybeUninit;
use zerocopy::IntoBytes;

/// The source address of a copy, in its position within the second word of a slot.
#[derive(Clone, Copy, Debug)]
pub(super) struct SourceWord(u64);

impl SourceWord {
    pub(super) fn new(MacAddress([a, b, c, d, e, f]): MacAddress) -> SourceWord {
        SourceWord(u64::from_ne_bytes([a, b, c, d, e, f, 0, 0]))
    }
}

/// A packet with its TTL decremented.
pub(super) struct Rewritten<'f> {
    header: CopyHeader,
    /// The datagram as it was received.
    datagram: &'f [u8],
}

/// The beginning of a copy, in words that are stored whole.
///
/// A load of octets that were stored shortly before in pieces of other sizes would have to wait for those stores.
pub(super) struct CopyHeader {
    length_and_destination: u64,
    /// The EtherType, without a source address.
    ether_type: SourceWord,
    /// The beginning of the datagram, with the TTL decremented.
    rewritten: [u64; 2],
    /// The octets behind that. Zeros follow if the datagram has fewer.
    next: [u8; PIECE],
    /// The octets from `last_at` in the slot on. If the datagram is short, some of them are in `next` too.
    last: [u8; PIECE],
    last_at: u8,
}

/// Returns the two pieces of a datagram that ends within the first, and the offset of the second in the slot.
#[cold]
fn pad_short(behind: &[u8]) -> ([u8; PIECE], [u8; PIECE], usize) {
    let padded = std::array::from_fn(|n| behind.get(n).copied().unwrap_or_default());
    (padded, padded, NEXT_AT)
}

/// The number of octets that one store writes.
const PIECE: usize = 16;
/// The offset of `next` in a slot.
const NEXT_AT: usize = DATAGRAM_AT + REWRITTEN;
/// The octets of a datagram that the header contains.
const HEADER: usize = REWRITTEN + 2 * PIECE;
/// The offset in a slot of the octets behind the header.
const REST_AT: usize = DATAGRAM_AT + HEADER;

const _: () = assert!(REST_AT <= u8::MAX as usize);

impl<'f> Rewritten<'f> {
    /// Decrements the TTL of a datagram.
    #[inline]
    pub(super) fn new(flow: &Flow, datagram: &'f [u8]) -> Result<Rewritten<'f>, CannotForward> {
        let (first, behind) = datagram.split_first_chunk().ok_or(CannotForward::NotIp)?;
        let rewritten = decremented(first, datagram.len())?;
        let low_bits = flow.low_group_bits();
        let (destination, ether_type) = destination_and_type(flow.family() == Family::V6, low_bits);
        // A length that does not fit is never written: such a frame is longer than a slot.
        let length = u16::from_be_bytes(((ETHERNET_HEADER + datagram.len()) as u16).to_ne_bytes());
        // The octets in the order in which they lie in memory, on machines of either byte order.
        let length_and_destination = (u64::from(length) << 48 | destination).to_be();
        let ether_type = SourceWord(u64::from(ether_type).to_be());
        let (next, last, last_at) = match behind.split_first_chunk::<PIECE>() {
            Some((next, second)) => match (second.first_chunk(), behind.last_chunk()) {
                (Some(whole), _) => (*next, *whole, NEXT_AT + PIECE),
                // The last piece begins within `next`.
                (None, Some(end)) => (*next, *end, NEXT_AT + second.len()),
                (None, None) => pad_short(behind),
            },
            None => pad_short(behind),
        };
        let last_at = last_at as u8;
        let header = CopyHeader { length_and_destination, ether_type, rewritten, next, last, last_at };
        Ok(Rewritten { header, datagram })
    }

    /// Returns the header, if the packet consists of nothing else.
    #[inline(always)]
    pub(super) fn header_only(&self) -> Option<&CopyHeader> {
        (self.datagram.len() <= HEADER).then_some(&self.header)
    }

    /// Returns the header.
    pub(super) fn header(&self) -> &CopyHeader {
        &self.header
    }

    /// Returns the octets behind the header, and their offset in a slot.
    pub(super) fn rest(&self) -> (usize, &'f [u8]) {
        (REST_AT, self.datagram.get(HEADER..).unwrap_or_default())
    }

    /// Returns the datagram with the TTL decremented, in two parts.
    pub(super) fn datagram(&self) -> [&[u8]; 2] {
        [self.header.rewritten.as_bytes(), self.datagram.get(REWRITTEN..).unwrap_or_default()]
    }
}

impl CopyHeader {
    /// Writes the header into a slot, with a source address.
    #[inline(always)]
    pub(super) fn write(&self, slot: &mut [MaybeUninit<u8>; SLOT], source: SourceWord) {
        slot[..8].write_copy_of_slice(&self.length_and_destination.to_ne_bytes());
        slot[8..DATAGRAM_AT].write_copy_of_slice(&(source.0 | self.ether_type.0).to_ne_bytes());
        slot[DATAGRAM_AT..NEXT_AT].write_copy_of_slice(self.rewritten.as_bytes());
        slot[NEXT_AT..NEXT_AT + PIECE].write_copy_of_slice(&self.next);
        let last_at = usize::from(self.last_at);
        slot[last_at..last_at + PIECE].write_copy_of_slice(&self.last);
    }
}
