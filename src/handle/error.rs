//! Why an operation on a table was refused; nothing has changed then.

use super::Handle;

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

/// Why no owner word was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OwnersError {
    /// No owner word is left.
    #[error("no owner word is left: {most} have been made and they are never reused")]
    Full {
        /// How many this table can have.
        most: u32,
    },
    /// There is no memory for more.
    #[error("there is no memory for another owner word: try again when there is some")]
    NoMemory,
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
    StillOwns(u32),
}
