//! IGMP and MLD (the Group Membership Protocols): the message formats, the tracking of hosts, and the client that
//! turns reports into memberships of the manager.

mod client;
mod hosts;
mod octets;
#[path = "../support/mod.rs"]
mod support;
mod wire;
