//! [`Ways`]: where a flow's packets come in and go out, kept once for all flows that have the same.
//!
//! Most flows of a router share a few sets of interfaces: an entry says which set is its own, and keeps apart only under
//! which numbers its packets are counted (`copies.rs`).
//!
//! ```text
//!     slot      +-------+------+------+--------+--------+          ways, of many entries
//!               | state | flow | ways | number | copies |       +--------+--------+--------+
//!               +-------+------+--|---+--------+--------+   +-->| way in | way 1  | way 2  |  32 octets each
//!                                 +---> shared by N --------+   +--------+--------+--------+
//! ```
//!
//! A packet path so reads one line of an entry's own; the ways stay in the nearest cache while packets of any of their flows
//! come. Where a way's owner words are is found out once, when the set is made.

use super::NewEntry;
use super::entry::{Stamp, VifIndex};
use crate::handle::{OwnerWord, OwnerWords, ResourceId, WordPtr};
use crate::memory::{self, NoMemory};
use crate::sync;
use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// An interface, and what it was derived from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) interface: VifIndex,
    pub(super) stamp: Stamp,
    /// Where the stamp's word is, or the first of its pair; `None` if there is no such word.
    at: Option<WordPtr>,
}

const _: () = assert!(size_of::<Way>() == 32);

impl Hash for Way {
    /// In whole words.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Stamp { id, word, other } = self.stamp;
        state.write_u64(u64::from(self.interface.0) << 32 | u64::from(id.0));
        state.write_u64(word.0);
        state.write_u64(other.0);
    }
}

impl Way {
    /// In the place of the way in where there is none. No table gives such an owner.
    const NONE: Way = Way {
        interface: VifIndex(u32::MAX),
        stamp: Stamp::one(ResourceId(u32::MAX), OwnerWord(0)),
        at: None,
    };

    fn new(interface: VifIndex, stamp: Stamp, owners: &OwnerWords) -> Way {
        Way { interface, stamp, at: owners.word_at(stamp.id) }
    }

    /// [`Stamp::holds`], by the owners of the set that this is of. Wait-free.
    ///
    /// # Safety
    /// It is read in a set ([`Ways`]) that was not dropped: that keeps the owner words.
    #[inline]
    pub(super) unsafe fn holds(&self) -> bool {
        let Some(at) = self.at else { return false };
        let Stamp { word, other, .. } = self.stamp;
        // SAFETY: the owners that told where it is are the set's, which has not been dropped.
        let unchanged = |at: WordPtr, word| unsafe { at.unchanged(word) };
        // SAFETY: a stamp of a pair has the id of its first word (`Stamp::pair`).
        unchanged(at, word) && (other == OwnerWord(0) || unchanged(unsafe { at.second() }, other))
    }
}

/// The way in and the ways out.
// In lines of its own: how many share it, which stands beside it and changes with every entry that comes and goes, is not in
// the line that packet paths read.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Ways {
    /// First the way in, or [`Way::NONE`]; then the ways out.
    ways: Box<[Way]>,
    /// Whose words the ways lead to: kept for as long as anybody may read them. By the pointer that tables have, which under
    /// loom is loom's.
    _owners: sync::Arc<OwnerWords>,
}

/// Whose the owner words are, the ways themselves tell.
impl PartialEq for Ways {
    fn eq(&self, other: &Ways) -> bool {
        self.ways == other.ways
    }
}

impl Eq for Ways {}

impl Ways {
    /// The way in, if there is one.
    #[inline]
    pub(super) fn way_in(&self) -> Option<&Way> {
        self.ways.first().filter(|way| way.interface != Way::NONE.interface || **way != Way::NONE)
    }

    /// The ways out.
    #[inline]
    pub(super) fn out(&self) -> &[Way] {
        self.ways.get(1..).unwrap_or_default()
    }
}

/// In a set by what the ways are.
#[derive(PartialEq, Eq)]
struct Shared(Arc<Ways>);

impl Borrow<[Way]> for Shared {
    fn borrow(&self) -> &[Way] {
        &self.0.ways
    }
}

impl Hash for Shared {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.ways.hash(state);
    }
}

/// The ways of a table's entries. For its writers: nobody who reads the table needs it.
pub(super) struct AllWays {
    owners: sync::Arc<OwnerWords>,
    all: HashSet<Shared, super::hash::Seed>,
    /// Those of the last entry: often the next one's too.
    last: Option<Arc<Ways>>,
    /// Those of the entry that is being made. Kept for the next one's.
    wanted: Vec<Way>,
    /// When there are so many, those that no entry has any more are looked for.
    sweep_at: usize,
}

/// Fewer than these are not worth sweeping.
const FEW: usize = 64;

impl AllWays {
    /// None yet, of entries whose stamps are checked against `owners`.
    pub(super) fn new(owners: sync::Arc<OwnerWords>) -> AllWays {
        AllWays { owners, all: HashSet::default(), last: None, wanted: Vec::new(), sweep_at: 0 }
    }

    /// The ways of an entry: those that others have already, if they are the same.
    pub(super) fn of(&mut self, entry: &NewEntry<'_>) -> Result<Arc<Ways>, NoMemory> {
        self.wanted.clear();
        memory::reserve(&mut self.wanted, 1 + entry.outgoing.len())?;
        let way = |interface, stamp| Way::new(interface, stamp, &self.owners);
        self.wanted.push(entry.incoming.map_or(Way::NONE, |i| way(i.interface, i.stamp)));
        self.wanted.extend(entry.kept().map(|o| way(o.interface, o.stamp)));
        if let Some(last) = self.last.as_ref().filter(|last| *last.ways == *self.wanted) {
            return Ok(last.clone());
        }
        let ways = match self.all.get(&*self.wanted) {
            Some(Shared(ways)) => ways.clone(),
            None => self.remember()?,
        };
        self.last = Some(ways.clone());
        Ok(ways)
    }

    /// Those that are wanted, which nobody has yet.
    fn remember(&mut self) -> Result<Arc<Ways>, NoMemory> {
        let ways = memory::slice(self.wanted.len(), self.wanted.iter().copied())?;
        let ways = memory::shared(Ways { ways, _owners: self.owners.clone() })?;
        self.sweep();
        // Where there is no memory to remember them, the next entry has its own: it only is not shared.
        if memory::reserve_in_set(&mut self.all, 1).is_ok() {
            self.all.insert(Shared(ways.clone()));
        }
        Ok(ways)
    }

    /// Forgets the ways that no entry has any more, from time to time: after as many were added as there were then.
    fn sweep(&mut self) {
        if self.all.len() < self.sweep_at.max(FEW) {
            return;
        }
        // Nobody else can get at what only this set has.
        self.all.retain(|Shared(ways)| Arc::strong_count(ways) > 1);
        self.sweep_at = 2 * self.all.len();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::forwarding::numbers::LineId;
    use crate::forwarding::{Entry, Flow, FlowCounterId, Incoming, Outgoing, Verdict};
    use crate::handle::HandleTable;

    fn flow() -> Flow {
        Flow::new([192, 0, 2, 7].into(), [232, 1, 2, 3].into()).unwrap()
    }

    fn stamp(word: u64) -> Stamp {
        Stamp::one(ResourceId(3), OwnerWord(word))
    }

    fn made(all: &mut AllWays, word: u64, outgoing: &[u32]) -> Entry {
        let incoming = Incoming { interface: VifIndex(0), stamp: stamp(word) };
        let number = |index| LineId { index, generation: 1 }.at(0);
        let outgoing = outgoing.iter().map(|n| Outgoing {
            interface: VifIndex(*n),
            stamp: stamp(word),
            number: number(*n),
        });
        let outgoing = Vec::from_iter(outgoing);
        Entry::try_new(&NewEntry::new(flow(), FlowCounterId::NONE, Some(incoming), &outgoing), all).unwrap()
    }

    fn interfaces(entry: &Entry) -> Vec<u32> {
        entry.outgoing().map(|o| o.interface.0).collect()
    }

    #[test]
    fn the_same_ways_are_kept_once() {
        let mut all = AllWays::new(Arc::default());
        let one = made(&mut all, 1, &[1, 2]);
        assert!(Arc::ptr_eq(one.ways(), made(&mut all, 1, &[1, 2]).ways()));
        for (word, outgoing) in [(1, &[1, 2, 3][..]), (1, &[2, 1]), (1, &[1]), (1, &[]), (2, &[1, 2])] {
            let other = made(&mut all, word, outgoing);
            assert!(!Arc::ptr_eq(one.ways(), other.ways()), "{word} {outgoing:?}");
            assert_eq!(interfaces(&other), outgoing);
            assert_eq!(other.incoming().unwrap().stamp, stamp(word));
        }
        assert_eq!(interfaces(&one), [1, 2]);
    }

    #[test]
    fn numbers_stay_with_their_interfaces() {
        let entry = made(&mut AllWays::new(Arc::default()), 1, &[4, 0, 2]);
        let numbers: Vec<_> = entry.outgoing().map(|o| (o.interface.0, o.number.line().index)).collect();
        assert_eq!(numbers, [(4, 4), (2, 2)], "the way in is none of the ways out, nor is its number");
    }

    #[test]
    fn without_a_way_in_there_is_none_out() {
        let outgoing = [Outgoing::uncounted(VifIndex(1), stamp(1))];
        let new = NewEntry::new(flow(), FlowCounterId::NONE, None, &outgoing);
        let entry = Entry::try_new(&new, &mut AllWays::new(Arc::default())).unwrap();
        assert!(entry.incoming().is_none() && entry.is_negative());
        // An interface whose number happens to be that of none is one.
        let incoming = Incoming { interface: VifIndex(u32::MAX), stamp: stamp(1) };
        let new = NewEntry { incoming: Some(incoming), ..new };
        let entry = Entry::try_new(&new, &mut AllWays::new(Arc::default())).unwrap();
        assert_eq!((entry.incoming(), interfaces(&entry)), (Some(incoming), vec![1]));
    }

    /// As a stamp does that is asked of the table, whichever of its words changes hands.
    #[test]
    fn a_way_holds_as_long_as_its_stamp() {
        let table = HandleTable::with_claims(4).unwrap();
        let client = table.insert(()).unwrap();
        let [one, other] = table.new_resource_pair().unwrap();
        let owners = table.owners();
        let word = |id| owners.word(id).unwrap();
        let stamps = [
            Stamp::one(one, word(one)),
            Stamp::one(other, word(other)),
            Stamp::pair(one, [word(one), word(other)]),
        ];
        let outgoing =
            Vec::from_iter((1..).zip(stamps).map(|(n, stamp)| Outgoing::uncounted(VifIndex(n), stamp)));
        let incoming = Incoming { interface: VifIndex(0), stamp: stamps[2] };
        let new = NewEntry::new(flow(), FlowCounterId::NONE, Some(incoming), &outgoing);
        let entry = Entry::try_new(&new, &mut AllWays::new(owners.clone())).unwrap();
        let live = || {
            let live = Vec::from_iter(entry.live().map(|o| o.interface.0));
            let holds = (1..).zip(stamps).filter(|(_, stamp)| stamp.holds(owners)).map(|(n, _)| n);
            assert_eq!(live, Vec::from_iter(holds));
            (live, entry.judge(VifIndex(0)))
        };
        assert_eq!(live(), (vec![1, 2, 3], Verdict::Accept));
        table.claim(client, other).unwrap();
        assert_eq!(live(), (vec![1], Verdict::Miss));
        table.claim(client, one).unwrap();
        assert_eq!(live(), (vec![], Verdict::Miss));
    }

    #[test]
    fn what_nobody_has_is_forgotten() {
        let mut all = AllWays::new(Arc::default());
        let kept = Vec::from_iter((0..100).map(|n| made(&mut all, n, &[1])));
        (100..10_000).for_each(|n| drop(made(&mut all, n, &[1])));
        assert!((100..=2 * (100 + FEW)).contains(&all.all.len()), "{}", all.all.len());
        for (n, entry) in (0..).zip(&kept) {
            assert!(Arc::ptr_eq(entry.ways(), made(&mut all, n, &[1]).ways()), "{n} is still shared");
        }
    }
}
