//! [`Pieces`]: lists of one host and group that come in several records or reports (RFC 3376 section 4.2.16).
//!
//! A host with a list that does not fit one report sends several TO_IN records, back to back, and repeats them within the
//! unsolicited report interval. The tables of the RFC unite them, since the querier asks for what the next one leaves out. The
//! tracking of hosts takes them for one list here.
//!
//! An exclude list is not split by the RFC: what does not fit is left out. Hosts that split it anyway are understood if the
//! pieces come back to back. After that, another list replaces the first: uniting the two would block a source that the host
//! wants by now.

use crate::wire::gmp::RecordKind;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

/// The longest time between two include lists that unite: the unsolicited report interval (RFC 3376 section 8.11).
const INCLUDE_GAP: Duration = Duration::from_secs(1);
/// The longest time between two exclude lists that unite.
const EXCLUDE_GAP: Duration = Duration::from_millis(100);
/// The most lists that are remembered, and the most sources of one.
const LISTS: usize = 256;
const SOURCES: usize = 4096;

#[derive(Debug)]
struct Piece {
    excludes: bool,
    sources: BTreeSet<IpAddr>,
    at: Duration,
}

/// The last lists of hosts.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    lists: BTreeMap<(IpAddr, IpAddr), Piece>,
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
        let mut united = list.clone();
        let last = self.lists.remove(&(group, host));
        let excludes = match kind {
            RecordKind::ToInclude => false,
            // Several hosts may share the unspecified address, and a source is only blocked if all exclude it.
            RecordKind::IsExclude | RecordKind::ToExclude if !host.is_unspecified() => true,
            _ => return united,
        };
        if list.is_empty() {
            return united;
        }
        let gap = if excludes { EXCLUDE_GAP } else { INCLUDE_GAP };
        if let Some(last) = last
            && last.excludes == excludes
            && now.saturating_sub(last.at) <= gap
        {
            united.extend(last.sources);
        }
        if self.lists.len() >= LISTS {
            self.lists.retain(|_, piece| now.saturating_sub(piece.at) <= INCLUDE_GAP);
        }
        if self.lists.len() < LISTS && united.len() <= SOURCES {
            self.lists.insert((group, host), Piece { excludes, sources: united.clone(), at: now });
        }
        united
    }

    pub(super) fn clear(&mut self) {
        self.lists.clear();
    }
}
