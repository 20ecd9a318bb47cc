//! [`HostLimits`]: the bounds on the state of an interface's hosts.

use std::ops::AddAssign;

/// The limits of the state of one interface. State beyond them is refused and counted, and
/// [`GmpInterfaceState::limits_reached`](super::GmpInterfaceState) tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostLimits {
    /// Groups with state. 4096 by default.
    pub groups: usize,
    /// Tracked hosts of one group. Further ones count by the timers of the group alone. 1024 by default.
    pub hosts: usize,
    /// Sources in one host's state for one group. 512 by default. One IGMPv3 report in an Ethernet frame lists at most 366.
    pub sources: usize,
    /// Distinct sources of one group: those of its timers, and those that all its hosts list. 2048 by default. It bounds the cost
    /// of one report, which computes the interest of the whole network in the group again.
    pub group_sources: usize,
    /// Hosts and sources of all groups together, and as much again for groups and sources with timers. It bounds the memory. 65536
    /// by default.
    pub total: usize,
}

impl Default for HostLimits {
    fn default() -> HostLimits {
        HostLimits { groups: 4096, hosts: 1024, sources: 512, group_sources: 2048, total: 65536 }
    }
}

/// The state refused because of [`HostLimits`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// Records that would have added a group.
    pub groups: u64,
    /// Records that would have added a host.
    pub hosts: u64,
    /// Sources left out of a host's state. An including host gets fewer packets than it asked for, an excluding host more.
    pub sources: u64,
}

impl AddAssign for Refused {
    fn add_assign(&mut self, more: Refused) {
        self.groups += more.groups;
        self.hosts += more.hosts;
        self.sources += more.sources;
    }
}
