//! The registered clients: the table behind their handles, and the channel to each.

mod callback_runner;
mod channel;
mod deferred;
#[cfg_attr(not(loom), allow(unreachable_pub, reason = "reachable for the models"))]
pub(super) mod outbox;
mod protocol_index;
mod registry;
pub mod rundown;

pub(super) use callback_runner::{has_stack_room, in_callback};
pub(super) use channel::{ClientChannel, Notice, Reply};
pub(super) use registry::ClientRegistry;

use super::Protocol;
use crate::handle::OwnershipTable;

/// The value of a client's slot. Everything else of a client is found by its handle, without a pin.
pub(super) struct Registered {
    pub(super) protocol: Protocol,
}

/// The table behind the clients' handles.
pub(super) type ClientTable = OwnershipTable<Registered>;
