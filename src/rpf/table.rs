//! [`RouteTable`]: configured routes.

use super::Prefix;
use crate::manager::{Interface, ReversePath, RpfLookup};
use std::net::IpAddr;

/// Configured routes: the interface towards each network. The longest prefix that contains a source decides.
///
/// ```
/// use mgm::manager::{GroupManager, Interface, ManagerConfig};
/// use mgm::rpf::RouteTable;
/// use std::sync::Arc;
///
/// let routes = RouteTable::new([
///     ("10.77.0.0/16".parse()?, Interface::v4(1)),
///     ("0.0.0.0/0".parse()?, Interface::v4(2)),
/// ]);
/// let manager = GroupManager::new(ManagerConfig::default(), Arc::new(routes))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct RouteTable {
    /// Ordered by decreasing length of the prefix.
    routes: Vec<(Prefix, Interface)>,
}

impl RouteTable {
    /// Makes a table of these routes. Of two routes with the same prefix, the first counts.
    #[must_use]
    pub fn new(routes: impl IntoIterator<Item = (Prefix, Interface)>) -> RouteTable {
        let mut routes: Vec<_> = routes.into_iter().collect();
        routes.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.length()));
        RouteTable { routes }
    }

    /// Returns the routes, the longest prefix first.
    #[must_use]
    pub fn routes(&self) -> &[(Prefix, Interface)] {
        &self.routes
    }
}

impl RpfLookup for RouteTable {
    fn reverse_path(&self, source: IpAddr) -> Option<ReversePath> {
        let (_, interface) = self.routes.iter().find(|(prefix, _)| prefix.contains(source))?;
        Some(ReversePath::through(*interface))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_decides_then_the_first_route() {
        let route = |prefix: &str, interface| (prefix.parse().unwrap(), interface);
        let table = RouteTable::new([
            route("10.1.0.0/16", Interface::v4(1)),
            route("fd00::/64", Interface::v6(2)),
            route("0.0.0.0/0", Interface::v4(3)),
            route("10.1.2.0/24", Interface::v4(4)),
            route("10.1.0.0/16", Interface::v4(5)),
        ]);
        let through = |source: &str| table.reverse_path(source.parse().unwrap()).map(|path| path.interface);
        assert_eq!(through("10.1.2.9"), Some(Interface::v4(4)));
        assert_eq!(through("10.1.3.9"), Some(Interface::v4(1)));
        assert_eq!(through("192.0.2.1"), Some(Interface::v4(3)));
        assert_eq!(through("fd00::9"), Some(Interface::v6(2)));
        assert_eq!(through("fd01::9"), None);
    }
}
