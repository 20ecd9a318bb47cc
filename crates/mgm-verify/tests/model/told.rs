//! What clients write down of how they are called.

use mgm::forwarding::Flow;
use mgm::manager::{Cause, Interface, Membership};
use std::time::Duration;

pub fn reverse_path(client: usize, flow: Flow, routed: Interface) -> String {
    format!("client {client} was asked where {flow} arrives, by {routed} as it is routed")
}

pub fn asked(
    client: usize,
    flow: Flow,
    incoming: Option<Interface>,
    offered: &[(Interface, bool)],
) -> String {
    format!("client {client} was asked about {flow} from {incoming:?} to {offered:?}")
}

pub fn join(client: usize, what: Membership, cause: Cause) -> String {
    format!("client {client} was told to join {what} because of {cause:?}")
}

pub fn prune(client: usize, what: Membership, at: Interface, cause: Cause, timeout: Duration) -> String {
    format!("client {client} was told to prune {what} at {at} because of {cause:?} for {timeout:?}")
}

pub fn local_join(client: usize, at: Interface, what: Membership) -> String {
    format!("client {client} was told that IGMP joined {what} on {at}")
}

pub fn local_leave(client: usize, at: Interface, what: Membership) -> String {
    format!("client {client} was told that IGMP left {what} on {at}")
}

pub fn disable(client: usize, at: Interface) -> String {
    format!("client {client} was switched off on {at}")
}

pub fn enable(client: usize, at: Interface) -> String {
    format!("client {client} was switched on on {at}")
}

pub fn lost(client: usize, count: u64) -> String {
    format!("client {client} lost {count} notices")
}
