//! [`Upstream`]: where a flow's packets have to arrive.

use crate::forwarding::{Incoming, VifIndex};
use crate::handle::OwnerWords;
use crate::manager::{Interface, ReversePath, Route};
use std::net::IpAddr;

/// The incoming side of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::manager) enum Upstream {
    /// There is no route to the source.
    NoRoute,
    /// The route leads to an interface that was never taken.
    Unknown(Interface),
    /// The route leads to a known interface; `owned` tells whether it has an owner.
    Known { incoming: Incoming, owned: bool },
}

impl Upstream {
    /// Returns the incoming interface and its stamp, if the interface is known.
    pub(in crate::manager) fn incoming(&self) -> Option<Incoming> {
        match self {
            Upstream::Known { incoming, .. } => Some(*incoming),
            _ => None,
        }
    }

    /// Returns whether the ownership of the incoming interface is unchanged.
    pub(in crate::manager) fn is_current(&self, owners: &OwnerWords) -> bool {
        self.incoming().is_none_or(|incoming| incoming.stamp.is_current(owners))
    }

    /// Returns whether packets may leave through an interface. The incoming interface is never an outgoing one, and
    /// packets that cannot arrive cannot leave.
    pub(in crate::manager) fn allows_egress(&self, vif: VifIndex) -> bool {
        matches!(self, Upstream::Known { incoming, owned: true } if incoming.interface != vif)
    }
}

/// What is known of the reverse path besides the interface. For information only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::manager) struct PathInfo {
    /// The next router towards the source.
    pub(in crate::manager) neighbour: Option<IpAddr>,
    /// The route that was used.
    pub(in crate::manager) route: Option<Route>,
    /// The answer of the routes, before the owner of the interface changed it.
    pub(in crate::manager) routed: Option<ReversePath>,
}
