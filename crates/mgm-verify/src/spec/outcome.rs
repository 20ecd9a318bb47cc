//! The results of calls, in terms that the specification and a manager share.

use mgm::manager::{
    DeregisterError, FlowState, MembershipError, NewFlowError, RegisterError, ReleaseError, TakeError,
};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The result of a call: it succeeded, or it was refused and changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Outcome {
    /// The call succeeded.
    Ok,
    /// The flow has an outgoing interface.
    Active,
    /// The flow has no outgoing interface.
    Negative,
    /// The handle names no client.
    Stale,
    /// The protocol instance is registered already.
    AlreadyRegistered,
    /// There is no room: as many clients are registered as the limit permits, or as many entries are kept.
    Full,
    /// Fewer clients are alive than the limit permits, but the slots of others wait for a reader that stands still.
    Stalled,
    /// The client still owns so many interfaces.
    StillOwns(u32),
    /// The interface has an owner in that role.
    Owned,
    /// No further interface can be known.
    TooManyInterfaces,
    /// The caller does not own the interface.
    NotOwner,
    /// The interface has no owner in that role.
    NotTaken,
    /// IGMP was not notified yet of a change of the routing protocol.
    ChangingHands,
    /// The interface and the group belong to different families.
    FamiliesDiffer,
    /// No further membership can be kept.
    TooMany,
    /// The entry is being built.
    Building,
    /// There is no memory.
    NoMemory,
    /// The call came from too deep inside callbacks.
    TooDeep,
    /// The flow was published without the manager.
    Foreign,
    /// The flow's packets never leave their link.
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
            RegisterError::NoFreeSlot { .. } => Outcome::Stalled,
            RegisterError::NoMemory => Outcome::NoMemory,
            _ => unreachable!("{error} has no outcome"),
        }
    }
}

impl From<DeregisterError> for Outcome {
    fn from(error: DeregisterError) -> Outcome {
        match error {
            DeregisterError::Stale => Outcome::Stale,
            DeregisterError::StillOwns(owned) => Outcome::StillOwns(owned),
            _ => unreachable!("{error} has no outcome"),
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
            _ => unreachable!("{error} has no outcome"),
        }
    }
}

impl From<ReleaseError> for Outcome {
    fn from(error: ReleaseError) -> Outcome {
        match error {
            ReleaseError::Stale => Outcome::Stale,
            ReleaseError::NotOwner(_) => Outcome::NotOwner,
            _ => unreachable!("{error} has no outcome"),
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
            _ => unreachable!("{error} has no outcome"),
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
            _ => unreachable!("{error} has no outcome"),
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
