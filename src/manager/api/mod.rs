//! The types that callers of the manager name.

mod alert;
mod client;
mod config;
mod entry_changes;
mod error;
mod flow_request;
mod interface;
mod membership;
mod ownership_watch;
mod records;
mod rpf;

pub use alert::{
    Cause, CreationAlert, JoinAlert, OfferedInterface, PruneAlert, ReversePathQuestion, WrongInterfaceAlert,
};
pub use client::{Client, Protocol};
pub use config::ManagerConfig;
pub(super) use entry_changes::ChangeFeed;
pub use entry_changes::{ChangeSubscription, EntryChange};
pub use error::{
    ConfigError, DeregisterError, EnumerationError, MembershipError, NewFlowError, NoOwner, RegisterError,
    ReleaseError, SetEntryError, TakeError,
};
pub use flow_request::FlowRequest;
pub use interface::Interface;
pub use membership::{Group, Membership, StateChange};
pub use ownership_watch::OwnershipWatch;
pub(super) use ownership_watch::OwnershipWatches;
pub use records::{
    ClientRecord, EntryRecord, EnumerationKind, FlowState, GroupPage, LimitCounters, MembershipRecord,
    OutgoingRecord, Upcall,
};
pub use rpf::{ReversePath, Route, RpfLookup};
