//! The registered clients. A client lives in one place: the value of its slot in the table behind the handles.
//!
//! Whatever is found by name, by handle or by a walk is found because the slot's state word is the handle: no other
//! structure decides whether a client is registered.

mod callback_runner;
mod channel;
#[cfg_attr(not(loom), allow(unreachable_pub, reason = "reachable for the models"))]
pub(super) mod outbox;
mod registry;
pub mod rundown;

pub(super) use channel::{ClientChannel, Notice, Reply};
pub(super) use registry::ClientRegistry;
