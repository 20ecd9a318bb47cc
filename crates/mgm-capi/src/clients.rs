//! Registration, ownership of interfaces, and memberships.

use crate::boundary::catch_panic;
use crate::callbacks::{CallbackClient, ClientOptions};
use crate::codes::{Code, add_code, delete_code};
use crate::convert::{to_effect, to_interface, to_membership};
use crate::instance::Instance;
use crate::lifecycle::ensure_started;
use crate::process::running_or;
use crate::protocol_config::PROUTING_PROTOCOL_CONFIG;
use crate::windows::{DWORD, HANDLE, PDWORD};
use mgm::manager::Protocol;
use std::sync::Arc;

/// Registers a client of the running incarnation and stores its handle. Starts the manager if it does not run.
///
/// # Safety
/// `at` is null or can be written.
pub(crate) unsafe fn register(
    prpiInfo: PROUTING_PROTOCOL_CONFIG,
    options: ClientOptions,
    protocol: Protocol,
    at: *mut HANDLE,
) -> Result<Code, Code> {
    if prpiInfo.is_null() || at.is_null() {
        return Err(Code::INVALID_PARAMETER);
    }
    // SAFETY: not null, and the caller's promise; the read may be unaligned.
    let config = unsafe { prpiInfo.read_unaligned() };
    let (instance, incarnation) = ensure_started()?;
    // A stop waits for this call.
    let _call = incarnation.enter().ok_or(Code::CAN_NOT_COMPLETE)?;
    let client = CallbackClient { config, options, incarnation: incarnation.clone() };
    let registered = instance.manager().register(protocol, Arc::new(client))?;
    if incarnation.is_over() {
        // A stop has begun and may have missed this client. Stale says that the stop has deregistered it. The callbacks
        // that are running are left to the stop, which waits for all of them.
        let _ = instance.manager().deregister_now(registered);
        return Err(Code::CAN_NOT_COMPLETE);
    }
    // SAFETY: not null, and the caller's promise; the write may be unaligned.
    unsafe { at.write_unaligned(instance.to_handle(registered)) };
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
/// - ERROR_CAN_NOT_COMPLETE: the manager is being stopped, this is a child of fork without a manager of its own, or the
///   places of departed clients cannot be used yet, because a reader of the manager's tables does not go on.
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
        // SAFETY: the caller's promise.
        unsafe {
            register(
                prpiInfo,
                ClientOptions::default(),
                Protocol::new(dwProtocolId, dwComponentId),
                phProtocol,
            )
        }
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
        let (manager, client) = Instance::of_handle(hProtocol)?;
        manager.deregister(client)?;
        Ok(Code::SUCCESS)
    })
}

/// Makes the client the owner of an interface.
///
/// If IGMP alone had the interface, the entries that have it as their incoming interface are deleted, and IGMP is disabled
/// and enabled on it, which ends its memberships there.
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
        let (manager, client) = Instance::of_handle(hProtocol)?;
        manager.take(client, interface)?;
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
        let (manager, client) = Instance::of_handle(hProtocol)?;
        manager.release(client, interface)?;
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
        let owner =
            running_or(Code::NOT_FOUND)?.manager().owner_of(to_interface(dwIfIndex, dwIfNextHopAddr))?;
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
        let (manager, client) = Instance::of_handle(hProtocol)?;
        manager.add_membership(client, interface, membership, effect).map_err(add_code)?;
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
        let (manager, client) = Instance::of_handle(hProtocol)?;
        manager.delete_membership(client, interface, membership, effect).map_err(delete_code)?;
        Ok(Code::SUCCESS)
    })
}
