//! The group manager through its public face, one module a subject.

mod costs;
mod creation_alerts;
mod delivery;
mod entry_alerts;
mod enumeration;
mod limits;
mod lock_holds;
mod membership_alerts;
mod memberships;
mod nesting;
mod new_flows;
mod notice_order;
mod ownership;
mod ownership_alerts;
mod pairing;
mod place_reports;
mod reentrancy;
mod registration;
mod reverse_path;
mod route_changes;
mod rundown;
mod statistics;
#[path = "../support/mod.rs"]
mod support;
mod threads;
mod upcalls;
mod walks;
