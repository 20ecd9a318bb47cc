//! [`KernelPlaneConfig`]: the settings of a kernel plane.

use mgm::manager::Interface;
use std::fmt;
use std::sync::Arc;

/// Receives the IGMP packets that only the multicast routing socket gets. Called on the plane's thread with the interface and
/// the packet from its IP header on.
pub type IgmpHandler = Arc<dyn Fn(Interface, &[u8]) + Send + Sync>;

/// The settings of a [`KernelPlane`](super::KernelPlane).
#[derive(Clone)]
#[non_exhaustive]
pub struct KernelPlaneConfig {
    /// The kernel's routing table for multicast (`MRT_TABLE`); `None` for the default one. Packets find another table only by
    /// a rule: `ip mrule add iif eth0 table 7`.
    pub table: Option<u32>,
    /// The receive buffer of the socket, in octets. It bounds how many new flows can wait in the kernel. 8 MiB by default.
    pub receive_buffer: usize,
    /// The maximum number of changed flows that wait for the plane. When more wait, the plane compares every entry. 65,536 by
    /// default.
    pub changes: usize,
    /// Whether packets on the wrong interface are reported to the manager. True by default.
    pub wrong_interface: bool,
    /// Receives IGMP packets that no other socket gets; `None` to ignore them. IPv4 only.
    ///
    /// A host of IGMPv1 or IGMPv2 that sends a report without the Router Alert option is heard only here.
    pub igmp: Option<IgmpHandler>,
}

impl Default for KernelPlaneConfig {
    fn default() -> KernelPlaneConfig {
        KernelPlaneConfig {
            table: None,
            receive_buffer: 8 << 20,
            changes: 1 << 16,
            wrong_interface: true,
            igmp: None,
        }
    }
}

impl KernelPlaneConfig {
    /// Sets the routing table.
    #[must_use]
    pub fn with_table(mut self, table: impl Into<Option<u32>>) -> KernelPlaneConfig {
        self.table = table.into();
        self
    }

    /// Sets the receive buffer, in octets.
    #[must_use]
    pub fn with_receive_buffer(mut self, octets: usize) -> KernelPlaneConfig {
        self.receive_buffer = octets;
        self
    }

    /// Sets the maximum number of changed flows that wait for the plane.
    #[must_use]
    pub fn with_changes(mut self, changes: usize) -> KernelPlaneConfig {
        self.changes = changes;
        self
    }

    /// Sets whether packets on the wrong interface are reported.
    #[must_use]
    pub fn with_wrong_interface(mut self, wrong_interface: bool) -> KernelPlaneConfig {
        self.wrong_interface = wrong_interface;
        self
    }

    /// Sets the receiver of IGMP packets.
    #[must_use]
    pub fn with_igmp(mut self, handler: IgmpHandler) -> KernelPlaneConfig {
        self.igmp = Some(handler);
        self
    }
}

impl fmt::Debug for KernelPlaneConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KernelPlaneConfig")
            .field("table", &self.table)
            .field("receive_buffer", &self.receive_buffer)
            .field("changes", &self.changes)
            .field("wrong_interface", &self.wrong_interface)
            .field("igmp", &self.igmp.is_some())
            .finish()
    }
}
