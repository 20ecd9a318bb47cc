//! What can go wrong, and what to do about it. A refused call has changed nothing.

use super::{Interface, Protocol};
use crate::forwarding::Flow;
use crate::memory::NoMemory;

const STALE: &str = "the handle names no registered client: register again";

const NO_MEMORY: &str = "there is no memory for it: try again when there is some";

/// The configuration cannot work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} is {value}: choose a value from {least} to {most}")]
pub struct ConfigError {
    /// Which setting.
    pub field: &'static str,
    /// What it was set to.
    pub value: u64,
    /// The least that works.
    pub least: u64,
    /// The most that works.
    pub most: u64,
}

/// Why a registration was refused (`MgmRegisterMProtocol`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegisterError {
    /// That protocol instance is registered already.
    #[error("{0} is registered already: use another component number, or deregister it first")]
    AlreadyRegistered(Protocol),
    /// The table of clients is full.
    #[error("no room for another client: {0} are the most (ManagerConfig::clients)")]
    Full(u32),
    /// There is no memory for another client.
    #[error("{NO_MEMORY}")]
    NoMemory,
}

/// Why a client could not leave (`MgmDeRegisterMProtocol`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeregisterError {
    /// The handle names no client.
    #[error("{STALE}")]
    Stale,
    /// It still owns interfaces.
    #[error("{0} interfaces are still owned: release them first")]
    StillOwns(u32),
}

/// Why an interface could not be taken (`MgmTakeInterfaceOwnership`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TakeError {
    /// The handle names no client.
    #[error("{STALE}")]
    Stale,
    /// Another protocol, or the caller itself, owns it.
    #[error("{0} is owned already: it must be released first")]
    Owned(Interface),
    /// No further interface can be known.
    #[error("no room for another interface: {0} are the most (ManagerConfig::interfaces)")]
    TooManyInterfaces(u32),
    /// There is no memory to know another interface. One that was taken before needs none.
    #[error("{NO_MEMORY}")]
    NoMemory,
}

/// Why an interface could not be released (`MgmReleaseInterfaceOwnership`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReleaseError {
    /// The handle names no client.
    #[error("{STALE}")]
    Stale,
    /// The caller does not own it.
    #[error("{0} is not the caller's: only its owner can release it")]
    NotOwner(Interface),
}

/// Why an interface has no owner to name (`MgmGetProtocolOnInterface`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} has no owner")]
pub struct NoOwner(pub Interface);

/// Why a membership could not be added or deleted (`MgmAddGroupMembershipEntry`, `MgmDeleteGroupMembershipEntry`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MembershipError {
    /// The handle names no client.
    #[error("{STALE}")]
    Stale,
    /// Nobody owns the interface, or nobody in the caller's role: IGMP's and the routing protocol's are two.
    #[error("{0} is not taken: take it first")]
    NotTaken(Interface),
    /// Somebody else owns the interface in the caller's role.
    #[error("{0} is another protocol's: only its owner says what is received there")]
    NotOwner(Interface),
    /// The routing protocol of an interface that IGMP shares has just changed, and IGMP has not been switched on again.
    #[error("{0} is changing hands: say it again from enable_igmp on")]
    ChangingHands(Interface),
    /// The membership is of another family than the interface.
    #[error("{0} is of another address family than the group")]
    FamiliesDiffer(Interface),
    /// No further membership can be kept, on that interface or at all.
    #[error(
        "no room for another membership: {0} are the most (ManagerConfig::memberships, or memberships_per_interface)"
    )]
    TooMany(u32),
    /// There is no memory to keep what is said. Deleting with [`StateChange::Join`](super::StateChange::Join) alone needs none.
    #[error("{NO_MEMORY}")]
    NoMemory,
}

/// Why an entry could not be changed (`MgmSetMfe`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetEntryError {
    /// The handle names no client.
    #[error("{STALE}")]
    Stale,
    /// The flow has no entry.
    #[error("{0} has no entry: there is nothing to change")]
    NoEntry(Flow),
    /// The packets of the flow do not arrive on an interface that the client decides about.
    #[error("the incoming interface of {0} is not the caller's: only its owner names the upstream neighbour")]
    NotOwner(Flow),
}

/// Why groups could not be enumerated (`MgmGroupEnumerationStart`, `MgmGroupEnumerationGetNext`,
/// `MgmGroupEnumerationEnd`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnumerationError {
    /// The handle names no registered client, or no enumeration that is open; an enumeration ends with the registration
    /// of the client that started it.
    #[error("the handle names nothing here: register again, or start another enumeration")]
    Stale,
    /// As many enumerations are open as may be.
    #[error("no room for another enumeration: {0} are the most (ManagerConfig::enumerations): end some")]
    TooMany(u32),
    /// There is no memory for the snapshot, or for a page of it; no record of it is lost.
    #[error("{NO_MEMORY}")]
    NoMemory,
}

/// Why a new flow got no entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NewFlowError {
    /// Another thread is making its entry.
    #[error("the entry of {0} is being made: look it up again shortly")]
    Building(Flow),
    /// The call came from inside a callback inside a callback, and so on.
    #[error("{0} was brought from too far inside callbacks: bring it again when some have returned")]
    TooDeep(Flow),
    /// The forwarding table is full, or what one interface may have of it is
    /// ([`ManagerConfig::entries_per_interface`](super::ManagerConfig)).
    #[error("no room for the entry of {0}: raise ManagerConfig::entries, or entries_per_interface")]
    Full(Flow),
    /// Somebody else has published an entry of that flow in the forwarding table.
    #[error("{0} has an entry that is not the manager's: whoever published it has to withdraw it first")]
    Foreign(Flow),
    /// The group's packets never leave their link.
    #[error("{0} is not forwarded: its group is of link-local or smaller scope")]
    DropCounters(Flow),
    /// There is no memory for the entry.
    #[error("no memory for the entry of {0}: bring it again when there is some")]
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
