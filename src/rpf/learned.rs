//! [`LearnedRoutes`]: routes learned from the packets that arrive.

use crate::manager::{Interface, ReversePath, RpfLookup};
use parking_lot::RwLock;
use std::collections::HashMap;
use std::net::IpAddr;

/// Routes for a router without configured ones: a source is reached through the interface on which its first packet arrived.
///
/// A learned route stays until it is [forgotten](Self::forget). A packet that arrives elsewhere later is on the wrong interface.
///
/// A sender chooses the sources that it writes into packets, so the number of sources learned of one interface is limited. A
/// further source there has no route, and its packets are dropped. Sources on other interfaces are not affected.
#[derive(Debug)]
pub struct LearnedRoutes {
    max: usize,
    state: RwLock<State>,
}

/// Hashed as in the standard library, because senders choose the sources.
#[derive(Debug, Default)]
struct State {
    routes: HashMap<IpAddr, Interface>,
    /// The number of routes through each interface.
    through: HashMap<Interface, usize>,
    refused: u64,
}

impl Default for LearnedRoutes {
    fn default() -> LearnedRoutes {
        LearnedRoutes::with_limit(LearnedRoutes::MAX_SOURCES)
    }
}

impl LearnedRoutes {
    /// The default limit of sources learned of one interface.
    pub const MAX_SOURCES: usize = 1 << 18;

    /// Makes an empty table with the default limit.
    #[must_use]
    pub fn new() -> LearnedRoutes {
        LearnedRoutes::default()
    }

    /// Makes an empty table that learns at most `max` sources of each interface.
    #[must_use]
    pub fn with_limit(max: usize) -> LearnedRoutes {
        LearnedRoutes { max, state: RwLock::default() }
    }

    /// Learns that a packet from `source` arrived on `interface`. Returns whether the route is new.
    pub fn learn(&self, source: IpAddr, interface: Interface) -> bool {
        let mut state = self.state.write();
        if state.routes.contains_key(&source) {
            return false;
        }
        let through = state.through.entry(interface).or_default();
        if *through >= self.max {
            state.refused += 1;
            return false;
        }
        *through += 1;
        state.routes.insert(source, interface);
        true
    }

    /// Forgets every source learned of an interface.
    pub fn forget(&self, interface: Interface) {
        let mut state = self.state.write();
        state.routes.retain(|_, through| *through != interface);
        state.through.remove(&interface);
    }

    /// Returns the number of times that the limit refused a source.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.state.read().refused
    }
}

impl RpfLookup for LearnedRoutes {
    fn reverse_path(&self, source: IpAddr) -> Option<ReversePath> {
        let interface = *self.state.read().routes.get(&source)?;
        Some(ReversePath::through(interface))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(routes: &LearnedRoutes, source: u8) -> Option<Interface> {
        routes.reverse_path([192, 0, 2, source].into()).map(|path| path.interface)
    }

    #[test]
    fn the_first_interface_of_a_source_stays() {
        let (routes, source) = (LearnedRoutes::new(), "192.0.2.1".parse().unwrap());
        assert_eq!(routes.reverse_path(source), None);
        assert!(routes.learn(source, Interface::v4(3)));
        assert!(!routes.learn(source, Interface::v4(4)));
        assert_eq!(through(&routes, 1), Some(Interface::v4(3)));
    }

    #[test]
    fn a_full_interface_leaves_room_for_others() {
        let (routes, flooded, quiet) = (LearnedRoutes::with_limit(2), Interface::v4(3), Interface::v4(4));
        let learn = |source: u8, interface| routes.learn([192, 0, 2, source].into(), interface);
        assert_eq!([1, 2, 3, 3].map(|n| learn(n, flooded)), [true, true, false, false]);
        assert_eq!(routes.refused(), 2);
        assert!(!learn(1, flooded) && routes.refused() == 2, "a known source is not refused");
        assert!(learn(4, quiet) && learn(3, quiet), "a source refused elsewhere is learned too");
        assert_eq!([1, 2, 3, 4].map(|n| through(&routes, n)), [flooded, flooded, quiet, quiet].map(Some));
        routes.forget(flooded);
        assert_eq!([1, 2, 3, 4].map(|n| through(&routes, n)), [None, None, Some(quiet), Some(quiet)]);
        assert!(learn(5, flooded) && learn(6, flooded) && !learn(7, flooded));
    }
}
