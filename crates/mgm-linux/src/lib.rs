//! x
pub mod clock;
pub mod gmp;
pub mod links;
pub mod mroute;
pub mod netlink;
pub mod plane;
pub mod routes;
mod sys;
