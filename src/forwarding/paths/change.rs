//! Path lists that differ from another one in one interface.
//!
//! ```text
//!   before   [ incoming | first piece ]  [piece] [ piece   ] [piece]
//!                                          |         |         |
//!   after    [ incoming | first piece ]  [piece] [ changed ] [piece]      copied: the first piece, the changed one
//! ```

use super::{PIECE, Path, PathList, PathListTable, Piece};
use crate::forwarding::new_entry::VifIndex;
use crate::forwarding::stamp::Stamp;
use crate::memory::{self, NoMemory};
use std::sync::Arc;

/// What happens to one path of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::forwarding) enum Edit {
    Insert,
    Replace,
    Remove,
}

/// A list that differs from another one in the path at one position.
#[derive(Clone, Debug)]
pub(in crate::forwarding) struct ChangedPaths {
    pub(in crate::forwarding) list: Arc<PathList>,
    pub(in crate::forwarding) position: usize,
    pub(in crate::forwarding) edit: Edit,
}

/// A change of a list that was made before.
struct Change {
    from: Arc<PathList>,
    interface: VifIndex,
    stamp: Option<Stamp>,
    to: ChangedPaths,
}

/// The number of changes that are remembered: the entries of a group have a few lists, one for each incoming interface.
const REMEMBERED: usize = 8;

/// The last changes that were made.
#[derive(Default)]
pub(super) struct Memo {
    changes: [Option<Change>; REMEMBERED],
    next: usize,
}

/// A position in a list that is ordered by interface.
#[derive(Clone, Copy)]
struct Place {
    /// The piece, 0 for the first.
    piece: usize,
    /// The position in the piece.
    at: usize,
    found: bool,
}

impl PathList {
    /// Returns a piece of the outgoing paths, 0 for the first.
    fn piece(&self, piece: usize) -> &[Path] {
        match piece.checked_sub(1) {
            None => self.first(),
            Some(at) => self.more.get(at).map(|piece| piece.paths()).unwrap_or_default(),
        }
    }

    /// Finds the place of an interface.
    fn place(&self, interface: VifIndex) -> Place {
        let begins_by = |piece: &Arc<Piece>| piece.paths().first().is_some_and(|p| p.interface <= interface);
        let piece = self.more.partition_point(begins_by);
        let at = self.piece(piece).binary_search_by_key(&interface, |path| path.interface);
        let (Ok(place) | Err(place)) = at;
        Place { piece, at: place, found: at.is_ok() }
    }

    /// Returns the outgoing path of an interface.
    pub(super) fn find(&self, interface: VifIndex) -> Option<&Path> {
        let place = self.place(interface);
        self.piece(place.piece).get(place.at).filter(|_| place.found)
    }

    /// Returns the number of outgoing paths before a place.
    fn position(&self, place: Place) -> usize {
        (0..place.piece).map(|piece| self.piece(piece).len()).sum::<usize>() + place.at
    }

    /// Returns the pieces that a removal at a place makes one: the piece itself and a neighbour, if both are small.
    fn joined(&self, place: Place) -> std::ops::Range<usize> {
        let (piece, len) = (place.piece, |piece| self.piece(piece).len());
        let left = len(piece) - 1;
        let is_small = |neighbour| left + len(neighbour) <= PIECE / 2;
        if piece < self.more.len() && (left == 0 || is_small(piece + 1)) {
            piece..piece + 2
        } else if piece > 0 && (left == 0 || is_small(piece - 1)) {
            piece - 1..piece + 1
        } else {
            piece..piece + 1
        }
    }
}

impl PathListTable {
    /// Returns the list that differs from another one in an interface: without it, or with `stamp`. The list is ordered by
    /// interface. Returns `None` if they do not differ.
    pub(in crate::forwarding) fn change(
        &mut self,
        from: &Arc<PathList>,
        interface: VifIndex,
        stamp: Option<Stamp>,
    ) -> Result<Option<ChangedPaths>, NoMemory> {
        let same = |change: &&Change| {
            Arc::ptr_eq(&change.from, from) && change.interface == interface && change.stamp == stamp
        };
        if let Some(change) = self.changes.changes.iter().flatten().find(same) {
            return Ok(Some(change.to.clone()));
        }
        let place = from.place(interface);
        let path = stamp.map(|stamp| Path::new(interface, stamp, &self.owners));
        let edit = match (place.found, path) {
            (false, None) => return Ok(None),
            (false, Some(_)) => Edit::Insert,
            (true, Some(_)) => Edit::Replace,
            (true, None) => Edit::Remove,
        };
        let list = self.changed(from, place, path)?;
        let to = ChangedPaths { list, position: from.position(place), edit };
        let at = self.changes.next;
        self.changes.changes[at] = Some(Change { from: from.clone(), interface, stamp, to: to.clone() });
        self.changes.next = (at + 1) % REMEMBERED;
        Ok(Some(to))
    }

    /// Makes the list with `path` at a place: inserted there, or instead of the path that was found there.
    fn changed(
        &mut self,
        from: &PathList,
        place: Place,
        path: Option<Path>,
    ) -> Result<Arc<PathList>, NoMemory> {
        let old = from.piece(place.piece).get(place.at).filter(|_| place.found);
        let hash = |path: Option<&Path>| path.map_or(0, |path| self.hash_of(path));
        let hash = from.hash.wrapping_sub(hash(old)).wrapping_add(hash(path.as_ref()));
        let len = from.len - usize::from(place.found) + usize::from(path.is_some());
        let pieces = 1 + from.more.len();
        // The pieces that become others. What fits into one piece is one.
        let changed = match path {
            _ if len <= PIECE => 0..pieces,
            Some(_) => place.piece..place.piece + 1,
            None => from.joined(place),
        };
        let before = changed.clone().filter(|piece| *piece < place.piece).flat_map(|piece| from.piece(piece));
        let (left, right) = from.piece(place.piece).split_at(place.at);
        let after = changed.clone().filter(|piece| *piece > place.piece).flat_map(|piece| from.piece(piece));
        let here = left.iter().chain(&path).chain(right.iter().skip(place.found.into()));
        let paths = before.chain(here).chain(after).copied();
        let count = paths.clone().count();
        let size = if count > PIECE { count.div_ceil(2) } else { count };

        let new_first = if changed.start == 0 { size } else { 0 };
        let first = if changed.start == 0 {
            let incoming = from.paths.first().copied();
            memory::slice(1 + size, incoming.into_iter().chain(paths.clone().take(size)))?
        } else {
            memory::slice(from.paths.len(), from.paths.iter().copied())?
        };
        let kept =
            |pieces: std::ops::Range<usize>| pieces.filter_map(|piece| from.more.get(piece.checked_sub(1)?));
        let mut more = memory::vec(pieces + 1)?;
        more.extend(kept(1..changed.start.max(1)).cloned());
        let mut rest = paths.skip(new_first).peekable();
        while rest.peek().is_some() {
            let piece = memory::slice(size, rest.by_ref().take(size))?;
            more.push(memory::shared(Piece(piece))?);
        }
        more.extend(kept(changed.end..pieces).cloned());
        self.copied += (count + first.len() + more.len()) as u64;
        let list = PathList { paths: first, more: more.into(), len, hash, _owners: self.owners.clone() };
        match self.lists.get(&hash) {
            Some(known) if *known.0 == list => Ok(known.0.clone()),
            _ => self.add(memory::shared(list)?),
        }
    }
}
