//! [`RpfLookup`]: the caller's routing table, asked for the reverse path to a source.

use super::Interface;
use std::net::IpAddr;

/// The reverse path to a source: the path a unicast packet to the source would take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReversePath {
    /// The interface towards the source, on which its packets have to arrive.
    pub interface: Interface,
    /// The next router towards the source, if there is one. For information only.
    pub neighbour: Option<IpAddr>,
    /// The unicast route that was used. For information only.
    pub route: Option<Route>,
}

impl ReversePath {
    /// Returns the path through an interface, without a neighbour and without a route.
    #[must_use]
    pub const fn through(interface: Interface) -> ReversePath {
        ReversePath { interface, neighbour: None, route: None }
    }

    /// Sets the interface towards the source.
    #[must_use]
    pub const fn with_interface(mut self, interface: Interface) -> ReversePath {
        self.interface = interface;
        self
    }

    /// Sets the next router towards the source.
    #[must_use]
    pub const fn with_neighbour(mut self, neighbour: Option<IpAddr>) -> ReversePath {
        self.neighbour = neighbour;
        self
    }

    /// Sets the unicast route that was used.
    #[must_use]
    pub const fn with_route(mut self, route: Option<Route>) -> ReversePath {
        self.route = route;
        self
    }
}

/// A unicast route. The manager reports it and derives nothing from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Route {
    /// The protocol that installed the route, numbered as `dwRouteProtocol` of `MIB_IPMCAST_MFE`.
    pub protocol: u32,
    /// The network of the destination.
    pub network: IpAddr,
    /// The length of the network's prefix in bits.
    pub prefix_length: u8,
}

/// The multicast view of the caller's routing table.
///
/// The manager asks once for each entry it makes, on the thread that reported the flow, with no lock held. Existing
/// entries do not follow a change of the routes by themselves: call
/// [`GroupManager::routes_changed`](crate::manager::GroupManager::routes_changed) or
/// [`routes_changed_in`](crate::manager::GroupManager::routes_changed_in) after a change.
///
/// Every function from a source to a reverse path implements the trait:
///
/// ```
/// use mgm::manager::{Interface, ReversePath, RpfLookup};
/// let routes = |_source| Some(ReversePath::through(Interface::v4(1)));
/// assert!(routes.reverse_path("192.0.2.7".parse().unwrap()).is_some());
/// ```
pub trait RpfLookup: Send + Sync {
    /// Returns the reverse path to a source; `None` when there is no route.
    fn reverse_path(&self, source: IpAddr) -> Option<ReversePath>;
}

impl<F: Fn(IpAddr) -> Option<ReversePath> + Send + Sync> RpfLookup for F {
    fn reverse_path(&self, source: IpAddr) -> Option<ReversePath> {
        self(source)
    }
}
