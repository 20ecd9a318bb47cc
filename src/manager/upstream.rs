//! [`Upstream`]: where a flow's packets have to arrive.

use super::{Interface, ReversePath, Route};
use crate::forwarding::{Incoming, VifIndex};
use crate::handle::OwnerWords;
use std::net::IpAddr;

/// Where a flow's packets have to arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Upstream {
    /// There is no route to the source.
    NoRoute,
    /// The route leads to an interface that was never taken.
    Unknown(Interface),
    /// The route leads here; nobody has it unless it is `owned`.
    Known { incoming: Incoming, owned: bool },
}

impl Upstream {
    pub(super) fn incoming(&self) -> Option<Incoming> {
        match self {
            Upstream::Known { incoming, .. } => Some(*incoming),
            _ => None,
        }
    }

    pub(super) fn holds(&self, owners: &OwnerWords) -> bool {
        self.incoming().is_none_or(|incoming| incoming.stamp.holds(owners))
    }

    /// Whether packets may go out by this interface: the incoming one is never an outgoing one, and packets that cannot
    /// arrive cannot go out.
    pub(super) fn lets_out(&self, number: VifIndex) -> bool {
        matches!(self, Upstream::Known { incoming, owned: true } if incoming.interface != number)
    }
}

/// What is known of the way besides, for information only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PathInfo {
    /// The next router towards the source.
    pub(super) neighbour: Option<IpAddr>,
    /// The route that leads to it.
    pub(super) route: Option<Route>,
    /// What the routes had said, whatever the interface's owner has made of it.
    pub(super) routed: Option<ReversePath>,
}
