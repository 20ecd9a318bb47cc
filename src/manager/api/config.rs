//! [`ManagerConfig`]: the limits and lifetimes of a manager.

use super::{ConfigError, Protocol};
use std::time::Duration;

/// Declares the configuration: each field with its type, its default and its documentation, and a `with_` method for each.
macro_rules! config {
    ($($(#[doc = $doc:literal])+ $field:ident, $with:ident: $type:ty = $default:expr;)+) => {
        /// The limits and lifetimes of a manager. The manager allocates nothing in advance, except the two rings of
        /// [`upcalls`](Self::upcalls) and the clients' index.
        ///
        /// ```
        /// use mgm::manager::ManagerConfig;
        /// let config = ManagerConfig::default().with_interfaces(64);
        /// assert_eq!(config.entry_lifetime.as_secs(), 900);
        /// ```
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct ManagerConfig {
            $($(#[doc = $doc])+ pub $field: $type,)+
        }

        impl Default for ManagerConfig {
            /// IGMP numbered as on Windows, limits for a large router, and entries that live 900 seconds, as the Windows
            /// SDK says (`PMGM_PRUNE_ALERT_CALLBACK`).
            fn default() -> Self {
                ManagerConfig { $($field: $default,)+ }
            }
        }

        impl ManagerConfig {
            /// The names of all settings, in order.
            pub const SETTINGS: &[&str] = &[$(stringify!($field)),+];

            $(
                #[doc = concat!("Sets [`", stringify!($field), "`](Self::", stringify!($field), ").")]
                #[must_use]
                pub const fn $with(mut self, $field: $type) -> ManagerConfig {
                    self.$field = $field;
                    self
                }
            )+
        }
    };
}

config! {
    /// The protocol number of IGMP and MLD: the one protocol that shares an interface with another.
    igmp_protocol, with_igmp_protocol: u32 = Protocol::IGMP;
    /// The maximum number of registered clients.
    clients, with_clients: u32 = 1024;
    /// The maximum number of interfaces that have an owner, or that a membership, an entry or an upcall depends on, at the same
    /// time. Others stay known until there is no other room.
    interfaces, with_interfaces: u32 = 4096;
    /// The maximum number of memberships. Each (membership, interface, role) counts as one.
    memberships, with_memberships: u32 = 1 << 20;
    /// The maximum number of memberships on one interface in one role, so that one interface cannot use up
    /// [`memberships`](Self::memberships).
    memberships_per_interface, with_memberships_per_interface: u32 = 1 << 16;
    /// The capacity of the forwarding table.
    entries, with_entries: u32 = 1 << 16;
    /// The maximum number of entries charged to one interface. An entry is charged to the interface where its packet
    /// arrived, if the caller named it ([`upcall`](crate::manager::GroupManager::upcall)), else to its incoming interface.
    entries_per_interface, with_entries_per_interface: u32 = 1 << 15;
    /// The maximum number of negative entries. The oldest is evicted for a new one.
    negative_entries, with_negative_entries: u32 = 1 << 14;
    /// The maximum number of negative entries charged to one interface. The interface's oldest is evicted for a new one.
    negative_entries_per_interface, with_negative_entries_per_interface: u32 = 1 << 12;
    /// The maximum number of flows without an entry that keep their counters until they return. The oldest is forgotten
    /// for a new one.
    remembered_flows, with_remembered_flows: u32 = 1 << 14;
    /// The maximum number of open group enumerations, over all clients.
    enumerations, with_enumerations: u32 = 64;
    /// The maximum number of notices that wait for one client. The manager counts those that do not fit and reports the
    /// count ([`Client::notices_lost`](crate::manager::Client::notices_lost)).
    notices, with_notices: u32 = 1 << 14;
    /// The maximum number of flows that wait for their entry ([`upcall`](crate::manager::GroupManager::upcall)). The same
    /// number limits the flows that are remembered because the queue was full, the queued packets on the wrong interface,
    /// and the flows of those packets.
    upcalls, with_upcalls: u32 = 1024;
    /// The maximum number of flows that wait for their entry and arrived on one interface. The same number
    /// limits the flows reported on one wrong interface in an interval. All interfaces that were never taken share one
    /// quota.
    upcalls_per_interface, with_upcalls_per_interface: u32 = 256;
    /// The minimum time between two wrong interface alerts of one flow.
    wrong_interface_interval, with_wrong_interface_interval: Duration = Duration::from_secs(3);
    /// The lifetime of an entry, counted from when it is made, whether or not packets use it.
    entry_lifetime, with_entry_lifetime: Duration = Duration::from_secs(900);
}

impl ManagerConfig {
    /// The maximum number of clients that an ownership table can hold.
    pub(in crate::manager) const MAX_CLIENTS: u64 = (1 << 20) - 2;

    /// Checks that each setting lies within its bounds.
    pub(in crate::manager) fn check(&self) -> Result<(), ConfigError> {
        const U32_MAX: u64 = u32::MAX as u64;
        let millis = u64::try_from(self.entry_lifetime.as_millis()).unwrap_or(u64::MAX);
        let negative_per_interface = u64::from(self.negative_entries_per_interface);
        let bounds = [
            ("clients", u64::from(self.clients), 1, Self::MAX_CLIENTS),
            ("interfaces", u64::from(self.interfaces), 1, 1 << 20),
            ("memberships", u64::from(self.memberships), 1, U32_MAX),
            ("memberships_per_interface", u64::from(self.memberships_per_interface), 1, U32_MAX),
            ("entries", u64::from(self.entries), 1, crate::forwarding::MAX_CAPACITY.into()),
            ("entries_per_interface", u64::from(self.entries_per_interface), 1, U32_MAX),
            ("negative_entries", u64::from(self.negative_entries), 1, U32_MAX),
            ("negative_entries_per_interface", negative_per_interface, 1, U32_MAX),
            ("remembered_flows", u64::from(self.remembered_flows), 0, U32_MAX),
            ("enumerations", u64::from(self.enumerations), 1, 1 << 20),
            ("upcalls", u64::from(self.upcalls), 1, 1 << 20),
            ("upcalls_per_interface", u64::from(self.upcalls_per_interface), 1, 1 << 20),
            ("notices", u64::from(self.notices), 1, U32_MAX),
            ("entry_lifetime (ms)", millis, 1, u64::MAX),
        ];
        match bounds.into_iter().find(|(_, value, min, max)| value < min || value > max) {
            Some((field, value, min, max)) => Err(ConfigError { field, value, min, max }),
            None => Ok(()),
        }
    }
}
