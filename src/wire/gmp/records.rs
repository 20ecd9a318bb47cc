//! The group records of IGMPv3 and MLDv2 reports, and lists of addresses.

use super::Malformed;
use std::net::IpAddr;
use zerocopy::byteorder::network_endian::U16;
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

/// The kind of a record (RFC 3376 section 4.2.12).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecordKind {
    /// MODE_IS_INCLUDE: the host listens to these sources.
    IsInclude,
    /// MODE_IS_EXCLUDE: the host listens to all but these sources.
    IsExclude,
    /// CHANGE_TO_INCLUDE_MODE: from now on the host listens to these sources.
    ToInclude,
    /// CHANGE_TO_EXCLUDE_MODE: from now on the host listens to all but these sources.
    ToExclude,
    /// ALLOW_NEW_SOURCES: the host listens to these sources too.
    Allow,
    /// BLOCK_OLD_SOURCES: the host no longer listens to these sources.
    Block,
}

impl RecordKind {
    const fn of(octet: u8) -> Option<RecordKind> {
        Some(match octet {
            1 => RecordKind::IsInclude,
            2 => RecordKind::IsExclude,
            3 => RecordKind::ToInclude,
            4 => RecordKind::ToExclude,
            5 => RecordKind::Allow,
            6 => RecordKind::Block,
            _ => return None,
        })
    }
}

/// An address in network byte order, as a message contains it.
pub(super) trait Address:
    FromBytes + Immutable + KnownLayout + Unaligned + Copy + Into<IpAddr>
{
}
impl Address for [u8; 4] {}
impl Address for [u8; 16] {}

/// The fixed part of a record.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct RecordHeader<A> {
    kind: u8,
    auxiliary_words: u8,
    sources: U16,
    group: A,
}

/// The addresses of a record, of either family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Addresses<'a> {
    V4(&'a [[u8; 4]]),
    V6(&'a [[u8; 16]]),
}

/// An iterator over the records of an IGMPv3 or MLDv2 report, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Records<'a> {
    rest: &'a [u8],
    left: u16,
    v6: bool,
}

/// A record of an IGMPv3 or MLDv2 report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// The kind; `None` for a kind that no RFC defines, which receivers ignore (RFC 3376 section 4.2.12).
    pub kind: Option<RecordKind>,
    /// The group field: any address, since a host can write anything.
    pub group: IpAddr,
    sources: Addresses<'a>,
}

impl<'a> Record<'a> {
    /// Returns the listed sources in their order. They can be any addresses.
    pub fn sources(&self) -> impl ExactSizeIterator<Item = IpAddr> + Clone + use<'a> {
        Sources { list: self.sources }
    }
}

#[derive(Clone)]
pub(super) struct Sources<'a> {
    pub(super) list: Addresses<'a>,
}

impl Iterator for Sources<'_> {
    type Item = IpAddr;

    fn next(&mut self) -> Option<IpAddr> {
        match &mut self.list {
            Addresses::V4(list) => list.split_off_first().map(|&octets| octets.into()),
            Addresses::V6(list) => list.split_off_first().map(|&octets| octets.into()),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = match self.list {
            Addresses::V4(list) => list.len(),
            Addresses::V6(list) => list.len(),
        };
        (left, Some(left))
    }
}

impl ExactSizeIterator for Sources<'_> {}

/// Splits the first record off `octets`.
fn split_record<'a, A: Address>(
    octets: &'a [u8],
    addresses: fn(&'a [A]) -> Addresses<'a>,
) -> Option<(Record<'a>, &'a [u8])> {
    let (header, rest) = RecordHeader::<A>::ref_from_prefix(octets).ok()?;
    let (sources, rest) = <[A]>::ref_from_prefix_with_elems(rest, header.sources.get().into()).ok()?;
    let rest = rest.get(4 * usize::from(header.auxiliary_words)..)?;
    let record =
        Record { kind: RecordKind::of(header.kind), group: header.group.into(), sources: addresses(sources) };
    Some((record, rest))
}

impl<'a> Records<'a> {
    /// Validates all records, so that the iterator cannot end early.
    pub(super) fn parse(octets: &'a [u8], count: u16, v6: bool) -> Result<Records<'a>, Malformed> {
        let records = Records { rest: octets, left: count, v6 };
        let whole = records.clone().count();
        if whole < usize::from(count) {
            // `whole` is less than `count`, a u16.
            return Err(Malformed::Record(whole as u16));
        }
        Ok(records)
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        self.left = self.left.checked_sub(1)?;
        let (record, rest) = if self.v6 {
            split_record(self.rest, Addresses::V6)
        } else {
            split_record(self.rest, Addresses::V4)
        }?;
        self.rest = rest;
        Some(record)
    }
}
