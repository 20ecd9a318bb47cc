//! IGMP and MLD on live sockets: what the router side of
//! [`mgm::protocol::gmp`] needs to receive, send and keep its time.
//!
//! [`GmpService`] runs one thread for all interfaces of a family. It receives the messages of hosts and routers, passes them
//! to a [`GroupMembership`](mgm::protocol::gmp::GroupMembership), sends the queries that this asks for, and drives its timers.
//! [`GmpSocket`] is the socket under it.
//!
//! # Which messages arrive
//!
//! - Reports of the newest version go to 224.0.0.22 and ff02::16, and leaves of older ones to 224.0.0.2 and ff02::2. The
//!   service joins these groups on each interface.
//! - Reports of older versions go to the group itself, which the router has not joined. The kernel passes them up because of
//!   their Router Alert option (`IP_ROUTER_ALERT` of ip(7)), while the interface has a vif. So a
//!   [`KernelPlane`](crate::plane::KernelPlane) has to run for hosts of IGMPv1, IGMPv2 and MLDv1.
//! - An IGMP report to a group without that option reaches the multicast routing socket alone. The plane hands it on to
//!   [`GmpService::igmp_handler`].

mod error;
mod service;
mod socket;

pub use error::GmpIoError;
pub use service::{GmpIoCounters, GmpService};
pub use socket::GmpSocket;
