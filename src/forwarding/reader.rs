//! [`ForwardingReader`]: looks flows up from one thread.

use super::buckets::BucketArray;
use super::entry::Entry;
use super::flow_key::FlowKey;
use super::hash::FlowHash;
use super::lookup::{BATCH, Batch, BatchLookup, LookupBurst, Probe};
use super::search::Search;
use crate::handle::{HandleTable, Reader};
use std::fmt;

/// Looks up flows of a [`ForwardingTable`](super::ForwardingTable) from one thread, and borrows the table.
/// [`OwnedForwardingReader`](super::OwnedForwardingReader) keeps an `Arc` of the table instead.
///
/// # Async tasks
/// A reader is not `Send`, because its pin belongs to a thread. A task that may move between threads therefore cannot
/// hold one over an await point. Make the reader on a thread of its own and send it bursts of packets, or run the task
/// on one thread (`spawn_local`) and call [`park`](Self::park) before each await: a reader that rests without parking
/// holds removed entries back.
pub struct ForwardingReader<'t> {
    entries: Reader<&'t HandleTable<Entry>>,
    hash: &'t FlowHash,
    /// The newest bucket array at the last look-up; the search for the newest array starts here.
    buckets: &'t BucketArray,
    search: Search,
    /// The results of a batch that have not been returned yet. They are here so that [`LookupBurst`] is cheap to move.
    found: Batch,
}

impl<'t> ForwardingReader<'t> {
    pub(super) fn new(
        entries: Reader<&'t HandleTable<Entry>>,
        hash: &'t FlowHash,
        buckets: &'t BucketArray,
    ) -> ForwardingReader<'t> {
        let search = Search::fastest();
        ForwardingReader { entries, hash, buckets: buckets.current(), search, found: [None; BATCH] }
    }

    /// Returns the same reader with another search. The machine must support it, or the search stays as it was.
    #[cfg(test)]
    pub(super) fn with_search(self, search: Search) -> ForwardingReader<'t> {
        let search = if search.is_available() { search } else { self.search };
        ForwardingReader { search, ..self }
    }

    /// Returns the entry of a flow. Wait-free.
    pub fn lookup<K: FlowKey>(&mut self, flow: &K) -> Option<&Entry> {
        let hash = flow.hash_with(self.hash);
        let entries = self.entries.pin();
        self.buckets = self.buckets.current();
        let probe = Probe { buckets: self.buckets, entries: &entries, flow, hash };
        match self.search {
            #[cfg(all(target_arch = "x86_64", not(loom)))]
            // SAFETY: the search is `Avx512` only on machines that support it (`Search::is_available`).
            Search::Avx512 => unsafe { probe.find_avx512() },
            #[cfg(all(target_arch = "x86_64", not(loom)))]
            // SAFETY: as for `Avx512`.
            Search::Avx2 => unsafe { probe.find_avx2() },
            _ => probe.find(),
        }
    }

    /// Returns the entries of many flows, in their order. Wait-free: a bounded number of steps for each flow.
    ///
    /// All returned entries stay readable until the reader is used again. A burst should therefore be no longer than
    /// the packets that a worker handles at once, because entries that are removed meanwhile wait for it. The iterator
    /// looks flows up while it is advanced, in batches of up to 32: it may miss an entry that is published after the
    /// batch of its flow began.
    ///
    /// ```
    /// # use mgm::forwarding::{Flow, ForwardingReader};
    /// fn hits(reader: &mut ForwardingReader<'_>, flows: &[Flow]) -> usize {
    ///     reader.lookup_burst(flows).filter(Option::is_some).count()
    /// }
    /// ```
    #[inline]
    pub fn lookup_burst<'r, K: FlowKey>(&'r mut self, flows: &'r [K]) -> LookupBurst<'r, K> {
        let entries = self.entries.pin();
        let batch = BatchLookup { entries, hash: self.hash, buckets: self.buckets, search: self.search };
        LookupBurst::new(batch, flows, &mut self.found)
    }

    /// Unpins the reader until its next call, so that it holds no removed entries back.
    pub fn park(&mut self) {
        self.entries.park();
    }
}

impl fmt::Debug for ForwardingReader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForwardingReader").finish_non_exhaustive()
    }
}
