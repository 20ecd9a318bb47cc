//! [`Entry`]: how the packets of one flow are forwarded.

use super::counters::counter_id::{FlowCounterId, OifCounterId};
use super::counters::oif_counters::OifCounters;
use super::flow::Flow;
use super::new_entry::{Incoming, NewEntry, Outgoing, VifIndex};
use super::paths::{ChangedPaths, Path, PathList, PathListTable, Piece};
use crate::memory::NoMemory;
use std::slice;
use std::sync::Arc;

/// How the packets of one flow are forwarded. A table makes it of a [`NewEntry`].
// With the state word of its slot, an entry fills one cache line: the key, which a look-up reads, and the flow's own
// data. The interfaces are one pointer away (`PathList`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    flow: Flow,
    paths: Arc<PathList>,
    counter: FlowCounterId,
    /// The counters of the outgoing paths.
    oif_counters: OifCounters,
}

const _: () = assert!(cfg!(not(target_pointer_width = "64")) || size_of::<Entry>() == 56);

/// The result of checking one packet against an entry ([`Entry::check`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The packet arrived on the incoming interface. Copy it to the outgoing interfaces with a current stamp, of which
    /// there may be none left.
    Accept,
    /// The packet arrived on another interface.
    WrongInterface,
    /// The entry is negative: no receiver wants the packet.
    NoReceivers,
    /// The ownership of the incoming interface has changed. Treat the packet as one without an entry.
    Stale,
}

impl Entry {
    /// Makes an entry, sharing the path list that `table` has for it.
    pub(super) fn try_new(new: &NewEntry<'_>, table: &mut PathListTable) -> Result<Entry, NoMemory> {
        let paths = table.list_of(new)?;
        let counters = new.effective_outgoing().map(|o| o.counter);
        let oif_counters = OifCounters::try_new(new.counter, paths.len(), counters)?;
        Ok(Entry { flow: new.flow, paths, counter: new.counter, oif_counters })
    }

    /// Makes the entry that differs from this one in the path at one position, which is counted by `counter`.
    pub(super) fn changed(&self, changed: ChangedPaths, counter: OifCounterId) -> Result<Entry, NoMemory> {
        let ChangedPaths { list, position, edit } = changed;
        let oif_counters =
            self.oif_counters.changed(self.counter, self.paths.len(), (position, edit), counter)?;
        Ok(Entry { flow: self.flow, paths: list, counter: self.counter, oif_counters })
    }

    /// Returns the flow that the entry is for.
    #[inline]
    #[must_use]
    pub fn flow(&self) -> Flow {
        self.flow
    }

    /// Returns the identifier of the flow's counters.
    #[inline]
    #[must_use]
    pub fn counter(&self) -> FlowCounterId {
        self.counter
    }

    /// Returns the interface that packets must arrive on; `None` when there was no route to the source.
    #[inline]
    #[must_use]
    pub fn incoming(&self) -> Option<Incoming> {
        self.paths.incoming().map(|path| Incoming::new(path.interface, path.stamp))
    }

    /// Returns the interfaces that packets are copied to, including those with a stamp that is no longer current.
    #[inline]
    pub fn outgoing(&self) -> impl ExactSizeIterator<Item = Outgoing> + Clone + '_ {
        let piece = self.paths.first().iter();
        let positions = 0..self.paths.len();
        OutgoingInterfaces { entry: self, positions, piece, more: self.paths.more().iter() }
    }

    /// Returns the counter of the outgoing path with this position.
    #[inline]
    pub(super) fn oif_counter(&self, at: usize) -> OifCounterId {
        self.oif_counters.id_at(self.counter, at)
    }

    /// Returns whether the entry was made without outgoing interfaces.
    #[inline]
    #[must_use]
    pub fn is_negative(&self) -> bool {
        self.paths.first().is_empty()
    }

    /// Checks a packet that arrived on `arrival`. Wait-free.
    #[inline]
    #[must_use]
    pub fn check(&self, arrival: VifIndex) -> Verdict {
        let Some(path) = self.paths.incoming() else { return Verdict::NoReceivers };
        // SAFETY: the path is in `self.paths`, which keeps its owner words alive.
        let current = planted!("dead-stamp-forwards") || unsafe { path.is_current() };
        if !current {
            Verdict::Stale
        } else if path.interface != arrival {
            Verdict::WrongInterface
        } else if self.is_negative() {
            Verdict::NoReceivers
        } else {
            Verdict::Accept
        }
    }

    /// Returns the outgoing interfaces with a stamp that is current now. Wait-free.
    #[inline]
    pub fn live_outgoing(&self) -> impl Iterator<Item = Outgoing> + '_ {
        // SAFETY: the paths are in `self.paths`, which keeps their owner words alive.
        let live = |path: &Path| unsafe { is_live(path) };
        self.paths
            .iter()
            .enumerate()
            .filter(move |(_, path)| live(path))
            .map(|(at, path)| Outgoing::new(path.interface, path.stamp, self.oif_counter(at)))
    }

    /// Returns the outgoing paths, for a packet path.
    #[inline]
    pub(crate) fn outgoing_paths(&self) -> OutgoingPaths<'_> {
        OutgoingPaths { paths: self.paths.first(), more: self.paths.more() }
    }

    /// Returns the counters of the outgoing paths.
    #[inline]
    pub(crate) fn oif_counters(&self) -> &OifCounters {
        &self.oif_counters
    }

    /// Returns the path list.
    pub(super) fn paths(&self) -> &Arc<PathList> {
        &self.paths
    }
}

/// Iterates over the outgoing interfaces of an entry.
#[derive(Clone)]
struct OutgoingInterfaces<'e> {
    entry: &'e Entry,
    positions: std::ops::Range<usize>,
    piece: slice::Iter<'e, Path>,
    more: slice::Iter<'e, Arc<Piece>>,
}

impl Iterator for OutgoingInterfaces<'_> {
    type Item = Outgoing;

    #[inline]
    fn next(&mut self) -> Option<Outgoing> {
        let at = self.positions.next()?;
        let path = loop {
            match self.piece.next() {
                Some(path) => break path,
                None => self.piece = self.more.next()?.paths().iter(),
            }
        };
        Some(Outgoing::new(path.interface, path.stamp, self.entry.oif_counter(at)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.positions.size_hint()
    }
}

impl ExactSizeIterator for OutgoingInterfaces<'_> {}

/// Returns whether an outgoing path's stamp is current now.
///
/// # Safety
/// As [`Path::is_current`].
#[inline(always)]
unsafe fn is_live(path: &Path) -> bool {
    // SAFETY: the caller keeps the path list, as this function requires.
    planted!("dead-outgoing-copied") || unsafe { path.is_current() }
}

/// The outgoing paths of an entry from one of its pieces on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OutgoingPaths<'e> {
    /// The first piece: a part of the path list of an entry, which is borrowed for `'e`.
    paths: &'e [Path],
    more: &'e [Arc<Piece>],
}

impl<'e> OutgoingPaths<'e> {
    /// Returns the number of paths of the first piece, at most 64.
    #[inline]
    pub(crate) fn piece_len(self) -> usize {
        self.paths.len()
    }

    /// Returns the paths from the next piece on, if there is one.
    #[inline]
    pub(crate) fn next_piece(self) -> Option<OutgoingPaths<'e>> {
        let (piece, more) = self.more.split_first()?;
        Some(OutgoingPaths { paths: piece.paths(), more })
    }

    /// Returns the interfaces of the first piece with a stamp that is current now, each with a bit for its position: the lowest
    /// bit for the first path.
    #[inline(always)]
    pub(crate) fn live(self) -> impl Iterator<Item = (u64, VifIndex)> {
        let mut next = 1_u64;
        self.paths.iter().filter_map(move |path| {
            let bit = next;
            next <<= 1;
            // SAFETY: the entry is borrowed for 'e, and keeps the path list and with it the owner words.
            unsafe { is_live(path) }.then_some((bit, path.interface))
        })
    }
}
