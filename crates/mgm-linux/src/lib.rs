//! The multicast group manager on Linux.
//!
//! The package `multicast-group-manager` decides where multicast packets go. This crate connects it with a Linux machine. It
//! runs blocking threads that wait in poll(2), and needs `CAP_NET_ADMIN` and `CAP_NET_RAW`. Everything works in the network
//! namespace of the thread that starts it.
//!
//! # The rooms
//!
//! - [`mroute`]: the kernel's multicast routing socket, typed.
//! - [`plane`]: a forwarding plane of the manager, which keeps the kernel's entries equal to the manager's.
//! - [`netlink`], [`links`], [`routes`]: interfaces that come and go; reverse paths from the kernel's routing tables.
//! - [`gmp`]: IGMP and MLD on live sockets.
//! - [`clock`]: the one clock of the process.
//! - `sys`: system calls that no crate offers.
//!
//! `plane`, `routes` and `gmp` know the manager by its public face, and do not know each other.
//!
//! # A router
//!
//! ```no_run
//! use mgm::forwarding::Family;
//! use mgm::manager::{GroupManager, Interface, ManagerConfig};
//! use mgm::protocol::gmp::{GmpConfig, GroupMembership, Role};
//! use mgm_linux::{gmp::GmpService, links::Links, plane::{KernelPlane, KernelPlaneConfig}, routes::KernelRoutes};
//! use std::sync::Arc;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let routes = KernelRoutes::start()?;
//! let manager = Arc::new(GroupManager::new(ManagerConfig::default(), Arc::new(routes.clone()))?);
//! routes.follow(&manager)?;
//!
//! let config = GmpConfig::default().with_role(Role::Querier);
//! let igmp = GmpService::start(Arc::new(GroupMembership::new(manager.clone(), Family::V4, config)?))?;
//! let config = KernelPlaneConfig::default().with_igmp(igmp.igmp_handler());
//! let plane = KernelPlane::start(manager.clone(), Family::V4, config)?;
//!
//! let links = Links::start(|event| println!("{event:?}"))?;
//! for name in ["eth0", "eth1"] {
//!     let link = links.by_name(name).ok_or("there is no such interface")?;
//!     let interface = Interface::v4(link.index);
//!     plane.add_interface(interface, link.index, 1)?;
//!     igmp.add_interface(interface, link.index, link.addresses)?;
//! }
//! # Ok(())
//! # }
//! ```

#![cfg(target_os = "linux")]

pub mod clock;
pub mod gmp;
pub mod links;
pub mod mroute;
pub mod netlink;
pub mod plane;
pub mod routes;
mod sys;
