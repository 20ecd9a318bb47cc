//! What the machine gives when nothing is promised: hand-written, for one thread, without safety of any kind.

use foldhash::quality::RandomState;
use mgm::forwarding::Flow;
use mgm::handle::Handle;
use std::hash::{BuildHasher, Hasher};
use std::net::IpAddr;

/// A plain vector of generations (a whole handle each) and values.
pub(crate) struct Slots(Vec<(Handle, u64)>);

impl Slots {
    /// The values 0, 1, 2, ... under these handles.
    pub(crate) fn of(handles: &[Handle]) -> Slots {
        let end = handles.iter().map(|handle| handle.index() as usize + 1).max().unwrap_or(0);
        let mut slots = vec![(Handle::from(u64::MAX), 0); end];
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

const WAYS: usize = 8;

/// A cache line of a [`BucketTable`]: for each of eight entries a piece of its hash, and where it is, from 1.
#[derive(Clone, Copy, Default)]
#[repr(align(64))]
struct Bucket {
    tags: [u32; WAYS],
    places: [u32; WAYS],
}

/// What a packet path reads of an entry first, and no more, in one cache line.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(crate) struct Line {
    pub(crate) flow: Flow,
    pub(crate) incoming: u32,
    pub(crate) outgoing: u32,
}

/// A hash table of buckets of one cache line, prefetched a burst ahead, the key verified in the entry's line. As full as
/// the forwarding table is at the same number of entries.
pub(crate) struct BucketTable {
    seed: RandomState,
    buckets: Box<[Bucket]>,
    entries: Vec<Line>,
}

impl BucketTable {
    pub(crate) fn with_capacity(entries: usize) -> BucketTable {
        let buckets = (entries * 8 / 5).div_ceil(WAYS).next_power_of_two();
        BucketTable {
            seed: RandomState::default(),
            buckets: vec![Bucket::default(); buckets].into(),
            entries: Vec::with_capacity(entries),
        }
    }

    pub(crate) fn insert(&mut self, entry: Line) {
        let hash = self.hash(&entry.flow);
        self.entries.push(entry);
        let mut at = self.home(hash);
        loop {
            let bucket = &mut self.buckets[at];
            if let Some(way) = bucket.places.iter().position(|place| *place == 0) {
                bucket.tags[way] = (hash >> 32) as u32;
                bucket.places[way] = self.entries.len() as u32;
                return;
            }
            at = (at + 1) & (self.buckets.len() - 1);
        }
    }

    /// Calls `found` for each flow that is there.
    #[inline(always)]
    pub(crate) fn look_up<const B: usize>(&self, flows: &[Flow; B], mut found: impl FnMut(&Line)) {
        let mut hashes = [0; B];
        for (hash, flow) in hashes.iter_mut().zip(flows) {
            *hash = self.hash(flow);
            prefetch(&self.buckets[self.home(*hash)]);
        }
        // Where the first entry is whose tag fits: nearly always the right one.
        let mut places = [0; B];
        for (place, hash) in places.iter_mut().zip(hashes) {
            *place = self.candidate(hash);
            if let Some(entry) = self.entries.get((*place as usize).wrapping_sub(1)) {
                prefetch(entry);
            }
        }
        for ((flow, hash), place) in flows.iter().zip(hashes).zip(places) {
            if let Some(entry) = self.entries.get((place as usize).wrapping_sub(1)) {
                if entry.flow == *flow {
                    found(entry);
                } else if let Some(entry) = self.search(hash, flow) {
                    found(entry);
                }
            }
        }
    }

    #[inline(always)]
    fn candidate(&self, hash: u64) -> u32 {
        let tag = (hash >> 32) as u32;
        let mut at = self.home(hash);
        loop {
            let bucket = &self.buckets[at];
            let mut fits = 0_u32;
            for way in 0..WAYS {
                fits |= u32::from(bucket.tags[way] == tag && bucket.places[way] != 0) << way;
            }
            if fits != 0 {
                return bucket.places[fits.trailing_zeros() as usize];
            }
            if bucket.places[WAYS - 1] == 0 {
                return 0;
            }
            at = (at + 1) & (self.buckets.len() - 1);
        }
    }

    #[cold]
    fn search(&self, hash: u64, flow: &Flow) -> Option<&Line> {
        let mut at = self.home(hash);
        loop {
            for place in self.buckets[at].places {
                let entry = self.entries.get((place as usize).wrapping_sub(1))?;
                if entry.flow == *flow {
                    return Some(entry);
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
    fn hash(&self, flow: &Flow) -> u64 {
        let mut hasher = self.seed.build_hasher();
        match (flow.source(), flow.group()) {
            (IpAddr::V4(source), IpAddr::V4(group)) => {
                hasher.write_u64(u64::from(source.to_bits()) << 32 | u64::from(group.to_bits()));
            }
            (IpAddr::V6(source), IpAddr::V6(group)) => {
                hasher.write_u128(source.to_bits());
                hasher.write_u128(group.to_bits());
            }
            _ => {}
        }
        hasher.finish()
    }
}

#[inline(always)]
fn prefetch<T>(place: &T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch reads nothing and faults at no address, and SSE is part of every x86-64.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(place).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = place;
}
