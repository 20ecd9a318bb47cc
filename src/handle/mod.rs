//! A lock-free, generation-tagged handle table.
//!
//! Knows nothing of multicast; worth a crate of its own one day.
//!
//! A [`HandleTable`] owns objects and names them by [`Handle`]s: numbers that resolve to the object they were issued for
//! or to nothing, for ever. Checking a handle is one load and one compare; looking objects up is wait-free through a
//! [`Reader`] and never runs anybody's destructor. In a table [`with_claims`](HandleTable::with_claims), objects can own
//! things, and an object is retired only when it owns nothing, in one step.
//!
//! When not to use it: on one thread (`slotmap` is smaller and faster), when readers hold on to what they found for long
//! (use `Arc`s), or when the removing thread must see the destructor run before it goes on.

mod claim;
#[cfg(all(test, not(loom)))]
mod conformance;
mod descriptor;
mod epoch;
mod error;
mod free_list;
#[expect(clippy::module_inception, reason = "the room's main subject is the handle itself")]
mod handle;
mod layout;
mod limbo;
mod owner;
pub(crate) mod points;
mod reader;
mod seat;
mod segments;
mod slot;
mod table;
#[cfg(all(test, not(loom)))]
mod table_tests;
mod vacancy;
#[cfg(all(test, not(loom)))]
mod vacancy_tests;

pub use crate::memory::NoMemory;
pub use error::{CapacityError, ClaimError, Full, OwnersError, ReleaseError, RetireError, Stale};
pub use handle::{Handle, Kind};
pub use layout::{Claims, Layout, Plain, Shape};
pub(crate) use owner::WordPtr;
pub use owner::{OwnerWord, OwnerWords, ResourceId};
pub use reader::{Burst, Guard, Reader};
pub use table::HandleTable;

/// Parts that have loom models of their own.
#[cfg(loom)]
#[doc(hidden)]
pub mod parts;
