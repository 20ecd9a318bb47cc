//! [`Stamp`]: the owner words that a part of an entry was derived from.
//!
//! The ownership that an entry was derived from can change at any moment. Each interface in an entry therefore carries
//! a stamp, which holds the owner words as they read when the entry was made. The packet path compares them with the
//! present words before it forwards. A released ownership stops forwarding at that instant, although no thread has
//! touched the entry.

use crate::handle::{OwnerWord, OwnerWords, ResourceId};

/// The one or two owner words that an interface in an entry was derived from. The stamp is current while they are
/// unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, packed(4))]
pub struct Stamp {
    /// The resource of `word`. With two words it is the first resource of the pair.
    pub(super) id: ResourceId,
    pub(super) word: OwnerWord,
    /// The second word of the pair, which is never 0; or 0 where the stamp has one word.
    pub(super) other: OwnerWord,
}

impl Stamp {
    /// Makes a stamp of one owner word.
    #[inline]
    #[must_use]
    pub const fn one(id: ResourceId, word: OwnerWord) -> Stamp {
        Stamp { id, word, other: OwnerWord(0) }
    }

    /// Makes a stamp of both words of the pair that contains `id`, given in the pair's order
    /// ([`new_resource_pair`](crate::handle::OwnershipTable::new_resource_pair)).
    #[inline]
    #[must_use]
    pub const fn pair(id: ResourceId, [word, other]: [OwnerWord; 2]) -> Stamp {
        Stamp { id: id.pair()[0], word, other }
    }

    /// Returns whether this stamp contains every word of `other`. It then ends no later than `other` does.
    #[must_use]
    pub fn depends_on(&self, other: &Stamp) -> bool {
        other.words().into_iter().flatten().all(|word| self.words().contains(&Some(word)))
    }

    /// Returns whether every word of the stamp is among these words of its interface.
    pub(crate) fn holds_under(&self, words: [(ResourceId, OwnerWord); 2]) -> bool {
        self.words().into_iter().flatten().all(|word| words.contains(&word))
    }

    fn words(&self) -> [Option<(ResourceId, OwnerWord)>; 2] {
        let other = self.other;
        let other = (other != OwnerWord(0)).then_some((self.id.pair()[1], other));
        [Some((self.id, self.word)), other]
    }

    /// Returns whether no word of the stamp has changed. Wait-free: one load for each word.
    ///
    /// The loads pair with the store that takes or releases: a check that begins after a release took effect returns
    /// `false`.
    #[inline]
    #[must_use]
    pub fn is_current(&self, owners: &OwnerWords) -> bool {
        let Stamp { id, word, other } = *self;
        owners.unchanged(id, word) && (other == OwnerWord(0) || owners.unchanged(id.pair()[1], other))
    }
}
