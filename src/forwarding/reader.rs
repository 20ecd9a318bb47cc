//! [`ForwardingReader`]: how one thread looks flows up.

use super::hash::FlowHash;
use super::lanes::{Glance, Lanes};
use super::search::{self, Search};
use super::{Entry, Flow, ForwardingTable};
use crate::handle::{Burst, Reader};
use std::ptr::NonNull;

/// Reads the table from one thread.
pub struct ForwardingReader<'t> {
    entries: Reader<'t, Entry>,
    hash: &'t FlowHash,
    /// An array of lanes that was the newest once: where to look for the newest.
    lanes: &'t Lanes,
    search: Search,
    /// What a burst has found and not handed on yet. Here, so that [`Found`] is small and cheap to move.
    found: [Option<NonNull<Entry>>; SIDE_BY_SIDE],
}

/// So many flows are looked up side by side: enough for one's wait for memory to be another's work.
const SIDE_BY_SIDE: usize = 32;

impl<'t> ForwardingReader<'t> {
    pub(super) fn new(table: &'t ForwardingTable) -> ForwardingReader<'t> {
        ForwardingReader {
            entries: table.entries.reader(),
            hash: &table.hash,
            lanes: table.lanes.newest(),
            search: Search::fastest(),
            found: [None; SIDE_BY_SIDE],
        }
    }

    /// The same reader, searching as it is told; as it did if this machine cannot.
    #[must_use]
    pub fn with_search(self, search: Search) -> ForwardingReader<'t> {
        let search = if search.is_available() { search } else { self.search };
        ForwardingReader { search, ..self }
    }

    /// The entry of a flow. Wait-free.
    pub fn lookup(&mut self, flow: &Flow) -> Option<&Entry> {
        let hash = self.hash.of(flow);
        let burst = self.entries.burst();
        self.lanes = self.lanes.newest();
        let sought = Sought { lanes: self.lanes, burst: &burst, flow, hash };
        match self.search {
            #[cfg(all(target_arch = "x86_64", not(loom)))]
            // SAFETY: only where the machine has it is this the search.
            Search::Avx512 => unsafe { sought.find_avx512() },
            _ => sought.find(),
        }
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
        let burst = self.entries.burst();
        let rounds = Rounds { burst, hash: self.hash, lanes: self.lanes, search: self.search };
        Found { rounds, ahead: flows, found: &mut self.found, at: 0, len: 0 }
    }

    /// Lets reclamation go on without this reader until its next call.
    pub fn park(&mut self) {
        self.entries.park();
    }
}

/// The entries that [`ForwardingReader::lookup_burst`] finds: for each flow in turn, its entry or `None`.
pub struct Found<'r> {
    rounds: Rounds<'r>,
    /// Flows that were not looked up yet.
    ahead: &'r [Flow],
    /// Entries found in this burst, those of `at..len`.
    found: &'r mut [Option<NonNull<Entry>>; SIDE_BY_SIDE],
    at: usize,
    len: usize,
}

/// What is needed to look flows up side by side.
struct Rounds<'r> {
    burst: Burst<'r, Entry>,
    hash: &'r FlowHash,
    lanes: &'r Lanes,
    search: Search,
}

impl<'r> Rounds<'r> {
    /// Hands on what is found of each flow, of which there are at most [`SIDE_BY_SIDE`].
    #[inline]
    fn look_up<B>(&mut self, now: &[Flow], init: B, take: impl FnMut(B, Option<&'r Entry>) -> B) -> B {
        self.lanes = self.lanes.newest();
        match self.search {
            #[cfg(all(target_arch = "x86_64", not(loom)))]
            // SAFETY: only where the machine has it is this the search.
            Search::Avx512 => unsafe { self.look_up_avx512(now, init, take) },
            _ => self.look_up_with(now, init, take, |lanes, hash| lanes.glance(hash, search::fitting)),
        }
    }

    #[cfg(all(target_arch = "x86_64", not(loom)))]
    #[target_feature(enable = "avx512f,bmi2")]
    fn look_up_avx512<B>(&self, now: &[Flow], init: B, take: impl FnMut(B, Option<&'r Entry>) -> B) -> B {
        self.look_up_with(now, init, take, |lanes, hash| {
            lanes.glance(hash, |bucket, hash| search::fitting_avx512(bucket, hash))
        })
    }

    /// In three rounds, each of which asks for the lines that the next one reads: first hashes, then what the buckets say,
    /// then whose the entries are. A small table's lines are at hand: there it is one round.
    #[inline(always)]
    fn look_up_with<B>(
        &self,
        now: &[Flow],
        init: B,
        mut take: impl FnMut(B, Option<&'r Entry>) -> B,
        glance: impl Fn(&Lanes, u64) -> Glance,
    ) -> B {
        let Rounds { burst, hash: hasher, lanes, .. } = self;
        if lanes.are_few() {
            return now.iter().fold(init, |all, flow| {
                let hash = hasher.of(flow);
                take(all, Sought { lanes, burst, flow, hash }.after(glance(lanes, hash)))
            });
        }
        let mut hashes = [0; SIDE_BY_SIDE];
        for (hash, flow) in hashes.iter_mut().zip(now) {
            *hash = hasher.of(flow);
            lanes.prefetch(*hash);
        }
        let mut glances = [Glance::NOTHING; SIDE_BY_SIDE];
        for (seen, hash) in glances.iter_mut().zip(&hashes).take(now.len()) {
            *seen = glance(lanes, *hash);
            if let Some(index) = seen.fits() {
                burst.prefetch(index);
            }
        }
        now.iter().zip(glances.iter().zip(&hashes)).fold(init, |all, (flow, (seen, &hash))| {
            take(all, Sought { lanes, burst, flow, hash }.after(*seen))
        })
    }
}

impl<'r> Found<'r> {
    /// The next flows that are looked up together.
    #[inline]
    fn next_flows(&mut self) -> &'r [Flow] {
        let now;
        (now, self.ahead) = self.ahead.split_at(self.ahead.len().min(SIDE_BY_SIDE));
        now
    }

    fn look_up(&mut self) {
        let now = self.next_flows();
        let mut places = self.found.iter_mut();
        self.rounds.look_up(now, (), |(), entry| {
            if let Some(entry) = entry {
                entry.copies().prefetch();
            }
            if let Some(place) = places.next() {
                *place = entry.map(NonNull::from);
            }
        });
        (self.at, self.len) = (0, now.len());
    }

    /// One that was found and is handed on now.
    #[inline]
    fn hand_on(found: Option<NonNull<Entry>>) -> Option<&'r Entry> {
        // SAFETY: `look_up` has put it there, or nothing: from a reference that is good for the burst, which `'r` is.
        found.map(|entry| unsafe { entry.as_ref() })
    }
}

impl<'r> Iterator for Found<'r> {
    type Item = Option<&'r Entry>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.at == self.len {
            self.look_up();
        }
        let found = *self.found[..self.len].get(self.at)?;
        self.at += 1;
        Some(Self::hand_on(found))
    }

    /// Without putting what is found anywhere.
    #[inline]
    fn fold<B, F: FnMut(B, Self::Item) -> B>(mut self, init: B, mut f: F) -> B {
        let handed_on = self.found[self.at..self.len].iter().map(|found| Self::hand_on(*found));
        let mut all = handed_on.fold(init, &mut f);
        while !self.ahead.is_empty() {
            let now = self.next_flows();
            all = self.rounds.look_up(now, all, &mut f);
        }
        all
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.len - self.at + self.ahead.len();
        (left, Some(left))
    }
}

impl ExactSizeIterator for Found<'_> {}

/// A flow that is looked for.
#[derive(Clone, Copy)]
struct Sought<'s, 'r> {
    lanes: &'s Lanes,
    burst: &'s Burst<'r, Entry>,
    flow: &'s Flow,
    hash: u64,
}

impl<'r> Sought<'_, 'r> {
    fn find(self) -> Option<&'r Entry> {
        self.lanes.find(self.hash, |index| self.is(index))
    }

    #[cfg(all(target_arch = "x86_64", not(loom)))]
    #[target_feature(enable = "avx512f,bmi2")]
    fn find_avx512(self) -> Option<&'r Entry> {
        self.after(self.lanes.glance(self.hash, |bucket, hash| search::fitting_avx512(bucket, hash)))
    }

    /// After a glance. That another flow's fingerprint was met first, or that the flow passed its home bucket, is rare.
    #[inline(always)]
    fn after(self, seen: Glance) -> Option<&'r Entry> {
        if let Some(index) = seen.fits()
            && let Some(entry) = self.is(index)
        {
            return Some(entry);
        }
        if seen == Glance::NOTHING { None } else { find_again(self.lanes, self.burst, self.flow, self.hash) }
    }

    /// The entry, if it is the flow's.
    #[inline(always)]
    fn is(self, index: u32) -> Option<&'r Entry> {
        // SAFETY: the places are lanes. The index was read within the burst by an acquire load, from an array that was
        // the newest within the burst. `put` and `replace` stored it there after the entry was inserted, releasing (or
        // did so in making the array, which was acquired with `next`). And before writers remove the entry they
        // overwrite its lane in the newest array; older arrays, where they leave it, a burst that begins after the
        // growth does not read any more, because it sees `next`.
        let entry = unsafe { self.burst.get_published(index) }?;
        entry.flow().is(self.flow).then_some(entry)
    }
}

/// Not a method, so that what is sought stays in registers elsewhere.
#[cold]
fn find_again<'r>(lanes: &Lanes, burst: &Burst<'r, Entry>, flow: &Flow, hash: u64) -> Option<&'r Entry> {
    Sought { lanes, burst, flow, hash }.find()
}
