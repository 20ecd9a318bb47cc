//! Clients that ship with the crate, written only against the public interface of the manager.
//!
//! - [`gmp`]: IGMP and MLD. The reports of hosts become memberships.
//! - [`static_joins`]: memberships and entries that a configuration names.

pub mod gmp;
pub mod static_joins;

use crate::manager::Protocol;

/// Returns the name of a protocol that ships with the crate, for reports: `igmp`, `mld` or `static`.
///
/// ```
/// use mgm::protocol::{self, static_joins::StaticJoins};
/// assert_eq!(protocol::name(StaticJoins::PROTOCOL), Some("static"));
/// ```
#[must_use]
pub fn name(protocol: Protocol) -> Option<&'static str> {
    const IGMP: Protocol = Protocol::new(Protocol::IGMP, gmp::GroupMembership::IGMP_COMPONENT);
    const MLD: Protocol = Protocol::new(Protocol::IGMP, gmp::GroupMembership::MLD_COMPONENT);
    match protocol {
        IGMP => Some("igmp"),
        MLD => Some("mld"),
        static_joins::StaticJoins::PROTOCOL => Some("static"),
        _ => None,
    }
}
