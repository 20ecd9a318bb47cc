//! Owner words: the owner of a resource, and a stamp that grows with every change of it.
//!
//! ```text
//!  63                                            20 19                   0
//! +------------------------------------------------+----------------------+
//! |                     stamp                      |  owner's slot + 1    |   0 in the low part: free
//! +------------------------------------------------+----------------------+
//! ```
//!
//! A word is always plain: never a descriptor, never half of a change. Words are appended and then live as long as their
//! [`OwnerWords`], so late helpers of the claim protocol and holders of stamps may read them at any time. An issued word is
//! never 0, since stamps begin at 1 and skip 0 when they wrap. So an id without an issued word is recognized by the
//! word alone.

use super::error::NewResourceError;
use super::points;
use crate::cfg::handle::FIRST_OWNER_SEGMENT;
use crate::faults;
use crate::memory::NoMemory;
use crate::segment::{Element, Pages};
use crate::segmented_array::DoublingArray;
use crate::sync::{Ordering, SteppedWord, Word};
use crossbeam_utils::CachePadded;
use std::ptr::NonNull;

/// Names one resource of an [`OwnershipTable`](super::OwnershipTable). It lives as long as the table and is never reused.
///
/// It is a number, and tables begin with the same ones: the id of another table is unknown here, or it is the id of another
/// resource. The program has to keep the ids of two tables apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceId(pub(crate) u32);

impl ResourceId {
    /// Returns the pair that it belongs to, in the order in which the pair was made.
    #[inline]
    #[must_use]
    pub const fn pair(self) -> [ResourceId; 2] {
        [ResourceId(self.0 & !1), ResourceId(self.0 | 1)]
    }
}

pub(super) const SLOT_BITS: u32 = 20;
const SLOT_MASK: u64 = (1 << SLOT_BITS) - 1;

/// A reading of an owner word: the owner and a stamp. Compare whole words only: equal words mean that the owner did not
/// change in between.
///
/// (Stamps have 44 bits: they recur after 2^44 changes of one word, which at full speed takes days.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OwnerWord(pub(crate) u64);

impl OwnerWord {
    /// Returns whether the resource has no owner.
    #[inline]
    #[must_use]
    pub const fn is_free(self) -> bool {
        self.0 & SLOT_MASK == 0
    }

    /// Returns the stamp, which grows by one whenever the owner changes.
    #[inline]
    #[must_use]
    pub const fn stamp(self) -> u64 {
        self.0 >> SLOT_BITS
    }

    /// Returns the index of the owner's slot.
    #[inline]
    pub(super) const fn slot(self) -> Option<u32> {
        match self.0 & SLOT_MASK {
            0 => None,
            slot => Some(slot as u32 - 1),
        }
    }

    /// Returns the word after the next change, which gives the resource to the object in this slot, or frees it.
    #[inline]
    pub(super) const fn next(self, slot: Option<u32>) -> OwnerWord {
        let stamp = match (self.0 >> SLOT_BITS) + 1 {
            // Stamp 0 is skipped: see the top of this file.
            stamp if stamp >> (64 - SLOT_BITS) != 0 => 1,
            stamp => stamp,
        };
        let owner = match slot {
            Some(slot) => slot as u64 + 1,
            None => 0,
        };
        OwnerWord(stamp << SLOT_BITS | owner)
    }

    /// Returns the word after a touch of the free word ([`OwnershipTable::touch`](super::OwnershipTable::touch)).
    #[cfg(feature = "manager")]
    pub(crate) const fn touched(self) -> OwnerWord {
        self.next(None)
    }

    /// The word of a resource that was never claimed. It recurs after 2^44 changes, as stamps do.
    pub(crate) const FIRST: OwnerWord = OwnerWord(0).next(None);
}

/// Two words in one cache line, for resources that are checked together.
#[derive(Debug, Default)]
#[repr(C, align(64))]
struct Pair([SteppedWord; 2]);

// SAFETY: two atomics may be zero, which is what `default` makes them.
unsafe impl Element for Pair {
    const ZEROED: bool = true;

    fn empty() -> Self {
        Pair::default()
    }
}

/// The number of segments of pairs that there can be.
const SEGMENTS: u32 = 20;
/// The number of pairs that there can be: far fewer than the 2^30 resources that the count in a claim word can reach.
const MAX_PAIRS: u32 = FIRST_OWNER_SEGMENT * ((1 << SEGMENTS) - 1);

/// The owner words of one table, for readers of derived state. Every public method is wait-free.
#[derive(Debug, Default)]
pub struct OwnerWords {
    pairs: DoublingArray<Pair, FIRST_OWNER_SEGMENT>,
    /// The number of pairs that have been issued.
    issued: CachePadded<Word>,
}

/// The address of an owner word, for readers that check it too often to look it up each time.
#[cfg(feature = "manager")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WordPtr(NonNull<SteppedWord>);

// SAFETY: it points to an atomic, and serves only to read it.
#[cfg(feature = "manager")]
unsafe impl Send for WordPtr {}
// SAFETY: as above.
#[cfg(feature = "manager")]
unsafe impl Sync for WordPtr {}

#[cfg(feature = "manager")]
impl WordPtr {
    /// Returns [`OwnerWords::unchanged`] of that word. Wait-free.
    ///
    /// # Safety
    /// The `OwnerWords` that returned the pointer have not been dropped.
    #[inline]
    pub(crate) unsafe fn unchanged(self, word: OwnerWord) -> bool {
        // SAFETY: by the contract, the word's segment is still there; the word was initialized before its id was issued.
        let now = unsafe { self.0.as_ref() };
        // SeqCst, as in `OwnerWords::word`. The word was issued, so it does not read 0 any more.
        now.unstepped().load(Ordering::SeqCst) == word.0
    }

    /// Returns the address of the other word of a pair.
    ///
    /// # Safety
    /// `self` is the address of the first one.
    #[inline]
    pub(crate) unsafe fn second(self) -> WordPtr {
        // SAFETY: by the contract, another word follows it in their segment.
        WordPtr(unsafe { self.0.add(1) })
    }
}

impl OwnerWords {
    /// The number of ids that can be issued.
    pub(super) const MAX: u32 = MAX_PAIRS * 2;

    /// Returns the word as it is now; `None` for an id that was not issued, so that it must be of another table.
    /// Wait-free.
    #[inline]
    #[must_use]
    pub fn word(&self, id: ResourceId) -> Option<OwnerWord> {
        // SeqCst, paired with the act of the claim protocol: a check that begins after a release took effect sees it.
        let word = self.stepped(id)?.unstepped().load(Ordering::SeqCst);
        (word != 0).then_some(OwnerWord(word))
    }

    /// Returns whether the word still reads `word`: then the owner did not change since that was read. Wait-free.
    #[inline]
    #[must_use]
    pub fn unchanged(&self, id: ResourceId, word: OwnerWord) -> bool {
        self.word(id) == Some(word)
    }

    /// Returns the address of a word, if its id has been issued.
    #[cfg(feature = "manager")]
    pub(crate) fn word_ptr(&self, id: ResourceId) -> Option<WordPtr> {
        self.word(id)?;
        self.address_of(id).map(WordPtr)
    }

    #[inline]
    fn address_of(&self, id: ResourceId) -> Option<NonNull<SteppedWord>> {
        let pair = self.pairs.pointer(id.0 >> 1)?;
        // SAFETY: a pair is two words, and nothing precedes them.
        Some(unsafe { pair.cast::<SteppedWord>().add((id.0 & 1) as usize) })
    }

    /// Returns the word itself, for the claim protocol. It reads 0 if the id was not issued.
    #[inline]
    pub(super) fn stepped(&self, id: ResourceId) -> Option<&SteppedWord> {
        // SAFETY: it is initialized, in a segment that lives as long as `self`.
        Some(unsafe { self.address_of(id)?.as_ref() })
    }

    /// Issues two ids with words in one cache line. Lock-free; may allocate.
    pub(super) fn append(&self) -> Result<[ResourceId; 2], NewResourceError> {
        const FULL: NewResourceError = NewResourceError::Full { max: OwnerWords::MAX };
        // Relaxed, here and below: the number only distributes indices; segments and words are published on their own.
        let mut pair = self.issued.load(Ordering::Relaxed);
        loop {
            let index = u32::try_from(pair).ok().filter(|&index| index < MAX_PAIRS).ok_or(FULL)?;
            self.pairs
                .ensure(index, Pages::Large, || faults::point(points::OWNERS_ALLOCATED))
                .map_err(|NoMemory| NewResourceError::NoMemory)?;
            match self.issued.compare_exchange(pair, pair + 1, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => {
                    faults::point(points::OWNERS_UNSET);
                    let ids = [ResourceId(index * 2), ResourceId(index * 2 + 1)];
                    for id in ids {
                        // SeqCst, paired with all loads of the word. No other thread knows the ids yet.
                        self.stepped(id).ok_or(FULL)?.unstepped().store(OwnerWord::FIRST.0, Ordering::SeqCst);
                    }
                    return Ok(ids);
                }
                Err(now) => pair = now,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn an_id_that_was_not_issued_has_no_word() {
        let words = OwnerWords::default();
        assert_eq!(words.word(ResourceId(0)), None);
        let [a, b] = words.append().unwrap();
        assert_eq!(words.word(a), Some(OwnerWord::FIRST));
        assert_eq!(words.word(b), Some(OwnerWord::FIRST));
        assert_eq!(words.word(ResourceId(2)), None, "in a segment that is there");
        assert_eq!(words.word(ResourceId(u32::MAX)), None, "in a segment that is not there");
    }

    #[test]
    fn the_words_of_a_pair_share_a_line_and_pairs_do_not() {
        let words = OwnerWords::default();
        let line = |id| words.stepped(id).unwrap().address() / 64;
        let ([a, b], [c, d]) = (words.append().unwrap(), words.append().unwrap());
        assert_eq!(line(a), line(b));
        assert_eq!(line(c), line(d));
        assert_ne!(line(a), line(c));
    }

    #[cfg(feature = "manager")]
    #[test]
    fn a_pointer_reads_the_word_that_it_was_made_for() {
        let words = OwnerWords::default();
        assert_eq!(words.word_ptr(ResourceId(0)), None);
        let [a, b] = words.append().unwrap();
        assert_eq!(words.word_ptr(ResourceId(2)), None, "in a segment that is there");
        let first = words.word_ptr(a).unwrap();
        // SAFETY: `a` is the first of its pair.
        let second = unsafe { first.second() };
        assert_eq!(words.word_ptr(b), Some(second));
        let taken = OwnerWord::FIRST.next(Some(7));
        words.stepped(b).unwrap().store(taken.0, Ordering::SeqCst);
        for (at, id, word) in [
            (first, a, OwnerWord::FIRST),
            (first, a, taken),
            (second, b, OwnerWord::FIRST),
            (second, b, taken),
        ] {
            // SAFETY: `words` is still there.
            assert_eq!(unsafe { at.unchanged(word) }, words.unchanged(id, word), "{id:?} {word:?}");
        }
    }

    #[test]
    fn the_stamp_grows_and_never_wraps_to_a_word_of_zero() {
        let free = OwnerWord::FIRST;
        let taken = free.next(Some(7));
        assert_eq!((taken.slot(), taken.is_free()), (Some(7), false));
        assert_eq!(taken.stamp(), free.stamp() + 1);
        let last = OwnerWord(u64::MAX << SLOT_BITS);
        assert_eq!(last.next(None), OwnerWord::FIRST);
    }

    #[test]
    fn threads_are_issued_different_words() {
        let words = OwnerWords::default();
        let ids: Vec<ResourceId> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..3)
                .map(|_| scope.spawn(|| (0..300).flat_map(|_| words.append().unwrap()).collect::<Vec<_>>()))
                .collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 1800);
        assert!(ids.iter().all(|&id| words.word(id) == Some(OwnerWord::FIRST)));
    }
}
