//! [`Routes`]: what the caller's routing table says of the way back to a source.

use super::Interface;
use std::net::IpAddr;

/// The way packets from a source arrive: where a unicast packet to it would leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReversePath {
    /// The interface towards the source.
    pub interface: Interface,
    /// The next router towards the source, where there is one. For information only.
    pub neighbour: Option<IpAddr>,
    /// The route that says so. For information only.
    pub route: Option<Route>,
}

impl ReversePath {
    /// The way through an interface, without a neighbour or a route to name.
    #[must_use]
    pub const fn through(interface: Interface) -> ReversePath {
        ReversePath { interface, neighbour: None, route: None }
    }
}

/// A unicast route, for information only: nothing follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Route {
    /// Which protocol put it into the routing table, as `dwRouteProtocol` of `MIB_IPMCAST_MFE` has it.
    pub protocol: u32,
    /// The destination's network.
    pub network: IpAddr,
    /// How many bits of it count.
    pub prefix_length: u8,
}

/// The caller's routing table, its multicast view: asked once for each entry that is made, on the thread that brought
/// the flow and with no lock held.
///
/// Entries that are there do not follow a change of routes by themselves: call
/// [`GroupManager::routes_changed`](super::GroupManager::routes_changed) after one.
///
/// Any function from a source to a reverse path will do:
///
/// ```
/// use mgm::manager::{Interface, ReversePath, Routes};
/// let routes = |_source| Some(ReversePath::through(Interface::v4(1)));
/// assert!(routes.reverse_path("192.0.2.7".parse().unwrap()).is_some());
/// ```
pub trait Routes: Send + Sync {
    /// The way back to a source; `None` when there is no route.
    fn reverse_path(&self, source: IpAddr) -> Option<ReversePath>;
}

impl<F: Fn(IpAddr) -> Option<ReversePath> + Send + Sync> Routes for F {
    fn reverse_path(&self, source: IpAddr) -> Option<ReversePath> {
        self(source)
    }
}
