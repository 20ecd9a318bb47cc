//! The calls of a registered client that name addresses, for both families: what the Windows interface has for IPv4 alone.

use super::clients::handle;
use super::codes::{Code, adding, deleting};
use super::convert::effect;
use super::ext_types::{MGM_EXT_FLOW, MGM_EXT_INTERFACE, MGM_EXT_NONE};
use super::process::{guard, with_handle};
use super::windows::{DWORD, HANDLE};
use mgm::manager::{Interface, Membership};

/// # Safety
/// `interface` is null or leads to what its type says.
unsafe fn interface(interface: *const MGM_EXT_INTERFACE) -> Result<Interface, Code> {
    if interface.is_null() {
        return Err(Code::INVALID);
    }
    // SAFETY: not null, and the caller's promise; it may be unaligned.
    unsafe { interface.read_unaligned() }.to_interface().ok_or(Code::INVALID)
}

/// What receivers on an interface want: MGM_EXT_NONE stands for any source, and for any group of the interface's family.
///
/// # Safety
/// `of` is null or leads to what its type says.
unsafe fn membership(of: *const MGM_EXT_FLOW, interface: Interface) -> Result<Membership, Code> {
    if of.is_null() {
        return Err(Code::INVALID);
    }
    // SAFETY: not null, and the caller's promise; it may be unaligned.
    let MGM_EXT_FLOW { Source, Group } = unsafe { of.read_unaligned() };
    let address = |address: super::ext_types::MGM_EXT_ADDRESS| match address.dwFamily {
        MGM_EXT_NONE => Ok(None),
        _ => address.to_address().map(Some).ok_or(Code::INVALID),
    };
    match (address(Source)?, address(Group)?) {
        (None, None) => Ok(Membership::everything(interface.family())),
        (None, Some(group)) => Membership::any_source(group).map_err(|_| Code::INVALID),
        (Some(source), Some(group)) => Membership::one_source(source, group).map_err(|_| Code::INVALID),
        (Some(_), None) => Err(Code::INVALID),
    }
}

/// MgmTakeInterfaceOwnership for an interface of either family.
///
/// # Safety
/// pInterface is null or leads to what its type says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn MgmExtTakeInterfaceOwnership(
    hProtocol: HANDLE,
    pInterface: *const MGM_EXT_INTERFACE,
) -> DWORD {
    guard("MgmExtTakeInterfaceOwnership", || {
        // SAFETY: the caller's promise.
        let interface = unsafe { interface(pInterface) }?;
        with_handle()?.manager().take(handle(hProtocol), interface)?;
        Ok(Code::DONE)
    })
}

/// MgmReleaseInterfaceOwnership for an interface of either family.
///
/// # Safety
/// pInterface is null or leads to what its type says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn MgmExtReleaseInterfaceOwnership(
    hProtocol: HANDLE,
    pInterface: *const MGM_EXT_INTERFACE,
) -> DWORD {
    guard("MgmExtReleaseInterfaceOwnership", || {
        // SAFETY: the caller's promise.
        let interface = unsafe { interface(pInterface) }?;
        with_handle()?.manager().release(handle(hProtocol), interface)?;
        Ok(Code::DONE)
    })
}

/// MgmAddGroupMembershipEntry for either family: of *pMembership, MGM_EXT_NONE stands for any source, and for any group of
/// the interface's family. What the manager has to tell of IPv6 it does not tell clients whose callbacks know IPv4 alone.
///
/// # Safety
/// Each pointer is null or leads to what its type says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn MgmExtAddGroupMembershipEntry(
    hProtocol: HANDLE,
    pMembership: *const MGM_EXT_FLOW,
    pInterface: *const MGM_EXT_INTERFACE,
    dwFlags: DWORD,
) -> DWORD {
    guard("MgmExtAddGroupMembershipEntry", || {
        // SAFETY: the caller's promise.
        let interface = unsafe { interface(pInterface) }?;
        // SAFETY: as above.
        let membership = unsafe { membership(pMembership, interface) }?;
        let effect = effect(dwFlags)?;
        let manager = with_handle()?.manager();
        manager.add_membership(handle(hProtocol), interface, membership, effect).map_err(adding)?;
        Ok(Code::DONE)
    })
}

/// MgmDeleteGroupMembershipEntry for either family; parameters as above.
///
/// # Safety
/// Each pointer is null or leads to what its type says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn MgmExtDeleteGroupMembershipEntry(
    hProtocol: HANDLE,
    pMembership: *const MGM_EXT_FLOW,
    pInterface: *const MGM_EXT_INTERFACE,
    dwFlags: DWORD,
) -> DWORD {
    guard("MgmExtDeleteGroupMembershipEntry", || {
        // SAFETY: the caller's promise.
        let interface = unsafe { interface(pInterface) }?;
        // SAFETY: as above.
        let membership = unsafe { membership(pMembership, interface) }?;
        let effect = effect(dwFlags)?;
        let manager = with_handle()?.manager();
        manager.delete_membership(handle(hProtocol), interface, membership, effect).map_err(deleting)?;
        Ok(Code::DONE)
    })
}
