//! [`HandleTable`]: the public face. (First cut: one lock; the lock-free table replaces what is behind the face.)

use super::{Handle, Kind, OwnerId, OwnerWord, Owners, Reader};
use crate::sync::{AtomicU64, Ordering};
use parking_lot::{Mutex, RwLock};
use std::collections::HashMap;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

mod sealed {
    pub trait Sealed {}
}

/// What a slot carries besides its state and its value.
pub trait Layout: sealed::Sealed + Send + Sync + 'static {}

/// A table without ownership: a slot is state and value.
#[derive(Debug)]
pub enum Plain {}

/// A table whose objects can own things: a slot carries the claim word.
#[derive(Debug)]
pub enum Claims {}

impl sealed::Sealed for Plain {}
impl sealed::Sealed for Claims {}
impl Layout for Plain {}
impl Layout for Claims {}

/// How a table is made.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// The kind of its handles.
    pub kind: Kind,
    /// How many objects it holds at most, garbage that waits for readers included.
    pub capacity: u32,
}

/// The capacity is zero or larger than the table can number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a table of {asked} slots cannot be made: choose a capacity from 1 to {most}")]
pub struct CapacityError {
    /// What was asked for.
    pub asked: u32,
    /// The most this layout can number.
    pub most: u32,
}

/// The table is full; the value comes back.
#[derive(Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the table is full: remove something, let stalled readers go on, or make it with a larger capacity")]
pub struct Full<T>(pub T);

impl<T> std::fmt::Debug for Full<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Full(..)")
    }
}

/// The handle names nothing any more, or never did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the handle is stale: what it named is gone, or it is of another table")]
pub struct Stale;

/// No owner word is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no owner word is left: {most} have been made and they are never reused")]
pub struct OwnersFull {
    /// How many this table can have.
    pub most: u32,
}

/// Why a claim was refused. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    /// The handle is stale.
    #[error("the handle is stale: what it named is gone, or it is of another table")]
    Stale,
    /// Somebody owns it already: the holder's handle.
    #[error("already owned by {0:?}: it must be released first")]
    Owned(Handle),
    /// The owner id is of another table.
    #[error("the owner id is of another table")]
    UnknownOwner,
}

/// Why a release was refused. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReleaseError {
    /// The handle is stale.
    #[error("the handle is stale: what it named is gone, or it is of another table")]
    Stale,
    /// The handle does not own it.
    #[error("not the owner: only who claimed it can release it")]
    NotOwner,
    /// The owner id is of another table.
    #[error("the owner id is of another table")]
    UnknownOwner,
}

/// Why a check-and-retire was refused. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RetireError {
    /// The handle is stale.
    #[error("the handle is stale: what it named is gone, or it is of another table")]
    Stale,
    /// It still owns this many things.
    #[error("{0} things are still owned: release them first")]
    Held(u32),
}

/// A lock-free table of objects named by generation-tagged handles.
pub struct HandleTable<T, L: Layout = Plain> {
    inner: Mutex<Inner<T>>,
    shape: Shape,
    owners: Arc<Owners>,
    layout: PhantomData<L>,
}

struct Inner<T> {
    slots: Vec<(u32, Option<Arc<T>>)>,
    held: HashMap<Handle, u32>,
    holders: HashMap<OwnerId, Handle>,
}

/// Keeps one object readable.
pub struct Guard<'t, T> {
    value: Arc<T>,
    table: PhantomData<&'t T>,
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> HandleTable<T, Plain> {
    /// A table of the default kind with the largest capacity. Allocates nothing for slots yet.
    #[must_use]
    pub fn new() -> Self {
        Self::with_shape(Shape { kind: Kind::DEFAULT, capacity: (1 << 24) - 1 }).expect("in range")
    }

    /// A table of the default kind that holds at most `capacity` objects.
    ///
    /// # Errors
    /// [`CapacityError`] for 0 and for more than 2^24 - 1.
    pub fn with_capacity(capacity: u32) -> Result<Self, CapacityError> {
        Self::with_shape(Shape { kind: Kind::DEFAULT, capacity })
    }

    /// A table made to measure.
    ///
    /// # Errors
    /// [`CapacityError`] for a capacity of 0 and of more than 2^24 - 1.
    pub fn with_shape(shape: Shape) -> Result<Self, CapacityError> {
        Self::build(shape, (1 << 24) - 1)
    }

    /// Takes the object out of the table. Its destructor runs once no reader can see it.
    ///
    /// # Errors
    /// [`Stale`] when the handle names nothing.
    pub fn remove(&self, handle: Handle) -> Result<(), Stale> {
        let mut inner = self.inner.lock();
        if !inner.live(handle, self.shape.kind) {
            return Err(Stale);
        }
        inner.slots[handle.index() as usize].1 = None;
        Ok(())
    }
}

impl<T> Default for HandleTable<T, Plain> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> HandleTable<T, Claims> {
    /// A table whose objects can own things: at most `capacity` objects.
    ///
    /// # Errors
    /// [`CapacityError`] for 0 and for more than 2^20 - 2.
    pub fn with_claims(capacity: u32) -> Result<Self, CapacityError> {
        Self::with_claims_shape(Shape { kind: Kind::DEFAULT, capacity })
    }

    /// The same, made to measure.
    ///
    /// # Errors
    /// [`CapacityError`] for a capacity of 0 and of more than 2^20 - 2.
    pub fn with_claims_shape(shape: Shape) -> Result<Self, CapacityError> {
        Self::build(shape, (1 << 20) - 2)
    }

    /// A new thing that can be owned.
    ///
    /// # Errors
    /// [`OwnersFull`] when the table has as many as it can have.
    pub fn new_owner(&self) -> Result<OwnerId, OwnersFull> {
        Ok(self.new_owner_pair()?[0])
    }

    /// Two new things that can be owned, whose words share one cache line.
    ///
    /// # Errors
    /// [`OwnersFull`] when the table has as many as it can have.
    pub fn new_owner_pair(&self) -> Result<[OwnerId; 2], OwnersFull> {
        let mut words = self.owners.words.write();
        let n = words.len() as u32;
        words.push(AtomicU64::new(0));
        words.push(AtomicU64::new(0));
        Ok([OwnerId(n), OwnerId(n + 1)])
    }

    /// The owner words, to check stamps against.
    #[must_use]
    pub fn owners(&self) -> &Arc<Owners> {
        &self.owners
    }

    /// Makes the handle's object the owner of `owner`: the word as it now stands.
    ///
    /// # Errors
    /// [`ClaimError`]; nothing changed then.
    pub fn claim(&self, handle: Handle, owner: OwnerId) -> Result<OwnerWord, ClaimError> {
        let mut inner = self.inner.lock();
        if !inner.live(handle, self.shape.kind) {
            return Err(ClaimError::Stale);
        }
        if let Some(holder) = inner.holders.get(&owner) {
            return Err(ClaimError::Owned(*holder));
        }
        let words = self.owners.words.read();
        let word = words.get(owner.0 as usize).ok_or(ClaimError::UnknownOwner)?;
        inner.holders.insert(owner, handle);
        *inner.held.entry(handle).or_insert(0) += 1;
        let w = ((word.load(Ordering::SeqCst) >> 20) + 1) << 20 | u64::from(handle.index() + 1);
        word.store(w, Ordering::SeqCst);
        Ok(OwnerWord(w))
    }

    /// Gives up `owner`: the free word as it now stands.
    ///
    /// # Errors
    /// [`ReleaseError`]; nothing changed then.
    pub fn release(&self, handle: Handle, owner: OwnerId) -> Result<OwnerWord, ReleaseError> {
        let mut inner = self.inner.lock();
        if !inner.live(handle, self.shape.kind) {
            return Err(ReleaseError::Stale);
        }
        let words = self.owners.words.read();
        let word = words.get(owner.0 as usize).ok_or(ReleaseError::UnknownOwner)?;
        if inner.holders.get(&owner) != Some(&handle) {
            return Err(ReleaseError::NotOwner);
        }
        inner.holders.remove(&owner);
        *inner.held.entry(handle).or_insert(1) -= 1;
        let w = ((word.load(Ordering::SeqCst) >> 20) + 1) << 20;
        word.store(w, Ordering::SeqCst);
        Ok(OwnerWord(w))
    }

    /// Who owns it.
    #[must_use]
    pub fn owner_of(&self, owner: OwnerId) -> Option<Handle> {
        self.inner.lock().holders.get(&owner).copied()
    }

    /// Retires the handle if it owns nothing, in one step.
    ///
    /// # Errors
    /// [`RetireError`]; nothing changed then.
    pub fn retire_if_unheld(&self, handle: Handle) -> Result<(), RetireError> {
        let mut inner = self.inner.lock();
        if !inner.live(handle, self.shape.kind) {
            return Err(RetireError::Stale);
        }
        match inner.held.get(&handle).copied().unwrap_or(0) {
            0 => {
                inner.held.remove(&handle);
                inner.slots[handle.index() as usize].1 = None;
                Ok(())
            }
            n => Err(RetireError::Held(n)),
        }
    }
}

impl<T, L: Layout> HandleTable<T, L> {
    fn build(shape: Shape, most: u32) -> Result<Self, CapacityError> {
        if shape.capacity == 0 || shape.capacity > most {
            return Err(CapacityError { asked: shape.capacity, most });
        }
        Ok(HandleTable {
            inner: Mutex::new(Inner { slots: Vec::new(), held: HashMap::new(), holders: HashMap::new() }),
            shape,
            owners: Arc::new(Owners { words: RwLock::new(Vec::new()) }),
            layout: PhantomData,
        })
    }

    /// Puts an object in and names it.
    ///
    /// # Errors
    /// [`Full`] gives the value back when the capacity is reached.
    pub fn insert(&self, value: T) -> Result<Handle, Full<T>> {
        let mut inner = self.inner.lock();
        let index = match inner.slots.iter().position(|s| s.1.is_none()) {
            Some(i) => i,
            None if inner.slots.len() < self.shape.capacity as usize => {
                inner.slots.push((0, None));
                inner.slots.len() - 1
            }
            None => return Err(Full(value)),
        };
        let slot = &mut inner.slots[index];
        slot.0 += 1;
        slot.1 = Some(Arc::new(value));
        Ok(Handle::issue(slot.0, self.shape.kind, index as u32))
    }

    /// Whether the handle names a live object of this table. Wait-free.
    #[must_use]
    pub fn validate(&self, handle: Handle) -> bool {
        self.inner.lock().live(handle, self.shape.kind)
    }

    pub(super) fn arc(&self, handle: Handle) -> Option<Arc<T>> {
        let inner = self.inner.lock();
        if !inner.live(handle, self.shape.kind) {
            return None;
        }
        inner.slots[handle.index() as usize].1.clone()
    }

    /// The object, kept readable by the guard.
    #[must_use]
    pub fn get(&self, handle: Handle) -> Option<Guard<'_, T>> {
        self.arc(handle).map(|value| Guard { value, table: PhantomData })
    }

    /// Runs `f` on the object.
    pub fn with<R>(&self, handle: Handle, f: impl FnOnce(&T) -> R) -> Option<R> {
        self.arc(handle).map(|v| f(&v))
    }

    /// A reader for this thread.
    #[must_use]
    pub fn reader(&self) -> Reader<'_, T, L> {
        Reader { table: self, last: None }
    }

    /// About how many objects are live.
    #[must_use]
    pub fn len(&self) -> usize {
        self.inner.lock().slots.iter().filter(|s| s.1.is_some()).count()
    }

    /// Whether about no object is live.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Every object that is live throughout the walk, and perhaps some that are not.
    pub fn iter(&self) -> impl Iterator<Item = (Handle, Guard<'_, T>)> {
        let n = self.inner.lock().slots.len() as u32;
        (0..n).filter_map(move |i| {
            let generation = self.inner.lock().slots[i as usize].0;
            let handle = Handle::issue(generation, self.shape.kind, i);
            self.get(handle).map(|g| (handle, g))
        })
    }

    /// How many removed objects still wait for readers.
    #[must_use]
    pub fn pending(&self) -> usize {
        0
    }
}

impl<T> Inner<T> {
    fn live(&self, handle: Handle, kind: Kind) -> bool {
        handle.kind() == Some(kind)
            && self
                .slots
                .get(handle.index() as usize)
                .is_some_and(|s| s.0 == handle.generation() && s.1.is_some())
    }
}
