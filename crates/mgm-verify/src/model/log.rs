//! The text of each callback in the logs of both sides.

use mgm::forwarding::Flow;
use mgm::manager::{Cause, Interface, Membership};
use std::time::Duration;

/// The end of the outcome of a change of routes.
pub(super) const REROUTED: &str = "entries rerouted";

pub(super) fn reverse_path(client: usize, flow: Flow, routed: Interface) -> String {
    format!("client {client}: reverse_path of {flow}, routed to {routed}")
}

pub(super) fn creation(
    client: usize,
    flow: Flow,
    incoming: Option<Interface>,
    offered: &[(Interface, bool)],
) -> String {
    format!("client {client}: creation_alert of {flow} from {incoming:?} to {offered:?}")
}

pub(super) fn join(client: usize, membership: Membership, cause: Cause) -> String {
    format!("client {client}: join_alert of {membership}, caused by {cause:?}")
}

pub(super) fn prune(
    client: usize,
    membership: Membership,
    at: Interface,
    cause: Cause,
    timeout: Duration,
) -> String {
    format!("client {client}: prune_alert of {membership} at {at}, caused by {cause:?}, for {timeout:?}")
}

pub(super) fn local_join(client: usize, at: Interface, membership: Membership) -> String {
    format!("client {client}: local_join of {membership} on {at}")
}

pub(super) fn local_leave(client: usize, at: Interface, membership: Membership) -> String {
    format!("client {client}: local_leave of {membership} on {at}")
}

pub(super) fn disable(client: usize, at: Interface) -> String {
    format!("client {client}: disable_igmp on {at}")
}

pub(super) fn enable(client: usize, at: Interface) -> String {
    format!("client {client}: enable_igmp on {at}")
}

pub(super) fn lost(client: usize, count: u64) -> String {
    format!("client {client}: {count} notices lost")
}
