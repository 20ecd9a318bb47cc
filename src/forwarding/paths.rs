//! [`PathList`]: the incoming and outgoing interfaces of an entry, stored once for all entries with the same
//! interfaces.
//!
//! Most flows of a router use one of a few sets of interfaces. An entry points to a shared path list, and keeps only
//! its counter identifiers apart (`oif_counters.rs`).
//!
//! ```text
//!     slot    +-------+------+-------+---------+--------------+       path list, of many entries
//!             | state | flow | paths | counter | oif counters |       +----------+--------+--------+
//!             +-------+------+---|---+---------+--------------+   +-->| incoming | oif 1  | oif 2  |  32 octets each
//!                                +---> shared by N entries -------+   +----------+--------+--------+
//! ```
//!
//! A packet path reads one line of the entry's own. The path list stays in the nearest cache while packets of any of
//! its flows arrive. The addresses of the owner words are looked up once, when the list is made.
//!
//! A list of more than [`PIECE`] outgoing paths is divided into pieces, which lists share as well. A list that differs from
//! another one in one interface copies two pieces at most, and refers to the others (`change.rs`). So the interfaces of an entry
//! change one by one at a cost that hardly depends on how many there are.

mod change;

pub(super) use change::{ChangedPaths, Edit};

use super::new_entry::{NewEntry, VifIndex};
use super::stamp::Stamp;
use crate::handle::{OwnerWord, OwnerWords, ResourceId, WordPtr};
use crate::memory::{self, NoMemory};
use crate::sync;
use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;

/// An interface, its stamp, and the address of the stamp's owner word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Path {
    pub(super) interface: VifIndex,
    pub(super) stamp: Stamp,
    /// The address of the stamp's word, or of the first word of its pair; `None` if there is no such word.
    word: Option<WordPtr>,
}

const _: () = assert!(cfg!(not(target_pointer_width = "64")) || size_of::<Path>() == 32);

impl Hash for Path {
    /// Hashes whole words.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Stamp { id, word, other } = self.stamp;
        state.write_u64(u64::from(self.interface.0) << 32 | u64::from(id.0));
        state.write_u64(word.0);
        state.write_u64(other.0);
    }
}

impl Path {
    /// Stands for the missing incoming path of a negative entry. No table allocates its resource.
    const NONE: Path = Path {
        interface: VifIndex(u32::MAX),
        stamp: Stamp::one(ResourceId(u32::MAX), OwnerWord(0)),
        word: None,
    };

    fn new(interface: VifIndex, stamp: Stamp, owners: &OwnerWords) -> Path {
        Path { interface, stamp, word: owners.word_ptr(stamp.id) }
    }

    /// Returns what [`Stamp::is_current`] returns for the owner words of the path's list. Wait-free.
    ///
    /// # Safety
    /// The [`PathList`] that contains the path has not been dropped: it keeps the owner words alive.
    #[inline]
    pub(super) unsafe fn is_current(&self) -> bool {
        let Some(at) = self.word else { return false };
        let Stamp { word, other, .. } = self.stamp;
        // SAFETY: the address is of the list's owner words, which live as long as the list.
        let unchanged = |at: WordPtr, word| unsafe { at.unchanged(word) };
        // SAFETY: a stamp of a pair has the id of its first word (`Stamp::pair`), so a second word follows.
        unchanged(at, word) && (other == OwnerWord(0) || unchanged(unsafe { at.second() }, other))
    }
}

/// The incoming path and the outgoing paths of entries.
// Aligned to lines of its own: the reference count of the `Arc`, which changes with every entry, is not in a line that
// packet paths read.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct PathList {
    /// The incoming path, or [`Path::NONE`]; then the first piece of the outgoing paths.
    paths: Box<[Path]>,
    /// The further pieces. There are none where the outgoing paths fit into one.
    more: Box<[Arc<Piece>]>,
    /// The number of outgoing paths.
    len: usize,
    /// The sum of the hashes of all paths, so that one path changes it at the cost of that path.
    hash: u64,
    /// Keeps the owner words that the paths point to. The pointer type is the one that tables use, which under loom is
    /// loom's.
    _owners: sync::Arc<OwnerWords>,
}

/// The maximum number of outgoing paths in a piece: as many as a packet path has bits for. Tests divide lists early, though
/// not those that an entry has places for.
const PIECE: usize = if cfg!(test) { 8 } else { 64 };

/// A part of the outgoing paths of a list; never empty.
#[derive(Debug)]
pub(super) struct Piece(Box<[Path]>);

impl Piece {
    #[inline]
    pub(super) fn paths(&self) -> &[Path] {
        &self.0
    }
}

/// Compares paths only; each path already identifies its ownership words.
impl PartialEq for PathList {
    fn eq(&self, other: &PathList) -> bool {
        let same_pieces = || {
            let mut pieces = self.more.iter().zip(&other.more);
            pieces.all(|(one, other)| Arc::ptr_eq(one, other) || one.0 == other.0)
        };
        self.hash == other.hash
            && self.len == other.len
            && if self.paths.len() == other.paths.len()
                && self.more.len() == other.more.len()
                && same_pieces()
            {
                self.paths == other.paths
            } else {
                self.paths.first() == other.paths.first() && self.iter().eq(other.iter())
            }
    }
}

impl Eq for PathList {}

impl PathList {
    /// Returns the incoming path, if there is one.
    #[inline]
    pub(super) fn incoming(&self) -> Option<&Path> {
        self.paths.first().filter(|path| path.interface != Path::NONE.interface || **path != Path::NONE)
    }

    /// Returns the first piece of the outgoing paths, which is empty only if there are none.
    #[inline]
    pub(super) fn first(&self) -> &[Path] {
        self.paths.get(1..).unwrap_or_default()
    }

    /// Returns the further pieces.
    #[inline]
    pub(super) fn more(&self) -> &[Arc<Piece>] {
        &self.more
    }

    /// Returns the number of outgoing paths.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Returns the outgoing paths.
    #[inline]
    pub(super) fn iter(&self) -> impl Iterator<Item = &Path> + Clone {
        self.first().iter().chain(self.more.iter().flat_map(|piece| piece.paths()))
    }

    /// Returns whether the list consists of these paths, the incoming one first.
    fn consists_of(&self, paths: &[Path]) -> bool {
        if self.more.is_empty() {
            return *self.paths == *paths;
        }
        1 + self.len == paths.len() && self.paths.iter().chain(self.iter().skip(self.first().len())).eq(paths)
    }
}

/// The outgoing interfaces of an entry, in a list that is shared with other entries.
#[derive(Clone, Debug, Default)]
pub(crate) struct SharedPaths(Option<Arc<PathList>>);

impl SharedPaths {
    pub(super) fn new(list: Arc<PathList>) -> SharedPaths {
        SharedPaths(Some(list))
    }

    pub(super) fn list(&self) -> Option<&Arc<PathList>> {
        self.0.as_ref()
    }

    /// Returns the number of outgoing interfaces.
    pub(crate) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |list| list.len())
    }

    /// Returns whether there is no outgoing interface.
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the outgoing interfaces with their stamps.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (VifIndex, Stamp)> {
        self.0.iter().flat_map(|list| list.iter()).map(|path| (path.interface, path.stamp))
    }

    /// Returns the stamp of an outgoing interface, in a list that is ordered by interface; `None` if it is none of them.
    pub(crate) fn stamp_of(&self, interface: VifIndex) -> Option<Stamp> {
        self.0.as_ref()?.find(interface).map(|path| path.stamp)
    }
}

/// A path list as an element of a set, found by its hash. No two lists of a set have the same one.
struct Key(Arc<PathList>);

impl PartialEq for Key {
    fn eq(&self, other: &Key) -> bool {
        self.0.hash == other.0.hash
    }
}

impl Eq for Key {}

impl Borrow<u64> for Key {
    fn borrow(&self) -> &u64 {
        &self.0.hash
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash.hash(state);
    }
}

/// The path lists of one table's entries. Only writers use it.
pub(super) struct PathListTable {
    owners: sync::Arc<OwnerWords>,
    lists: HashSet<Key, super::hash::Seed>,
    /// Hashes paths.
    seed: super::hash::Seed,
    /// The list of the previous entry, which the next entry often shares.
    last: Option<Arc<PathList>>,
    /// The paths of the entry that is being made. The allocation is reused for the next entry.
    wanted: Vec<Path>,
    /// The number of lists that triggers the next sweep of unused lists.
    sweep_at: usize,
    /// The last changes of lists, which the next entries often share.
    changes: change::Memo,
    /// The number of paths and pieces that changes of lists have copied so far.
    copied: u64,
}

/// The minimum number of lists that a sweep is worth.
const MIN_SWEEP: usize = 64;

impl PathListTable {
    /// Makes an empty table for entries with stamps of `owners`.
    pub(super) fn new(owners: sync::Arc<OwnerWords>) -> PathListTable {
        PathListTable {
            owners,
            lists: HashSet::default(),
            seed: super::hash::Seed::default(),
            last: None,
            wanted: Vec::new(),
            sweep_at: 0,
            changes: change::Memo::default(),
            copied: 0,
        }
    }

    /// Returns the number of paths and pieces that changes of lists have copied so far. For tests of what a change costs.
    pub(super) fn copied(&self) -> u64 {
        self.copied
    }

    /// Returns the path list of an entry, shared with the entries that have the same one.
    pub(super) fn list_of(&mut self, entry: &NewEntry<'_>) -> Result<Arc<PathList>, NoMemory> {
        self.wanted.clear();
        memory::reserve(&mut self.wanted, 1 + entry.outgoing.len())?;
        let path = |interface, stamp| Path::new(interface, stamp, &self.owners);
        self.wanted.push(entry.incoming.map_or(Path::NONE, |i| path(i.interface, i.stamp)));
        self.wanted.extend(entry.effective_outgoing().map(|o| path(o.interface, o.stamp)));
        if let Some(last) = self.last.as_ref().filter(|last| last.consists_of(&self.wanted)) {
            return Ok(last.clone());
        }
        // The incoming path comes first, and counts differently from an outgoing one.
        let hashes = self.wanted.iter().map(|path| self.hash_of(path));
        let hash = hashes
            .reduce(|incoming, hash| incoming.wrapping_add(hash))
            .map_or(0, |sum| sum.wrapping_add(self.hash_of(&self.wanted[0]).rotate_left(1)));
        let list = match self.lists.get(&hash) {
            Some(Key(list)) if list.consists_of(&self.wanted) => list.clone(),
            _ => self.add_wanted(hash)?,
        };
        self.last = Some(list.clone());
        Ok(list)
    }

    fn hash_of(&self, path: &Path) -> u64 {
        self.seed.hash_one(path)
    }

    /// Makes a list of the wanted paths, which no entry has yet.
    fn add_wanted(&mut self, hash: u64) -> Result<Arc<PathList>, NoMemory> {
        let len = self.wanted.len() - 1;
        let (first, rest) = self.wanted.split_at(1 + len.min(PIECE));
        let mut more = memory::vec(rest.len().div_ceil(PIECE))?;
        for piece in rest.chunks(PIECE) {
            more.push(memory::shared(Piece(memory::slice(piece.len(), piece.iter().copied())?))?);
        }
        let paths = memory::slice(first.len(), first.iter().copied())?;
        let list = PathList { paths, more: more.into(), len, hash, _owners: self.owners.clone() };
        self.add(memory::shared(list)?)
    }

    /// Adds a list, so that later entries share it.
    fn add(&mut self, list: Arc<PathList>) -> Result<Arc<PathList>, NoMemory> {
        self.sweep();
        // Without memory for the set, or beside another list with the same hash, the list is not shared with later entries.
        if memory::reserve_in_set(&mut self.lists, 1).is_ok() {
            self.lists.insert(Key(list.clone()));
        }
        Ok(list)
    }

    /// Removes the lists without entries once the number of lists has doubled since the last sweep.
    fn sweep(&mut self) {
        if self.lists.len() < self.sweep_at.max(MIN_SWEEP) {
            return;
        }
        // A list with a count of 1 is referenced by this set only, so no other thread can clone it.
        self.lists.retain(|Key(list)| Arc::strong_count(list) > 1);
        self.sweep_at = 2 * self.lists.len();
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
