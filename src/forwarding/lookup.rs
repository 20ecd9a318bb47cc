//! [`LookupBurst`]: the look-ups of many flows, side by side.

use super::buckets::{BucketArray, HomeProbe};
use super::entry::Entry;
use super::flow::Flow;
use super::flow_key::Key;
use super::hash::FlowHash;
use super::search::{self, Search};
use crate::handle::{HandleTable, Pinned};
use std::fmt;
use std::ptr::NonNull;

/// The number of flows that are looked up together: enough for the memory latency of one to overlap with the work of
/// others.
pub(super) const BATCH: usize = 32;

/// The entries found by the flows of one batch.
pub(super) type Batch = [Option<NonNull<Entry>>; BATCH];

/// Iterates over the results of [`ForwardingReader::lookup_burst`](super::ForwardingReader::lookup_burst): for each
/// flow in turn, its entry or `None`.
pub struct LookupBurst<'r, K = Flow> {
    batch: BatchLookup<'r>,
    /// The flows that have not been looked up yet.
    ahead: &'r [K],
    /// The entries of the present batch. Those in `at..len` have not been returned yet.
    found: &'r mut Batch,
    at: usize,
    len: usize,
}

/// The parts of a reader that batches of look-ups use.
pub(super) struct BatchLookup<'r> {
    pub(super) entries: Pinned<'r, HandleTable<Entry>>,
    pub(super) hash: &'r FlowHash,
    pub(super) buckets: &'r BucketArray,
    pub(super) search: Search,
}

impl<'r> BatchLookup<'r> {
    /// Looks up at most [`BATCH`] flows and folds the results.
    #[inline]
    fn look_up<K: Key, B>(&mut self, flows: &[K], init: B, take: impl FnMut(B, Option<&'r Entry>) -> B) -> B {
        self.buckets = self.buckets.current();
        match self.search {
            #[cfg(all(target_arch = "x86_64", not(loom)))]
            // SAFETY: the search is `Avx512` only on machines that support it (`Search::is_available`).
            Search::Avx512 => unsafe { self.look_up_avx512(flows, init, take) },
            #[cfg(all(target_arch = "x86_64", not(loom)))]
            // SAFETY: as for `Avx512`.
            Search::Avx2 => unsafe { self.look_up_avx2(flows, init, take) },
            _ => self
                .look_up_with(flows, init, take, |buckets, hash| buckets.probe_home(hash, search::matching)),
        }
    }

    #[cfg(all(target_arch = "x86_64", not(loom)))]
    #[target_feature(enable = "avx512f,bmi1,bmi2")]
    fn look_up_avx512<K: Key, B>(
        &self,
        flows: &[K],
        init: B,
        take: impl FnMut(B, Option<&'r Entry>) -> B,
    ) -> B {
        self.look_up_with(flows, init, take, |buckets, hash| {
            buckets.probe_home(hash, |bucket, hash| search::matching_avx512(bucket, hash))
        })
    }

    #[cfg(all(target_arch = "x86_64", not(loom)))]
    #[target_feature(enable = "avx2,bmi1,bmi2")]
    fn look_up_avx2<K: Key, B>(
        &self,
        flows: &[K],
        init: B,
        take: impl FnMut(B, Option<&'r Entry>) -> B,
    ) -> B {
        self.look_up_with(flows, init, take, |buckets, hash| {
            buckets.probe_home(hash, |bucket, hash| search::matching_avx2(bucket, hash))
        })
    }

    /// Looks flows up in three rounds: hashes, home buckets, keys in the entries. Each round prefetches the lines that
    /// the next one reads. The lines of a small table are in the near caches, so that one round is enough.
    #[inline(always)]
    fn look_up_with<K: Key, B>(
        &self,
        flows: &[K],
        init: B,
        mut take: impl FnMut(B, Option<&'r Entry>) -> B,
        probe_home: impl Fn(&BucketArray, u64) -> HomeProbe,
    ) -> B {
        let BatchLookup { entries, buckets, .. } = self;
        // A copy of its own stays in registers.
        let hasher = &self.hash.clone();
        if buckets.is_small() {
            return flows.iter().fold(init, |all, flow| {
                let hash = flow.hash_with(hasher);
                take(all, Probe { buckets, entries, flow, hash }.resume(probe_home(buckets, hash)))
            });
        }
        let mut hashes = [0; BATCH];
        for (hash, flow) in hashes.iter_mut().zip(flows) {
            *hash = flow.hash_with(hasher);
            buckets.prefetch(*hash);
        }
        let mut probes = [HomeProbe::ABSENT; BATCH];
        for (probe, hash) in probes.iter_mut().zip(&hashes).take(flows.len()) {
            *probe = probe_home(buckets, *hash);
            if let Some(index) = probe.candidate() {
                entries.prefetch(index);
            }
        }
        flows.iter().zip(probes.iter().zip(&hashes)).fold(init, |all, (flow, (probe, &hash))| {
            take(all, Probe { buckets, entries, flow, hash }.resume(*probe))
        })
    }
}

impl<'r, K: Key> LookupBurst<'r, K> {
    pub(super) fn new(batch: BatchLookup<'r>, flows: &'r [K], found: &'r mut Batch) -> LookupBurst<'r, K> {
        LookupBurst { batch, ahead: flows, found, at: 0, len: 0 }
    }

    /// Takes the flows of the next batch.
    #[inline]
    fn next_flows(&mut self) -> &'r [K] {
        let now;
        (now, self.ahead) = self.ahead.split_at(self.ahead.len().min(BATCH));
        now
    }

    fn look_up(&mut self) {
        let flows = self.next_flows();
        let mut places = self.found.iter_mut();
        self.batch.look_up(flows, (), |(), entry| {
            if let Some(entry) = entry {
                entry.oif_counters().prefetch();
            }
            if let Some(place) = places.next() {
                *place = entry.map(NonNull::from);
            }
        });
        (self.at, self.len) = (0, flows.len());
    }

    #[inline]
    fn to_reference(found: Option<NonNull<Entry>>) -> Option<&'r Entry> {
        // SAFETY: `look_up` stored the pointer, made from a reference that is valid for 'r: the entries stay pinned
        // that long.
        found.map(|entry| unsafe { entry.as_ref() })
    }
}

impl<'r, K: Key> Iterator for LookupBurst<'r, K> {
    type Item = Option<&'r Entry>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.at == self.len {
            self.look_up();
        }
        let found = *self.found[..self.len].get(self.at)?;
        self.at += 1;
        Some(Self::to_reference(found))
    }

    /// Folds the results without storing them first.
    #[inline]
    fn fold<B, F: FnMut(B, Self::Item) -> B>(mut self, init: B, mut f: F) -> B {
        let stored = self.found[self.at..self.len].iter().map(|found| Self::to_reference(*found));
        let mut all = stored.fold(init, &mut f);
        while !self.ahead.is_empty() {
            let flows = self.next_flows();
            all = self.batch.look_up(flows, all, &mut f);
        }
        all
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.len - self.at + self.ahead.len();
        (left, Some(left))
    }
}

impl<K: Key> ExactSizeIterator for LookupBurst<'_, K> {}

impl<K: Key> fmt::Debug for LookupBurst<'_, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LookupBurst").field("left", &self.len()).finish_non_exhaustive()
    }
}

/// The look-up of one flow.
#[derive(Clone, Copy)]
pub(super) struct Probe<'s, 'r, K> {
    pub(super) buckets: &'s BucketArray,
    pub(super) entries: &'s Pinned<'r, HandleTable<Entry>>,
    pub(super) flow: &'s K,
    pub(super) hash: u64,
}

impl<'r, K: Key> Probe<'_, 'r, K> {
    pub(super) fn find(self) -> Option<&'r Entry> {
        self.buckets.find(self.hash, |index| self.verify(index))
    }

    #[cfg(all(target_arch = "x86_64", not(loom)))]
    #[target_feature(enable = "avx512f,bmi1,bmi2")]
    pub(super) fn find_avx512(self) -> Option<&'r Entry> {
        self.resume(self.buckets.probe_home(self.hash, |bucket, hash| search::matching_avx512(bucket, hash)))
    }

    #[cfg(all(target_arch = "x86_64", not(loom)))]
    #[target_feature(enable = "avx2,bmi1,bmi2")]
    pub(super) fn find_avx2(self) -> Option<&'r Entry> {
        self.resume(self.buckets.probe_home(self.hash, |bucket, hash| search::matching_avx2(bucket, hash)))
    }

    /// Finishes the look-up after the home bucket was probed. Rarely, the candidate is the entry of another flow, or
    /// the flow's entry is beyond the home bucket.
    #[inline(always)]
    fn resume(self, probe: HomeProbe) -> Option<&'r Entry> {
        if let Some(index) = probe.candidate()
            && let Some(entry) = self.verify(index)
        {
            return Some(entry);
        }
        if probe == HomeProbe::ABSENT {
            None
        } else {
            find_from_start(self.buckets, self.entries, self.flow, self.hash)
        }
    }

    /// Returns the entry with this index if it is the flow's.
    #[inline(always)]
    fn verify(self, index: u32) -> Option<&'r Entry> {
        // SAFETY: the index was read from a lane by an acquire load while the entries were pinned, in an array that was
        // the newest during the pin. `insert` and `replace` stored it with release after the entry was inserted (or did
        // so in making the array, which was acquired through `next`). Writers overwrite the lane in the newest array
        // before they remove the entry. They leave it in older arrays; a reader that pins after the growth sees `next`
        // and does not read those.
        let entry = unsafe { self.entries.get_published(index) }?;
        self.flow.is_of(&entry.flow()).then_some(entry)
    }
}

/// Repeats the look-up from the home bucket. A function rather than a method, so that the fields of a [`Probe`] stay in
/// registers in its callers.
#[cold]
fn find_from_start<'r, K: Key>(
    buckets: &BucketArray,
    entries: &Pinned<'r, HandleTable<Entry>>,
    flow: &K,
    hash: u64,
) -> Option<&'r Entry> {
    Probe { buckets, entries, flow, hash }.find()
}
