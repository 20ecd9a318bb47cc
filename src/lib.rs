//! A multicast group manager: the part of a router that lets several multicast routing protocols share one box.
//!
//! Protocols register, take the interfaces they run on, report where receivers are, and leave again. A forwarding plane reads
//! the resulting entries for every packet and never waits for a protocol.
//!
//! # Rooms
//!
//! Listed from the ground floor up: a room uses only rooms that stand before it.
//!
//! - [`handle`]: a lock-free, generation-tagged handle table with an ownership step. Knows nothing of multicast.
//! - `wire`: packet formats. Imports nothing of the crate.
//! - `forwarding`: the (source, group) table that a packet path reads. Knows interfaces, not protocols.
//! - `manager`: clients, ownership of interfaces, memberships, and the entries that follow from them.
//! - `rpf`: learned and configured routes towards sources.
//! - `protocol`: clients that ship with the crate, written only against the manager's public face.
//! - `plane`: moves packets between interfaces by the entries.
//!
//! # Features
//!
//! - `manager` (default): everything but the handle table, and the capture plane.
//! - `capture`: the capture plane, which reads and writes pcap and pcapng files.
//! - `serde`: handles, interfaces, protocols, groups and flows can be written and read.
//!
//! Without default features the crate is the handle table alone:
//!
//! ```
//! use mgm::handle::HandleTable;
//!
//! let sessions = HandleTable::with_limit(1000)?;
//! let session = sessions.insert("10.0.0.1")?;
//! assert_eq!(sessions.get(session).as_deref(), Some(&"10.0.0.1"));
//! sessions.remove(session)?;
//! assert!(!sessions.contains(session), "stale from now on");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#[macro_use]
mod planted;
mod cfg;
mod prefetch;
mod segment;
mod segmented_array;
mod sync;
#[cfg(feature = "manager")]
mod wake_deadline;

#[cfg_attr(loom, allow(dead_code, reason = "models make less"))]
mod memory;

#[cfg(mgm_instrumented)]
#[doc(hidden)]
pub mod faults;
#[cfg(not(mgm_instrumented))]
#[allow(unreachable_pub, reason = "reachable in an instrumented build")]
mod faults;

/// Every fault point, collected from the rooms that declare them.
#[cfg(mgm_instrumented)]
#[doc(hidden)]
pub mod fault_points {
    use crate::faults::Point;

    pub mod handle {
        pub use crate::handle::points::*;
    }
    #[cfg(feature = "manager")]
    pub mod forwarding {
        pub use crate::forwarding::points::*;
    }
    #[cfg(feature = "manager")]
    pub mod manager {
        pub use crate::manager::points::*;
    }

    /// Returns every fault point, from the ground up.
    pub fn all() -> impl Iterator<Item = Point> {
        let rooms = [
            handle::ALL,
            #[cfg(feature = "manager")]
            forwarding::ALL,
            #[cfg(feature = "manager")]
            manager::ALL,
        ];
        rooms.into_iter().flatten().copied()
    }
}

#[cfg(mgm_instrumented)]
#[doc(hidden)]
pub use sync::stepping;

#[cfg(all(loom, mgm_instrumented))]
compile_error!("loom's build has the planted bugs, and cannot be instrumented");

#[cfg_attr(loom, allow(dead_code, reason = "the models use less"))]
#[cfg_attr(not(feature = "manager"), allow(dead_code, reason = "the handle table uses less"))]
#[doc(hidden)]
pub mod foreign_code;
#[cfg(feature = "manager")]
pub mod forwarding;
pub mod handle;
#[cfg(feature = "manager")]
pub mod manager;
#[cfg(feature = "manager")]
pub mod plane;
#[cfg(feature = "manager")]
pub mod protocol;
#[cfg(feature = "manager")]
pub mod rpf;
#[cfg(feature = "manager")]
pub mod wire;

// The README's example is compiled and run with the tests.
#[cfg(all(doctest, feature = "manager"))]
#[doc = include_str!("../README.md")]
struct Readme;
