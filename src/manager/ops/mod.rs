//! The operations of the manager, each over several rooms. Only these files and the room above name
//! [`GroupManager`](super::GroupManager).

mod alerts;
mod enumeration;
mod flow_setup;
mod locked;
mod ownership;
mod query;
mod reroute;
mod snapshot;
mod sweep;
mod upcalls;
mod update_membership;

pub(super) use locked::State;
pub(super) use reroute::RouteVersion;
