//! Owner words: who owns a thing, and a stamp that grows with every change of hands.
//!
//! ```text
//!  63                                            20 19                   0
//! +------------------------------------------------+----------------------+
//! |                     stamp                      |  owner's slot + 1    |   0 in the low part: free
//! +------------------------------------------------+----------------------+
//! ```
//!
//! A word is always plain: never a descriptor in disguise, never half of a change. Words are appended and then live as
//! long as whoever holds the [`OwnerWords`], so late helpers of the claim step and holders of stamps may look at them at
//! any time. A word that was issued is never 0, since stamps begin at 1 and leave 0 out when they wrap; so an id that
//! leads to a word not issued yet is found out without a second look anywhere.

use super::error::OwnersError;
use crate::faults;
use crate::handle::points;
use crate::memory::{self, NoMemory};
use crate::sync::{AtomicPtr, Ordering, SteppedWord, Word};
use crossbeam_utils::CachePadded;
use std::ptr::{self, NonNull};

/// Names one owner word of a table; as long-lived as the table, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceId(pub(crate) u32);

impl ResourceId {
    /// The pair it is one of: itself and the other, in their order.
    #[inline]
    #[must_use]
    pub const fn pair(self) -> [ResourceId; 2] {
        [ResourceId(self.0 & !1), ResourceId(self.0 | 1)]
    }
}

pub(super) const SLOT_BITS: u32 = 20;
const SLOT_MASK: u64 = (1 << SLOT_BITS) - 1;

/// An owner word as it was read: a stamp, and who owns the thing. Only whole words are worth comparing: equal words
/// mean that nothing changed hands in between.
///
/// (Stamps have 44 bits: they come round after 2^44 changes of one word, which at full speed takes days.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OwnerWord(pub(crate) u64);

impl OwnerWord {
    /// Whether nobody owns it.
    #[inline]
    #[must_use]
    pub const fn is_free(self) -> bool {
        self.0 & SLOT_MASK == 0
    }

    /// The stamp, which grows by one whenever the thing changes hands.
    #[inline]
    #[must_use]
    pub const fn stamp(self) -> u64 {
        self.0 >> SLOT_BITS
    }

    /// The owner's slot.
    #[inline]
    pub(super) const fn slot(self) -> Option<u32> {
        match self.0 & SLOT_MASK {
            0 => None,
            slot => Some(slot as u32 - 1),
        }
    }

    /// The word after the next change of hands, which gives it to this slot or to nobody.
    #[inline]
    pub(super) const fn next(self, slot: Option<u32>) -> OwnerWord {
        let stamp = match (self.0 >> SLOT_BITS) + 1 {
            // Stamp 0 is left out: see the top of this file.
            stamp if stamp >> (64 - SLOT_BITS) != 0 => 1,
            stamp => stamp,
        };
        let owner = match slot {
            Some(slot) => slot as u64 + 1,
            None => 0,
        };
        OwnerWord(stamp << SLOT_BITS | owner)
    }

    const FIRST: OwnerWord = OwnerWord(0).next(None);
}

/// Two words in a line: what belongs together is looked at together.
#[derive(Debug, Default)]
#[repr(C, align(64))]
struct Pair([SteppedWord; 2]);

/// The first segment holds this many pairs, each further one twice as many as the one before: so that a pair, counted from here
/// on, is in the segment of its highest bit, at what its other bits say.
const FIRST_SEGMENT: u32 = if cfg!(loom) { 2 } else { 64 };
const SEGMENTS: u32 = 20;
/// How many pairs there can be: far fewer than the 2^30 things that the count in a claim word can tell.
const MAX_PAIRS: u32 = FIRST_SEGMENT * ((1 << SEGMENTS) - 1);

/// The owner words of one table, to be read by whoever holds derived state. Every method is wait-free.
#[derive(Debug)]
pub struct OwnerWords {
    /// By the highest bit of what is in them: the first ones and the last are never made. As many as there are bits, which
    /// spares a check.
    segments: [AtomicPtr<Pair>; u32::BITS as usize],
    /// How many pairs have been given out.
    pairs: CachePadded<Word>,
}

impl Default for OwnerWords {
    fn default() -> Self {
        OwnerWords {
            segments: std::array::from_fn(|_| AtomicPtr::new(ptr::null_mut())),
            pairs: CachePadded::new(Word::new(0)),
        }
    }
}

/// Where an owner word is, for who asks about it too often to look it up each time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WordPtr(NonNull<SteppedWord>);

// SAFETY: it leads to an atomic, and is good for nothing but reading it.
unsafe impl Send for WordPtr {}
// SAFETY: as above.
unsafe impl Sync for WordPtr {}

impl WordPtr {
    /// [`OwnerWords::unchanged`] of that word. Wait-free.
    ///
    /// # Safety
    /// The `OwnerWords` that told where it is have not been dropped.
    #[inline]
    pub(crate) unsafe fn unchanged(self, word: OwnerWord) -> bool {
        // SAFETY: by the caller's word, so is the segment it is in; it was initialized before anybody was told.
        let now = unsafe { self.0.as_ref() };
        // SeqCst, as in `OwnerWords::word`. It has been given out: it does not read 0 any more.
        now.unstepped().load(Ordering::SeqCst) == word.0
    }

    /// The other word of a pair.
    ///
    /// # Safety
    /// This is where the first one is.
    #[inline]
    pub(crate) unsafe fn second(self) -> WordPtr {
        // SAFETY: by the caller's word, another one follows it in their segment.
        WordPtr(unsafe { self.0.add(1) })
    }
}

/// The segment of a pair, whose id is half of one, and the place in it.
#[inline]
const fn place(pair: u32) -> (usize, usize) {
    let counted = pair.saturating_add(FIRST_SEGMENT);
    let at = counted.ilog2();
    (at as usize, (counted ^ 1 << at) as usize)
}

const fn segment_length(segment: usize) -> usize {
    1 << segment
}

impl OwnerWords {
    /// The word as it is now; `None` when no such id has been given out, so that it must be another table's. Wait-free.
    #[inline]
    #[must_use]
    pub fn word(&self, id: ResourceId) -> Option<OwnerWord> {
        // SeqCst, paired with the change of hands in the claim step: a check that begins after a release took effect
        // sees it.
        let word = self.stepped(id)?.unstepped().load(Ordering::SeqCst);
        (word != 0).then_some(OwnerWord(word))
    }

    /// Whether the word still reads `word`: then the thing did not change hands since that was read. Wait-free.
    #[inline]
    #[must_use]
    pub fn unchanged(&self, id: ResourceId, word: OwnerWord) -> bool {
        self.word(id) == Some(word)
    }

    /// Where a word is, if its id has been given out.
    pub(crate) fn word_at(&self, id: ResourceId) -> Option<WordPtr> {
        self.word(id)?;
        self.place_of(id).map(WordPtr)
    }

    #[inline]
    fn place_of(&self, id: ResourceId) -> Option<NonNull<SteppedWord>> {
        let (segment, offset) = place(id.0 >> 1);
        // Acquire, paired with the compare-and-swap in `ensure`: the segment's words.
        let pairs = NonNull::new(self.segments[segment].load(Ordering::Acquire))?;
        // SAFETY: `place` gives an offset below the length of the segment.
        let pair = unsafe { pairs.add(offset) };
        // SAFETY: a pair is two words, and nothing stands before them.
        Some(unsafe { pair.cast::<SteppedWord>().add((id.0 & 1) as usize) })
    }

    /// The word itself, for the claim step. Reads 0 if the id was never given out.
    #[inline]
    pub(super) fn stepped(&self, id: ResourceId) -> Option<&SteppedWord> {
        // SAFETY: it is initialized, in a segment that lives as long as `self`.
        Some(unsafe { self.place_of(id)?.as_ref() })
    }

    /// How many ids can be given out.
    pub(super) const MOST: u32 = MAX_PAIRS * 2;

    /// Gives out two ids whose words share a line. Lock-free. Allocates now and then.
    pub(super) fn append(&self) -> Result<[ResourceId; 2], OwnersError> {
        const FULL: OwnersError = OwnersError::Full { most: OwnerWords::MOST };
        // Relaxed, here and below: the number only shares out indices; segments and words are published on their own.
        let mut pair = self.pairs.load(Ordering::Relaxed);
        loop {
            let index = u32::try_from(pair).ok().filter(|&index| index < MAX_PAIRS).ok_or(FULL)?;
            self.ensure(place(index).0).map_err(|NoMemory| OwnersError::NoMemory)?;
            match self.pairs.compare_exchange(pair, pair + 1, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => {
                    faults::point(points::OWNERS_UNSET);
                    let ids = [ResourceId(index * 2), ResourceId(index * 2 + 1)];
                    for id in ids {
                        // SeqCst, paired with all loads of the word. The ids are known to nobody yet.
                        self.stepped(id).ok_or(FULL)?.unstepped().store(OwnerWord::FIRST.0, Ordering::SeqCst);
                    }
                    return Ok(ids);
                }
                Err(now) => pair = now,
            }
        }
    }

    fn ensure(&self, segment: usize) -> Result<(), NoMemory> {
        let entry = &self.segments[segment];
        // Acquire, as in `stepped`.
        if !entry.load(Ordering::Acquire).is_null() {
            return Ok(());
        }
        let length = segment_length(segment);
        let made = memory::slice(length, std::iter::repeat_with(Pair::default))?;
        let made = Box::into_raw(made).cast::<Pair>();
        faults::point(points::OWNERS_ALLOCATED);
        // Release, paired with `stepped`: the segment's words.
        if entry.compare_exchange(ptr::null_mut(), made, Ordering::AcqRel, Ordering::Acquire).is_err() {
            // SAFETY: made just now with this length, and shown to nobody.
            unsafe { free(made, segment) };
        }
        Ok(())
    }
}

impl Drop for OwnerWords {
    fn drop(&mut self) {
        for (segment, entry) in self.segments.iter().enumerate() {
            // Acquire, as in `stepped`.
            let pairs = entry.load(Ordering::Acquire);
            if !pairs.is_null() {
                // SAFETY: made by `ensure` with this length, and nobody borrows `self` any more.
                unsafe { free(pairs, segment) };
            }
        }
    }
}

/// # Safety
/// `pairs` is the segment of this number, made by `ensure` from a box, and is used no more.
unsafe fn free(pairs: *mut Pair, segment: usize) {
    let pairs = ptr::slice_from_raw_parts_mut(pairs, segment_length(segment));
    // SAFETY: this is the slice that the box held.
    drop(unsafe { Box::from_raw(pairs) });
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn places_are_all_different_and_in_their_segments() {
        let mut seen = BTreeSet::new();
        for pair in 0..1000 {
            let (segment, offset) = place(pair);
            assert!(offset < segment_length(segment));
            assert!(seen.insert((segment, offset)));
        }
        let (segment, offset) = place(MAX_PAIRS - 1);
        assert_eq!(offset, segment_length(segment) - 1);
        assert!(place(MAX_PAIRS).0 > segment, "beyond the last segment");
        assert!(place(u32::MAX >> 1).0 < u32::BITS as usize);
    }

    #[test]
    fn an_id_that_was_not_given_out_has_no_word() {
        let owners = OwnerWords::default();
        assert_eq!(owners.word(ResourceId(0)), None);
        let [a, b] = owners.append().unwrap();
        assert_eq!(owners.word(a), Some(OwnerWord::FIRST));
        assert_eq!(owners.word(b), Some(OwnerWord::FIRST));
        assert_eq!(owners.word(ResourceId(2)), None, "in a segment that is there");
        assert_eq!(owners.word(ResourceId(u32::MAX)), None, "in one that is not");
    }

    #[test]
    fn two_words_of_a_pair_share_a_line_and_pairs_do_not() {
        let owners = OwnerWords::default();
        let line = |id| owners.stepped(id).unwrap().address() / 64;
        let ([a, b], [c, d]) = (owners.append().unwrap(), owners.append().unwrap());
        assert_eq!(line(a), line(b));
        assert_eq!(line(c), line(d));
        assert_ne!(line(a), line(c));
    }

    #[test]
    fn words_that_were_looked_up_are_read_where_they_are() {
        let owners = OwnerWords::default();
        assert_eq!(owners.word_at(ResourceId(0)), None);
        let [a, b] = owners.append().unwrap();
        assert_eq!(owners.word_at(ResourceId(2)), None, "in a segment that is there");
        let first = owners.word_at(a).unwrap();
        // SAFETY: `a` is the first of its pair.
        let second = unsafe { first.second() };
        assert_eq!(owners.word_at(b), Some(second));
        let taken = OwnerWord::FIRST.next(Some(7));
        owners.stepped(b).unwrap().store(taken.0, Ordering::SeqCst);
        for (at, id, word) in [
            (first, a, OwnerWord::FIRST),
            (first, a, taken),
            (second, b, OwnerWord::FIRST),
            (second, b, taken),
        ] {
            // SAFETY: `owners` is still there.
            assert_eq!(unsafe { at.unchanged(word) }, owners.unchanged(id, word), "{id:?} {word:?}");
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
    fn threads_are_given_different_words() {
        let owners = OwnerWords::default();
        let ids: Vec<ResourceId> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..3)
                .map(|_| scope.spawn(|| (0..300).flat_map(|_| owners.append().unwrap()).collect::<Vec<_>>()))
                .collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 1800);
        assert!(ids.iter().all(|&id| owners.word(id) == Some(OwnerWord::FIRST)));
    }
}
