//! Floors: hand-written code for one thread that does the same work and promises nothing.

use super::Contestant;
use foldhash::quality::RandomState;
use mgm::forwarding::Flow;
use mgm::handle::Handle;
use std::hash::{BuildHasher, Hasher};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

/// Makes a vector of this capacity, in pages as large as those of `mgm`'s own large arrays.
fn room<T>(len: usize) -> Vec<T> {
    const LARGE_PAGE: usize = 2 << 20;
    let mut room = Vec::<T>::with_capacity(len);
    let memory = room.as_mut_ptr().cast::<u8>();
    let begin = memory.addr().next_multiple_of(LARGE_PAGE);
    let end = (memory.addr() + len * size_of::<T>()) / LARGE_PAGE * LARGE_PAGE;
    #[cfg(target_os = "linux")]
    if begin < end {
        let begin_at = memory.wrapping_add(begin - memory.addr());
        // SAFETY: the pages belong to the vector, and the advice does not change their contents.
        let _ = unsafe { libc::madvise(begin_at.cast(), end - begin, libc::MADV_HUGEPAGE) };
    }
    room
}

fn full<T: Clone>(value: T, len: usize) -> Vec<T> {
    let mut all = room(len);
    all.resize(len, value);
    all
}

/// A plain vector of generations and values. The generation is a whole handle.
pub(crate) struct Slots(Vec<(Handle, u64)>);

impl Slots {
    /// Stores the values 0, 1, 2, ... under these handles.
    pub(crate) fn of(handles: &[Handle]) -> Slots {
        let end = handles.iter().map(|handle| handle.index() as usize + 1).max().unwrap_or(0);
        let mut slots = full((Handle::STALE, 0), end);
        for (handle, value) in handles.iter().zip(0..) {
            slots[handle.index() as usize] = (*handle, value);
        }
        Slots(slots)
    }

    #[inline(always)]
    pub(crate) fn is(&self, handle: Handle) -> bool {
        self.0.get(handle.index() as usize).is_some_and(|slot| slot.0 == handle)
    }

    #[inline(always)]
    pub(crate) fn get(&self, handle: Handle) -> Option<u64> {
        self.0.get(handle.index() as usize).filter(|slot| slot.0 == handle).map(|slot| slot.1)
    }
}

/// A word in a cache line of its own.
#[repr(align(64))]
struct Word(AtomicU64);

/// Makes a contestant that repeats `each` compare-and-swaps `rounds` times, in turn on `LINES` lines, without failures
/// or contention: the lower bound of an operation that needs that many.
pub(crate) fn swaps<const LINES: usize>(name: &'static str, rounds: u64, each: u64) -> Contestant {
    let lines: [Word; LINES] = std::array::from_fn(|_| Word(AtomicU64::new(0)));
    let mut words = [0; LINES];
    Contestant::new(name, move || {
        let mut done = 0;
        for _ in 0..rounds {
            let mut swapped = true;
            for n in 0..each as usize {
                let (line, word) = (&lines[n % LINES].0, &mut words[n % LINES]);
                swapped &=
                    line.compare_exchange(*word, *word + 1, Ordering::AcqRel, Ordering::Acquire).is_ok();
                *word += 1;
            }
            done += u64::from(swapped);
        }
        done
    })
}

const WAYS: usize = 8;

/// A cache line of a [`BucketTable`]. Each of its eight ways has a tag, which is a part of the hash and never 0, and
/// the position of an entry, counted from 1.
#[derive(Clone, Copy, Default)]
#[repr(align(64))]
struct Bucket {
    tags: [u32; WAYS],
    places: [u32; WAYS],
}

impl Bucket {
    /// Returns a bit for each way with this tag.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    #[allow(clippy::multiple_unsafe_ops_per_block, reason = "all of them are safe for the same reason")]
    fn fits(&self, tag: u32) -> u32 {
        use std::arch::x86_64::{
            _mm_castsi128_ps, _mm_cmpeq_epi32, _mm_loadu_si128, _mm_movemask_ps, _mm_set1_epi32,
        };
        let half = |tags: &[u32]| {
            let tags: *const u32 = tags[..WAYS / 2].as_ptr();
            // SAFETY: the slice has four words, and SSE2 is part of every x86-64.
            let equal = unsafe { _mm_cmpeq_epi32(_mm_loadu_si128(tags.cast()), _mm_set1_epi32(tag as i32)) };
            // SAFETY: as above.
            unsafe { _mm_movemask_ps(_mm_castsi128_ps(equal)) as u32 }
        };
        half(&self.tags) | half(&self.tags[WAYS / 2..]) << (WAYS / 2)
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn fits(&self, tag: u32) -> u32 {
        self.tags.iter().zip(0..).map(|(own, way)| u32::from(*own == tag) << way).sum()
    }
}

/// A flow, as words for comparison.
type Key = [u64; 4];

#[inline(always)]
fn key(flow: &Flow) -> Key {
    match (flow.source(), flow.group()) {
        (IpAddr::V6(source), IpAddr::V6(group)) => {
            let (source, group) = (source.to_bits(), group.to_bits());
            [(source >> 64) as u64, source as u64, (group >> 64) as u64, group as u64]
        }
        (IpAddr::V4(source), IpAddr::V4(group)) => {
            [u64::from(source.to_bits()) << 32 | u64::from(group.to_bits()), 0, 0, 0]
        }
        _ => [0; 4],
    }
}

/// The part of an entry that a packet path reads first, in one cache line.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(crate) struct Line {
    key: Key,
    pub(crate) incoming: u32,
    pub(crate) outgoing: u32,
}

/// A hash table with buckets of one cache line, prefetched a burst ahead, and keys verified in the entry's line. Its
/// load is that of the forwarding table with the same number of entries.
pub(crate) struct BucketTable {
    seed: RandomState,
    buckets: Box<[Bucket]>,
    /// The first line belongs to no entry.
    lines: Vec<Line>,
}

impl BucketTable {
    pub(crate) fn with_capacity(entries: usize) -> BucketTable {
        let buckets = (entries * 8 / 5).div_ceil(WAYS).next_power_of_two();
        let mut lines = room(entries + 1);
        lines.push(Line { key: [u64::MAX; 4], incoming: 0, outgoing: 0 });
        BucketTable { seed: RandomState::default(), buckets: full(Bucket::default(), buckets).into(), lines }
    }

    pub(crate) fn insert(&mut self, flow: &Flow, incoming: u32, outgoing: u32) {
        let key = key(flow);
        let hash = self.hash(&key);
        let mut at = self.home(hash);
        loop {
            let bucket = &mut self.buckets[at];
            if let Some(way) = bucket.places.iter().position(|place| *place == 0) {
                bucket.tags[way] = tag(hash);
                bucket.places[way] = self.lines.len() as u32;
                self.lines.push(Line { key, incoming, outgoing });
                return;
            }
            at = (at + 1) & (self.buckets.len() - 1);
        }
    }

    /// Calls `found` with the line of each flow that has an entry.
    #[inline(always)]
    pub(crate) fn look_up<const B: usize>(&self, flows: &[Flow; B], mut found: impl FnMut(&Line)) {
        let (mut keys, mut hashes, mut places) = ([Key::default(); B], [0; B], [0; B]);
        for n in 0..B {
            keys[n] = key(&flows[n]);
            hashes[n] = self.hash(&keys[n]);
            prefetch(&self.buckets[self.home(hashes[n])]);
        }
        // The position of the first entry with a matching tag, which is nearly always the right entry.
        for n in 0..B {
            places[n] = self.candidate(hashes[n]);
            prefetch(&self.lines[places[n] as usize]);
        }
        for n in 0..B {
            let line = &self.lines[places[n] as usize];
            if line.key == keys[n] {
                found(line);
            } else if places[n] != 0
                && let Some(line) = self.search(hashes[n], &keys[n])
            {
                found(line);
            }
        }
    }

    /// Returns the position of the first entry with a matching tag; 0 when there is none.
    #[inline(always)]
    fn candidate(&self, hash: u64) -> u32 {
        let mut at = self.home(hash);
        loop {
            let bucket = &self.buckets[at];
            let fits = bucket.fits(tag(hash));
            if fits != 0 {
                return bucket.places[fits.trailing_zeros() as usize % WAYS];
            }
            if bucket.places[WAYS - 1] == 0 {
                return 0;
            }
            at = (at + 1) & (self.buckets.len() - 1);
        }
    }

    #[cold]
    fn search(&self, hash: u64, key: &Key) -> Option<&Line> {
        let mut at = self.home(hash);
        loop {
            for place in self.buckets[at].places {
                match &self.lines[place as usize] {
                    _ if place == 0 => return None,
                    line if line.key == *key => return Some(line),
                    _ => {}
                }
            }
            at = (at + 1) & (self.buckets.len() - 1);
        }
    }

    #[inline(always)]
    fn home(&self, hash: u64) -> usize {
        hash as usize & (self.buckets.len() - 1)
    }

    #[inline(always)]
    fn hash(&self, key: &Key) -> u64 {
        let mut hasher = self.seed.build_hasher();
        hasher.write_u64(key[0]);
        if key[2] != 0 {
            key[1..].iter().for_each(|word| hasher.write_u64(*word));
        }
        hasher.finish()
    }
}

fn tag(hash: u64) -> u32 {
    (hash >> 32) as u32 | 1
}

#[inline(always)]
fn prefetch<T>(place: &T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch accesses no memory that the program can observe and never faults, and SSE is part of every
        // x86-64.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(place).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = place;
}
