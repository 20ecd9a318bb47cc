//! The errors of the manager. A refused call has changed nothing; each message says what to do.

use super::{Interface, Protocol};
use crate::forwarding::Flow;
use crate::memory::NoMemory;

const STALE: &str = "the handle names no registered client: register again";

const NO_MEMORY: &str = "out of memory: retry when memory is available";

/// A setting of the configuration is out of its bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} is {value}: choose a value from {min} to {max}")]
#[non_exhaustive]
pub struct ConfigError {
    /// The setting.
    pub field: &'static str,
    /// Its value.
    pub value: u64,
    /// The smallest valid value.
    pub min: u64,
    /// The largest valid value.
    pub max: u64,
}

/// The reason why a registration was refused (`MgmRegisterMProtocol`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// The protocol instance is registered already.
    #[error("{0} is registered already: use another component number, or deregister it first")]
    AlreadyRegistered(Protocol),
    /// As many clients are registered as the limit allows.
    #[error("no room for another client: deregister one, or raise ManagerConfig::clients above {0}")]
    Full(u32),
    /// Fewer clients are registered than the limit allows, but the slots of clients that left cannot be used again: a stalled
    /// reader may still see them, in this table or in another one of the process. The registration has waited 100 ms for it.
    #[error(
        "no free slot for another client: {waiting} clients that left wait for a stalled reader; let it go on, or end its \
         thread"
    )]
    NoFreeSlot {
        /// About how many slots wait.
        waiting: usize,
    },
    /// There is no memory for another client.
    #[error("{NO_MEMORY}")]
    NoMemory,
}

/// The reason why a deregistration was refused (`MgmDeRegisterMProtocol`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeregisterError {
    /// The handle names no client.
    #[error("{STALE}")]
    Stale,
    /// The client still owns this number of interfaces.
    #[error("the client still owns {0} interfaces: release them first")]
    StillOwns(u32),
}

/// The reason why an interface could not be taken (`MgmTakeInterfaceOwnership`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TakeError {
    /// The handle names no client.
    #[error("{STALE}")]
    Stale,
    /// Another protocol, or the caller itself, owns the interface.
    #[error("{0} has an owner already: its owner must release it first")]
    Owned(Interface),
    /// There are as many interfaces as there may be, and each has an owner, or is one that a membership, an entry or an upcall
    /// depends on.
    #[error("no room for another interface: release one, or raise ManagerConfig::interfaces above {0}")]
    TooManyInterfaces(u32),
    /// There is no memory for another interface. An interface that was taken before needs none.
    #[error("{NO_MEMORY}")]
    NoMemory,
}

/// The reason why an interface could not be released (`MgmReleaseInterfaceOwnership`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReleaseError {
    /// The handle names no client.
    #[error("{STALE}")]
    Stale,
    /// The caller does not own the interface.
    #[error("the caller does not own {0}: only its owner can release it")]
    NotOwner(Interface),
}

/// The interface has no owner (`MgmGetProtocolOnInterface`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} has no owner: take it first")]
pub struct NoOwner(pub Interface);

/// The reason why a membership could not be added or deleted (`MgmAddGroupMembershipEntry`,
/// `MgmDeleteGroupMembershipEntry`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MembershipError {
    /// The handle names no client.
    #[error("{STALE}")]
    Stale,
    /// The interface has no owner in the caller's role. IGMP and the routing protocol have one role each.
    #[error("{0} is not taken: take it first")]
    NotTaken(Interface),
    /// Another client owns the interface in the caller's role.
    #[error("{0} belongs to another protocol: only its owner can change memberships there")]
    NotOwner(Interface),
    /// The routing protocol of an interface that IGMP shares has changed, and IGMP has not been enabled again.
    #[error("ownership of {0} is changing: retry from enable_igmp")]
    ChangingHands(Interface),
    /// The membership and the interface are of different address families.
    #[error("{0} and the group are of different address families: name the interface in the group's family")]
    FamiliesDiffer(Interface),
    /// No further membership can be kept, on the interface or in total.
    #[error(
        "no room for another membership: delete some, or raise ManagerConfig::memberships or \
         memberships_per_interface above {0}"
    )]
    TooMany(u32),
    /// There is no memory for the change. Deleting with [`StateChange::Join`](super::StateChange::Join) needs none.
    #[error("{NO_MEMORY}")]
    NoMemory,
}

/// The reason why an entry could not be changed (`MgmSetMfe`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SetEntryError {
    /// The handle names no client.
    #[error("{STALE}")]
    Stale,
    /// The flow has no entry.
    #[error("{0} has no entry: report the flow first")]
    NoEntry(Flow),
    /// The client does not own the incoming interface of the flow.
    #[error(
        "the caller does not own the incoming interface of {0}: only its owner can name the upstream neighbour"
    )]
    NotOwner(Flow),
}

/// The reason why groups could not be enumerated (`MgmGroupEnumerationStart`, `MgmGroupEnumerationGetNext`,
/// `MgmGroupEnumerationEnd`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnumerationError {
    /// The handle names no registered client or no open enumeration. An enumeration ends with the registration of the
    /// client that started it.
    #[error("the handle names no client and no enumeration: register again, or start another enumeration")]
    Stale,
    /// The maximum number of enumerations is open.
    #[error("no room for another enumeration: end one, or raise ManagerConfig::enumerations above {0}")]
    TooMany(u32),
    /// There is no memory for the snapshot or for a page of it. No record of the enumeration is lost.
    #[error("{NO_MEMORY}")]
    NoMemory,
}

/// The reason why a new flow got no entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NewFlowError {
    /// Another thread is making the entry.
    #[error("the entry of {0} is being made: look it up again shortly")]
    Building(Flow),
    /// The call came from too many nested callbacks.
    #[error("{0} was reported from too many nested callbacks: report it again when some have returned")]
    TooDeep(Flow),
    /// The forwarding table is full, or the quota of one interface is used up
    /// ([`ManagerConfig::entries_per_interface`](super::ManagerConfig)), or a stalled reader holds back replaced entries
    /// ([`GroupManager::standstill`](crate::manager::GroupManager::standstill)).
    #[error(
        "no room for the entry of {0}: raise ManagerConfig::entries or entries_per_interface, or let a stalled reader go on \
         if GroupManager::standstill reports one"
    )]
    Full(Flow),
    /// The forwarding table has an entry of the flow that the manager did not publish.
    #[error("{0} has an entry that the manager did not publish: its publisher has to withdraw it first")]
    Foreign(Flow),
    /// Packets to the group never leave their link.
    #[error("{0} is not forwarded: choose a group of more than link-local scope")]
    NotForwarded(Flow),
    /// There is no memory for the entry.
    #[error("out of memory for the entry of {0}: report the flow again when memory is available")]
    NoMemory(Flow),
}

impl From<NoMemory> for MembershipError {
    fn from(NoMemory: NoMemory) -> MembershipError {
        MembershipError::NoMemory
    }
}

impl From<NoMemory> for EnumerationError {
    fn from(NoMemory: NoMemory) -> EnumerationError {
        EnumerationError::NoMemory
    }
}
