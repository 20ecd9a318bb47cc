//! The functions of a registered client, for interfaces and addresses of both families.

use crate::arguments::{interface, membership};
use crate::boundary::catch_panic;
use crate::codes::{Code, add_code, delete_code};
use crate::convert::to_effect;
use crate::ext_types::{MGM_EXT_FLOW, MGM_EXT_INTERFACE};
use crate::instance::Instance;
use crate::windows::{DWORD, HANDLE};

/// Makes the client the owner of an interface of either family. Returns the codes of MgmTakeInterfaceOwnership.
///
/// # Safety
/// pInterface is null or points to a value of its type.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn MgmExtTakeInterfaceOwnership(
    hProtocol: HANDLE,
    pInterface: *const MGM_EXT_INTERFACE,
) -> DWORD {
    catch_panic("MgmExtTakeInterfaceOwnership", || {
        // SAFETY: the caller's promise.
        let interface = unsafe { interface(pInterface) }?;
        let (manager, client) = Instance::of_handle(hProtocol)?;
        manager.take(client, interface)?;
        Ok(Code::SUCCESS)
    })
}

/// Releases an interface of either family. Returns the codes of MgmReleaseInterfaceOwnership.
///
/// # Safety
/// pInterface is null or points to a value of its type.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn MgmExtReleaseInterfaceOwnership(
    hProtocol: HANDLE,
    pInterface: *const MGM_EXT_INTERFACE,
) -> DWORD {
    catch_panic("MgmExtReleaseInterfaceOwnership", || {
        // SAFETY: the caller's promise.
        let interface = unsafe { interface(pInterface) }?;
        let (manager, client) = Instance::of_handle(hProtocol)?;
        manager.release(client, interface)?;
        Ok(Code::SUCCESS)
    })
}

/// Adds a membership of either family. Returns the codes of MgmAddGroupMembershipEntry.
///
/// In *pMembership, MGM_EXT_NONE is any source, and any group of the interface's family. The callbacks of mgm.h carry
/// IPv4 addresses only: events of IPv6 are not reported to the client.
///
/// # Safety
/// Each pointer is null or points to a value of its type.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn MgmExtAddGroupMembershipEntry(
    hProtocol: HANDLE,
    pMembership: *const MGM_EXT_FLOW,
    pInterface: *const MGM_EXT_INTERFACE,
    dwFlags: DWORD,
) -> DWORD {
    catch_panic("MgmExtAddGroupMembershipEntry", || {
        // SAFETY: the caller's promise.
        let interface = unsafe { interface(pInterface) }?;
        // SAFETY: as above.
        let membership = unsafe { membership(pMembership, interface) }?;
        let effect = to_effect(dwFlags)?;
        let (manager, client) = Instance::of_handle(hProtocol)?;
        manager.add_membership(client, interface, membership, effect).map_err(add_code)?;
        Ok(Code::SUCCESS)
    })
}

/// Deletes a membership of either family. Takes the parameters of MgmExtAddGroupMembershipEntry and returns the codes
/// of MgmDeleteGroupMembershipEntry.
///
/// # Safety
/// Each pointer is null or points to a value of its type.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn MgmExtDeleteGroupMembershipEntry(
    hProtocol: HANDLE,
    pMembership: *const MGM_EXT_FLOW,
    pInterface: *const MGM_EXT_INTERFACE,
    dwFlags: DWORD,
) -> DWORD {
    catch_panic("MgmExtDeleteGroupMembershipEntry", || {
        // SAFETY: the caller's promise.
        let interface = unsafe { interface(pInterface) }?;
        // SAFETY: as above.
        let membership = unsafe { membership(pMembership, interface) }?;
        let effect = to_effect(dwFlags)?;
        let (manager, client) = Instance::of_handle(hProtocol)?;
        manager.delete_membership(client, interface, membership, effect).map_err(delete_code)?;
        Ok(Code::SUCCESS)
    })
}
