//! [`Builder`]: how a table is made.

use super::error::LimitError;
use super::raw_table::RawTable;
use super::slot::Slot;
use super::{Kind, Table};
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::marker::PhantomData;

/// Makes a [`HandleTable`](super::HandleTable) or an [`OwnershipTable`](super::OwnershipTable).
///
/// ```
/// use mgm::handle::{HandleTable, Kind};
/// let sessions: HandleTable<String> =
///     HandleTable::builder().limit(1000).kind(Kind::new(3).unwrap()).build().unwrap();
/// let handle = sessions.insert("red".to_owned()).unwrap();
/// assert_eq!((sessions.limit(), handle.kind().get()), (1000, 3));
/// ```
#[must_use = "a builder makes no table before `build` is called"]
pub struct Builder<B> {
    limit: Option<u32>,
    kind: Kind,
    first_generation: Option<u32>,
    table: PhantomData<fn() -> B>,
}

/// The parameters of a table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parameters {
    pub(super) limit: u32,
    pub(super) kind: Kind,
    pub(super) first_generation: u32,
}

impl<B: Table> Builder<B> {
    pub(super) fn new() -> Self {
        Builder { limit: None, kind: Kind::DEFAULT, first_generation: None, table: PhantomData }
    }

    /// Limits the number of objects. In a [`HandleTable`](super::HandleTable) removed ones that wait for readers count as well;
    /// in an [`OwnershipTable`](super::OwnershipTable) they have slots of their own.
    ///
    /// Without a limit the table has the largest one: 2^24 - 1 objects in a plain table, 2^20 - 2 in one with ownership.
    /// Where a slot (the value and 8 octets, or 128 octets at least with ownership) has more than 64 octets, the limit
    /// ends at about 1 GiB of slots. Put larger values into boxes.
    ///
    /// A table allocates its slots in segments of at most 4 MiB, and none that is larger than its limit needs (with the
    /// slots for removed objects).
    pub fn limit(mut self, limit: u32) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Sets the kind of the table's handles. A handle of another kind is stale in this table. Without a kind:
    /// [`Kind::DEFAULT`].
    pub fn kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    /// Sets the generation of the first object of each slot; 0 counts as 1. Without it, a random one is chosen, so that a
    /// handle of another table or another run is most likely stale in this one. For tests and replays that compare handles.
    pub fn first_generation(mut self, generation: u32) -> Self {
        self.first_generation = Some(generation);
        self
    }

    /// Makes the table. Allocates no slots yet.
    ///
    /// # Errors
    /// [`LimitError`] for a limit of 0, and for one that is larger than such a table can have.
    pub fn build(self) -> Result<B, LimitError> {
        let max = Slot::<B::Value, B::Layout>::MAX_LIMIT;
        let limit = self.limit.unwrap_or(max);
        if limit == 0 || limit > max {
            return Err(LimitError { limit, max });
        }
        Ok(self.build_within(limit))
    }

    /// Makes a table with the largest limit.
    pub(super) fn build_largest(self) -> B {
        self.build_within(Slot::<B::Value, B::Layout>::MAX_LIMIT)
    }

    fn build_within(self, limit: u32) -> B {
        let first_generation = self.first_generation.unwrap_or_else(random_generation).max(1);
        B::from_raw(RawTable::new(Parameters { limit, kind: self.kind, first_generation }))
    }
}

/// Returns a random generation below 2^31, so that each slot has at least 2^31 generations left.
fn random_generation() -> u32 {
    // Under loom the executions of a model should be alike.
    if cfg!(loom) { 1 } else { (RandomState::new().hash_one(()) >> 33) as u32 }
}

impl<B> fmt::Debug for Builder<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("limit", &self.limit)
            .field("kind", &self.kind)
            .field("first_generation", &self.first_generation)
            .finish()
    }
}
