//! The ring plane: forwards frames from rings in memory to rings in memory.
//!
//! ```text
//!   port 0 ──> receive ring ──┐              ┌──> transmit ring ──> port 0
//!   port 1 ──> receive ring ──┼──> worker ───┼──> transmit ring ──> port 1
//!                             ┘   (a thread) └──> ...
//! ```
//!
//! It is how planes of network cards look to a router, without the card: what it measures is the packet path itself, and
//! that a release is instant can be seen here as it happens.
//!
//! A [`Worker`] takes a burst of frames, validates their headers, looks their flows up together, and for each packet does
//! what its entry says: right before each copy it looks at the stamp of the interface the copy is for. Each copy is written
//! where it will be read, into a slot of the outgoing interface's own ring, one hop older and under a link header of its own.
//! A copy that finds the ring full is dropped, and counted both for its port and for its flow's outgoing interface.
//!
//! A packet whose flow has an entry takes no lock, allocates nothing, and waits for nobody; nor does one that is discarded.
//! A packet without an entry is told to the manager ([`GroupManager::upcall`](crate::manager::GroupManager::upcall), which
//! allocates) and goes no further; one that arrived on the wrong interface may be
//! ([`wrong_interface`](crate::manager::GroupManager::wrong_interface)). Somebody else has to
//! [`process_upcalls`](crate::manager::GroupManager::process_upcalls).
//!
//! Each ring has one thread at either end ([`frame_ring`]). A worker publishes the copies of a burst together.

mod frames;
#[cfg_attr(not(loom), allow(unreachable_pub, reason = "reachable for the models"))]
mod spsc;
mod totals;
mod worker;

pub use frames::{FrameReceiver, FrameSender, LONGEST_FRAME, Unsent, frame_ring};
pub use totals::{PortTotals, RingTotals};
pub use worker::{BURST, Worker};

#[cfg(test)]
mod tests;

/// Parts that have loom models of their own.
#[cfg(loom)]
#[doc(hidden)]
pub mod parts {
    pub use super::spsc::{Receiver, Sender, Slots, ring};
}
