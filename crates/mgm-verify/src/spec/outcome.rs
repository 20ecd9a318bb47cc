//! How a call ended, said in the same words of the specification and of a manager.

use mgm::manager::{
    DeregisterError, FlowState, MembershipError, NewFlowError, RegisterError, ReleaseError, TakeError,
};
use serde::{Deserialize, Serialize};
use std::fmt;

/// How a call ended: it did what it was to do, or was refused and changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Outcome {
    /// Done.
    Ok,
    /// The flow's packets are copied somewhere.
    Active,
    /// They are not.
    Negative,
    /// The handle names no client.
    Stale,
    /// That protocol instance is registered.
    AlreadyRegistered,
    /// There is no room, for a client or for an entry.
    Full,
    /// So many interfaces are owned.
    StillOwns(u32),
    /// Somebody owns the interface in that role.
    Owned,
    /// No further interface can be known.
    TooManyInterfaces,
    /// The caller does not own it.
    NotOwner,
    /// Nobody owns it in that role.
    NotTaken,
    /// IGMP has not been told yet of a change of the routing protocol.
    ChangingHands,
    /// Interface and group are of two families.
    FamiliesDiffer,
    /// No further membership can be kept.
    TooMany,
    /// The entry is being made.
    Building,
    /// There is no memory.
    NoMemory,
    /// From too deep inside callbacks.
    TooDeep,
    /// The flow is somebody else's.
    Foreign,
    /// Its packets never leave their link.
    NotForwarded,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl From<RegisterError> for Outcome {
    fn from(error: RegisterError) -> Outcome {
        match error {
            RegisterError::AlreadyRegistered(_) => Outcome::AlreadyRegistered,
            RegisterError::Full(_) => Outcome::Full,
            RegisterError::NoMemory => Outcome::NoMemory,
            _ => unreachable!("an error without an outcome: {error}"),
        }
    }
}

impl From<DeregisterError> for Outcome {
    fn from(error: DeregisterError) -> Outcome {
        match error {
            DeregisterError::Stale => Outcome::Stale,
            DeregisterError::StillOwns(owned) => Outcome::StillOwns(owned),
            _ => unreachable!("an error without an outcome: {error}"),
        }
    }
}

impl From<TakeError> for Outcome {
    fn from(error: TakeError) -> Outcome {
        match error {
            TakeError::Stale => Outcome::Stale,
            TakeError::Owned(_) => Outcome::Owned,
            TakeError::TooManyInterfaces(_) => Outcome::TooManyInterfaces,
            TakeError::NoMemory => Outcome::NoMemory,
            _ => unreachable!("an error without an outcome: {error}"),
        }
    }
}

impl From<ReleaseError> for Outcome {
    fn from(error: ReleaseError) -> Outcome {
        match error {
            ReleaseError::Stale => Outcome::Stale,
            ReleaseError::NotOwner(_) => Outcome::NotOwner,
            _ => unreachable!("an error without an outcome: {error}"),
        }
    }
}

impl From<MembershipError> for Outcome {
    fn from(error: MembershipError) -> Outcome {
        match error {
            MembershipError::Stale => Outcome::Stale,
            MembershipError::NotTaken(_) => Outcome::NotTaken,
            MembershipError::NotOwner(_) => Outcome::NotOwner,
            MembershipError::ChangingHands(_) => Outcome::ChangingHands,
            MembershipError::FamiliesDiffer(_) => Outcome::FamiliesDiffer,
            MembershipError::TooMany(_) => Outcome::TooMany,
            MembershipError::NoMemory => Outcome::NoMemory,
            _ => unreachable!("an error without an outcome: {error}"),
        }
    }
}

impl From<NewFlowError> for Outcome {
    fn from(error: NewFlowError) -> Outcome {
        match error {
            NewFlowError::Building(_) => Outcome::Building,
            NewFlowError::TooDeep(_) => Outcome::TooDeep,
            NewFlowError::Full(_) => Outcome::Full,
            NewFlowError::NoMemory(_) => Outcome::NoMemory,
            NewFlowError::Foreign(_) => Outcome::Foreign,
            NewFlowError::NotForwarded(_) => Outcome::NotForwarded,
            _ => unreachable!("an error without an outcome: {error}"),
        }
    }
}

impl From<FlowState> for Outcome {
    fn from(state: FlowState) -> Outcome {
        match state {
            FlowState::Active => Outcome::Active,
            FlowState::Negative => Outcome::Negative,
        }
    }
}

impl<E: Into<Outcome>> From<Result<(), E>> for Outcome {
    fn from(result: Result<(), E>) -> Outcome {
        result.map_or_else(Into::into, |()| Outcome::Ok)
    }
}

impl<E: Into<Outcome>> From<Result<FlowState, E>> for Outcome {
    fn from(result: Result<FlowState, E>) -> Outcome {
        result.map_or_else(Into::into, Into::into)
    }
}
