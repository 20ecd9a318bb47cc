//! IGMP and MLD (the Group Membership Protocols): the message formats, the tracking of hosts, and the client that
//! turns reports into memberships of the manager.

mod against_model;
mod blocked_sources;
mod client;
mod costs;
mod cuts;
mod from_the_link;
mod hosts;
mod link;
mod model;
mod observers;
mod octets;
mod pair;
mod pair_octets;
mod querier;
mod queries_heard;
mod random_messages;
mod rfc3376_messages;
mod rfc3376_older_versions;
mod rfc3376_queries;
mod rfc3376_tables;
mod rfc3376_timers;
mod router;
mod settings;
#[path = "../support/mod.rs"]
mod support;
mod tables;
mod wire;
