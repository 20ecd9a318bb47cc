//! Registration, ownership of interfaces, and memberships.

use crate::boundary::catch_panic;
use crate::callbacks::CallbackClient;
use crate::codes::{Code, add_code, delete_code};
use crate::convert::{to_effect, to_interface, to_membership};
use crate::instance::Instance;
use crate::lifecycle::ensure_started;
use crate::protocol_config::PROUTING_PROTOCOL_CONFIG;
use crate::windows::{DWORD, HANDLE, PDWORD};
use mgm::handle::Handle;
use mgm::manager::{Client, Protocol};
use std::sync::Arc;

/// Converts a HANDLE, which carries the bits of a handle in the place of an address.
pub(crate) fn to_handle(handle: HANDLE) -> Handle {
    Handle::from_bits(handle.addr() as u64).unwrap_or(Handle::STALE)
}

/// Stores a handle in a variable of the caller.
///
/// # Safety
/// `at` can be written.
pub(crate) unsafe fn store_handle(handle: Handle, at: *mut HANDLE) {
    // A number in the place of an address: it is never dereferenced.
    let value = std::ptr::without_provenance_mut(handle.to_bits() as usize);
    // SAFETY: the caller's promise; the write may be unaligned.
    unsafe { at.write_unaligned(value) };
}

/// Registers a client and stores its handle.
///
/// # Safety
/// `at` is null or can be written.
pub(crate) unsafe fn register(
    client: Arc<dyn Client>,
    protocol: Protocol,
    at: *mut HANDLE,
) -> Result<Code, Code> {
    if at.is_null() {
        return Err(Code::INVALID_PARAMETER);
    }
    let (instance, incarnation) = ensure_started()?;
    let registered = instance.manager().register(protocol, client)?;
    if incarnation.is_over() {
        // A stop has begun and may have missed this client. Stale says that the stop has deregistered it.
        let _ = instance.manager().deregister(registered);
        return Err(Code::CAN_NOT_COMPLETE);
    }
    // SAFETY: not null, and the caller's promise.
    unsafe { store_handle(registered, at) };
    Ok(Code::SUCCESS)
}

/// Registers a protocol instance, and starts the process-wide manager if it does not run.
///
/// Returns in *phProtocol the handle that the functions below take. The callbacks are copied. They may be called from
/// any thread, from before this function returns until MgmDeRegisterMProtocol has returned.
///
/// - ERROR_ALREADY_EXISTS: this instance is registered.
/// - ERROR_INVALID_PARAMETER: a null pointer.
/// - ERROR_NOT_ENOUGH_MEMORY: too many clients, or no memory.
/// - ERROR_CAN_NOT_COMPLETE: the manager is being stopped.
///
/// # Safety
/// Each pointer is null or points to a value of its type.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn MgmRegisterMProtocol(
    prpiInfo: PROUTING_PROTOCOL_CONFIG,
    dwProtocolId: DWORD,
    dwComponentId: DWORD,
    phProtocol: *mut HANDLE,
) -> DWORD {
    catch_panic("MgmRegisterMProtocol", || {
        if prpiInfo.is_null() {
            return Err(Code::INVALID_PARAMETER);
        }
        // SAFETY: not null, and the caller's promise; the read may be unaligned.
        let config = unsafe { prpiInfo.read_unaligned() };
        let client = Arc::new(CallbackClient { config, wants_wrong_interface: false });
        // SAFETY: the caller's promise.
        unsafe { register(client, Protocol::new(dwProtocolId, dwComponentId), phProtocol) }
    })
}

/// Deregisters a client. Its handle and its enumerations are stale from then on.
///
/// Waits for callbacks of this client that are running, except when it is called from inside a callback.
///
/// - ERROR_INVALID_PARAMETER: a stale handle.
/// - ERROR_CAN_NOT_COMPLETE: the client still owns interfaces; nothing has changed.
#[unsafe(no_mangle)]
pub extern "C" fn MgmDeRegisterMProtocol(hProtocol: HANDLE) -> DWORD {
    catch_panic("MgmDeRegisterMProtocol", || {
        Instance::manager_for_handle()?.deregister(to_handle(hProtocol))?;
        Ok(Code::SUCCESS)
    })
}

/// Makes the client the owner of an interface.
///
/// dwIfNextHopAddr is 0, or names one link of a point-to-multipoint interface. An interface has at most one owner, and
/// IGMP beside it.
///
/// - ERROR_ALREADY_EXISTS: the interface has an owner, which may be the caller.
/// - ERROR_INVALID_PARAMETER: a stale handle.
/// - ERROR_NOT_ENOUGH_MEMORY: too many interfaces, or no memory.
#[unsafe(no_mangle)]
pub extern "C" fn MgmTakeInterfaceOwnership(
    hProtocol: HANDLE,
    dwIfIndex: DWORD,
    dwIfNextHopAddr: DWORD,
) -> DWORD {
    catch_panic("MgmTakeInterfaceOwnership", || {
        let interface = to_interface(dwIfIndex, dwIfNextHopAddr);
        Instance::manager_for_handle()?.take(to_handle(hProtocol), interface)?;
        Ok(Code::SUCCESS)
    })
}

/// Releases an interface.
///
/// Ends the client's memberships on the interface, removes the interface from entries, and deletes the entries that have
/// it as their incoming interface.
///
/// - ERROR_INVALID_PARAMETER: a stale handle, or the client does not own the interface.
#[unsafe(no_mangle)]
pub extern "C" fn MgmReleaseInterfaceOwnership(
    hProtocol: HANDLE,
    dwIfIndex: DWORD,
    dwIfNextHopAddr: DWORD,
) -> DWORD {
    catch_panic("MgmReleaseInterfaceOwnership", || {
        let interface = to_interface(dwIfIndex, dwIfNextHopAddr);
        Instance::manager_for_handle()?.release(to_handle(hProtocol), interface)?;
        Ok(Code::SUCCESS)
    })
}

/// Returns which protocol owns an interface: the routing protocol if there is one, otherwise IGMP. Needs no handle.
///
/// - ERROR_NOT_FOUND: the interface has no owner.
/// - ERROR_INVALID_PARAMETER: a null pointer.
///
/// # Safety
/// Each pointer is null or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn MgmGetProtocolOnInterface(
    dwIfIndex: DWORD,
    dwIfNextHopAddr: DWORD,
    pdwIfProtocolId: PDWORD,
    pdwIfComponentId: PDWORD,
) -> DWORD {
    catch_panic("MgmGetProtocolOnInterface", || {
        if pdwIfProtocolId.is_null() || pdwIfComponentId.is_null() {
            return Err(Code::INVALID_PARAMETER);
        }
        let (instance, _) = Instance::running().ok_or(Code::NOT_FOUND)?;
        let owner = instance.manager().owner_of(to_interface(dwIfIndex, dwIfNextHopAddr))?;
        // SAFETY: not null, and the caller's promise; the write may be unaligned.
        unsafe { pdwIfProtocolId.write_unaligned(owner.id) };
        // SAFETY: as above.
        unsafe { pdwIfComponentId.write_unaligned(owner.component) };
        Ok(Code::SUCCESS)
    })
}

/// Adds a membership: receivers on an interface of the client.
///
/// The receivers want the packets of one source to one group (both masks all ones), of every source to one group
/// (source and its mask 0), or of every source to every group (all four 0). dwFlags is MGM_JOIN_STATE_FLAG,
/// MGM_FORWARD_STATE_FLAG, or both.
///
/// - ERROR_INVALID_PARAMETER: a stale handle, other addresses or masks, other flags, or another client owns the
///   interface.
/// - ERROR_CAN_NOT_COMPLETE: the interface has no owner, or IGMP was disabled on it and has not been enabled since.
/// - ERROR_NOT_ENOUGH_MEMORY: too many memberships, or no memory.
#[unsafe(no_mangle)]
pub extern "C" fn MgmAddGroupMembershipEntry(
    hProtocol: HANDLE,
    dwSourceAddr: DWORD,
    dwSourceMask: DWORD,
    dwGroupAddr: DWORD,
    dwGroupMask: DWORD,
    dwIfIndex: DWORD,
    dwIfNextHopIPAddr: DWORD,
    dwFlags: DWORD,
) -> DWORD {
    catch_panic("MgmAddGroupMembershipEntry", || {
        let membership = to_membership(dwSourceAddr, dwSourceMask, dwGroupAddr, dwGroupMask)?;
        let (effect, interface) = (to_effect(dwFlags)?, to_interface(dwIfIndex, dwIfNextHopIPAddr));
        let manager = Instance::manager_for_handle()?;
        manager.add_membership(to_handle(hProtocol), interface, membership, effect).map_err(add_code)?;
        Ok(Code::SUCCESS)
    })
}

/// Deletes a membership. Takes the parameters of MgmAddGroupMembershipEntry. A membership that does not exist is no
/// error.
///
/// - ERROR_INVALID_PARAMETER: as of MgmAddGroupMembershipEntry.
/// - ERROR_NOT_FOUND: the interface has no owner.
/// - ERROR_CAN_NOT_COMPLETE: IGMP was disabled on the interface and has not been enabled since, or there is no memory
///   for a FORWARD change.
#[unsafe(no_mangle)]
pub extern "C" fn MgmDeleteGroupMembershipEntry(
    hProtocol: HANDLE,
    dwSourceAddr: DWORD,
    dwSourceMask: DWORD,
    dwGroupAddr: DWORD,
    dwGroupMask: DWORD,
    dwIfIndex: DWORD,
    dwIfNextHopIPAddr: DWORD,
    dwFlags: DWORD,
) -> DWORD {
    catch_panic("MgmDeleteGroupMembershipEntry", || {
        let membership = to_membership(dwSourceAddr, dwSourceMask, dwGroupAddr, dwGroupMask)?;
        let (effect, interface) = (to_effect(dwFlags)?, to_interface(dwIfIndex, dwIfNextHopIPAddr));
        let manager = Instance::manager_for_handle()?;
        manager
            .delete_membership(to_handle(hProtocol), interface, membership, effect)
            .map_err(delete_code)?;
        Ok(Code::SUCCESS)
    })
}
