//! The records that queries return.

use super::{Interface, Membership, Protocol, Route};
use crate::forwarding::{Flow, FlowTotals};
use crate::handle::Handle;
use std::net::IpAddr;
use std::time::Duration;

/// What an entry does with the packets of its flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FlowState {
    /// Copies them to at least one interface.
    Active,
    /// Discards them without another upcall: the flow has no receivers or no incoming interface.
    Negative,
}

/// One entry of the manager, as it is at one instant (`MIB_IPMCAST_MFE` and `MIB_IPMCAST_MFE_STATS_EX` of the Windows
/// SDK).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EntryRecord {
    /// The flow.
    pub flow: Flow,
    /// What the entry does with the flow's packets.
    pub state: FlowState,
    /// The incoming interface; `None` when there is no route to the source, or the route leads to an interface that was
    /// never taken.
    pub incoming: Option<Interface>,
    /// The protocol that decides about the incoming interface: the routing protocol, else IGMP.
    pub incoming_protocol: Option<Protocol>,
    /// The next router towards the source, if the routes or a client named one. For information only.
    pub neighbour: Option<IpAddr>,
    /// The route to the source, if the routes or a client named one. For information only.
    pub route: Option<Route>,
    /// The outgoing interfaces, in the order in which they were first taken.
    pub outgoing: Vec<OutgoingRecord>,
    /// The time at which the entry was made, on the clock of
    /// [`GroupManager::advance`](crate::manager::GroupManager::advance).
    pub made: Duration,
    /// The time at which the lifetime of the entry ends, on the same clock.
    pub expires: Duration,
    /// The lifetime: [`expires`](Self::expires) less [`made`](Self::made).
    pub timeout: Duration,
    /// The counters of the flow, over all its entries.
    pub totals: FlowTotals,
}

/// An outgoing interface of an entry, and the flow's counters there, over all its entries (`MIB_IPMCAST_OIF_STATS` of the
/// Windows SDK).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutgoingRecord {
    /// The interface.
    pub interface: Interface,
    /// Packets not copied to it because their TTL was below the interface's threshold.
    pub ttl_too_low: u64,
    /// Packets not copied to it because they exceeded its MTU and must not be fragmented.
    pub fragmentation_needed: u64,
    /// Packets copied to it.
    pub packets: u64,
    /// Copies discarded there for another reason.
    pub discards: u64,
}

/// One membership on one interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MembershipRecord {
    /// The interface of the receivers.
    pub interface: Interface,
    /// The packets that they want.
    pub membership: Membership,
    /// The protocol that added the membership.
    pub protocol: Protocol,
}

/// One registered client.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientRecord {
    /// The protocol instance.
    pub protocol: Protocol,
    /// The client's handle.
    pub handle: Handle,
    /// The interfaces that the client owns, in order.
    pub interfaces: Vec<Interface>,
}

/// The scope of a group enumeration (`MGM_ENUM_TYPES` of the Windows SDK).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EnumerationKind {
    /// Each joined group once, from whichever sources, as (\*,g); and (\*,\*) where it is joined.
    AnySource,
    /// Each joined (s,g), (\*,g) and (\*,\*) once.
    AllSources,
}

/// A page of an enumeration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupPage {
    /// Joined memberships.
    pub groups: Vec<Membership>,
    /// Whether the enumeration has further memberships that no page contained yet.
    pub more: bool,
}

/// The outcome of an upcall.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Upcall {
    /// The flow is queued now.
    Queued,
    /// The flow was queued before: the packet is counted.
    Waiting,
    /// There is no room in the queue, or no memory. [`LimitCounters::upcalls_refused`] counts the packet; and if the flow is
    /// remembered, so does the flow's `queue_overflow`. A new flow that finds the quota of its interface used up is not
    /// remembered.
    Refused,
    /// Packets to the group never leave their link.
    NotForwarded,
}

/// Counts of what the manager refused, evicted or withdrew because a limit was reached or memory was short.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LimitCounters {
    /// Entries withdrawn because the forwarding table had no room for their successor, or no memory. The next packet of
    /// the flow has the entry made again.
    pub entries_withdrawn: u64,
    /// Entries refused because the forwarding table was full (`ManagerConfig::entries`) or crowded
    /// ([`PublishError::Crowded`](crate::forwarding::PublishError::Crowded)).
    pub entries_refused: u64,
    /// Entries refused because the quota of an interface was used up (`ManagerConfig::entries_per_interface`).
    pub entries_refused_of_interface: u64,
    /// Memberships refused (`ManagerConfig::memberships`, `memberships_per_interface`).
    pub memberships_refused: u64,
    /// Negative entries evicted for newer ones (`ManagerConfig::negative_entries`, `negative_entries_per_interface`).
    pub negative_evicted: u64,
    /// Flows without an entry that lost their counters (`ManagerConfig::remembered_flows`).
    pub flows_forgotten: u64,
    /// Packets of flows without an entry that found the queue full, or the quota of their interface used up
    /// (`ManagerConfig::upcalls`, `upcalls_per_interface`).
    pub upcalls_refused: u64,
    /// Packets on the wrong interface that were not reported for want of room (`ManagerConfig::upcalls`,
    /// `upcalls_per_interface`).
    pub wrong_interface_refused: u64,
}
