//! A lock-free, generation-tagged handle table.
//!
//! Knows nothing of multicast; worth a crate of its own one day.

#[expect(clippy::module_inception, reason = "the room's main subject is the handle itself")]
mod handle;
mod owner;
mod reader;
mod table;

pub use handle::{Handle, Kind};
pub use owner::{OwnerId, OwnerWord, Owners};
pub use reader::{Burst, Reader};
pub use table::{
    CapacityError, ClaimError, Claims, Full, Guard, HandleTable, Layout, OwnersFull, Plain, ReleaseError,
    RetireError, Shape, Stale,
};
