//! The functions of `mgm_ext.h` for a forwarding plane: hooks, new flows, reading entries, changed routes.

use crate::arguments::{flow, packet};
use crate::boundary::catch_panic;
use crate::codes::Code;
use crate::ext_types::{MGM_EXT_ADDRESS, MGM_EXT_FLOW, MGM_EXT_HOOKS, MGM_EXT_INTERFACE, PMGM_EXT_INTERFACE};
use crate::hooks::{self, HookSet};
use crate::lifecycle::{ensure_started, present};
use crate::process::running_or;
use crate::windows::{DWORD, ERROR_INSUFFICIENT_BUFFER, PDWORD};
use mgm::manager::FlowRequest;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Flows that wait to be reported as changed, at most. Beyond that the report is that any entry may have changed.
const MAX_CHANGES: usize = 1 << 16;

/// Sets the hooks of the forwarding plane, which replace the previous ones. A null pointer removes them.
///
/// Starts the manager if it does not run. When this returns, none of the previous hooks is running; called from inside
/// a hook or a callback it does not wait for that. MgmDeInitialize removes the hooks.
///
/// - ERROR_CAN_NOT_COMPLETE: the manager is being stopped, or the system refused its thread; the hooks are as before.
///
/// # Safety
/// pHooks is null or points to a value of its type. The hooks may be called from any thread until they are replaced.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn MgmExtSetHooks(pHooks: *const MGM_EXT_HOOKS) -> DWORD {
    catch_panic("MgmExtSetHooks", || {
        let (instance, incarnation) = ensure_started()?;
        let process = instance.process;
        // SAFETY: not null, and the caller's promise; the read may be unaligned.
        let new = (!pHooks.is_null()).then(|| unsafe { pHooks.read_unaligned() });
        let new = new.map(|new| {
            let subscribe = |_| instance.manager().subscribe_changes(MAX_CHANGES, || process.waker.wake());
            HookSet::new(new, new.pfnEntryChanged.map(subscribe), incarnation.clone())
        });
        hooks::set(process, &incarnation, new)?;
        Ok(Code::SUCCESS)
    })
}

/// Makes the entry of a flow, on the calling thread. After NO_ERROR the flow has an entry, which may be negative.
///
/// Asks the route lookup and the owners of the interfaces. The packet, from its IP header on, is shown to the owner of
/// the incoming interface; pbPacket may be null with dwSize 0.
///
/// - ERROR_INVALID_PARAMETER: a null pointer, or addresses that form no flow.
/// - ERROR_CAN_NOT_COMPLETE: the manager does not run, another thread is making the entry, or the group is never
///   forwarded.
/// - ERROR_NOT_ENOUGH_MEMORY: too many entries, or no memory.
///
/// # Safety
/// Each pointer is null or points to a value of its type, and pbPacket to dwSize octets.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn MgmExtNewFlow(
    pFlow: *const MGM_EXT_FLOW,
    pbPacket: *const u8,
    dwSize: DWORD,
) -> DWORD {
    catch_panic("MgmExtNewFlow", || {
        // SAFETY: the caller's promise.
        let flow = unsafe { flow(pFlow) }?;
        // SAFETY: as above.
        let packet = unsafe { packet(pbPacket, dwSize) }?;
        let (instance, incarnation) = present()?;
        // A stop waits for this call.
        let _call = incarnation.enter().ok_or(Code::CAN_NOT_COMPLETE)?;
        let (manager, _) = instance.advanced();
        manager.new_flow(FlowRequest::new(flow).with_packet(packet))?;
        if incarnation.is_over() {
            // The stop may have deleted the entries before this one existed.
            manager.flush_entries();
            return Err(Code::CAN_NOT_COMPLETE);
        }
        Ok(Code::SUCCESS)
    })
}

/// Returns the incoming interface and the outgoing interfaces of a flow's entry.
///
/// *pIncoming has index 0 and MGM_EXT_NONE if there is no route to the source. *pdwOutgoing says how many interfaces
/// rgOutgoing has room for, and on return how many the entry has. rgOutgoing may be null if *pdwOutgoing is 0.
///
/// - ERROR_NOT_FOUND: the flow has no entry.
/// - ERROR_INSUFFICIENT_BUFFER: rgOutgoing is too small and was not written.
/// - ERROR_INVALID_PARAMETER: a null pointer, or addresses that form no flow.
///
/// # Safety
/// Each pointer is null or points to a value of its type, and rgOutgoing to *pdwOutgoing values.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn MgmExtGetEntry(
    pFlow: *const MGM_EXT_FLOW,
    pIncoming: PMGM_EXT_INTERFACE,
    rgOutgoing: PMGM_EXT_INTERFACE,
    pdwOutgoing: PDWORD,
) -> DWORD {
    catch_panic("MgmExtGetEntry", || {
        // SAFETY: the caller's promise.
        let flow = unsafe { flow(pFlow) }?;
        if pIncoming.is_null() || pdwOutgoing.is_null() {
            return Err(Code::INVALID_PARAMETER);
        }
        // SAFETY: not null, and the caller's promise; accesses may be unaligned, here and below.
        let room = unsafe { pdwOutgoing.read_unaligned() } as usize;
        if rgOutgoing.is_null() && room > 0 {
            return Err(Code::INVALID_PARAMETER);
        }
        let (manager, _) = running_or(Code::NOT_FOUND)?.advanced();
        let entry = manager.entry(flow).ok_or(Code::NOT_FOUND)?;
        let incoming = entry.incoming.map_or_else(MGM_EXT_INTERFACE::default, MGM_EXT_INTERFACE::from);
        // SAFETY: as above.
        unsafe { pIncoming.write_unaligned(incoming) };
        let count = DWORD::try_from(entry.outgoing.len()).unwrap_or(DWORD::MAX);
        // SAFETY: as above.
        unsafe { pdwOutgoing.write_unaligned(count) };
        if entry.outgoing.len() > room {
            return Err(Code(ERROR_INSUFFICIENT_BUFFER));
        }
        for (at, outgoing) in entry.outgoing.iter().enumerate() {
            // SAFETY: `at` is below the room that the caller has promised.
            unsafe { rgOutgoing.wrapping_add(at).write_unaligned(outgoing.interface.into()) };
        }
        Ok(Code::SUCCESS)
    })
}

/// Reports that the routes to the sources of a network have changed. A null pointer stands for all sources; dwPrefix is
/// not read then.
///
/// Asks the route lookup, on the calling thread, about each source that has entries. Deletes an entry if its incoming
/// interface has changed; the next packet of the flow makes a new one.
///
/// - ERROR_INVALID_PARAMETER: *pNetwork is no address, or dwPrefix is more than 32 for IPv4 or 128 for IPv6.
/// - ERROR_CAN_NOT_COMPLETE: the manager does not run.
///
/// # Safety
/// pNetwork is null or points to a value of its type.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn MgmExtRoutesChanged(pNetwork: *const MGM_EXT_ADDRESS, dwPrefix: DWORD) -> DWORD {
    catch_panic("MgmExtRoutesChanged", || {
        let network = if pNetwork.is_null() {
            None
        } else {
            // SAFETY: not null, and the caller's promise; the read may be unaligned.
            let network = unsafe { pNetwork.read_unaligned() }.to_address().ok_or(Code::INVALID_PARAMETER)?;
            let max = if network.is_ipv4() { Ipv4Addr::BITS } else { Ipv6Addr::BITS };
            if dwPrefix > max {
                return Err(Code::INVALID_PARAMETER);
            }
            Some((network, u8::try_from(dwPrefix).unwrap_or(u8::MAX)))
        };
        let (manager, _) = running_or(Code::CAN_NOT_COMPLETE)?.advanced();
        match network {
            Some((network, prefix_length)) => manager.routes_changed_in(network, prefix_length),
            None => manager.routes_changed(|_| true),
        };
        Ok(Code::SUCCESS)
    })
}
