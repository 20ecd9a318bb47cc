//! [`LearnedRoutes`]: the way back to a source, taken from where its packets come from.

use crate::manager::{Interface, ReversePath, Routes};
use parking_lot::RwLock;
use std::collections::HashMap;
use std::net::IpAddr;

/// Routes for a router that was told none: a source is reached through the interface where it was first seen.
///
/// What was learned once stays, until it is [forgotten](Self::forget): a packet that comes in elsewhere later is on the
/// wrong interface. Senders choose what sources they write into packets, so only so many are learned of one interface. A
/// further one there has no route, and its packets go nowhere; what other interfaces learn is not affected.
#[derive(Debug)]
pub struct LearnedRoutes {
    most: usize,
    seen: RwLock<Seen>,
}

/// Hashed as the standard library does: sources are chosen by whoever sends them.
#[derive(Debug, Default)]
struct Seen {
    ways: HashMap<IpAddr, Interface>,
    /// How many of them lead through each interface.
    through: HashMap<Interface, usize>,
    refused: u64,
}

impl Default for LearnedRoutes {
    fn default() -> LearnedRoutes {
        LearnedRoutes::with_limit(LearnedRoutes::MOST)
    }
}

impl LearnedRoutes {
    /// How many sources are learned of one interface where nothing else is said.
    pub const MOST: usize = 1 << 18;

    /// No route yet.
    #[must_use]
    pub fn new() -> LearnedRoutes {
        LearnedRoutes::default()
    }

    /// No route yet; of each interface at most `most` sources are learned.
    #[must_use]
    pub fn with_limit(most: usize) -> LearnedRoutes {
        LearnedRoutes { most, seen: RwLock::default() }
    }

    /// A packet from `source` came in on `interface`; whether that is news, and was learned.
    pub fn learn(&self, source: IpAddr, interface: Interface) -> bool {
        let mut seen = self.seen.write();
        if seen.ways.contains_key(&source) {
            return false;
        }
        let through = seen.through.entry(interface).or_default();
        if *through >= self.most {
            seen.refused += 1;
            return false;
        }
        *through += 1;
        seen.ways.insert(source, interface);
        true
    }

    /// Forgets every source that was learned of an interface.
    pub fn forget(&self, interface: Interface) {
        let mut seen = self.seen.write();
        seen.ways.retain(|_, way| *way != interface);
        seen.through.remove(&interface);
    }

    /// How often a source was not learned because as many were as may be.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.seen.read().refused
    }
}

impl Routes for LearnedRoutes {
    fn reverse_path(&self, source: IpAddr) -> Option<ReversePath> {
        let interface = *self.seen.read().ways.get(&source)?;
        Some(ReversePath::through(interface))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(routes: &LearnedRoutes, source: u8) -> Option<Interface> {
        routes.reverse_path([192, 0, 2, source].into()).map(|path| path.interface)
    }

    #[test]
    fn the_first_interface_stays() {
        let (routes, source) = (LearnedRoutes::new(), "192.0.2.1".parse().unwrap());
        assert_eq!(routes.reverse_path(source), None);
        assert!(routes.learn(source, Interface::v4(3)));
        assert!(!routes.learn(source, Interface::v4(4)));
        assert_eq!(way(&routes, 1), Some(Interface::v4(3)));
    }

    #[test]
    fn an_interface_that_is_full_of_sources_leaves_the_others_room_and_has_room_again() {
        let (routes, flooded, quiet) = (LearnedRoutes::with_limit(2), Interface::v4(3), Interface::v4(4));
        let learn = |source: u8, interface| routes.learn([192, 0, 2, source].into(), interface);
        assert_eq!([1, 2, 3, 3].map(|n| learn(n, flooded)), [true, true, false, false]);
        assert_eq!(routes.refused(), 2);
        assert!(!learn(1, flooded) && routes.refused() == 2, "what is known is not refused");
        assert!(learn(4, quiet) && learn(3, quiet), "also a source that the full one could not have");
        assert_eq!([1, 2, 3, 4].map(|n| way(&routes, n)), [flooded, flooded, quiet, quiet].map(Some));
        routes.forget(flooded);
        assert_eq!([1, 2, 3, 4].map(|n| way(&routes, n)), [None, None, Some(quiet), Some(quiet)]);
        assert!(learn(5, flooded) && learn(6, flooded) && !learn(7, flooded));
    }
}
