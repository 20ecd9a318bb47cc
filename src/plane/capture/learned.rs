//! [`LearnedRoutes`]: the way back to a source, taken from where its packets come from.

use crate::manager::{Interface, ReversePath, Routes};
use parking_lot::RwLock;
use std::collections::HashMap;
use std::net::IpAddr;

/// Routes for a router that was told none: a source is reached through the interface where it was first seen.
///
/// What was learned once stays: a packet that comes in elsewhere later is on the wrong interface.
#[derive(Debug, Default)]
pub struct LearnedRoutes {
    seen: RwLock<HashMap<IpAddr, Interface>>,
}

impl LearnedRoutes {
    /// No route yet.
    #[must_use]
    pub fn new() -> LearnedRoutes {
        LearnedRoutes::default()
    }

    /// A packet from `source` came in on `interface`; whether that is news.
    pub fn learn(&self, source: IpAddr, interface: Interface) -> bool {
        let mut news = false;
        self.seen.write().entry(source).or_insert_with(|| {
            news = true;
            interface
        });
        news
    }
}

impl Routes for LearnedRoutes {
    fn reverse_path(&self, source: IpAddr) -> Option<ReversePath> {
        let interface = *self.seen.read().get(&source)?;
        Some(ReversePath::through(interface))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_interface_stays() {
        let (routes, source) = (LearnedRoutes::new(), "192.0.2.1".parse().unwrap());
        assert_eq!(routes.reverse_path(source), None);
        assert!(routes.learn(source, Interface::v4(3)));
        assert!(!routes.learn(source, Interface::v4(4)));
        assert_eq!(routes.reverse_path(source).map(|path| path.interface), Some(Interface::v4(3)));
    }
}
