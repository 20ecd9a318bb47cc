//! [`BucketArray`]: the hash table that leads from a flow's hash to the index of its entry.
//!
//! A bucket is one cache line of eight lanes. A lane is a word that holds a fingerprint and an entry index:
//!
//! ```text
//!  63                          32 31          24 23                      0
//! +------------------------------+--------------+------------------------+
//! |         fingerprint          |   overflow   |    entry index + 1     |   0 in the low bits: an empty lane
//! +------------------------------+--------------+------------------------+
//!                                 last lane only
//! ```
//!
//! The fingerprint is the upper half of the flow's hash, and its low bits select the home bucket. A lane alone
//! therefore tells where its entry belongs in a larger array, and growing reads no entries. In the largest array, 10
//! bits of the fingerprint are left to tell apart the flows of one bucket: one look-up in 200 reads an entry of another
//! flow. An entry is inserted, replaced and removed by one store to its lane. A matching fingerprint is only a hint:
//! the look-up compares the key in the entry.
//!
//! **Probing.** An entry with a full home bucket is placed in the next bucket with a free lane, wrapping around at the
//! end. Each bucket that it passed counts it in the overflow bits of its last lane. A look-up goes on to the next
//! bucket only while the overflow count of the present one is not zero. Removing entries breaks no probe sequence,
//! because the passed buckets still count the entries beyond them. The count saturates, and a saturated count is never
//! lowered: look-ups then probe further than necessary until the next growth. The overflow bits share the word of the
//! last lane, because only the writer changes either, and a look-up that reads the lanes in order gets them at no cost.
//! At the load limit of five lanes in eight, about one bucket in fifteen has been passed, so that an average look-up
//! reads little more than one line.
//!
//! An entry never moves within an array. If the writer moved it back towards its home, a look-up could pass the new
//! place before the move and the old place after it, and miss a flow that was in the table all along.
//!
//! **Flooding.** Senders choose the flows, but they cannot choose the buckets, because the hash has a secret seed
//! (`hash.rs`). If an entry would nevertheless have to pass [`MAX_PASSED`] buckets, the table refuses it
//! ([`BucketArray::is_crowded`]) instead of slowing look-ups down.
//!
//! **Growth.** The writer fills an array of twice the size, which no reader can see yet, and links it through `next`.
//! From then on the writer changes only the new array. A look-up that has already chosen the old array reads it as it
//! was at the time of the link, which lies within the look-up's own duration, so the result is linearizable: a look-up
//! probes one array, never two. Old arrays are kept until the table is dropped; together they are smaller than the
//! newest one.

use crate::faults;
use crate::forwarding::points;
use crate::memory::{self, NoMemory};
use crate::prefetch::prefetch;
use crate::sync::{OnceLock, Ordering, Word};

/// The lanes of a bucket: the words of a cache line, or fewer under loom, which explores every order of loads.
pub(super) const LANES: usize = if cfg!(loom) { 2 } else { 8 };

/// The binary logarithm of the number of buckets in the first array. It is 0 in tests, which then reach growth and
/// wrapping early.
const FIRST: u32 = if cfg!(any(loom, test)) { 0 } else { 4 };

/// The same of the largest array: 2^22 buckets have 2^25 lanes, and an index has 24 bits.
const LARGEST: u32 = 22;

/// The maximum number of buckets that an entry passes. At the load limit, with random hashes, the longest probe
/// sequence in a table of a million entries passes about ten.
pub(super) const MAX_PASSED: usize = 64;

/// The maximum number of buckets of a small array. With that many, buckets and entries take half a megabyte.
const SMALL: usize = if cfg!(test) { 1 } else { 1 << 10 };

const INDEX: u64 = (1 << 24) - 1;
const OVERFLOW_ONE: u64 = 1 << 24;
const OVERFLOW: u64 = 0xFF << 24;
const FINGERPRINT: u64 = !0 << 32;

#[derive(Default)]
#[repr(align(64))]
pub(super) struct Bucket {
    pub(super) lanes: [Word; LANES],
}

/// The result of probing a home bucket: the index of the first entry with a matching fingerprint, or one of two special
/// values. The index is one that a lane held: the entry may be that of another flow.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct HomeProbe(u32);

impl HomeProbe {
    /// No entry in the whole array matches.
    pub(super) const ABSENT: HomeProbe = HomeProbe(u32::MAX);
    /// The home bucket does not tell: an entry in a later bucket may match, or a lane changed meanwhile.
    const BEYOND: HomeProbe = HomeProbe(u32::MAX - 1);

    /// Returns the index of the matching entry.
    #[inline(always)]
    pub(super) fn candidate(self) -> Option<u32> {
        (self.0 < HomeProbe::BEYOND.0).then_some(self.0)
    }
}

/// An array of buckets, and the larger array that replaced it, if any.
///
/// The methods that change lanes require that the calling thread holds the table's writer lock.
pub(super) struct BucketArray {
    buckets: Box<[Bucket]>,
    next: OnceLock<Box<BucketArray>>,
}

impl Default for BucketArray {
    fn default() -> Self {
        BucketArray::of(FIRST).expect("memory for a first array")
    }
}

impl BucketArray {
    fn of(log: u32) -> Result<BucketArray, NoMemory> {
        let buckets = memory::slice(1 << log, std::iter::repeat_with(Bucket::default))?;
        Ok(BucketArray { buckets, next: OnceLock::new() })
    }

    /// Returns the newest array: this one, or one that replaced it. Wait-free: sizes double, so the chain is short.
    pub(super) fn current(&self) -> &BucketArray {
        let mut array = self;
        while let Some(next) = array.next.get() {
            array = next;
        }
        array
    }

    /// Calls `is` with the entry indexes of matching fingerprints until it returns a value. Wait-free: reads each
    /// bucket at most once.
    #[inline]
    pub(super) fn find<R>(&self, hash: u64, mut is: impl FnMut(u32) -> Option<R>) -> Option<R> {
        for bucket in self.probe_sequence(hash) {
            let mut word = 0;
            for lane in &bucket.lanes {
                // Acquire: pairs with the store in `insert` and `replace`, so that the entry is complete.
                word = lane.load(Ordering::Acquire);
                if let Some(index) = matching_index(word, hash)
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

    /// Probes the home bucket only. `hint` returns the lanes that may match, a bit for each.
    ///
    /// The first of them decides. The fingerprint in its lane is not compared again: the key in the entry tells whether it is
    /// the right one, and a look-up that finds another key there searches all lanes.
    #[inline(always)]
    pub(super) fn probe_home(&self, hash: u64, hint: impl Fn(&Bucket, u64) -> u32) -> HomeProbe {
        let bucket = &self.buckets[self.home(hash)];
        if let Some(lane) = bucket.lanes.get(hint(bucket, hash).trailing_zeros() as usize) {
            // Acquire: as in `find`.
            return index(lane.load(Ordering::Acquire)).map_or(HomeProbe::BEYOND, HomeProbe);
        }
        // Relaxed: `find` loads the lanes of later buckets itself.
        match bucket.lanes[LANES - 1].load(Ordering::Relaxed) & OVERFLOW {
            0 => HomeProbe::ABSENT,
            _ => HomeProbe::BEYOND,
        }
    }

    /// Returns whether the array and its entries are small enough to stay in the near caches.
    #[inline]
    pub(super) fn is_small(&self) -> bool {
        self.buckets.len() <= SMALL
    }

    /// Prefetches the home bucket of `hash`.
    #[inline]
    pub(super) fn prefetch(&self, hash: u64) {
        prefetch(&self.buckets[self.home(hash)]);
    }

    /// Returns the load limit: the number of entries at which the array must grow.
    pub(super) fn limit(&self) -> usize {
        self.buckets.len() * LANES * 5 / 8
    }

    /// Returns whether an entry with this hash would have to pass more than [`MAX_PASSED`] buckets.
    pub(super) fn is_crowded(&self, hash: u64) -> bool {
        !self.probe_sequence(hash).take(MAX_PASSED + 1).any(|bucket| bucket.free_lane().is_some())
    }

    /// Returns the maximum number of buckets that a look-up of `hash` reads.
    #[cfg(test)]
    pub(super) fn buckets_read(&self, hash: u64) -> usize {
        let passed = |bucket: &&Bucket| writer_load(&bucket.lanes[LANES - 1]) & OVERFLOW != 0;
        (self.probe_sequence(hash).take_while(passed).count() + 1).min(self.buckets.len())
    }

    /// Makes an entry visible under its hash. Returns `false` when no lane is free.
    pub(super) fn insert(&self, hash: u64, index: u32) -> bool {
        let entry = hash & FINGERPRINT | low_bits(index);
        let free = self.probe_sequence(hash).enumerate().find_map(|(n, b)| Some((n, b.free_lane()?)));
        let Some((passed, lane)) = free else { return false };
        // Publishes the overflow counts before the entry; a reader that sees only the counts linearizes before the
        // insert.
        for bucket in self.probe_sequence(hash).take(passed) {
            bucket.change_overflow(
                |overflow| if overflow < OVERFLOW { overflow + OVERFLOW_ONE } else { overflow },
            );
        }
        if passed > 0 {
            faults::point(points::BUCKET_OVERFLOWING);
        }
        if let Some(bucket) = self.probe_sequence(hash).nth(passed) {
            let lane = &bucket.lanes[lane];
            // Release: pairs with the load in `find`; orders the contents of the entry before the lane.
            lane.store(writer_load(lane) & OVERFLOW | entry, publishing());
        }
        true
    }

    /// Replaces one entry with another in one store. Returns `false` when the old entry is not in the array.
    pub(super) fn replace(&self, hash: u64, old: u32, new: u32) -> bool {
        let Some((_, lane)) = self.lane_of(hash, old) else { return false };
        let word = writer_load(lane) & (FINGERPRINT | OVERFLOW) | low_bits(new);
        if planted!("replace-withdraws-first") {
            lane.store(word & OVERFLOW, Ordering::Release);
        }
        // Release: pairs with the load in `find`.
        lane.store(word, publishing());
        true
    }

    /// Removes an entry. Returns `false` when it is not in the array.
    pub(super) fn remove(&self, hash: u64, index: u32) -> bool {
        let Some((passed, lane)) = self.lane_of(hash, index) else { return false };
        // Relaxed: a look-up that finds the lane empty reads nothing through it. A reader that pins after the entry's
        // grace period sees the lane empty because of the order that the grace period establishes.
        lane.store(writer_load(lane) & OVERFLOW, Ordering::Relaxed);
        faults::point(points::LANE_EMPTIED);
        for bucket in self.probe_sequence(hash).take(passed) {
            bucket.change_overflow(
                |overflow| if overflow < OVERFLOW { overflow - OVERFLOW_ONE } else { overflow },
            );
        }
        true
    }

    /// Links an array of twice the size that contains the same entries, and returns it. The largest possible array
    /// returns itself.
    pub(super) fn grow(&self) -> Result<&BucketArray, NoMemory> {
        let log = self.buckets.len().ilog2() + 1;
        if log > LARGEST {
            return Ok(self);
        }
        let larger = memory::boxed(BucketArray::of(log)?)?;
        if planted!("growth-published-empty") {
            return Ok(self.copy_to(self.next.get_or_init(|| larger)));
        }
        self.copy_to(&larger);
        faults::point(points::BUCKETS_UNPUBLISHED);
        let larger = self.next.get_or_init(|| larger);
        faults::point(points::BUCKETS_PUBLISHED);
        Ok(larger)
    }

    /// Inserts every entry into a larger array.
    fn copy_to<'l>(&self, larger: &'l BucketArray) -> &'l BucketArray {
        for word in self.buckets.iter().flat_map(|b| &b.lanes).map(writer_load) {
            // The insert succeeds: the larger array has twice the lanes.
            if let Some(index) = index(word) {
                larger.insert(word, index);
            }
            faults::point(points::BUCKETS_FILLING);
        }
        larger
    }

    fn home(&self, hash: u64) -> usize {
        // The length is a power of two.
        (hash >> FINGERPRINT.trailing_zeros()) as usize & (self.buckets.len() - 1)
    }

    /// Returns every bucket once, beginning with the home bucket of `hash`.
    #[inline]
    fn probe_sequence(&self, hash: u64) -> impl Iterator<Item = &Bucket> {
        let (before, from_home) = self.buckets.split_at(self.home(hash));
        from_home.iter().chain(before)
    }

    /// Returns the lane of an entry, and the number of buckets that the entry passed.
    fn lane_of(&self, hash: u64, index: u32) -> Option<(usize, &Word)> {
        let holds_index = |lane: &&Word| self::index(writer_load(lane)) == Some(index);
        self.probe_sequence(hash).enumerate().find_map(|(n, b)| Some((n, b.lanes.iter().find(holds_index)?)))
    }
}

impl Bucket {
    /// Returns the position of an empty lane.
    fn free_lane(&self) -> Option<usize> {
        self.lanes.iter().position(|lane| index(writer_load(lane)).is_none())
    }

    fn change_overflow(&self, change: impl Fn(u64) -> u64) {
        let lane = &self.lanes[LANES - 1];
        let word = writer_load(lane);
        // Release: the lane may hold an entry, and a reader that loads it from this store must find it complete (pairs
        // with `find`).
        lane.store(word & !OVERFLOW | change(word & OVERFLOW), Ordering::Release);
    }
}

/// Returns the ordering that publishes an entry through its lane.
#[inline(always)]
fn publishing() -> Ordering {
    if planted!("bucket-relaxed") { Ordering::Relaxed } else { Ordering::Release }
}

/// Loads a lane in the writer. Relaxed: the writer lock orders the writers, and only they store to lanes.
fn writer_load(lane: &Word) -> u64 {
    lane.load(Ordering::Relaxed)
}

fn low_bits(index: u32) -> u64 {
    u64::from(index) + 1
}

/// Returns the entry index of a lane with the fingerprint of `hash`. One comparison tests the fingerprint and
/// emptiness.
#[inline(always)]
fn matching_index(word: u64, hash: u64) -> Option<u32> {
    let low_bits = (word ^ hash & FINGERPRINT) & !OVERFLOW;
    (low_bits.wrapping_sub(1) < INDEX).then(|| low_bits as u32 - 1)
}

/// Returns the entry index of a lane; `None` when the lane is empty.
#[inline]
fn index(word: u64) -> Option<u32> {
    ((word & INDEX) as u32).checked_sub(1)
}

#[cfg(test)]
mod tests;
