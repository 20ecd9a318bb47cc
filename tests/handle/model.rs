//! Random sequences of calls on the handle table. Each answer is compared with that of a plain
//! single-threaded model.

use mgm::handle::{
    ClaimError, Handle, HandleTable, InsertError, InsertRefusal, OwnershipTable, Reader, ReleaseError,
    ResourceId, RetireError, Stale, Table,
};
use proptest::prelude::*;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const CAPACITY: u32 = 6;
const RESOURCES: usize = 4;

/// A call. Its numbers choose among the existing handles and resources, modulo their count.
#[derive(Clone, Debug)]
enum Call {
    Insert,
    /// Removes a value, or retires its handle if it owns nothing.
    Remove(usize),
    Get(usize),
    Burst(Vec<usize>),
    Garbage(u64),
    Claim(usize, usize),
    Release(usize, usize),
    OwnerOf(usize),
    Iterate,
    Reclaim,
    /// Parks the reader.
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

/// Generates numbers that are close to valid handles.
fn garbage() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        (0..6u64, 0..3u64, 0..20u64)
            .prop_map(|(generation, kind, index)| generation << 32 | kind << 24 | index),
    ]
}

/// A value that counts while it lives.
struct Counted(u64, Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.1.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The expected state of a table.
#[derive(Default)]
struct Model {
    live: HashMap<Handle, u64>,
    ever: Vec<Handle>,
    owner: [Option<Handle>; RESOURCES],
    stamps: [u64; RESOURCES],
}

impl Model {
    fn handle(&self, choice: usize) -> Handle {
        if self.ever.is_empty() { Handle::STALE } else { self.ever[choice % self.ever.len()] }
    }

    fn owned_by(&self, handle: Handle) -> u32 {
        self.owner.iter().filter(|owner| **owner == Some(handle)).count() as u32
    }
}

/// The operations of a table: those that both tables have under the same name, and those in which they differ.
trait Subject: Table<Value = Counted> + Sized {
    fn make() -> Self;
    fn insert(&self, value: Counted) -> Result<Handle, InsertError<Counted>>;
    fn contains(&self, handle: Handle) -> bool;
    fn with(&self, handle: Handle) -> Option<u64>;
    fn all(&self) -> HashMap<Handle, u64>;
    fn reclaim(&self);
    fn pending(&self) -> usize;
    fn len(&self) -> usize;

    fn resources(&self) -> Vec<ResourceId>;
    /// Returns the stamp of owner words that were never claimed.
    fn first_stamp(&self, resources: &[ResourceId]) -> u64;
    fn remove(&self, handle: Handle) -> Result<(), RetireError>;
    fn ownership(
        &self,
        resources: &[ResourceId],
        model: &mut Model,
        call: &Call,
    ) -> Result<(), TestCaseError>;
}

macro_rules! alike {
    () => {
        fn make() -> Self {
            // Small generations, which the garbage comes near to.
            Self::builder().limit(CAPACITY).first_generation(1).build().unwrap()
        }
        fn insert(&self, value: Counted) -> Result<Handle, InsertError<Counted>> {
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

    fn resources(&self) -> Vec<ResourceId> {
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

    fn resources(&self) -> Vec<ResourceId> {
        (0..RESOURCES / 2).flat_map(|_| self.new_resource_pair().unwrap()).collect()
    }
    fn first_stamp(&self, resources: &[ResourceId]) -> u64 {
        self.owners().word(resources[0]).unwrap().stamp()
    }
    fn remove(&self, handle: Handle) -> Result<(), RetireError> {
        self.check_and_retire(handle).map(drop)
    }
    fn ownership(
        &self,
        resources: &[ResourceId],
        model: &mut Model,
        call: &Call,
    ) -> Result<(), TestCaseError> {
        match *call {
            Call::Claim(handle, resource) => {
                let (handle, resource) = (model.handle(handle), resource % RESOURCES);
                let expected = match model.owner[resource] {
                    _ if !model.live.contains_key(&handle) => Err(ClaimError::Stale),
                    Some(owner) => Err(ClaimError::Owned(owner)),
                    None => Ok(()),
                };
                let answer = self.claim(handle, resources[resource]);
                prop_assert_eq!(answer.map(|_| ()), expected);
                if let Ok(word) = answer {
                    model.owner[resource] = Some(handle);
                    model.stamps[resource] += 1;
                    prop_assert!(!word.is_free());
                    prop_assert_eq!(self.owners().word(resources[resource]), Some(word));
                }
            }
            Call::Release(handle, resource) => {
                let (handle, resource) = (model.handle(handle), resource % RESOURCES);
                let expected = match model.owner[resource] {
                    _ if !model.live.contains_key(&handle) => Err(ReleaseError::Stale),
                    Some(owner) if owner == handle => Ok(()),
                    _ => Err(ReleaseError::NotOwner),
                };
                let before = self.owners().word(resources[resource]).unwrap();
                let answer = self.release(handle, resources[resource]);
                prop_assert_eq!(answer.map(|_| ()), expected);
                prop_assert_eq!(self.owners().unchanged(resources[resource], before), answer.is_err());
                if answer.is_ok() {
                    model.owner[resource] = None;
                    model.stamps[resource] += 1;
                }
            }
            Call::OwnerOf(resource) => {
                prop_assert_eq!(
                    self.owner_of(resources[resource % RESOURCES]),
                    model.owner[resource % RESOURCES]
                );
            }
            _ => {}
        }
        for (resource, id) in resources.iter().enumerate() {
            let word = self.owners().word(*id).unwrap();
            prop_assert_eq!(word.stamp(), model.stamps[resource]);
            prop_assert_eq!(word.is_free(), model.owner[resource].is_none());
        }
        Ok(())
    }
}

fn run<B: Subject>(calls: Vec<Call>) -> Result<(), TestCaseError> {
    let table = B::make();
    let resources = table.resources();
    let alive = Arc::new(AtomicUsize::new(0));
    let mut model = Model { stamps: [table.first_stamp(&resources); RESOURCES], ..Model::default() };
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
                    Err(refused) => {
                        let used = model.live.len() + table.pending();
                        match refused.reason() {
                            InsertRefusal::Full { limit } => {
                                prop_assert_eq!((limit, model.live.len()), (CAPACITY, CAPACITY as usize));
                            }
                            _ => prop_assert!(used >= CAPACITY as usize, "refused too early"),
                        }
                        prop_assert_eq!(refused.into_inner().0, name);
                    }
                }
            }
            Call::Remove(choice) => {
                let handle = model.handle(*choice);
                let expected = match model.owned_by(handle) {
                    _ if !model.live.contains_key(&handle) => Err(RetireError::Stale),
                    0 => Ok(()),
                    owned_by => Err(RetireError::StillOwns(owned_by)),
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
        table.ownership(&resources, &mut model, call)?;
        prop_assert_eq!(table.len(), model.live.len());
        prop_assert_eq!(alive.load(Ordering::SeqCst), model.live.len() + table.pending());
    }
    drop(reader);
    drop(table);
    prop_assert_eq!(alive.load(Ordering::SeqCst), 0, "every value is dropped once");
    Ok(())
}

/// Returns the number of cases from `PROPTEST_CASES`.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(400)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn a_handle_table_answers_like_the_model(calls in prop::collection::vec(call(), 0..200)) {
        run::<HandleTable<Counted>>(calls)?;
    }

    #[test]
    fn an_ownership_table_answers_like_the_model(calls in prop::collection::vec(call(), 0..200)) {
        run::<OwnershipTable<Counted>>(calls)?;
    }
}
