//! Lock-free tables of objects named by generation-tagged handles.
//!
//! A table owns objects and names them by [`Handle`]s: numbers that resolve to the object they were issued for, or to
//! nothing. A check of a handle is one load and one compare. Look-ups through a pinned [`Reader`] are wait-free and never run
//! the destructor of a value. In a [`HandleTable`] objects are inserted, read and removed. In an [`OwnershipTable`] they can own
//! resources too, and an object is retired only when it owns nothing, in one step.
//!
//! ```
//! use mgm::handle::HandleTable;
//!
//! let sessions = HandleTable::with_limit(1000).unwrap();
//! let red = sessions.insert("red").unwrap();
//! std::thread::scope(|scope| {
//!     scope.spawn(|| {
//!         let mut reader = sessions.reader();
//!         assert!(matches!(reader.get(red), None | Some(&"red")));
//!     });
//!     scope.spawn(|| sessions.remove(red).unwrap());
//! });
//! assert!(!sessions.contains(red));
//! ```
//!
//! This module knows nothing of multicast. With `default-features = false` it is all that the crate has.
//!
//! # When not to use it
//!
//! - On one thread: `slotmap` is smaller and faster.
//! - When readers keep the found objects for long: use `Arc`s.
//! - When the removing thread must see the destructor run before it goes on.

mod alive_count;
mod batches;
mod builder;
mod claim;
mod claim_steps;
mod claim_word;
mod common;
#[cfg(test)]
mod conformance;
mod descriptor;
mod dropping;
mod epoch;
mod error;
mod free_list;
#[expect(clippy::module_inception, reason = "the main subject of the module is the handle itself")]
mod handle;
mod iter;
mod label;
mod layout;
mod limbo;
mod owner_words;
mod ownership_table;
mod participants;
pub(crate) mod points;
mod raw_table;
mod reader;
mod retired;
mod slot;
mod slot_alloc;
mod slot_array;
mod slot_reclaim;
mod state_word;
mod table;
#[cfg(test)]
mod tests;
mod thread_id;

pub use crate::memory::NoMemory;
pub use builder::Builder;
pub use common::Table;
pub use error::{
    ClaimError, InsertError, InsertRefusal, LimitError, NewResourceError, ReleaseError, RetireError, Stale,
    Standstill,
};
pub use handle::{Handle, Kind};
pub use iter::{Iter, Keys};
#[cfg(feature = "manager")]
pub(crate) use owner_words::WordPtr;
pub use owner_words::{OwnerWord, OwnerWords, ResourceId};
pub use ownership_table::{OwnershipTable, Vacancy};
pub use reader::{Pinned, Reader, Ref};
pub use retired::Retired;
pub use table::HandleTable;

/// Parts that have loom models of their own.
#[cfg(loom)]
#[doc(hidden)]
pub mod parts;
