//! Registering, taking interfaces, and saying where receivers are.

use super::callbacks::Callbacks;
use super::codes::{Code, adding, deleting};
use super::convert::{effect, interface, membership};
use super::process::{guard, running, started, with_handle};
use super::windows::{DWORD, HANDLE, PDWORD, PROUTING_PROTOCOL_CONFIG};
use mgm::handle::Handle;
use mgm::manager::{Client, Protocol};
use std::sync::Arc;

/// The number that a HANDLE is.
pub(super) fn handle(handle: HANDLE) -> Handle {
    Handle::from(handle.addr() as u64)
}

/// Stores a handle where the caller wants it.
///
/// # Safety
/// `at` may be written to.
pub(super) unsafe fn give(handle: Handle, at: *mut HANDLE) {
    // It only looks like an address: it is made from a number and never followed.
    let value = std::ptr::without_provenance_mut(handle.bits() as usize);
    // SAFETY: the caller's promise; it may be unaligned.
    unsafe { at.write_unaligned(value) };
}

/// Registers a client and says its handle.
///
/// # Safety
/// `at` is null or may be written to.
pub(super) unsafe fn register(
    client: Arc<dyn Client>,
    protocol: Protocol,
    at: *mut HANDLE,
) -> Result<Code, Code> {
    if at.is_null() {
        return Err(Code::INVALID);
    }
    let (world, life) = started()?;
    let registered = world.manager().register(protocol, client)?;
    if life.is_over() {
        // The manager was stopped meanwhile and may not have seen this client. Stale means that it has.
        let _ = world.manager().deregister(registered);
        return Err(Code::FAILED);
    }
    // SAFETY: not null, and the caller's promise.
    unsafe { give(registered, at) };
    Ok(Code::DONE)
}

/// Registers a protocol instance, and starts the process-wide manager if need be. To be called before everything that
/// needs a handle. The callbacks are copied; they may be called at once, from any thread, and until
/// MgmDeRegisterMProtocol has returned.
///
/// ERROR_ALREADY_EXISTS: that instance is registered. ERROR_INVALID_PARAMETER: a null pointer.
/// ERROR_NOT_ENOUGH_MEMORY: there are too many clients, or there is no memory. ERROR_CAN_NOT_COMPLETE: the manager is being stopped.
///
/// # Safety
/// Each pointer is null or leads to what its type says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn MgmRegisterMProtocol(
    prpiInfo: PROUTING_PROTOCOL_CONFIG,
    dwProtocolId: DWORD,
    dwComponentId: DWORD,
    phProtocol: *mut HANDLE,
) -> DWORD {
    guard("MgmRegisterMProtocol", || {
        if prpiInfo.is_null() {
            return Err(Code::INVALID);
        }
        // SAFETY: not null, and the caller's promise; it may be unaligned.
        let config = unsafe { prpiInfo.read_unaligned() };
        let client = Arc::new(Callbacks { config, wrong_interface: false });
        // SAFETY: the caller's promise.
        unsafe { register(client, Protocol::new(dwProtocolId, dwComponentId), phProtocol) }
    })
}

/// Ends a registration; its handle is stale from then on, and so are its enumerations. Waits for callbacks of this client
/// that are running, except when it is called from one.
///
/// ERROR_INVALID_PARAMETER: a stale handle. ERROR_CAN_NOT_COMPLETE: the client still owns interfaces, and nothing changed.
#[unsafe(no_mangle)]
pub extern "C" fn MgmDeRegisterMProtocol(hProtocol: HANDLE) -> DWORD {
    guard("MgmDeRegisterMProtocol", || {
        with_handle()?.manager().deregister(handle(hProtocol))?;
        Ok(Code::DONE)
    })
}

/// Makes the client the owner of an interface. dwIfNextHopAddr is 0 but for one link of a point-to-multipoint interface.
///
/// ERROR_ALREADY_EXISTS: somebody owns it, perhaps the caller; only IGMP can be there beside one other.
/// ERROR_INVALID_PARAMETER: a stale handle. ERROR_NOT_ENOUGH_MEMORY: there are too many interfaces,
/// or there is no memory.
#[unsafe(no_mangle)]
pub extern "C" fn MgmTakeInterfaceOwnership(
    hProtocol: HANDLE,
    dwIfIndex: DWORD,
    dwIfNextHopAddr: DWORD,
) -> DWORD {
    guard("MgmTakeInterfaceOwnership", || {
        with_handle()?.manager().take(handle(hProtocol), interface(dwIfIndex, dwIfNextHopAddr))?;
        Ok(Code::DONE)
    })
}

/// Gives an interface up, and with it the client's memberships there, its place in entries, and the entries whose packets
/// arrive there.
///
/// ERROR_INVALID_PARAMETER: a stale handle, or the interface is not the client's.
#[unsafe(no_mangle)]
pub extern "C" fn MgmReleaseInterfaceOwnership(
    hProtocol: HANDLE,
    dwIfIndex: DWORD,
    dwIfNextHopAddr: DWORD,
) -> DWORD {
    guard("MgmReleaseInterfaceOwnership", || {
        with_handle()?.manager().release(handle(hProtocol), interface(dwIfIndex, dwIfNextHopAddr))?;
        Ok(Code::DONE)
    })
}

/// Which protocol owns an interface: the routing protocol, else IGMP. Anybody may ask.
///
/// ERROR_NOT_FOUND: nobody does. ERROR_INVALID_PARAMETER: a null pointer.
///
/// # Safety
/// Each pointer is null or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn MgmGetProtocolOnInterface(
    dwIfIndex: DWORD,
    dwIfNextHopAddr: DWORD,
    pdwIfProtocolId: PDWORD,
    pdwIfComponentId: PDWORD,
) -> DWORD {
    guard("MgmGetProtocolOnInterface", || {
        if pdwIfProtocolId.is_null() || pdwIfComponentId.is_null() {
            return Err(Code::INVALID);
        }
        let (world, _) = running().ok_or(Code::NOT_FOUND)?;
        let owner = world.manager().owner_of(interface(dwIfIndex, dwIfNextHopAddr))?;
        // SAFETY: not null, and the caller's promise; it may be unaligned.
        unsafe { pdwIfProtocolId.write_unaligned(owner.id) };
        // SAFETY: as above.
        unsafe { pdwIfComponentId.write_unaligned(owner.component) };
        Ok(Code::DONE)
    })
}

/// There are receivers on an interface of the client's: of one source's packets to a group (both masks all ones), of a
/// group (source and mask 0), or of everything (all 0). dwFlags is MGM_JOIN_STATE_FLAG, MGM_FORWARD_STATE_FLAG or both.
///
/// ERROR_INVALID_PARAMETER: a stale handle, an address or mask that is none of the above, other flags, or the interface
/// is another client's. ERROR_CAN_NOT_COMPLETE: the interface is not taken, or IGMP has to wait until it is enabled there.
/// ERROR_NOT_ENOUGH_MEMORY: there are too many memberships, or there is no memory.
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
    guard("MgmAddGroupMembershipEntry", || {
        let membership = membership(dwSourceAddr, dwSourceMask, dwGroupAddr, dwGroupMask)?;
        let (effect, interface) = (effect(dwFlags)?, interface(dwIfIndex, dwIfNextHopIPAddr));
        let manager = with_handle()?.manager();
        manager.add_membership(handle(hProtocol), interface, membership, effect).map_err(adding)?;
        Ok(Code::DONE)
    })
}

/// There are no such receivers any more; parameters as above. A membership that is not there is no error.
///
/// ERROR_INVALID_PARAMETER: as above. ERROR_NOT_FOUND: the interface is not taken. ERROR_CAN_NOT_COMPLETE: IGMP has to
/// wait until it is enabled there, or there is no memory for a FORWARD change.
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
    guard("MgmDeleteGroupMembershipEntry", || {
        let membership = membership(dwSourceAddr, dwSourceMask, dwGroupAddr, dwGroupMask)?;
        let (effect, interface) = (effect(dwFlags)?, interface(dwIfIndex, dwIfNextHopIPAddr));
        let manager = with_handle()?.manager();
        manager.delete_membership(handle(hProtocol), interface, membership, effect).map_err(deleting)?;
        Ok(Code::DONE)
    })
}
