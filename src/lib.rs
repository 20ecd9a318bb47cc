//! A multicast group manager: the part of a router that lets several multicast routing protocols share one box.
//!
//! The rooms, from the ground up; each uses only those above it in this list:
//!
//! - [`handle`]: a lock-free, generation-tagged handle table with an ownership step. Knows nothing of multicast.
//! - [`wire`]: packet formats. Imports nothing of the crate.
//! - [`forwarding`]: the (source, group) table that a packet path reads. Knows interfaces, not protocols.
//! - [`manager`]: who is registered, who owns which interface, who wants which group.
//! - [`rpf`]: learned and configured routes towards sources.
//! - [`protocol`]: clients that ship with the crate, written only against the manager's public face.
//! - [`plane`]: where packets come from and go to.

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
