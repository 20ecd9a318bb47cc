//! The kernel's multicast routing socket (`MRT_*` of linux/mroute.h, `MRT6_*` of linux/mroute6.h).
//!
//! Each network namespace has one such socket for each family and routing table. Its owner adds virtual interfaces, which the
//! kernel numbers 0 to 31, and entries. The kernel reports what it cannot forward as messages on the same socket: upcalls.
//!
//! - [`MrouteSocket`]: the socket, typed.
//! - [`Upcall`]: what the kernel reports.
//! - `v4`, `v6`: the kernel's structures.
//! - `holder`: which process may have the socket.

mod error;
mod holder;
mod socket;
mod upcall;
mod v4;
mod v6;

pub use error::MrouteError;
pub use socket::{EntryCounters, MfcEntry, MrouteSocket, Vif, VifCounters};
pub use upcall::{Message, Upcall, UpcallError, UpcallKind};

/// The number of virtual interfaces of a routing table: `MAXVIFS` of linux/mroute.h and `MAXMIFS` of linux/mroute6.h.
pub const MAX_VIFS: usize = 32;
