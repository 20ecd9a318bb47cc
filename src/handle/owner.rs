//! Owner words: who owns a thing, and a stamp that grows with every change of hands.

use crate::sync::{AtomicU64, Ordering};
use parking_lot::RwLock;

/// Names one owner word of a table; as long-lived as the table, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OwnerId(pub(crate) u32);

/// An owner word as it was read: `[stamp:44][owner's slot + 1:20]`. Only whole words are worth comparing: equal words
/// mean that nothing changed hands in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OwnerWord(pub(crate) u64);

impl OwnerWord {
    /// Whether nobody owns it.
    #[must_use]
    pub const fn is_free(self) -> bool {
        self.0 & ((1 << 20) - 1) == 0
    }

    /// The stamp: how often this word has changed hands.
    #[must_use]
    pub const fn stamp(self) -> u64 {
        self.0 >> 20
    }
}

/// The owner words of one table, to be read by whoever holds derived state.
pub struct Owners {
    pub(crate) words: RwLock<Vec<AtomicU64>>,
}

impl Owners {
    /// The word as it is now; `None` when the id is of another table and too large for this one. Wait-free.
    #[must_use]
    pub fn word(&self, id: OwnerId) -> Option<OwnerWord> {
        self.words.read().get(id.0 as usize).map(|w| OwnerWord(w.load(Ordering::SeqCst)))
    }

    /// Whether the word still reads `word`. Wait-free.
    #[must_use]
    pub fn unchanged(&self, id: OwnerId, word: OwnerWord) -> bool {
        self.word(id) == Some(word)
    }
}
