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

use super::new_entry::{NewEntry, VifIndex};
use super::stamp::Stamp;
use crate::handle::{OwnerWord, OwnerWords, ResourceId, WordPtr};
use crate::memory::{self, NoMemory};
use crate::sync;
use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::{Hash, Hasher};
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
    /// The incoming path, or [`Path::NONE`]; then the outgoing paths.
    paths: Box<[Path]>,
    /// Keeps the owner words that the paths point to. The pointer type is the one that tables use, which under loom is
    /// loom's.
    _owners: sync::Arc<OwnerWords>,
}

/// Compares paths only; each path already identifies its ownership words.
impl PartialEq for PathList {
    fn eq(&self, other: &PathList) -> bool {
        self.paths == other.paths
    }
}

impl Eq for PathList {}

impl PathList {
    /// Returns the incoming path, if there is one.
    #[inline]
    pub(super) fn incoming(&self) -> Option<&Path> {
        self.paths.first().filter(|path| path.interface != Path::NONE.interface || **path != Path::NONE)
    }

    /// Returns the outgoing paths.
    #[inline]
    pub(super) fn outgoing(&self) -> &[Path] {
        self.paths.get(1..).unwrap_or_default()
    }
}

/// A path list as the key of a set, found by its paths.
#[derive(PartialEq, Eq)]
struct Key(Arc<PathList>);

impl Borrow<[Path]> for Key {
    fn borrow(&self) -> &[Path] {
        &self.0.paths
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.paths.hash(state);
    }
}

/// The path lists of one table's entries. Only writers use it.
pub(super) struct PathListTable {
    owners: sync::Arc<OwnerWords>,
    lists: HashSet<Key, super::hash::Seed>,
    /// The list of the previous entry, which the next entry often shares.
    last: Option<Arc<PathList>>,
    /// The paths of the entry that is being made. The allocation is reused for the next entry.
    wanted: Vec<Path>,
    /// The number of lists that triggers the next sweep of unused lists.
    sweep_at: usize,
}

/// The minimum number of lists that a sweep is worth.
const MIN_SWEEP: usize = 64;

impl PathListTable {
    /// Makes an empty table for entries with stamps of `owners`.
    pub(super) fn new(owners: sync::Arc<OwnerWords>) -> PathListTable {
        PathListTable { owners, lists: HashSet::default(), last: None, wanted: Vec::new(), sweep_at: 0 }
    }

    /// Returns the path list of an entry, shared with the entries that have the same one.
    pub(super) fn list_of(&mut self, entry: &NewEntry<'_>) -> Result<Arc<PathList>, NoMemory> {
        self.wanted.clear();
        memory::reserve(&mut self.wanted, 1 + entry.outgoing.len())?;
        let path = |interface, stamp| Path::new(interface, stamp, &self.owners);
        self.wanted.push(entry.incoming.map_or(Path::NONE, |i| path(i.interface, i.stamp)));
        self.wanted.extend(entry.effective_outgoing().map(|o| path(o.interface, o.stamp)));
        if let Some(last) = self.last.as_ref().filter(|last| *last.paths == *self.wanted) {
            return Ok(last.clone());
        }
        let list = match self.lists.get(&*self.wanted) {
            Some(Key(list)) => list.clone(),
            None => self.add_wanted()?,
        };
        self.last = Some(list.clone());
        Ok(list)
    }

    /// Makes a list of the wanted paths, which no entry has yet.
    fn add_wanted(&mut self) -> Result<Arc<PathList>, NoMemory> {
        let paths = memory::slice(self.wanted.len(), self.wanted.iter().copied())?;
        let list = memory::shared(PathList { paths, _owners: self.owners.clone() })?;
        self.sweep();
        // Without memory for the set, the list is not shared with later entries.
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
