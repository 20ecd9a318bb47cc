//! [`OifCounters`]: the counters of an entry's outgoing paths, packed into one word.
//!
//! Most flows count their copies in their first line, so that the word only needs one place for each outgoing path:
//!
//! ```text
//!           63        56                23        16 15         8 7       1  0
//!          +------------+-----   ------+------------+------------+---------+---+
//! places   | 7th's place|     ...      | 2nd's place| 1st's place|         | 1 |
//!          +------------+-----   ------+------------+------------+---------+---+
//! runs     |     address of a head (the number of runs) and the runs       | 0 |
//!          +---------------------------------------------------------------+---+
//!
//!           +----------------------+-------------+-----------------+
//! a run     | index and generation | first place | number of paths |   12 octets; paths with consecutive places
//!           +----------------------+-------------+-----------------+
//! ```
//!
//! With places, a packet path reads nothing of the entry but its one line. With runs it mostly reads one line more,
//! because the counters of a flow's interfaces are usually allocated one after the other.

use super::counter_id::{FlowCounterId, LineId, NO_PLACE, OifCounterId};
use crate::forwarding::paths::Edit;
use crate::memory::{self, NoMemory};
use crate::prefetch::prefetch_lines;
use std::marker::PhantomData;
use std::ops::Range;
use std::{fmt, iter, ptr};

/// The number of places in the word: one in each octet but the lowest.
const PLACES: usize = size_of::<usize>() - 1;

/// The word in which no path has a place.
const NO_PLACES: usize = usize::from_le_bytes([NO_PLACE; size_of::<usize>()]) & !0xff | 1;

const _: () = assert!(align_of::<Run>() > 1 && size_of::<Run>() == 12);

/// The counters of an entry's outgoing paths.
pub(crate) struct OifCounters {
    /// Places or an address, as drawn above. An address is that of a boxed slice, which this value owns.
    word: *mut Run,
    _owned: PhantomData<Box<[Run]>>,
}

// SAFETY: it owns its runs as a box does, and they are plain values.
unsafe impl Send for OifCounters {}
// SAFETY: as above; nothing is changed through a shared reference.
unsafe impl Sync for OifCounters {}

/// The decoded word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::forwarding) enum Packed<'c> {
    /// Places in the flow's first line.
    Places(Places),
    /// Runs of places in any lines.
    Runs(&'c [Run]),
}

/// Consecutive outgoing paths that are counted at consecutive places of one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::forwarding) struct Run {
    /// The line. In the head, `index` is the number of runs that follow.
    pub(in crate::forwarding) line: LineId,
    /// The place of the first path; [`NO_PLACE`] if the paths are not counted.
    pub(in crate::forwarding) first: u8,
    pub(in crate::forwarding) len: u8,
}

impl Run {
    /// A head before the number of runs is known.
    const HEAD: Run = Run { line: LineId { index: 0, generation: 0 }, first: NO_PLACE, len: 0 };

    fn one(id: OifCounterId) -> Run {
        Run { line: id.line(), first: id.place(), len: 1 }
    }

    /// Returns the counter of the path at this position in the run, if the run is long enough.
    fn at(&self, at: usize) -> Option<OifCounterId> {
        if at >= self.len.into() {
            return None;
        }
        let place = if self.first == NO_PLACE { NO_PLACE } else { self.first + at as u8 };
        Some(self.line.at(place))
    }

    /// Returns the run extended by the next one, if that has the next places.
    fn extended(self, next: Run) -> Option<Run> {
        let len = self.len.checked_add(next.len)?;
        let place = if self.first == NO_PLACE { NO_PLACE } else { self.first + self.len };
        let follows = next.line == self.line && next.first == place;
        // A run of counted paths ends with the last place of its line.
        (follows && (place < NO_PLACE || self.first == NO_PLACE)).then_some(Run { len, ..self })
    }

    /// Returns the run without its first paths.
    fn skip(self, paths: u8) -> Run {
        let first = if self.first == NO_PLACE { NO_PLACE } else { self.first + paths };
        Run { first, len: self.len - paths, ..self }
    }
}

/// Returns the run that contains the path at a position, and the position of that run's first path. Searches from the nearer
/// end. `len` is the number of paths; behind the last path is the number of runs.
fn run_at(runs: &[Run], len: usize, position: usize) -> (usize, usize) {
    let mut begin = 0;
    if position <= len / 2 {
        for (at, run) in runs.iter().enumerate() {
            let end = begin + usize::from(run.len);
            if position < end {
                return (at, begin);
            }
            begin = end;
        }
        return (runs.len(), begin);
    }
    begin = len;
    for (at, run) in runs.iter().enumerate().rev() {
        if position >= begin {
            return (at + 1, begin);
        }
        begin = begin.saturating_sub(run.len.into());
    }
    (0, begin)
}

/// Groups counters into runs.
fn runs(ids: impl Iterator<Item = OifCounterId>) -> impl Iterator<Item = Run> {
    joined(ids.map(Run::one))
}

/// Joins runs that follow each other.
fn joined(mut runs: impl Iterator<Item = Run>) -> impl Iterator<Item = Run> {
    let mut run = None;
    iter::from_fn(move || {
        for next in runs.by_ref() {
            let previous: Option<Run> = run.take();
            match previous {
                None => run = Some(next),
                Some(previous) => match previous.extended(next) {
                    Some(longer) => run = Some(longer),
                    None => {
                        run = Some(next);
                        return Some(previous);
                    }
                },
            }
        }
        run.take()
    })
}

/// The places of the outgoing paths in the flow's first line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::forwarding) struct Places(usize);

impl Places {
    /// Returns the place of the path at this position.
    #[inline]
    fn at(self, at: usize) -> u8 {
        self.0.to_le_bytes().get(1 + at).copied().unwrap_or(NO_PLACE)
    }

    /// Calls `each` with the places of the chosen paths: the lowest bit of `chosen` stands for the first path.
    #[inline]
    pub(in crate::forwarding) fn each(self, mut chosen: u64, mut each: impl FnMut(u8)) {
        let mut left = self.0;
        while chosen != 0 {
            left >>= 8;
            if chosen & 1 != 0 {
                each(left as u8);
            }
            chosen >>= 1;
        }
    }
}

impl OifCounters {
    /// Packs the counters of an entry's `len` outgoing paths, in their order. `flow` is the entry's own counter.
    pub(in crate::forwarding) fn try_new(
        flow: FlowCounterId,
        len: usize,
        ids: impl Iterator<Item = OifCounterId> + Clone,
    ) -> Result<OifCounters, NoMemory> {
        if len <= PLACES
            && let Some(places) = places(flow, ids.clone())
        {
            return Ok(OifCounters::of_places(places));
        }
        let len = 1 + runs(ids.clone()).count();
        Ok(OifCounters::of_runs(memory::slice(len, iter::once(Run::HEAD).chain(runs(ids)))?))
    }

    /// Packs the same counters with one path more, one less, or another one at a position. `len` is the number of paths of
    /// these, and `id` the counter of a path that is inserted.
    pub(in crate::forwarding) fn changed(
        &self,
        flow: FlowCounterId,
        len: usize,
        (position, edit): (usize, Edit),
        id: OifCounterId,
    ) -> Result<OifCounters, NoMemory> {
        let (inserted, removed) = match edit {
            Edit::Insert => (Some(id), 0),
            Edit::Replace => (Some(id), 1),
            Edit::Remove => (None, 1),
        };
        let new_len = len + usize::from(inserted.is_some()) - removed;
        match self.unpack() {
            Packed::Runs(runs) if new_len > PLACES => {
                let (at, begin) = run_at(runs, len, position);
                // The run at the position, which is divided, and its neighbours, which may be joined; the others are copied.
                let (before, rest) = runs.split_at(at.saturating_sub(1));
                let (near, after) = rest.split_at(rest.len().min(at - before.len() + 2));
                let here = near.get(at - before.len()).copied();
                let left = (position - begin) as u8;
                let divided = here.map(|run| [Run { len: left, ..run }, run.skip(left + removed as u8)]);
                let [left, right] = divided.map(|parts| parts.map(Some)).unwrap_or_default();
                let previous = near.iter().take(at - before.len()).copied();
                let next = near.iter().skip(at - before.len() + 1).copied();
                let changed = previous.chain(left).chain(inserted.map(Run::one)).chain(right).chain(next);
                let mut all = memory::vec(1 + runs.len() + 2)?;
                all.push(Run::HEAD);
                all.extend_from_slice(before);
                all.extend(joined(changed.filter(|run| run.len > 0)));
                all.extend_from_slice(after);
                Ok(OifCounters::of_runs(all.into()))
            }
            // Few paths, before or afterwards.
            _ => {
                let kept = |positions: Range<usize>| positions.map(|at| self.id_at(flow, at));
                let ids = kept(0..position).chain(inserted).chain(kept(position + removed..len));
                OifCounters::try_new(flow, new_len, ids)
            }
        }
    }

    fn of_places(places: usize) -> OifCounters {
        OifCounters { word: ptr::without_provenance_mut(places), _owned: PhantomData }
    }

    /// Takes a head and its runs, and writes the number of runs into the head.
    fn of_runs(mut all: Box<[Run]>) -> OifCounters {
        let Some((head, runs)) = all.split_first_mut() else { return OifCounters::of_places(NO_PLACES) };
        head.line.index = runs.len() as u32;
        OifCounters { word: Box::into_raw(all).cast(), _owned: PhantomData }
    }

    /// Decodes the word.
    #[inline]
    pub(in crate::forwarding) fn unpack(&self) -> Packed<'_> {
        let Some(all) = self.slice() else { return Packed::Places(Places(self.word.addr())) };
        // SAFETY: the slice lives as long as `self`, which is borrowed, and it is never changed.
        let all = unsafe { &*all };
        Packed::Runs(all.get(1..).unwrap_or_default())
    }

    /// Returns the counter of the path at this position. `flow` is the entry's own counter.
    #[inline]
    pub(in crate::forwarding) fn id_at(&self, flow: FlowCounterId, at: usize) -> OifCounterId {
        match self.unpack() {
            Packed::Places(places) => flow.line.at(places.at(at)),
            Packed::Runs(runs) => {
                let mut left = at;
                let found = runs.iter().find_map(|run| {
                    let found = run.at(left);
                    left = left.wrapping_sub(run.len.into());
                    found
                });
                found.unwrap_or(OifCounterId::NONE)
            }
        }
    }

    /// Prefetches the runs, if there are any: a packet path reads them next.
    #[inline]
    pub(crate) fn prefetch(&self) {
        if let Packed::Runs(runs) = self.unpack() {
            prefetch_lines(runs);
        }
    }

    /// Returns the head and the runs; `None` where the word holds places.
    #[inline]
    fn slice(&self) -> Option<*mut [Run]> {
        if self.word.addr() & 1 != 0 {
            return None;
        }
        // SAFETY: an even word is the address of the slice given to `of_runs`, which is freed only when `self` is
        // dropped.
        let len = unsafe { *self.word }.line.index;
        Some(ptr::slice_from_raw_parts_mut(self.word, 1 + len as usize))
    }
}

/// Packs the places of at most [`PLACES`] paths into a word, if each is counted in the flow's first line or not at all.
fn places(flow: FlowCounterId, ids: impl Iterator<Item = OifCounterId>) -> Option<usize> {
    (1..=PLACES).zip(ids).try_fold(NO_PLACES, |word, (n, id)| {
        let place = id.place();
        let near = place == NO_PLACE || id.line() == flow.line;
        near.then_some(word & !(0xff << (8 * n)) | usize::from(place) << (8 * n))
    })
}

impl Clone for OifCounters {
    fn clone(&self) -> OifCounters {
        match self.unpack() {
            Packed::Places(Places(places)) => OifCounters::of_places(places),
            Packed::Runs(runs) => {
                OifCounters::of_runs(iter::once(Run::HEAD).chain(runs.iter().copied()).collect())
            }
        }
    }
}

impl Drop for OifCounters {
    fn drop(&mut self) {
        if let Some(all) = self.slice() {
            // SAFETY: `of_runs` took this slice from a box of the same length, and no other value owns it.
            drop(unsafe { Box::from_raw(all) });
        }
    }
}

impl PartialEq for OifCounters {
    fn eq(&self, other: &OifCounters) -> bool {
        self.unpack() == other.unpack()
    }
}

impl Eq for OifCounters {}

impl fmt::Debug for OifCounters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.unpack().fmt(f)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LINE: LineId = LineId { index: 3, generation: 9 };
    const FLOW: FlowCounterId = FlowCounterId { line: LINE };

    /// Counters in the flow's first line, in other lines, and none.
    fn counter() -> impl Strategy<Value = OifCounterId> {
        let other = |index, generation| LineId { index, generation };
        prop_oneof![
            4 => (0..NO_PLACE).prop_map(|place| LINE.at(place)),
            1 => (0..NO_PLACE, 2_u32..5, 8_u32..10).prop_map(move |(place, i, g)| other(i, g).at(place)),
            2 => Just(OifCounterId::NONE),
        ]
    }

    fn unpacked(counters: &OifCounters, paths: usize) -> Vec<OifCounterId> {
        let all = Vec::from_iter((0..paths).map(|at| counters.id_at(FLOW, at)));
        if let Packed::Places(places) = counters.unpack() {
            for chosen in 0..1 << paths {
                let mut seen = Vec::new();
                places.each(chosen, |place| seen.push(LINE.at(place)));
                let chosen = all.iter().enumerate().filter(|(n, _)| chosen >> n & 1 == 1);
                assert_eq!(seen, Vec::from_iter(chosen.map(|(_, id)| *id)));
            }
        }
        all
    }

    proptest! {
        #[test]
        fn packed_counters_unpack_to_the_same(given in prop::collection::vec(counter(), 0..12)) {
            let counters = OifCounters::try_new(FLOW, given.len(), given.iter().copied()).unwrap();
            prop_assert_eq!(unpacked(&counters, given.len()), given.clone());
            let clone = counters.clone();
            prop_assert!(clone == counters);
            drop(counters);
            prop_assert_eq!(unpacked(&clone, given.len()), given);
        }
    }

    #[test]
    fn consecutive_places_form_one_run() {
        let further = LineId { index: 4, generation: 1 };
        let ids =
            (3..NO_PLACE).map(|place| LINE.at(place)).chain((0..NO_PLACE).map(|place| further.at(place)));
        let ids = Vec::from_iter(ids.chain([OifCounterId::NONE; 300]));
        let counters = OifCounters::try_new(FLOW, ids.len(), ids.iter().copied()).unwrap();
        let Packed::Runs(runs) = counters.unpack() else { panic!("too many for places") };
        assert_eq!(Vec::from_iter(runs.iter().map(|run| run.len)), [4, 7, 255, 45]);
        assert_eq!(Vec::from_iter((0..ids.len()).map(|at| counters.id_at(FLOW, at))), ids);
        assert_eq!(counters.id_at(FLOW, ids.len()), OifCounterId::NONE);
    }

    #[test]
    fn few_paths_of_the_first_line_are_places() {
        let near = Vec::from_iter((0..NO_PLACE).rev().map(|place| LINE.at(place)));
        let are_places = |ids: &[OifCounterId]| {
            let counters = OifCounters::try_new(FLOW, ids.len(), ids.iter().copied()).unwrap();
            matches!(counters.unpack(), Packed::Places(_))
        };
        assert!(are_places(&[]) && are_places(&near));
        assert!(are_places(&[OifCounterId::NONE; PLACES]));
        assert!(!are_places(&[OifCounterId::NONE; PLACES + 1]));
        for other in [LineId { index: 4, ..LINE }, LineId { generation: 8, ..LINE }] {
            assert!(!are_places(&[near[0], other.at(0)]));
        }
    }
}
