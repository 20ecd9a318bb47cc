//! Clients that ship with the crate, written only against the manager's public face.
//!
//! - [`igmp`]: what hosts report with IGMP and MLD becomes memberships.

pub mod igmp;
