//! IGMP and MLD (the Group Membership Protocols): the message formats, the tracking of hosts, and the client that
//! turns reports into memberships of the manager.

mod blocked_sources;
mod client;
mod hosts;
mod octets;
mod random_messages;
mod router;
#[path = "../support/mod.rs"]
mod support;
mod wire;
