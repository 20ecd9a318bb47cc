//! Path lists: sharing, stamps, and sweeping.

use super::*;
use crate::forwarding::counters::counter_id::LineId;
use crate::forwarding::{Entry, Flow, FlowCounterId, Incoming, OifCounterId, Outgoing, Verdict};
use crate::handle::OwnershipTable;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn flow() -> Flow {
    Flow::new([192, 0, 2, 7].into(), [232, 1, 2, 3].into()).unwrap()
}

fn stamp(word: u64) -> Stamp {
    Stamp::one(ResourceId(3), OwnerWord(word))
}

/// Makes an entry that arrives on interface 0 and leaves through `outgoing`. All of its stamps have this word.
fn make_entry(table: &mut PathListTable, word: u64, outgoing: &[u32]) -> Entry {
    let incoming = Incoming::new(VifIndex(0), stamp(word));
    let counter = |index| LineId { index, generation: 1 }.at(0);
    let outgoing = outgoing.iter().map(|n| Outgoing::new(VifIndex(*n), stamp(word), counter(*n)));
    let outgoing = Vec::from_iter(outgoing);
    Entry::try_new(&NewEntry::new(flow(), FlowCounterId::NONE, Some(incoming), &outgoing), table).unwrap()
}

fn interfaces(entry: &Entry) -> Vec<u32> {
    entry.outgoing().map(|o| o.interface.0).collect()
}

#[test]
fn equal_path_lists_are_stored_once() {
    let mut table = PathListTable::new(Arc::default());
    let one = make_entry(&mut table, 1, &[1, 2]);
    assert!(Arc::ptr_eq(one.paths(), make_entry(&mut table, 1, &[1, 2]).paths()));
    for (word, outgoing) in [(1, &[1, 2, 3][..]), (1, &[2, 1]), (1, &[1]), (1, &[]), (2, &[1, 2])] {
        let other = make_entry(&mut table, word, outgoing);
        assert!(!Arc::ptr_eq(one.paths(), other.paths()), "{word} {outgoing:?}");
        assert_eq!(interfaces(&other), outgoing);
        assert_eq!(other.incoming().unwrap().stamp, stamp(word));
    }
    assert_eq!(interfaces(&one), [1, 2]);
}

#[test]
fn counters_stay_with_their_interfaces() {
    let entry = make_entry(&mut PathListTable::new(Arc::default()), 1, &[4, 0, 2]);
    let counters: Vec<_> = entry.outgoing().map(|o| (o.interface.0, o.counter.line().index)).collect();
    assert_eq!(counters, [(4, 4), (2, 2)], "the incoming interface and its counter are left out");
}

#[test]
fn an_entry_without_an_incoming_interface_is_negative() {
    let outgoing = [Outgoing::uncounted(VifIndex(1), stamp(1))];
    let new = NewEntry::new(flow(), FlowCounterId::NONE, None, &outgoing);
    let entry = Entry::try_new(&new, &mut PathListTable::new(Arc::default())).unwrap();
    assert!(entry.incoming().is_none() && entry.is_negative());
    // An interface with the index of `Path::NONE` is an interface like any other.
    let incoming = Incoming::new(VifIndex(u32::MAX), stamp(1));
    let new = NewEntry { incoming: Some(incoming), ..new };
    let entry = Entry::try_new(&new, &mut PathListTable::new(Arc::default())).unwrap();
    assert_eq!((entry.incoming(), interfaces(&entry)), (Some(incoming), vec![1]));
}

#[test]
fn a_path_is_current_as_long_as_its_stamp() {
    let table = OwnershipTable::with_limit(4).unwrap();
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
    let incoming = Incoming::new(VifIndex(0), stamps[2]);
    let new = NewEntry::new(flow(), FlowCounterId::NONE, Some(incoming), &outgoing);
    let entry = Entry::try_new(&new, &mut PathListTable::new(owners.clone())).unwrap();
    let live = || {
        let live = Vec::from_iter(entry.live_outgoing().map(|o| o.interface.0));
        let current = (1..).zip(stamps).filter(|(_, stamp)| stamp.is_current(owners)).map(|(n, _)| n);
        assert_eq!(live, Vec::from_iter(current));
        (live, entry.check(VifIndex(0)))
    };
    assert_eq!(live(), (vec![1, 2, 3], Verdict::Accept));
    table.claim(client, other).unwrap();
    assert_eq!(live(), (vec![1], Verdict::Stale));
    table.claim(client, one).unwrap();
    assert_eq!(live(), (vec![], Verdict::Stale));
}

#[test]
fn path_lists_without_entries_are_swept() {
    let mut table = PathListTable::new(Arc::default());
    let kept = Vec::from_iter((0..100).map(|n| make_entry(&mut table, n, &[1])));
    (100..10_000).for_each(|n| drop(make_entry(&mut table, n, &[1])));
    assert!((100..=2 * (100 + MIN_SWEEP)).contains(&table.lists.len()), "{}", table.lists.len());
    for (n, entry) in (0..).zip(&kept) {
        assert!(Arc::ptr_eq(entry.paths(), make_entry(&mut table, n, &[1]).paths()), "{n} is still shared");
    }
}

/// Makes an entry of a list in the order of interfaces, with counters that lie in lines of five.
fn make_ordered(table: &mut PathListTable, outgoing: &[(u32, u64)]) -> Entry {
    let incoming = Incoming::new(VifIndex(100), stamp(1));
    let outgoing =
        outgoing.iter().map(|(n, word)| Outgoing::new(VifIndex(*n), stamp(*word), line_counter(*n)));
    let outgoing = Vec::from_iter(outgoing);
    Entry::try_new(&NewEntry::new(flow(), FlowCounterId::NONE, Some(incoming), &outgoing), table).unwrap()
}

fn line_counter(n: u32) -> OifCounterId {
    LineId { index: n / 5, generation: 1 }.at((n % 5) as u8)
}

proptest! {
    /// An entry that changes one interface at a time is the entry that is made at once, and shares its list.
    #[test]
    fn changed_lists_are_those_made_at_once(
        changes in prop::collection::vec((0_u32..60, prop_oneof![4 => (1_u64..3).prop_map(Some), 2 => Just(None)]), 0..120),
        also_leave in any::<bool>(),
    ) {
        let mut table = PathListTable::new(Arc::default());
        let mut entry = make_ordered(&mut table, &[]);
        let mut model = BTreeMap::new();
        let leaves = changes.clone().into_iter().filter(|_| also_leave).map(|(n, _)| (n, None));
        for (n, word) in changes.into_iter().chain(leaves) {
            let before = model.clone();
            match word {
                Some(word) => model.insert(n, word),
                None => model.remove(&n),
            };
            let list = entry.paths().clone();
            match table.change(&list, VifIndex(n), word.map(stamp)).unwrap() {
                None => prop_assert!(word.is_none() && before == model),
                Some(changed) => entry = entry.changed(changed, line_counter(n)).unwrap(),
            }
            let wanted = Vec::from_iter(model.iter().map(|(n, word)| (*n, *word)));
            let expected = wanted.iter().map(|(n, word)| Outgoing::new(VifIndex(*n), stamp(*word), line_counter(*n)));
            prop_assert_eq!(Vec::from_iter(entry.outgoing()), Vec::from_iter(expected));
            prop_assert_eq!(entry.outgoing().len(), model.len());
            prop_assert_eq!(entry.is_negative(), model.is_empty());
            let pieces = Vec::from_iter(entry.paths().more().iter().map(|piece| piece.paths().len()));
            prop_assert!(pieces.iter().all(|len| (1..=PIECE).contains(len)), "{:?}", pieces);
            prop_assert!(entry.paths().first().len() <= PIECE);
            prop_assert!(model.len() > PIECE || pieces.is_empty(), "{:?}", pieces);
            prop_assert!(Arc::ptr_eq(entry.paths(), make_ordered(&mut table, &wanted).paths()));
        }
    }
}

#[test]
fn a_repeated_change_copies_nothing() {
    let mut table = PathListTable::new(Arc::default());
    let entry = make_ordered(&mut table, &[(1, 1), (2, 1)]);
    let change =
        |table: &mut PathListTable| table.change(entry.paths(), VifIndex(3), Some(stamp(1))).unwrap();
    let first = change(&mut table).unwrap();
    let copied = table.copied();
    assert!(copied > 0);
    assert!(Arc::ptr_eq(&first.list, &change(&mut table).unwrap().list));
    assert_eq!(table.copied(), copied);
}
