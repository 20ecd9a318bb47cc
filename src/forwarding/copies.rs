//! [`Copies`]: under which numbers an entry counts its copies, in a word.
//!
//! Those of most flows are counted in the flow's first line, so that all there is to keep is a place for each way out:
//!
//! ```text
//!           63        56                23        16 15         8 7       1  0
//!          +------------+-----   ------+------------+------------+---------+---+
//! near     | 7th's place|     ...      | 2nd's place| 1st's place|         | 1 |
//!          +------------+-----   ------+------------+------------+---------+---+
//! runs     |       address of how many runs there are, and of the runs     | 0 |
//!          +---------------------------------------------------------------+---+
//!
//!           +----------------------+-------------+----------------+
//! a run     | index and generation | first place | how many ways  |   12 octets; of ways whose places follow one another
//!           +----------------------+-------------+----------------+
//! ```
//!
//! A packet path then reads nothing of most entries' own behind the line that the entry is; and mostly a line more where there are
//! many interfaces, whose numbers were given one after the other.

use super::numbers::{FlowCounterId, LineId, NOWHERE, OifCounterId};
use crate::memory::{self, NoMemory};
use crate::prefetch::prefetch_lines;
use std::marker::PhantomData;
use std::{fmt, iter, ptr};

/// How many ways out have a place in the word: one for each octet but the lowest.
const PLACES: usize = size_of::<usize>() - 1;

/// The word where no way has a place.
const NO_PLACES: usize = usize::from_le_bytes([NOWHERE; size_of::<usize>()]) & !0xff | 1;

const _: () = assert!(align_of::<Run>() > 1 && size_of::<Run>() == 12);

/// Under which numbers an entry counts its copies.
pub(crate) struct Copies {
    /// As above. An address is that of a boxed slice, which this owns.
    word: *mut Run,
    _owned: PhantomData<Box<[Run]>>,
}

// SAFETY: it owns its numbers as a box would, and they are plain values.
unsafe impl Send for Copies {}
// SAFETY: as above; nothing is changed through a shared reference.
unsafe impl Sync for Copies {}

/// What is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept<'c> {
    /// Places in the flow's first line.
    Near(Places),
    /// Runs of places.
    Runs(&'c [Run]),
}

/// Ways out, one after the other, whose copies are counted at places one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// Of those that stand before the others, how many these are.
    pub(super) line: LineId,
    /// The first one's place. [`NOWHERE`] if they are counted nowhere.
    pub(super) first: u8,
    pub(super) len: u8,
}

impl Run {
    /// What stands before runs, until it is known how many they are.
    const HEAD: Run = Run { line: LineId { index: 0, generation: 0 }, first: NOWHERE, len: 0 };

    fn one(number: OifCounterId) -> Run {
        Run { line: number.line(), first: number.place(), len: 1 }
    }

    /// The number of the way at a place in it, if there are so many.
    fn at(&self, at: usize) -> Option<OifCounterId> {
        if at >= self.len.into() {
            return None;
        }
        let place = if self.first == NOWHERE { NOWHERE } else { self.first + at as u8 };
        Some(self.line.at(place))
    }

    /// With another way, if its place is the next one.
    fn with(self, number: OifCounterId) -> Option<Run> {
        let len = self.len.checked_add(1)?;
        let next = if self.first == NOWHERE { NOWHERE } else { self.first + self.len };
        let follows = number.line() == self.line && number.place() == next;
        // Behind the last place a line has, there is nowhere.
        (follows && (next < NOWHERE || self.first == NOWHERE)).then_some(Run { len, ..self })
    }
}

/// The runs that numbers are.
fn runs(mut numbers: impl Iterator<Item = OifCounterId>) -> impl Iterator<Item = Run> {
    let mut run = None;
    iter::from_fn(move || {
        for number in numbers.by_ref() {
            let (now, other) = (Run::one(number), run.take());
            match other {
                None => run = Some(now),
                Some(before) => match Run::with(before, number) {
                    Some(longer) => run = Some(longer),
                    None => {
                        run = Some(now);
                        return Some(before);
                    }
                },
            }
        }
        run.take()
    })
}

/// The places of an entry's copies in the flow's first line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Places(usize);

impl Places {
    /// That of a way out by its place among them.
    #[inline]
    fn at(self, at: usize) -> u8 {
        self.0.to_le_bytes().get(1 + at).copied().unwrap_or(NOWHERE)
    }

    /// Those of the ways out whose bits are set, the lowest for the first.
    #[inline]
    pub(super) fn each(self, mut chosen: u64, mut each: impl FnMut(u8)) {
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

impl Copies {
    /// Of an entry of the flow with this number, for each of `len` ways out in turn.
    pub(super) fn try_new(
        flow: FlowCounterId,
        len: usize,
        numbers: impl Iterator<Item = OifCounterId> + Clone,
    ) -> Result<Copies, NoMemory> {
        if len <= PLACES
            && let Some(places) = places(flow, numbers.clone())
        {
            return Ok(Copies::of_places(places));
        }
        let len = 1 + runs(numbers.clone()).count();
        Ok(Copies::of_runs(memory::slice(len, iter::once(Run::HEAD).chain(runs(numbers)))?))
    }

    fn of_places(places: usize) -> Copies {
        Copies { word: ptr::without_provenance_mut(places), _owned: PhantomData }
    }

    /// Of runs behind a head, which is told here how many there are.
    fn of_runs(mut all: Box<[Run]>) -> Copies {
        let Some((head, runs)) = all.split_first_mut() else { return Copies::of_places(NO_PLACES) };
        head.line.index = runs.len() as u32;
        Copies { word: Box::into_raw(all).cast(), _owned: PhantomData }
    }

    #[inline]
    pub(super) fn kept(&self) -> Kept<'_> {
        let Some(all) = self.slice() else { return Kept::Near(Places(self.word.addr())) };
        // SAFETY: it lives as long as `self`, which is borrowed, and is changed by nobody.
        let all = unsafe { &*all };
        Kept::Runs(all.get(1..).unwrap_or_default())
    }

    /// The number of a way out by its place among them, of an entry of the flow with this number.
    #[inline]
    pub(super) fn number_at(&self, flow: FlowCounterId, at: usize) -> OifCounterId {
        match self.kept() {
            Kept::Near(places) => flow.line.at(places.at(at)),
            Kept::Runs(runs) => {
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

    /// Asks for what a packet path reads next of these, if there is something.
    #[inline]
    pub(crate) fn prefetch(&self) {
        if let Kept::Runs(runs) = self.kept() {
            prefetch_lines(runs);
        }
    }

    /// Where the runs are, and before them their head: `None` where there are places.
    #[inline]
    fn slice(&self) -> Option<*mut [Run]> {
        if self.word.addr() & 1 != 0 {
            return None;
        }
        // SAFETY: an even word is the address of what `of_runs` was given, which is not given back before `self` is dropped.
        let len = unsafe { *self.word }.line.index;
        Some(ptr::slice_from_raw_parts_mut(self.word, 1 + len as usize))
    }
}

/// The word that has a place for each of these numbers, of which there are few, if all are counted in the flow's first line or
/// nowhere.
fn places(flow: FlowCounterId, numbers: impl Iterator<Item = OifCounterId>) -> Option<usize> {
    (1..=PLACES).zip(numbers).try_fold(NO_PLACES, |word, (n, number)| {
        let place = number.place();
        let near = place == NOWHERE || number.line() == flow.line;
        near.then_some(word & !(0xff << (8 * n)) | usize::from(place) << (8 * n))
    })
}

impl Clone for Copies {
    fn clone(&self) -> Copies {
        match self.kept() {
            Kept::Near(Places(places)) => Copies::of_places(places),
            Kept::Runs(runs) => Copies::of_runs(iter::once(Run::HEAD).chain(runs.iter().copied()).collect()),
        }
    }
}

impl Drop for Copies {
    fn drop(&mut self) {
        if let Some(all) = self.slice() {
            // SAFETY: a box of this length was given to `of_runs`, and nobody else has it.
            drop(unsafe { Box::from_raw(all) });
        }
    }
}

impl PartialEq for Copies {
    fn eq(&self, other: &Copies) -> bool {
        self.kept() == other.kept()
    }
}

impl Eq for Copies {}

impl fmt::Debug for Copies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kept().fmt(f)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LINE: LineId = LineId { index: 3, generation: 9 };
    const FLOW: FlowCounterId = FlowCounterId { line: LINE };

    /// Numbers in this flow's first line, in others, and none.
    fn number() -> impl Strategy<Value = OifCounterId> {
        let other = |index, generation| LineId { index, generation };
        prop_oneof![
            4 => (0..NOWHERE).prop_map(|place| LINE.at(place)),
            1 => (0..NOWHERE, 2_u32..5, 8_u32..10).prop_map(move |(place, i, g)| other(i, g).at(place)),
            2 => Just(OifCounterId::NONE),
        ]
    }

    fn numbers(copies: &Copies, ways: usize) -> Vec<OifCounterId> {
        let all = Vec::from_iter((0..ways).map(|at| copies.number_at(FLOW, at)));
        if let Kept::Near(places) = copies.kept() {
            for chosen in 0..1 << ways {
                let mut seen = Vec::new();
                places.each(chosen, |place| seen.push(LINE.at(place)));
                let chosen = all.iter().enumerate().filter(|(n, _)| chosen >> n & 1 == 1);
                assert_eq!(seen, Vec::from_iter(chosen.map(|(_, number)| *number)));
            }
        }
        all
    }

    proptest! {
        #[test]
        fn what_is_put_in_comes_out(given in prop::collection::vec(number(), 0..12)) {
            let copies = Copies::try_new(FLOW, given.len(), given.iter().copied()).unwrap();
            prop_assert_eq!(numbers(&copies, given.len()), given.clone());
            let clone = copies.clone();
            prop_assert!(clone == copies);
            drop(copies);
            prop_assert_eq!(numbers(&clone, given.len()), given);
        }
    }

    #[test]
    fn what_follows_one_another_is_one_run() {
        let further = LineId { index: 4, generation: 1 };
        let numbers =
            (3..NOWHERE).map(|place| LINE.at(place)).chain((0..NOWHERE).map(|place| further.at(place)));
        let numbers = Vec::from_iter(numbers.chain([OifCounterId::NONE; 300]));
        let copies = Copies::try_new(FLOW, numbers.len(), numbers.iter().copied()).unwrap();
        let Kept::Runs(runs) = copies.kept() else { panic!("there are many") };
        assert_eq!(Vec::from_iter(runs.iter().map(|run| run.len)), [4, 7, 255, 45]);
        assert_eq!(Vec::from_iter((0..numbers.len()).map(|at| copies.number_at(FLOW, at))), numbers);
        assert_eq!(copies.number_at(FLOW, numbers.len()), OifCounterId::NONE);
    }

    #[test]
    fn a_flow_of_few_ways_keeps_places() {
        let near = Vec::from_iter((0..NOWHERE).rev().map(|place| LINE.at(place)));
        let kept = |numbers: &[OifCounterId]| {
            let copies = Copies::try_new(FLOW, numbers.len(), numbers.iter().copied()).unwrap();
            matches!(copies.kept(), Kept::Near(_))
        };
        assert!(kept(&[]) && kept(&near));
        assert!(kept(&[OifCounterId::NONE; PLACES]) && !kept(&[OifCounterId::NONE; PLACES + 1]));
        for other in [LineId { index: 4, ..LINE }, LineId { generation: 8, ..LINE }] {
            assert!(!kept(&[near[0], other.at(0)]));
        }
    }
}
