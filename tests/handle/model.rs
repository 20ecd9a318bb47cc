//! Random sequences of calls on the handle table, each answer compared with that of a plain model on one thread.

use mgm::handle::{
    ClaimError, Full, Handle, HandleTable, OwnershipTable, Reader, ReleaseError, ResourceId, RetireError,
    Stale, Table,
};
use proptest::prelude::*;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const CAPACITY: u32 = 6;
const THINGS: usize = 4;

/// A call. Numbers choose among what exists, modulo how much there is.
#[derive(Clone, Debug)]
enum Call {
    Insert,
    /// Removes, or retires if unheld.
    Remove(usize),
    Get(usize),
    Burst(Vec<usize>),
    Garbage(u64),
    Claim(usize, usize),
    Release(usize, usize),
    OwnerOf(usize),
    Iterate,
    Reclaim,
    /// Has the reader stand still, or not.
    Park,
}

fn call() -> impl Strategy<Value = Call> {
    prop_oneof![
        4 => Just(Call::Insert),
        3 => any::<usize>().prop_map(Call::Remove),
        2 => any::<usize>().prop_map(Call::Get),
        1 => prop::collection::vec(any::<usize>(), 0..8).prop_map(Call::Burst),
        1 => garbage().prop_map(Call::Garbage),
        4 => (any::<usize>(), any::<usize>()).prop_map(|(h, t)| Call::Claim(h, t)),
        3 => (any::<usize>(), any::<usize>()).prop_map(|(h, t)| Call::Release(h, t)),
        1 => any::<usize>().prop_map(Call::OwnerOf),
        1 => Just(Call::Iterate),
        1 => Just(Call::Reclaim),
        1 => Just(Call::Park),
    ]
}

/// Numbers near to handles.
fn garbage() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        (0..6u64, 0..3u64, 0..20u64)
            .prop_map(|(generation, kind, index)| generation << 32 | kind << 24 | index),
    ]
}

/// A value that is counted while it lives.
struct Counted(u64, Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.1.fetch_sub(1, Ordering::SeqCst);
    }
}

/// What a table ought to be.
#[derive(Default)]
struct Model {
    live: HashMap<Handle, u64>,
    ever: Vec<Handle>,
    owner: [Option<Handle>; THINGS],
    stamps: [u64; THINGS],
}

impl Model {
    fn handle(&self, choice: usize) -> Handle {
        if self.ever.is_empty() { Handle::STALE } else { self.ever[choice % self.ever.len()] }
    }

    fn held(&self, handle: Handle) -> u32 {
        self.owner.iter().filter(|owner| **owner == Some(handle)).count() as u32
    }
}

/// The operations of a table: those that both tables have under the same name, and those in which they differ.
trait Subject: Table<Value = Counted> + Sized {
    fn make() -> Self;
    fn insert(&self, value: Counted) -> Result<Handle, Full<Counted>>;
    fn contains(&self, handle: Handle) -> bool;
    fn with(&self, handle: Handle) -> Option<u64>;
    fn all(&self) -> HashMap<Handle, u64>;
    fn reclaim(&self);
    fn pending(&self) -> usize;
    fn len(&self) -> usize;

    fn things(&self) -> Vec<ResourceId>;
    /// The stamp of words that never changed hands.
    fn first_stamp(&self, things: &[ResourceId]) -> u64;
    fn remove(&self, handle: Handle) -> Result<(), RetireError>;
    fn ownership(&self, things: &[ResourceId], model: &mut Model, call: &Call) -> Result<(), TestCaseError>;
}

macro_rules! alike {
    () => {
        fn make() -> Self {
            // Small generations, which the garbage comes near to.
            Self::builder().limit(CAPACITY).first_generation(1).build().unwrap()
        }
        fn insert(&self, value: Counted) -> Result<Handle, Full<Counted>> {
            self.insert(value)
        }
        fn contains(&self, handle: Handle) -> bool {
            self.contains(handle)
        }
        fn with(&self, handle: Handle) -> Option<u64> {
            let value = self.with(handle, |value| value.0);
            assert_eq!(self.get(handle).map(|value| value.0), value);
            value
        }
        fn all(&self) -> HashMap<Handle, u64> {
            self.iter().map(|(handle, value)| (handle, value.0)).collect()
        }
        fn reclaim(&self) {
            self.reclaim();
        }
        fn pending(&self) -> usize {
            self.pending()
        }
        fn len(&self) -> usize {
            self.len()
        }
    };
}

impl Subject for HandleTable<Counted> {
    alike!();

    fn things(&self) -> Vec<ResourceId> {
        Vec::new()
    }
    fn first_stamp(&self, _: &[ResourceId]) -> u64 {
        0
    }
    fn remove(&self, handle: Handle) -> Result<(), RetireError> {
        self.remove(handle).map_err(|Stale| RetireError::Stale)
    }
    fn ownership(&self, _: &[ResourceId], _: &mut Model, _: &Call) -> Result<(), TestCaseError> {
        Ok(())
    }
}

impl Subject for OwnershipTable<Counted> {
    alike!();

    fn things(&self) -> Vec<ResourceId> {
        (0..THINGS / 2).flat_map(|_| self.new_resource_pair().unwrap()).collect()
    }
    fn first_stamp(&self, things: &[ResourceId]) -> u64 {
        self.owners().word(things[0]).unwrap().stamp()
    }
    fn remove(&self, handle: Handle) -> Result<(), RetireError> {
        self.check_and_retire(handle)
    }
    fn ownership(&self, things: &[ResourceId], model: &mut Model, call: &Call) -> Result<(), TestCaseError> {
        match *call {
            Call::Claim(handle, thing) => {
                let (handle, thing) = (model.handle(handle), thing % THINGS);
                let expected = match model.owner[thing] {
                    _ if !model.live.contains_key(&handle) => Err(ClaimError::Stale),
                    Some(owner) => Err(ClaimError::Owned(owner)),
                    None => Ok(()),
                };
                let answer = self.claim(handle, things[thing]);
                prop_assert_eq!(answer.map(|_| ()), expected);
                if let Ok(word) = answer {
                    model.owner[thing] = Some(handle);
                    model.stamps[thing] += 1;
                    prop_assert!(!word.is_free());
                    prop_assert_eq!(self.owners().word(things[thing]), Some(word));
                }
            }
            Call::Release(handle, thing) => {
                let (handle, thing) = (model.handle(handle), thing % THINGS);
                let expected = match model.owner[thing] {
                    _ if !model.live.contains_key(&handle) => Err(ReleaseError::Stale),
                    Some(owner) if owner == handle => Ok(()),
                    _ => Err(ReleaseError::NotOwner),
                };
                let before = self.owners().word(things[thing]).unwrap();
                let answer = self.release(handle, things[thing]);
                prop_assert_eq!(answer.map(|_| ()), expected);
                prop_assert_eq!(self.owners().unchanged(things[thing], before), answer.is_err());
                if answer.is_ok() {
                    model.owner[thing] = None;
                    model.stamps[thing] += 1;
                }
            }
            Call::OwnerOf(thing) => {
                prop_assert_eq!(self.owner_of(things[thing % THINGS]), model.owner[thing % THINGS]);
            }
            _ => {}
        }
        for (thing, id) in things.iter().enumerate() {
            let word = self.owners().word(*id).unwrap();
            prop_assert_eq!(word.stamp(), model.stamps[thing]);
            prop_assert_eq!(word.is_free(), model.owner[thing].is_none());
        }
        Ok(())
    }
}

fn run<B: Subject>(calls: Vec<Call>) -> Result<(), TestCaseError> {
    let table = B::make();
    let things = table.things();
    let alive = Arc::new(AtomicUsize::new(0));
    let mut model = Model { stamps: [table.first_stamp(&things); THINGS], ..Model::default() };
    let mut reader = Reader::new(&table);
    let mut issued = HashSet::new();
    for (name, call) in (0..).zip(&calls) {
        match call {
            Call::Insert => {
                alive.fetch_add(1, Ordering::SeqCst);
                match table.insert(Counted(name, alive.clone())) {
                    Ok(handle) => {
                        prop_assert!(issued.insert(handle), "{:?} was issued before", handle);
                        model.live.insert(handle, name);
                        model.ever.push(handle);
                    }
                    Err(Full(value)) => {
                        prop_assert_eq!(value.0, name);
                        let used = model.live.len() + table.pending();
                        prop_assert_eq!(used, CAPACITY as usize, "full too early");
                    }
                }
            }
            Call::Remove(choice) => {
                let handle = model.handle(*choice);
                let expected = match model.held(handle) {
                    _ if !model.live.contains_key(&handle) => Err(RetireError::Stale),
                    0 => Ok(()),
                    held => Err(RetireError::StillOwns(held)),
                };
                prop_assert_eq!(table.remove(handle), expected);
                if expected.is_ok() {
                    model.live.remove(&handle);
                }
            }
            Call::Get(choice) => {
                let handle = model.handle(*choice);
                let expected = model.live.get(&handle).copied();
                prop_assert_eq!(table.contains(handle), expected.is_some());
                prop_assert_eq!(table.with(handle), expected);
                prop_assert_eq!(reader.get(handle).map(|value| value.0), expected);
            }
            Call::Burst(choices) => {
                let pinned = reader.pin();
                let found: Vec<_> = choices.iter().map(|&choice| pinned.get(model.handle(choice))).collect();
                for (&choice, found) in choices.iter().zip(found) {
                    let expected = model.live.get(&model.handle(choice)).copied();
                    prop_assert_eq!(found.map(|value| value.0), expected);
                }
            }
            Call::Garbage(number) => {
                let handle = Handle::from_bits(*number).unwrap_or(Handle::STALE);
                prop_assert_eq!(table.contains(handle), model.live.contains_key(&handle));
                if !model.live.contains_key(&handle) {
                    prop_assert_eq!(table.remove(handle), Err(RetireError::Stale));
                    prop_assert!(reader.get(handle).is_none());
                }
            }
            Call::Iterate => {
                prop_assert_eq!(&table.all(), &model.live);
            }
            Call::Reclaim => {
                table.reclaim();
            }
            Call::Park => reader.park(),
            Call::Claim(..) | Call::Release(..) | Call::OwnerOf(_) => {}
        }
        table.ownership(&things, &mut model, call)?;
        prop_assert_eq!(table.len(), model.live.len());
        prop_assert_eq!(alive.load(Ordering::SeqCst), model.live.len() + table.pending());
    }
    drop(reader);
    drop(table);
    prop_assert_eq!(alive.load(Ordering::SeqCst), 0, "every value is dropped once");
    Ok(())
}

/// As many as `PROPTEST_CASES` says.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(400)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn a_plain_table_answers_as_the_model(calls in prop::collection::vec(call(), 0..200)) {
        run::<HandleTable<Counted>>(calls)?;
    }

    #[test]
    fn a_table_with_claims_answers_as_the_model(calls in prop::collection::vec(call(), 0..200)) {
        run::<OwnershipTable<Counted>>(calls)?;
    }
}
