//! Reads the arguments of the functions of `mgm_ext.h`, which come through pointers.

use crate::codes::Code;
use crate::ext_types::{MGM_EXT_ADDRESS, MGM_EXT_FLOW, MGM_EXT_INTERFACE, MGM_EXT_NONE};
use crate::windows::DWORD;
use mgm::forwarding::Flow;
use mgm::manager::{Interface, Membership};

/// Reads a value that may be unaligned.
///
/// # Safety
/// `pointer` is null or points to a value of its type.
unsafe fn read<T: Copy>(pointer: *const T) -> Result<T, Code> {
    if pointer.is_null() {
        return Err(Code::INVALID_PARAMETER);
    }
    // SAFETY: not null, and the caller's promise; the read may be unaligned.
    Ok(unsafe { pointer.read_unaligned() })
}

/// Reads a flow.
///
/// # Safety
/// `flow` is null or points to a value of its type.
pub(crate) unsafe fn flow(flow: *const MGM_EXT_FLOW) -> Result<Flow, Code> {
    // SAFETY: the caller's promise.
    unsafe { read(flow) }?.to_flow().ok_or(Code::INVALID_PARAMETER)
}

/// Reads an interface.
///
/// # Safety
/// `interface` is null or points to a value of its type.
pub(crate) unsafe fn interface(interface: *const MGM_EXT_INTERFACE) -> Result<Interface, Code> {
    // SAFETY: the caller's promise.
    unsafe { read(interface) }?.to_interface().ok_or(Code::INVALID_PARAMETER)
}

/// Reads a membership: MGM_EXT_NONE is any source, and any group of the interface's family.
///
/// # Safety
/// `membership` is null or points to a value of its type.
pub(crate) unsafe fn membership(
    membership: *const MGM_EXT_FLOW,
    interface: Interface,
) -> Result<Membership, Code> {
    // SAFETY: the caller's promise.
    let MGM_EXT_FLOW { Source, Group } = unsafe { read(membership) }?;
    let address = |address: MGM_EXT_ADDRESS| match address.dwFamily {
        MGM_EXT_NONE => Ok(None),
        _ => address.to_address().map(Some).ok_or(Code::INVALID_PARAMETER),
    };
    match (address(Source)?, address(Group)?) {
        (None, None) => Ok(Membership::everything(interface.family())),
        (None, Some(group)) => Membership::any_source(group).map_err(|_| Code::INVALID_PARAMETER),
        (Some(source), Some(group)) => {
            Membership::one_source(source, group).map_err(|_| Code::INVALID_PARAMETER)
        }
        (Some(_), None) => Err(Code::INVALID_PARAMETER),
    }
}

/// Borrows a packet. A null pointer is an empty packet if the size is 0.
///
/// # Safety
/// `octets` is null or points to `size` octets, which do not change while they are borrowed.
pub(crate) unsafe fn packet<'a>(octets: *const u8, size: DWORD) -> Result<&'a [u8], Code> {
    match (octets.is_null(), size) {
        (true, 0) => Ok(&[]),
        (true, _) => Err(Code::INVALID_PARAMETER),
        // SAFETY: not null, and the caller's promise.
        (false, size) => Ok(unsafe { std::slice::from_raw_parts(octets, size as usize) }),
    }
}
