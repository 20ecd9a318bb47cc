//! Which code each error of the manager's is. The only place that knows.

use super::windows::{
    DWORD, ERROR_ALREADY_EXISTS, ERROR_CAN_NOT_COMPLETE, ERROR_INVALID_PARAMETER, ERROR_NOT_ENOUGH_MEMORY,
    ERROR_NOT_FOUND, NO_ERROR,
};
use mgm::manager::{
    DeregisterError, EnumerationError, MembershipError, NewFlowError, NoOwner, RegisterError, ReleaseError,
    SetEntryError, TakeError,
};

/// What a function of the C interface returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Code(pub(super) DWORD);

impl Code {
    pub(super) const DONE: Code = Code(NO_ERROR);
    pub(super) const INVALID: Code = Code(ERROR_INVALID_PARAMETER);
    pub(super) const FAILED: Code = Code(ERROR_CAN_NOT_COMPLETE);
    pub(super) const EXISTS: Code = Code(ERROR_ALREADY_EXISTS);
    pub(super) const NO_ROOM: Code = Code(ERROR_NOT_ENOUGH_MEMORY);
    pub(super) const NOT_FOUND: Code = Code(ERROR_NOT_FOUND);
}

impl From<RegisterError> for Code {
    fn from(error: RegisterError) -> Code {
        match error {
            RegisterError::AlreadyRegistered(_) => Code::EXISTS,
            RegisterError::Full(_) | RegisterError::NoMemory => Code::NO_ROOM,
            _ => Code::FAILED,
        }
    }
}

impl From<DeregisterError> for Code {
    fn from(error: DeregisterError) -> Code {
        match error {
            DeregisterError::Stale => Code::INVALID,
            DeregisterError::StillOwns(_) | _ => Code::FAILED,
        }
    }
}

impl From<TakeError> for Code {
    fn from(error: TakeError) -> Code {
        match error {
            TakeError::Stale => Code::INVALID,
            TakeError::Owned(_) => Code::EXISTS,
            TakeError::TooManyInterfaces(_) | TakeError::NoMemory => Code::NO_ROOM,
            _ => Code::FAILED,
        }
    }
}

impl From<ReleaseError> for Code {
    fn from(error: ReleaseError) -> Code {
        match error {
            ReleaseError::Stale | ReleaseError::NotOwner(_) => Code::INVALID,
            _ => Code::FAILED,
        }
    }
}

impl From<NoOwner> for Code {
    fn from(NoOwner(_): NoOwner) -> Code {
        Code::NOT_FOUND
    }
}

impl From<SetEntryError> for Code {
    fn from(error: SetEntryError) -> Code {
        match error {
            SetEntryError::Stale | SetEntryError::NotOwner(_) => Code::INVALID,
            SetEntryError::NoEntry(_) => Code::NOT_FOUND,
            _ => Code::FAILED,
        }
    }
}

impl From<EnumerationError> for Code {
    fn from(error: EnumerationError) -> Code {
        match error {
            EnumerationError::Stale => Code::INVALID,
            EnumerationError::TooMany(_) | EnumerationError::NoMemory => Code::NO_ROOM,
            _ => Code::FAILED,
        }
    }
}

impl From<NewFlowError> for Code {
    fn from(error: NewFlowError) -> Code {
        match error {
            NewFlowError::Building(_)
            | NewFlowError::Foreign(_)
            | NewFlowError::NotForwarded(_)
            | NewFlowError::TooDeep(_) => Code::FAILED,
            NewFlowError::Full(_) | NewFlowError::NoMemory(_) => Code::NO_ROOM,
            _ => Code::FAILED,
        }
    }
}

/// Of `MgmAddGroupMembershipEntry`, whose page knows no `ERROR_NOT_FOUND`.
pub(super) fn adding(error: MembershipError) -> Code {
    match error {
        MembershipError::Stale | MembershipError::NotOwner(_) | MembershipError::FamiliesDiffer(_) => {
            Code::INVALID
        }
        MembershipError::NotTaken(_) | MembershipError::ChangingHands(_) => Code::FAILED,
        MembershipError::TooMany(_) | MembershipError::NoMemory => Code::NO_ROOM,
        _ => Code::FAILED,
    }
}

/// Of `MgmDeleteGroupMembershipEntry`, whose page knows no `ERROR_NOT_ENOUGH_MEMORY`.
pub(super) fn deleting(error: MembershipError) -> Code {
    match error {
        MembershipError::NotTaken(_) => Code::NOT_FOUND,
        MembershipError::NoMemory => Code::FAILED,
        error => adding(error),
    }
}
