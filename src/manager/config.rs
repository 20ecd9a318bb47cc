//! [`ManagerConfig`]: how much a manager keeps at most, and for how long.

use super::{ConfigError, Protocol};
use std::time::Duration;

/// How much a manager keeps at most, and for how long. Nothing is allocated in advance for the manager's own records, but for
/// the two rings of [`upcalls`](Self::upcalls).
///
/// ```
/// use mgm::manager::ManagerConfig;
/// let config = ManagerConfig { interfaces: 64, ..ManagerConfig::default() };
/// assert_eq!(config.entry_lifetime.as_secs(), 900);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManagerConfig {
    /// Which protocol number is IGMP and MLD: the one protocol that shares an interface with another.
    pub igmp_protocol: u32,
    /// The most clients registered at once.
    pub clients: u32,
    /// The most interfaces ever taken: an interface that was taken once stays known.
    pub interfaces: u32,
    /// The most memberships at once: one is (a membership, an interface, a role).
    pub memberships: u32,
    /// The most memberships on one interface in one role: what is said of one interface leaves room for the others.
    pub memberships_per_interface: u32,
    /// The capacity of the forwarding table, entries that others publish there included.
    pub entries: u32,
    /// The most entries on account of one interface: the one where the packet arrived that had the entry made, if whoever
    /// brought it said so ([`upcall`](super::GroupManager::upcall)), else the one where the flow's packets have to arrive.
    pub entries_per_interface: u32,
    /// The most negative entries at once: the oldest makes room for a new one.
    pub negative_entries: u32,
    /// The most negative entries on account of one interface: its oldest makes room for a new one.
    pub negative_entries_per_interface: u32,
    /// The most flows without an entry whose counters are kept, for the time when the flow comes back: the oldest makes
    /// room for a new one.
    pub remembered_flows: u32,
    /// The most enumerations of groups open at once, over all clients.
    pub enumerations: u32,
    /// The most notices that wait for one client. What does not fit is counted, and the client is told to look again
    /// ([`Client::notices_lost`](super::Client::notices_lost)).
    pub notices: u32,
    /// The most flows that wait for their entry at once ([`upcall`](super::GroupManager::upcall)); as many are remembered that
    /// found the queue full, and as many packets on the wrong interface wait, of as many flows.
    pub upcalls: u32,
    /// The most flows that wait for their entry on account of one interface where their packets arrived, and the most flows
    /// of which packets on that wrong interface are told in an interval. All interfaces that were never taken share one
    /// account.
    pub upcalls_per_interface: u32,
    /// The least time between two packets of a flow on the wrong interface that its owner is told of.
    pub wrong_interface_interval: Duration,
    /// How long an entry lives from its making, whether or not packets use it.
    pub entry_lifetime: Duration,
}

impl Default for ManagerConfig {
    /// IGMP as Windows numbers it, room for a large router, and the 900 seconds that the Windows SDK names as the life of
    /// an entry (`PMGM_PRUNE_ALERT_CALLBACK`).
    fn default() -> Self {
        ManagerConfig {
            igmp_protocol: Protocol::IGMP,
            clients: 1024,
            interfaces: 4096,
            memberships: 1 << 20,
            memberships_per_interface: 1 << 16,
            entries: 1 << 16,
            entries_per_interface: 1 << 15,
            negative_entries: 1 << 14,
            negative_entries_per_interface: 1 << 12,
            remembered_flows: 1 << 14,
            enumerations: 64,
            upcalls: 1024,
            upcalls_per_interface: 256,
            wrong_interface_interval: Duration::from_secs(3),
            notices: 1 << 14,
            entry_lifetime: Duration::from_secs(900),
        }
    }
}

impl ManagerConfig {
    /// The most clients a handle table whose objects own things can number.
    pub(super) const MAX_CLIENTS: u64 = (1 << 20) - 2;

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let millis = u64::try_from(self.entry_lifetime.as_millis()).unwrap_or(u64::MAX);
        let limits = [
            ("clients", u64::from(self.clients), 1, Self::MAX_CLIENTS),
            ("interfaces", u64::from(self.interfaces), 1, 1 << 20),
            ("memberships", u64::from(self.memberships), 1, u64::from(u32::MAX)),
            ("memberships_per_interface", u64::from(self.memberships_per_interface), 1, u64::from(u32::MAX)),
            ("entries", u64::from(self.entries), 1, 1 << 24),
            ("entries_per_interface", u64::from(self.entries_per_interface), 1, u64::from(u32::MAX)),
            ("negative_entries", u64::from(self.negative_entries), 1, u64::from(u32::MAX)),
            (
                "negative_entries_per_interface",
                u64::from(self.negative_entries_per_interface),
                1,
                u64::from(u32::MAX),
            ),
            ("remembered_flows", u64::from(self.remembered_flows), 0, u64::from(u32::MAX)),
            ("enumerations", u64::from(self.enumerations), 1, 1 << 20),
            ("upcalls", u64::from(self.upcalls), 1, 1 << 20),
            ("upcalls_per_interface", u64::from(self.upcalls_per_interface), 1, 1 << 20),
            ("notices", u64::from(self.notices), 1, u64::from(u32::MAX)),
            ("entry_lifetime (ms)", millis, 1, u64::MAX),
        ];
        match limits.into_iter().find(|(_, value, least, most)| value < least || value > most) {
            Some((field, value, least, most)) => Err(ConfigError { field, value, least, most }),
            None => Ok(()),
        }
    }
}
