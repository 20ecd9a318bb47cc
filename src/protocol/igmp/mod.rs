//! IGMP and MLD: what hosts report becomes memberships.

pub mod hosts;
pub mod wire;
