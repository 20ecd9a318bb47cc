//! The ring plane: forwards frames from rings in memory to rings in memory.
//!
//! ```text
//!   port 0 ──> receive ring ──┐                  ┌──> transmit ring ──> port 0
//!   port 1 ──> receive ring ──┼──> RingWorker ───┼──> transmit ring ──> port 1
//!                             ┘     (a thread)   └──> ...
//! ```
//!
//! To a router it looks as planes of network cards do, without the card. So it measures the packet path itself, and shows
//! that a release takes effect at once.
//!
//! A [`RingWorker`] takes a burst of frames, validates their headers, looks up their flows together, and applies the entry
//! of each flow. It checks the stamp of an interface directly before the copy for that interface. It writes each copy in
//! place, into a slot of the outgoing port's transmit ring, with the TTL decremented and a link header of its own. It drops
//! a copy that finds the ring full, and counts it for the port and for the flow's outgoing interface.
//!
//! Forwarding a packet by its entry takes no lock, allocates nothing and waits for no thread; the same holds for discarding
//! a packet. A packet without an entry becomes an upcall ([`GroupManager::upcall`](crate::manager::GroupManager::upcall),
//! which allocates), and some thread has to call
//! [`process_upcalls`](crate::manager::GroupManager::process_upcalls). The worker drops that packet, or keeps it until its
//! entry is there ([`RingWorker::with_pending_limit`]). A packet that arrived on the wrong interface may become an upcall as
//! well ([`wrong_interface`](crate::manager::GroupManager::wrong_interface)).
//!
//! A [`RingRouter`] runs the whole loop on one thread: it polls the rings, passes messages of IGMP and MLD on, processes
//! upcalls, forwards the packets that waited for them, and advances the time.
//!
//! Each ring has one thread at either end ([`frame_ring`]). A worker publishes the copies of a burst together.

mod egress;
mod frames;
mod rewritten;
mod router;
#[cfg_attr(not(loom), allow(unreachable_pub, reason = "reachable for the models"))]
mod spsc;
mod totals;
mod worker;

pub use frames::{FrameReceiver, FrameSender, MAX_FRAME, SendError, frame_ring};
pub use router::{RingPort, RingRouter};
pub use totals::{PortTotals, RingTotals};
pub use worker::{BURST, RingWorker};

#[cfg(test)]
mod tests;

/// The parts that have loom models of their own.
#[cfg(loom)]
#[doc(hidden)]
pub mod parts {
    pub use super::spsc::{Receiver, Sender, Slots, ring};
}
