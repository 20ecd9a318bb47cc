//! A multicast group manager: the part of a router that lets several multicast routing protocols share one box.
//!
//! The rooms, from the ground up; each uses only those above it in this list:
//!
//! - [`handle`]: a lock-free, generation-tagged handle table with an ownership step. Knows nothing of multicast.
//! - [`forwarding`]: the (source, group) table that a packet path reads. Knows interfaces, not protocols.
//! - [`manager`]: who is registered, who owns which interface, who wants which group.
//! - [`protocol`]: clients that ship with the crate, written only against the manager's public face.
//! - [`plane`]: where packets come from and go to.

#[macro_use]
mod planted;
mod prefetch;
mod sync;

#[cfg_attr(loom, allow(dead_code, reason = "models make less"))]
mod memory;

#[cfg(all(feature = "faults", not(loom)))]
#[doc(hidden)]
pub mod faults;
#[cfg(not(all(feature = "faults", not(loom))))]
#[allow(unreachable_pub, reason = "reachable with the feature")]
mod faults;

#[cfg(all(feature = "stepped", not(loom)))]
#[doc(hidden)]
pub use sync::stepping;

#[cfg(feature = "manager")]
pub mod forwarding;
pub mod handle;
#[cfg(feature = "manager")]
pub mod manager;
#[cfg(feature = "manager")]
pub mod plane;
#[cfg(feature = "manager")]
pub mod protocol;

// The README's example is compiled and run with the tests.
#[cfg(all(doctest, feature = "manager"))]
#[doc = include_str!("../README.md")]
struct Readme;
