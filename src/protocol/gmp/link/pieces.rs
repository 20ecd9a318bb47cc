//! [`Pieces`]: lists of one host and group that come in several reports (RFC 3376 section 4.2.16).
//!
//! A host with a list that does not fit one report sends several TO_IN records, back to back, and repeats them within the
//! unsolicited report interval. The tables of the RFC unite them, since the querier asks for what the next one leaves out. The
//! tracking of hosts takes them for one list here.
//!
//! An exclude list is not split by the RFC: what does not fit is left out. Hosts that split it anyway are understood if the
//! pieces come back to back. After that, another list replaces the first: uniting the two would block a source that the host
//! wants by now.
//!
//! A list ends with its gap, and with the state of its group. The lists of an interface have at most [`SOURCES`] sources
//! together. A list without room is not remembered, so the next piece replaces it.

use crate::wire::gmp::RecordKind;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// The longest time between two include lists that unite: the unsolicited report interval (RFC 3376 section 8.11).
const INCLUDE_GAP: Duration = Duration::from_secs(1);
/// The longest time between two exclude lists that unite.
const EXCLUDE_GAP: Duration = Duration::from_millis(100);
/// The most sources that all lists of an interface have together.
const SOURCES: usize = 8192;

#[derive(Debug)]
struct Piece {
    excludes: bool,
    sources: BTreeSet<IpAddr>,
    /// The last time at which another list unites with this one.
    until: Duration,
}

/// The last lists of hosts.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    lists: BTreeMap<(IpAddr, IpAddr), Piece>,
    /// The end of each list: the time, the group and the host.
    ends: BTreeSet<(Duration, IpAddr, IpAddr)>,
    /// The number of sources in all lists.
    sources: usize,
}

impl Pieces {
    /// Remembers a record, and returns the list that it is a piece of, united.
    pub(super) fn unite(
        &mut self,
        group: IpAddr,
        host: IpAddr,
        kind: RecordKind,
        list: &BTreeSet<IpAddr>,
        now: Duration,
    ) -> BTreeSet<IpAddr> {
        self.expire(now);
        let last = self.remove(group, host);
        let mut united = list.clone();
        let excludes = match kind {
            RecordKind::ToInclude => false,
            // Several hosts may share the unspecified address, and a source is only blocked if all exclude it.
            RecordKind::IsExclude | RecordKind::ToExclude if !host.is_unspecified() => true,
            _ => return united,
        };
        if list.is_empty() {
            return united;
        }
        if let Some(last) = last
            && last.excludes == excludes
        {
            united.extend(last.sources);
        }
        if self.sources + united.len() <= SOURCES {
            let until = now.saturating_add(if excludes { EXCLUDE_GAP } else { INCLUDE_GAP });
            self.sources += united.len();
            self.ends.insert((until, group, host));
            self.lists.insert((group, host), Piece { excludes, sources: united.clone(), until });
        }
        united
    }

    /// Removes the lists with a gap that has passed.
    pub(super) fn expire(&mut self, now: Duration) {
        while let Some(&(until, group, host)) = self.ends.first()
            && until < now
        {
            self.remove(group, host);
        }
    }

    /// Removes the lists of a group that ends.
    pub(super) fn end_group(&mut self, group: IpAddr) {
        let first: IpAddr = Ipv4Addr::UNSPECIFIED.into();
        while let Some((&(of, host), _)) = self.lists.range((group, first)..).next()
            && of == group
        {
            self.remove(group, host);
        }
    }

    fn remove(&mut self, group: IpAddr, host: IpAddr) -> Option<Piece> {
        let piece = self.lists.remove(&(group, host))?;
        self.ends.remove(&(piece.until, group, host));
        self.sources -= piece.sources.len();
        Some(piece)
    }

    pub(super) fn clear(&mut self) {
        *self = Pieces::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: u32) -> IpAddr {
        Ipv4Addr::from_bits(0x0a00_0000 + n).into()
    }

    fn unite(pieces: &mut Pieces, group: u32, host: u32, first: u32, at: u64) -> usize {
        let list = (first..first + 512).map(address).collect();
        let now = Duration::from_millis(at);
        pieces.unite(address(group), address(host), RecordKind::ToInclude, &list, now).len()
    }

    #[test]
    fn the_lists_of_an_interface_have_a_bound() {
        let mut pieces = Pieces::default();
        for host in 0..300 {
            assert_eq!(unite(&mut pieces, 1, host, 0, 0), 512);
        }
        assert_eq!((pieces.sources, pieces.lists.len(), pieces.ends.len()), (SOURCES, 16, 16));
        assert_eq!(unite(&mut pieces, 1, 20, 512, 0), 512, "a list without room is not remembered");
        assert_eq!(unite(&mut pieces, 1, 0, 512, 0), 1024, "one with room is united");
    }

    #[test]
    fn lists_end_with_their_gap_and_with_their_group() {
        let mut pieces = Pieces::default();
        for (group, host) in [(1, 1), (2, 1), (2, 9), (3, 1)] {
            unite(&mut pieces, group, host, 0, 0);
        }
        pieces.end_group(address(2));
        assert_eq!((pieces.sources, pieces.ends.len()), (2 * 512, 2));
        pieces.expire(Duration::from_secs(1));
        assert_eq!(pieces.lists.len(), 2, "the gap has not passed");
        assert_eq!(unite(&mut pieces, 4, 1, 0, 1001), 512);
        assert_eq!((pieces.sources, pieces.lists.len(), pieces.ends.len()), (512, 1, 1));
    }
}
