//! [`ForwardingReader`]: how one thread looks flows up.

use super::hash::FlowHash;
use super::lanes::Lanes;
use super::{Entry, Flow, ForwardingTable};
use crate::handle::{Burst, Reader};

/// Reads the table from one thread.
pub struct ForwardingReader<'t> {
    entries: Reader<'t, Entry>,
    hash: &'t FlowHash,
    /// An array of lanes that was the newest once: where to look for the newest.
    lanes: &'t Lanes,
}

/// So many flows are looked up side by side: enough for one's wait for memory to be another's work.
const SIDE_BY_SIDE: usize = 32;

impl<'t> ForwardingReader<'t> {
    pub(super) fn new(table: &'t ForwardingTable) -> ForwardingReader<'t> {
        ForwardingReader { entries: table.entries.reader(), hash: &table.hash, lanes: table.lanes.newest() }
    }

    /// The entry of a flow. Wait-free.
    pub fn lookup(&mut self, flow: &Flow) -> Option<&Entry> {
        let hash = self.hash.of(flow);
        let burst = self.entries.burst();
        self.lanes = self.lanes.newest();
        find(self.lanes, &burst, hash, flow)
    }

    /// The entries of many flows, in their order. All stay readable until the reader is used again, so a burst should be
    /// no longer than what a worker has in its hands at once: entries that are gone meanwhile wait for it. The look-ups
    /// are made as the iterator is walked, up to 32 flows ahead of it and side by side: what is published meanwhile may be
    /// missed. Wait-free, a bounded number of steps for each flow.
    ///
    /// ```
    /// # use mgm::forwarding::{Flow, ForwardingReader};
    /// fn hits(reader: &mut ForwardingReader<'_>, flows: &[Flow]) -> usize {
    ///     reader.lookup_burst(flows).filter(Option::is_some).count()
    /// }
    /// ```
    #[inline]
    pub fn lookup_burst<'r>(&'r mut self, flows: &'r [Flow]) -> Found<'r> {
        Found {
            burst: self.entries.burst(),
            hash: self.hash,
            lanes: self.lanes.newest(),
            ahead: flows,
            found: [None; SIDE_BY_SIDE],
            at: 0,
            len: 0,
        }
    }

    /// Lets reclamation go on without this reader until its next call.
    pub fn park(&mut self) {
        self.entries.park();
    }
}

/// The entries that [`ForwardingReader::lookup_burst`] finds: for each flow in turn, its entry or `None`.
pub struct Found<'r> {
    burst: Burst<'r, Entry>,
    hash: &'r FlowHash,
    lanes: &'r Lanes,
    /// Flows that were not looked up yet.
    ahead: &'r [Flow],
    found: [Option<&'r Entry>; SIDE_BY_SIDE],
    at: usize,
    len: usize,
}

impl Found<'_> {
    fn look_up(&mut self) {
        self.lanes = self.lanes.newest();
        let now;
        (now, self.ahead) = self.ahead.split_at(self.ahead.len().min(SIDE_BY_SIDE));
        let mut hashes = [0; SIDE_BY_SIDE];
        for (hash, flow) in hashes.iter_mut().zip(now) {
            *hash = self.hash.of(flow);
            self.lanes.prefetch(*hash);
        }
        for ((found, hash), flow) in self.found.iter_mut().zip(hashes).zip(now) {
            *found = find(self.lanes, &self.burst, hash, flow);
        }
        (self.at, self.len) = (0, now.len());
    }
}

impl<'r> Iterator for Found<'r> {
    type Item = Option<&'r Entry>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.at == self.len {
            self.look_up();
        }
        let found = self.found[..self.len].get(self.at).copied()?;
        self.at += 1;
        Some(found)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.len - self.at + self.ahead.len();
        (left, Some(left))
    }
}

impl ExactSizeIterator for Found<'_> {}

#[inline]
fn find<'r>(lanes: &Lanes, burst: &Burst<'r, Entry>, hash: u64, flow: &Flow) -> Option<&'r Entry> {
    lanes.find(hash, |index| {
        // SAFETY: the places are lanes. The index was read within the burst by an acquire load, from an array that was
        // the newest within the burst. `put` and `replace` stored it there after the entry was inserted, releasing (or
        // did so in making the array, which was acquired with `next`). And before writers remove the entry they
        // overwrite its lane in the newest array; older arrays, where they leave it, a burst that begins after the
        // growth does not read any more, because it sees `next`.
        let entry = unsafe { burst.get_published(index) }?;
        (entry.flow() == *flow).then_some(entry)
    })
}
