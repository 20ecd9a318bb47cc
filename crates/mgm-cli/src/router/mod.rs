//! The router of `mgm run`: its configuration, and the daemon that follows it.

pub(crate) mod config;
pub(crate) mod daemon;
