//! Clients that ship with the crate, written only against the manager's public face.
//!
//! - [`igmp`]: what hosts report with IGMP and MLD becomes memberships.
//! - [`static_joins`]: receivers that configuration names.

pub mod igmp;
pub mod static_joins;

use crate::manager::Protocol;

/// What a protocol that ships with the crate is called in reports: `igmp`, `mld` or `static`.
///
/// ```
/// use mgm::protocol::{self, static_joins::StaticJoins};
/// assert_eq!(protocol::name(StaticJoins::PROTOCOL), Some("static"));
/// ```
#[must_use]
pub fn name(protocol: Protocol) -> Option<&'static str> {
    const IGMP: Protocol = Protocol::new(Protocol::IGMP, igmp::Igmp::IGMP_COMPONENT);
    const MLD: Protocol = Protocol::new(Protocol::IGMP, igmp::Igmp::MLD_COMPONENT);
    match protocol {
        IGMP => Some("igmp"),
        MLD => Some("mld"),
        static_joins::StaticJoins::PROTOCOL => Some("static"),
        _ => None,
    }
}
