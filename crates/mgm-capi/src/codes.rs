//! Maps the errors of the manager to the codes of the C interface.
//!
//! Errors that a later version of the library may add become `ERROR_CAN_NOT_COMPLETE`.

use crate::windows::{
    DWORD, ERROR_ALREADY_EXISTS, ERROR_CAN_NOT_COMPLETE, ERROR_INVALID_PARAMETER, ERROR_NOT_ENOUGH_MEMORY,
    ERROR_NOT_FOUND, NO_ERROR,
};
use mgm::manager::{
    DeregisterError, EnumerationError, MembershipError, NewFlowError, NoOwner, RegisterError, ReleaseError,
    SetEntryError, TakeError,
};

/// The return value of a function of the C interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Code(pub(crate) DWORD);

impl Code {
    pub(crate) const SUCCESS: Code = Code(NO_ERROR);
    pub(crate) const INVALID_PARAMETER: Code = Code(ERROR_INVALID_PARAMETER);
    pub(crate) const CAN_NOT_COMPLETE: Code = Code(ERROR_CAN_NOT_COMPLETE);
    pub(crate) const ALREADY_EXISTS: Code = Code(ERROR_ALREADY_EXISTS);
    pub(crate) const NOT_ENOUGH_MEMORY: Code = Code(ERROR_NOT_ENOUGH_MEMORY);
    pub(crate) const NOT_FOUND: Code = Code(ERROR_NOT_FOUND);
}

impl From<RegisterError> for Code {
    fn from(error: RegisterError) -> Code {
        match error {
            RegisterError::AlreadyRegistered(_) => Code::ALREADY_EXISTS,
            RegisterError::Full(_) | RegisterError::NoMemory => Code::NOT_ENOUGH_MEMORY,
            _ => Code::CAN_NOT_COMPLETE,
        }
    }
}

impl From<DeregisterError> for Code {
    fn from(error: DeregisterError) -> Code {
        match error {
            DeregisterError::Stale => Code::INVALID_PARAMETER,
            // StillOwns, and errors to come.
            _ => Code::CAN_NOT_COMPLETE,
        }
    }
}

impl From<TakeError> for Code {
    fn from(error: TakeError) -> Code {
        match error {
            TakeError::Stale => Code::INVALID_PARAMETER,
            TakeError::Owned(_) => Code::ALREADY_EXISTS,
            TakeError::TooManyInterfaces(_) | TakeError::NoMemory => Code::NOT_ENOUGH_MEMORY,
            _ => Code::CAN_NOT_COMPLETE,
        }
    }
}

impl From<ReleaseError> for Code {
    fn from(error: ReleaseError) -> Code {
        match error {
            ReleaseError::Stale | ReleaseError::NotOwner(_) => Code::INVALID_PARAMETER,
            _ => Code::CAN_NOT_COMPLETE,
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
            SetEntryError::Stale | SetEntryError::NotOwner(_) => Code::INVALID_PARAMETER,
            SetEntryError::NoEntry(_) => Code::NOT_FOUND,
            _ => Code::CAN_NOT_COMPLETE,
        }
    }
}

impl From<EnumerationError> for Code {
    fn from(error: EnumerationError) -> Code {
        match error {
            EnumerationError::Stale => Code::INVALID_PARAMETER,
            EnumerationError::TooMany(_) | EnumerationError::NoMemory => Code::NOT_ENOUGH_MEMORY,
            _ => Code::CAN_NOT_COMPLETE,
        }
    }
}

impl From<NewFlowError> for Code {
    fn from(error: NewFlowError) -> Code {
        match error {
            NewFlowError::Full(_) | NewFlowError::NoMemory(_) => Code::NOT_ENOUGH_MEMORY,
            // Building, Foreign, NotForwarded, TooDeep, and errors to come.
            _ => Code::CAN_NOT_COMPLETE,
        }
    }
}

/// Maps an error of adding a membership. The page of `MgmAddGroupMembershipEntry` lists no `ERROR_NOT_FOUND`.
pub(crate) fn add_code(error: MembershipError) -> Code {
    match error {
        MembershipError::Stale | MembershipError::NotOwner(_) | MembershipError::FamiliesDiffer(_) => {
            Code::INVALID_PARAMETER
        }
        MembershipError::TooMany(_) | MembershipError::NoMemory => Code::NOT_ENOUGH_MEMORY,
        // NotTaken, a change of ownership in progress, and errors to come.
        _ => Code::CAN_NOT_COMPLETE,
    }
}

/// Maps an error of deleting a membership. The page of `MgmDeleteGroupMembershipEntry` lists no
/// `ERROR_NOT_ENOUGH_MEMORY`.
pub(crate) fn delete_code(error: MembershipError) -> Code {
    match error {
        MembershipError::NotTaken(_) => Code::NOT_FOUND,
        MembershipError::NoMemory => Code::CAN_NOT_COMPLETE,
        error => add_code(error),
    }
}
