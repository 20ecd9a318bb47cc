//! [`NameIndex`]: finds numbers by the hash of a name. Look-ups never wait.
//!
//! An open-addressed array of numbers, with linear probing. The names are elsewhere: the caller of a look-up compares them,
//! and the writer passes the hash of each. When the array is half full, a larger one replaces it. Outgrown arrays stay
//! allocated, so that a reader inside one is never disturbed; together they are no larger than the present one. One thread at
//! a time writes.
//!
//! # Removal
//!
//! A gap would hide the numbers behind it that were put there because the place of the gap was taken. So the writer moves
//! such a number into the gap, which moves the gap on, until nothing behind it has to move:
//!
//! ```text
//!   a b c d -          remove a; b may not stand before its own place, c and d may
//!   c b c d -          copy c
//!                      raise the version
//!   c b d d -          copy d over the former c
//!                      raise the version
//!   c b d - -          clear the former d
//! ```
//!
//! A reader that passed the gap before the copy and the former place after it was overwritten misses a number that was there
//! all the time. The version was raised in between. So a reader that finds nothing compares the version with the one that it
//! read first, and looks again if they differ. That makes look-ups lock-free: each repetition is due to a removal.

use crate::memory::{self, NoMemory};
use crate::sync::{AtomicU32, AtomicU64, AtomicUsize, OnceLock, Ordering};

const FIRST_LEN: usize = if cfg!(loom) { 4 } else { 32 };
const ARRAYS: usize = 24;

/// Numbers plus one; 0 marks an empty place.
type Array = Box<[AtomicU32]>;

/// Numbers by the hash of a name. See the top of this file.
pub struct NameIndex {
    arrays: [OnceLock<Array>; ARRAYS],
    /// The position of the present array in `arrays`.
    present: AtomicUsize,
    /// The number of times that a number was moved or removed.
    version: AtomicU64,
}

impl Default for NameIndex {
    fn default() -> Self {
        NameIndex {
            arrays: std::array::from_fn(|_| OnceLock::new()),
            present: AtomicUsize::new(0),
            version: AtomicU64::new(0),
        }
    }
}

impl NameIndex {
    /// Returns what `matches` returns for a number with this hash, if it returns anything for one. Lock-free: starts over
    /// only when a number was removed meanwhile.
    pub fn find<R>(&self, hash: usize, matches: impl Fn(u32) -> Option<R>) -> Option<R> {
        loop {
            // SeqCst, both loads of the version, paired with the writer's increments. A reader that reads a place which was
            // overwritten after an increment reads another version afterwards.
            let version = self.version.load(Ordering::SeqCst);
            // SeqCst, paired with the store in `list`: the array is complete by then.
            let array = self.arrays[self.present.load(Ordering::SeqCst)].get()?;
            for at in probe(hash, array.len()) {
                // SeqCst, paired with the stores of the writer: what the number names is complete by then. SeqCst on
                // both sides, because a name listed by one thread must be found by another that does not see the listing
                // otherwise.
                match array[at].load(Ordering::SeqCst) {
                    0 => break,
                    number => {
                        if let Some(found) = matches(number - 1) {
                            return Some(found);
                        }
                    }
                }
            }
            if self.version.load(Ordering::SeqCst) == version || planted!("index-without-version") {
                return None;
            }
        }
    }

    /// Makes room for another number. `listed` are the numbers that are listed now, with their hashes; `count` is how many.
    ///
    /// # Errors
    /// [`NoMemory`]; nothing changed then.
    pub fn reserve(
        &self,
        count: usize,
        listed: impl Iterator<Item = (u32, usize)>,
    ) -> Result<Room<'_>, NoMemory> {
        // Relaxed, here and below: only the writer changes it, and there is one.
        let mut present = self.present.load(Ordering::Relaxed);
        match self.arrays[present].get() {
            Some(array) if (count + 1) * 2 <= array.len() => return Ok(Room { index: self, present, array }),
            Some(_) => present += 1,
            None => {}
        }
        let array = match self.arrays[present].get() {
            Some(unused) => {
                // Left over from room that was not used: no reader has seen it.
                unused.iter().for_each(|place| place.store(0, Ordering::Relaxed));
                unused
            }
            None => {
                let len = FIRST_LEN << present;
                let array = memory::slice(len, std::iter::repeat_with(|| AtomicU32::new(0)))?;
                self.arrays[present].get_or_init(|| array)
            }
        };
        listed.for_each(|(number, hash)| insert(array, number, hash));
        Ok(Room { index: self, present, array })
    }

    /// Removes a number that is listed. `hash` returns the hash of every listed number.
    pub fn remove(&self, number: u32, hash: impl Fn(u32) -> usize) {
        let Some(array) = self.arrays[self.present.load(Ordering::Relaxed)].get() else { return };
        let mask = array.len() - 1;
        // Relaxed, both loads of places: only the writer changes them.
        let Some(mut gap) =
            probe(hash(number), array.len()).find(|at| array[*at].load(Ordering::Relaxed) == number + 1)
        else {
            return;
        };
        let mut at = gap;
        loop {
            at = (at + 1) & mask;
            let next = array[at].load(Ordering::Relaxed);
            if next == 0 {
                break;
            }
            let distance = |from: usize| at.wrapping_sub(from) & mask;
            if distance(hash(next - 1)) >= distance(gap) {
                // SeqCst, paired with `find`.
                array[gap].store(next, Ordering::SeqCst);
                self.version.fetch_add(1, Ordering::SeqCst);
                gap = at;
            }
        }
        // SeqCst, paired with `find`.
        array[gap].store(0, Ordering::SeqCst);
        // For readers of `version`: the number is gone.
        self.version.fetch_add(1, Ordering::SeqCst);
    }

    /// Returns a number that grows when a number is removed, after that number is gone. Wait-free.
    pub fn version(&self) -> u64 {
        // SeqCst, paired with the increments.
        self.version.load(Ordering::SeqCst)
    }
}

/// The room for one more number in an index.
#[must_use]
pub struct Room<'i> {
    index: &'i NameIndex,
    present: usize,
    array: &'i [AtomicU32],
}

impl Room<'_> {
    /// Lists a number that is not listed.
    pub fn list(self, number: u32, hash: usize) {
        insert(self.array, number, hash);
        // SeqCst, paired with the load in `find`.
        self.index.present.store(self.present, Ordering::SeqCst);
    }
}

/// Returns the places where a name with this hash may be in an array of `len` places, a power of two.
fn probe(hash: usize, len: usize) -> impl Iterator<Item = usize> {
    (0..len).map(move |step| hash.wrapping_add(step) & (len - 1))
}

fn insert(array: &[AtomicU32], number: u32, hash: usize) {
    // Relaxed: only the writer changes places. SeqCst, paired with `find`.
    if let Some(at) = probe(hash, array.len()).find(|at| array[*at].load(Ordering::Relaxed) == 0) {
        array[at].store(number + 1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// Hashes collide, and some lie at the end of the array, so that numbers wrap around.
    #[test]
    fn every_listed_number_is_found_and_no_removed_one() {
        let hash = |number: u32| [0, 30, 31, 1, 30][number as usize % 5] + (number as usize / 50);
        let index = NameIndex::default();
        let mut listed = BTreeMap::new();
        let mut random = 1_u64;
        for _ in 0..20_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let number = (random >> 33) as u32 % 100;
            if listed.remove(&number).is_some() {
                index.remove(number, hash);
            } else {
                let room = index.reserve(listed.len(), listed.iter().map(|(n, h)| (*n, *h))).unwrap();
                room.list(number, hash(number));
                listed.insert(number, hash(number));
            }
            for number in 0..100 {
                let found = index.find(hash(number), |n| (n == number).then_some(n));
                assert_eq!(found.is_some(), listed.contains_key(&number), "{number} of {listed:?}");
            }
        }
    }
}
