//! [`Lanes`]: where a flow's entry is, found by its hash.
//!
//! A bucket is one cache line of eight lanes, each a word that says under which fingerprint which entry stands:
//!
//! ```text
//!  63                          32 31          24 23                      0
//! +------------------------------+--------------+------------------------+
//! |         fingerprint          |   overflow   |    entry index + 1     |   0 in the low bits: an empty lane
//! +------------------------------+--------------+------------------------+
//!                                 last lane only
//! ```
//!
//! The upper half of a flow's hash is its fingerprint, whose low bits name the home bucket: so lanes alone tell where they
//! belong in a larger array, and growing reads no entry. (What is left to tell apart those that meet in a bucket is 10 bits
//! in the largest array: one look at a wrong entry in 200 look-ups.) An entry is published, replaced and taken away by one
//! store to its lane. A fingerprint that fits is only a hint: the key is compared in the entry.
//!
//! **Probing.** An entry whose home is full stands in the next bucket that has room, wrapping around. Every bucket that
//! it had to pass counts it in the overflow bits of its last lane, so a look-up goes on to the next bucket only while
//! somebody has passed this one. Taking entries away breaks no such chain: the passed buckets still count whoever is
//! beyond them. The count saturates, and a saturated one is never lowered again: look-ups then probe further than they
//! need to, until the next growth. The bits share the last lane's word because only the writer changes either, and a
//! look-up that reads the lanes in order has them at no cost. At the load limit of five lanes in eight about one bucket in
//! fifteen has been passed, so a look-up reads little more than one line.
//!
//! An entry never moves within an array. Moving it back towards its home would let a look-up pass its new place before
//! the move and its old one after: a miss for a flow that was there all along.
//!
//! **Flooding.** Which flows there are, senders choose; where they stand, they cannot, because the hash is seeded with what
//! nobody outside knows (`hash.rs`). Should so many meet in one place all the same that an entry would have to pass
//! [`MAX_PASSED`] buckets, it is refused ([`Lanes::is_crowded`]) rather than look-ups made slow.
//!
//! **Growth.** The writer builds an array of twice the size that nobody sees yet and hangs it on `next`. From then on only
//! the new one is changed. A look-up that had already chosen the old array goes through it as it was at that moment,
//! which lies within the look-up's own time, so it is answered right: it probes one array, never two. Old arrays are kept
//! until the table goes: together they are smaller than the newest.

use crate::faults;
use crate::forwarding::points;
use crate::memory::{self, NoMemory};
use crate::prefetch::prefetch;
use crate::sync::{OnceLock, Ordering, Word};

/// Lanes of a bucket: as many words as a cache line has; fewer under loom, which tries every order of loads.
pub(super) const LANES: usize = if cfg!(loom) { 2 } else { 8 };

/// log2 of the first array's buckets; tests reach growth and wrapping early.
const FIRST: u32 = if cfg!(any(loom, test)) { 0 } else { 4 };

/// Arrays larger than this are not needed: 2^22 buckets have 2^25 lanes, and an index has 24 bits.
const LARGEST: u32 = 22;

/// So many buckets an entry passes at most on the way to its place. At the load limit, with hashes at random, the most in a
/// table of a million entries is about ten.
pub(super) const MAX_PASSED: usize = 64;

/// With so many buckets, and as many entries as they hold, a table takes half a megabyte.
const FEW: usize = if cfg!(test) { 1 } else { 1 << 10 };

const INDEX: u64 = (1 << 24) - 1;
const OVERFLOW_ONE: u64 = 1 << 24;
const OVERFLOW: u64 = 0xFF << 24;
const FINGERPRINT: u64 = !0 << 32;

#[derive(Default)]
#[repr(align(64))]
pub(super) struct Bucket {
    pub(super) lanes: [Word; LANES],
}

/// What is seen of a hash in its home bucket: the index of the first entry whose fingerprint fits; or one of the other two.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Glance(u32);

impl Glance {
    /// No such entry at all.
    pub(super) const NOTHING: Glance = Glance(u32::MAX);
    /// None in the home bucket; it may stand further on.
    const BEYOND: Glance = Glance(u32::MAX - 1);

    #[inline(always)]
    pub(super) fn fits(self) -> Option<u32> {
        (self.0 < Glance::BEYOND.0).then_some(self.0)
    }
}

/// One array of buckets, and the larger one that took its place, if any.
///
/// What changes lanes is for one thread at a time, the one that holds the table's writer lock.
pub(super) struct Lanes {
    buckets: Box<[Bucket]>,
    next: OnceLock<Box<Lanes>>,
}

impl Default for Lanes {
    fn default() -> Self {
        Lanes::of(FIRST).expect("memory for a first array")
    }
}

impl Lanes {
    fn of(log: u32) -> Result<Lanes, NoMemory> {
        let buckets = memory::slice(1 << log, std::iter::repeat_with(Bucket::default))?;
        Ok(Lanes { buckets, next: OnceLock::new() })
    }

    /// The array to look in now: this one or one of those that took its place. Wait-free: sizes double, so there are few.
    pub(super) fn newest(&self) -> &Lanes {
        let mut lanes = self;
        while let Some(next) = lanes.next.get() {
            lanes = next;
        }
        lanes
    }

    /// The first thing that `is` makes of an entry index whose fingerprint fits. Wait-free: goes through each bucket at
    /// most once.
    #[inline]
    pub(super) fn find<R>(&self, hash: u64, mut is: impl FnMut(u32) -> Option<R>) -> Option<R> {
        for bucket in self.path(hash) {
            let mut word = 0;
            for lane in &bucket.lanes {
                // Acquire: pairs with the store in `put` and `replace`, so that the entry is whole.
                word = lane.load(Ordering::Acquire);
                if let Some(index) = fitting_index(word, hash)
                    && let Some(found) = is(index)
                {
                    return Some(found);
                }
            }
            if word & OVERFLOW == 0 {
                break;
            }
        }
        None
    }

    /// A look at the home bucket alone, with a hint in which lanes the fingerprint stands, a bit for each.
    #[inline(always)]
    pub(super) fn glance(&self, hash: u64, hint: impl Fn(&Bucket, u64) -> u32) -> Glance {
        let bucket = &self.buckets[self.home(hash)];
        let mut lanes = hint(bucket, hash);
        while let Some(lane) = bucket.lanes.get(lanes.trailing_zeros() as usize) {
            // Acquire: as in `find`.
            if let Some(index) = fitting_index(lane.load(Ordering::Acquire), hash) {
                return Glance(index);
            }
            lanes &= lanes - 1;
        }
        // Relaxed: entries that passed are looked for with loads of their own.
        match bucket.lanes[LANES - 1].load(Ordering::Relaxed) & OVERFLOW {
            0 => Glance::NOTHING,
            _ => Glance::BEYOND,
        }
    }

    /// Whether these, and the entries they lead to, are in a processor's nearer caches anyway.
    #[inline]
    pub(super) fn are_few(&self) -> bool {
        self.buckets.len() <= FEW
    }

    /// Asks for the line where a look-up of `hash` begins.
    #[inline]
    pub(super) fn prefetch(&self, hash: u64) {
        prefetch(&self.buckets[self.home(hash)]);
    }

    /// How many entries to put in at most before growing.
    pub(super) fn limit(&self) -> usize {
        self.buckets.len() * LANES * 5 / 8
    }

    /// Whether an entry under this hash would have to stand too far from its home.
    pub(super) fn is_crowded(&self, hash: u64) -> bool {
        !self.path(hash).take(MAX_PASSED + 1).any(|bucket| bucket.free().is_some())
    }

    /// How many buckets a look-up of a hash reads at most.
    #[cfg(test)]
    pub(super) fn buckets_read(&self, hash: u64) -> usize {
        let passed = |bucket: &&Bucket| own(&bucket.lanes[LANES - 1]) & OVERFLOW != 0;
        (self.path(hash).take_while(passed).count() + 1).min(self.buckets.len())
    }

    /// Makes an entry visible under a hash; whether there was room.
    pub(super) fn put(&self, hash: u64, index: u32) -> bool {
        let entry = hash & FINGERPRINT | low_bits(index);
        let Some((passed, lane)) = self.path(hash).enumerate().find_map(|(n, b)| Some((n, b.free()?))) else {
            return false;
        };
        // First the way there, then the entry: who finds the way and no entry was early.
        for bucket in self.path(hash).take(passed) {
            bucket.count_overflow(
                |overflow| if overflow < OVERFLOW { overflow + OVERFLOW_ONE } else { overflow },
            );
        }
        if passed > 0 {
            faults::point(points::BUCKET_OVERFLOWING);
        }
        if let Some(bucket) = self.path(hash).nth(passed) {
            let lane = &bucket.lanes[lane];
            // Release: pairs with the load in `find`; orders the entry, and the lock its making, before.
            lane.store(own(lane) & OVERFLOW | entry, publishing());
        }
        true
    }

    /// Puts one entry in the place of another in one step; whether the other was there.
    pub(super) fn replace(&self, hash: u64, old: u32, new: u32) -> bool {
        let Some((_, lane)) = self.place(hash, old) else { return false };
        let word = own(lane) & (FINGERPRINT | OVERFLOW) | low_bits(new);
        if planted!("replace-withdraws-first") {
            lane.store(word & OVERFLOW, Ordering::Release);
        }
        // Release: pairs with the load in `find`.
        lane.store(word, publishing());
        true
    }

    /// Takes an entry away; whether it was there.
    pub(super) fn remove(&self, hash: u64, index: u32) -> bool {
        let Some((passed, lane)) = self.place(hash, index) else { return false };
        // Relaxed: a look-up that finds the lane empty reads nothing through it. That a reader which pins after the
        // entry's grace period finds it empty is by the grace period's own order.
        lane.store(own(lane) & OVERFLOW, Ordering::Relaxed);
        faults::point(points::BUCKET_SLOT_EMPTIED);
        for bucket in self.path(hash).take(passed) {
            bucket.count_overflow(
                |overflow| if overflow < OVERFLOW { overflow - OVERFLOW_ONE } else { overflow },
            );
        }
        true
    }

    /// Hangs an array of twice the size on this one, with every entry in it. Returns the array to go on with: this one if it is
    /// the largest there can be.
    pub(super) fn grow(&self) -> Result<&Lanes, NoMemory> {
        let log = self.buckets.len().ilog2() + 1;
        if log > LARGEST {
            return Ok(self);
        }
        let larger = memory::boxed(Lanes::of(log)?)?;
        if planted!("growth-published-empty") {
            return Ok(self.fill(self.next.get_or_init(|| larger)));
        }
        self.fill(&larger);
        faults::point(points::BUCKETS_UNPUBLISHED);
        let larger = self.next.get_or_init(|| larger);
        faults::point(points::BUCKETS_PUBLISHED);
        Ok(larger)
    }

    /// Puts every entry into a larger array.
    fn fill<'l>(&self, larger: &'l Lanes) -> &'l Lanes {
        for word in self.buckets.iter().flat_map(|b| &b.lanes).map(own) {
            // There is room: it has twice the lanes.
            if let Some(index) = index(word) {
                larger.put(word, index);
            }
            faults::point(points::BUCKETS_FILLING);
        }
        larger
    }

    fn home(&self, hash: u64) -> usize {
        // A power of two.
        (hash >> FINGERPRINT.trailing_zeros()) as usize & (self.buckets.len() - 1)
    }

    /// Every bucket once, from the home of a hash on.
    #[inline]
    fn path(&self, hash: u64) -> impl Iterator<Item = &Bucket> {
        let (before, from_home) = self.buckets.split_at(self.home(hash));
        from_home.iter().chain(before)
    }

    /// An entry's lane, and how many buckets it passed.
    fn place(&self, hash: u64, index: u32) -> Option<(usize, &Word)> {
        let here = |lane: &&Word| self::index(own(lane)) == Some(index);
        self.path(hash).enumerate().find_map(|(n, b)| Some((n, b.lanes.iter().find(here)?)))
    }
}

impl Bucket {
    /// A lane without an entry.
    fn free(&self) -> Option<usize> {
        self.lanes.iter().position(|lane| index(own(lane)).is_none())
    }

    fn count_overflow(&self, change: impl Fn(u64) -> u64) {
        let lane = &self.lanes[LANES - 1];
        let word = own(lane);
        // Release: the lane may hold an entry, which whoever reads it here has to find whole (pairs with `find`).
        lane.store(word & !OVERFLOW | change(word & OVERFLOW), Ordering::Release);
    }
}

/// Orders an entry before the lane that leads to it.
#[inline(always)]
fn publishing() -> Ordering {
    if planted!("bucket-relaxed") { Ordering::Relaxed } else { Ordering::Release }
}

/// What the writer itself last stored. Relaxed: writers follow one another through the writer lock.
fn own(lane: &Word) -> u64 {
    lane.load(Ordering::Relaxed)
}

fn low_bits(index: u32) -> u64 {
    u64::from(index) + 1
}

/// The entry index in a lane with the fingerprint of a hash; one comparison for fingerprint and emptiness.
#[inline(always)]
fn fitting_index(word: u64, hash: u64) -> Option<u32> {
    let low_bits = (word ^ hash & FINGERPRINT) & !OVERFLOW;
    (low_bits.wrapping_sub(1) < INDEX).then(|| low_bits as u32 - 1)
}

/// The entry index in a lane; `None` when it is empty.
#[inline]
fn index(word: u64) -> Option<u32> {
    ((word & INDEX) as u32).checked_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn all(lanes: &Lanes, hash: u64) -> Vec<u32> {
        let mut all = Vec::new();
        lanes.find(hash, |index| {
            all.push(index);
            None::<()>
        });
        all.sort_unstable();
        all
    }

    fn passed(lanes: &Lanes) -> Vec<u64> {
        lanes.buckets.iter().map(|b| (own(&b.lanes[LANES - 1]) & OVERFLOW) / OVERFLOW_ONE).collect()
    }

    #[test]
    fn what_passed_a_full_bucket_is_found_and_wraps_around() {
        let lanes = Lanes::of(2).unwrap();
        let hash = 7 << 32;
        (0..20).for_each(|index| assert!(lanes.put(hash, index)));
        assert_eq!(all(&lanes, hash), Vec::from_iter(0..20));
        assert_eq!(passed(&lanes), [4, 0, 0, 12]);
        assert_eq!(all(&lanes, 11 << 32), [0_u32; 0], "another fingerprint");
    }

    #[test]
    fn taking_away_breaks_no_chain_and_shortens_it_at_last() {
        let lanes = Lanes::of(2).unwrap();
        let hash = 8 << 32;
        (0..20).for_each(|index| assert!(lanes.put(hash, index)));
        for index in 0..19 {
            assert!(lanes.remove(hash, index));
            assert!(!lanes.remove(hash, index));
            assert_eq!(all(&lanes, hash), Vec::from_iter(index + 1..20));
        }
        assert_eq!(passed(&lanes), [1, 1, 0, 0]);
        assert!(lanes.remove(hash, 19));
        assert_eq!(passed(&lanes), [0, 0, 0, 0]);
    }

    #[test]
    fn a_saturated_overflow_count_stays_and_hides_nobody() {
        let lanes = Lanes::of(6).unwrap();
        let hash = 64 << 32;
        (0..500).for_each(|index| assert!(lanes.put(hash, index)));
        assert_eq!(passed(&lanes)[..2], [255, 255]);
        (0..499).for_each(|index| assert!(lanes.remove(hash, index)));
        assert_eq!(all(&lanes, hash), [499]);
        assert_eq!(passed(&lanes)[0], 255);
    }

    #[test]
    fn a_full_array_says_so() {
        let lanes = Lanes::of(1).unwrap();
        (0..16).for_each(|index| assert!(lanes.put(u64::from(index) << 32, index)));
        assert!(!lanes.put(0, 16));
        assert_eq!(all(&lanes, 15 << 32), [15], "nobody had to pass");
        assert_eq!(passed(&lanes), [0, 0], "and who found no room passed nobody");
    }

    #[test]
    fn the_largest_index_fits() {
        let lanes = Lanes::of(0).unwrap();
        let largest = (1 << 24) - 2;
        assert!(lanes.put(u64::MAX, largest));
        assert!(lanes.replace(u64::MAX, largest, largest));
        assert_eq!(all(&lanes, u64::MAX), [largest]);
    }

    proptest! {
        /// Few hashes, many entries: every lane holds what a map would, through replacement and growth.
        #[test]
        fn lanes_hold_what_a_map_holds(steps in prop::collection::vec((0..4_u8, 0..6_u64, 0..40_u32), 0..200)) {
            let first = Lanes::of(0).unwrap();
            let mut model = HashMap::new();
            for (step, hash, index) in steps {
                let hash = hash << 32 | 5;
                let lanes = first.newest();
                match (step, model.get(&index)) {
                    (0 | 1, None) => {
                        let lanes = match lanes.limit() {
                            limit if limit <= model.len() => lanes.grow().unwrap(),
                            _ => lanes,
                        };
                        prop_assert!(lanes.put(hash, index));
                        model.insert(index, hash);
                    }
                    (2, Some(&hash)) => {
                        prop_assert!(lanes.replace(hash, index, index + 100));
                        prop_assert!(lanes.replace(hash, index + 100, index));
                    }
                    (3, Some(&hash)) => {
                        prop_assert!(lanes.remove(hash, index));
                        model.remove(&index);
                    }
                    _ => prop_assert!(!lanes.replace(hash, 99, 0) && !lanes.remove(hash, 99)),
                }
                let lanes = first.newest();
                for (&index, &hash) in &model {
                    prop_assert!(all(lanes, hash).contains(&index));
                }
                let held = lanes.buckets.iter().flat_map(|b| &b.lanes).filter(|l| super::index(own(l)).is_some());
                prop_assert_eq!(held.count(), model.len());
            }
        }
    }
}
