//! Errors of the handle table. An operation that is refused has changed nothing.

use super::Handle;
use std::error::Error;
use std::fmt;
use std::time::Duration;

const STALE: &str = "the handle is stale: its object is removed, or it is of another table";
const CHANGED: &str = "the owner has changed since the owner word was read: read it again";
const UNKNOWN_RESOURCE: &str = "the resource id is of another table";

/// The limit is zero, or larger than such a table can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LimitError {
    /// The limit that was asked for.
    pub limit: u32,
    /// The largest limit of a table with values of this type.
    pub max: u32,
}

impl fmt::Display for LimitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a table cannot be limited to {} objects: choose a limit from 1 to {}",
            self.limit, self.max
        )
    }
}

impl Error for LimitError {}

/// Reclamation has stood still: retired objects wait, and pinned readers hold them back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Standstill {
    /// For how long no grace period has ended.
    pub since: Duration,
    /// About how many participants are pinned: Readers, and threads in the middle of an access.
    pub pinned: usize,
}

impl fmt::Display for Standstill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Standstill { since, pinned } = self;
        write!(f, "reclamation has stood still for {since:.1?}, held back by {pinned} pinned readers")
    }
}

/// The reason why an object was not inserted. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InsertRefusal {
    /// As many objects are alive as the limit allows.
    Full {
        /// The limit.
        limit: u32,
    },
    /// Fewer objects are alive than the limit allows, but no slot is free: retired objects wait for readers.
    NoFreeSlot {
        /// About how many objects are alive.
        alive: usize,
        /// About how many retired objects wait.
        waiting: usize,
        /// How long reclamation has stood still, if it has for a while.
        standstill: Option<Standstill>,
    },
    /// There is no memory for more slots.
    NoMemory,
}

impl fmt::Display for InsertRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full { limit } => {
                write!(
                    f,
                    "the table is full: {limit} objects are alive; remove one, or choose a larger limit"
                )
            }
            Self::NoFreeSlot { alive, waiting, standstill } => {
                write!(
                    f,
                    "no slot is free: about {alive} objects are alive, and {waiting} wait for readers"
                )?;
                standstill.iter().try_for_each(|standstill| write!(f, "; {standstill}"))
            }
            Self::NoMemory => f.write_str("out of memory for more slots: retry when there is some"),
        }
    }
}

/// An object was not inserted. Holds the value that was to be inserted, or the closure that would have made it.
#[derive(Clone, Copy)]
pub struct InsertError<T> {
    inner: T,
    reason: InsertRefusal,
}

impl<T> InsertError<T> {
    pub(super) fn new(inner: T, reason: InsertRefusal) -> Self {
        InsertError { inner, reason }
    }

    /// Returns the value or closure.
    pub fn into_inner(self) -> T {
        self.inner
    }

    /// Returns the reason.
    pub fn reason(&self) -> InsertRefusal {
        self.reason
    }
}

impl<T> fmt::Debug for InsertError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("InsertError").field(&self.reason).finish()
    }
}

impl<T> fmt::Display for InsertError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)
    }
}

impl<T> Error for InsertError<T> {}

/// The handle names no object of this table, any more or at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stale;

impl fmt::Display for Stale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(STALE)
    }
}

impl Error for Stale {}

/// The reason why no resource was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NewResourceError {
    /// The table has as many resources as it can have.
    Full {
        /// How many it can have.
        max: u32,
    },
    /// There is no memory for another owner word.
    NoMemory,
}

impl fmt::Display for NewResourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full { max } => {
                write!(f, "no resource is left: {max} have been made, and they are never reused")
            }
            Self::NoMemory => f.write_str("out of memory for another resource: retry when there is some"),
        }
    }
}

impl Error for NewResourceError {}

/// The reason why a claim was refused. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClaimError {
    /// The handle is stale.
    Stale,
    /// The resource has an owner: the object of this handle.
    Owned(Handle),
    /// The owner word is not the one that the claim depends on.
    Changed,
    /// The resource id is of another table.
    UnknownResource,
}

impl fmt::Display for ClaimError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stale => f.write_str(STALE),
            Self::Owned(owner) => write!(f, "owned by {owner}, which must release it first"),
            Self::Changed => f.write_str(CHANGED),
            Self::UnknownResource => f.write_str(UNKNOWN_RESOURCE),
        }
    }
}

impl Error for ClaimError {}

/// The reason why a release was refused. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReleaseError {
    /// The handle is stale.
    Stale,
    /// The handle's object does not own the resource.
    NotOwner,
    /// The owner word is not the one that the release depends on.
    Changed,
    /// The resource id is of another table.
    UnknownResource,
}

impl fmt::Display for ReleaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stale => STALE,
            Self::NotOwner => "not the owner: only the owner of a resource can release it",
            Self::Changed => CHANGED,
            Self::UnknownResource => UNKNOWN_RESOURCE,
        })
    }
}

impl Error for ReleaseError {}

/// The reason why a check-and-retire was refused. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RetireError {
    /// The handle is stale.
    Stale,
    /// The object still owns this many resources.
    StillOwns(u32),
}

impl fmt::Display for RetireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stale => f.write_str(STALE),
            Self::StillOwns(1) => f.write_str("the object still owns a resource: release it first"),
            Self::StillOwns(count) => {
                write!(f, "the object still owns {count} resources: release them first")
            }
        }
    }
}

impl Error for RetireError {}
