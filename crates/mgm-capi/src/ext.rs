//! The functions of `mgm_ext.h`: what the Windows interface leaves to its router, so that a forwarding plane can be
//! written in C.

use super::callbacks::Callbacks;
use super::clients::register;
use super::codes::Code;
use super::ext_types::{
    MGM_EXT_ADDRESS, MGM_EXT_FLOW, MGM_EXT_HOOKS, MGM_EXT_INTERFACE, MGM_EXT_LIMITS, MGM_EXT_WANT_WRONG_IF,
    PMGM_EXT_INTERFACE, PMGM_EXT_LIMITS,
};
use super::hooks;
use super::process::{guard, panics, running, start, started};
use super::windows::{DWORD, ERROR_INSUFFICIENT_BUFFER, HANDLE, PDWORD, PROUTING_PROTOCOL_CONFIG};
use mgm::forwarding::Flow;
use mgm::manager::{FlowRequest, ManagerConfig, Protocol};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// The version of the library: major << 16 | minor << 8 | patch.
#[unsafe(no_mangle)]
pub extern "C" fn MgmExtVersion() -> DWORD {
    const fn number(text: &str) -> DWORD {
        match DWORD::from_str_radix(text, 10) {
            Ok(number) => number,
            Err(_) => panic!("cargo's version numbers are numbers"),
        }
    }
    const VERSION: DWORD = number(env!("CARGO_PKG_VERSION_MAJOR")) << 16
        | number(env!("CARGO_PKG_VERSION_MINOR")) << 8
        | number(env!("CARGO_PKG_VERSION_PATCH"));
    VERSION
}

/// MgmInitialize, with limits; null for the usual ones. They are settled by the first start of the process.
///
/// ERROR_ALREADY_EXISTS: it runs already. ERROR_INVALID_PARAMETER: a limit that cannot be.
/// ERROR_CAN_NOT_COMPLETE: it is being stopped, or was started with other limits before, or has no thread.
///
/// # Safety
/// pLimits is null or leads to what its type says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn MgmExtInitialize(pLimits: PMGM_EXT_LIMITS) -> DWORD {
    guard("MgmExtInitialize", || {
        // SAFETY: not null, and the caller's promise; it may be unaligned.
        let limits = (!pLimits.is_null()).then(|| unsafe { pLimits.read_unaligned() });
        start(limits.map(config))?;
        Ok(Code::DONE)
    })
}

fn config(limits: MGM_EXT_LIMITS) -> ManagerConfig {
    let usual = ManagerConfig::default();
    let or = |limit: DWORD, usual: u32| if limit == 0 { usual } else { limit };
    let memberships = or(limits.dwMemberships, usual.memberships);
    let entries = or(limits.dwEntries, usual.entries);
    let negative_entries = or(limits.dwNegativeEntries, usual.negative_entries);
    usual
        .clone()
        .with_clients(or(limits.dwClients, usual.clients))
        .with_interfaces(or(limits.dwInterfaces, usual.interfaces))
        .with_memberships(memberships)
        .with_entries(entries)
        .with_negative_entries(negative_entries)
        .with_memberships_per_interface(usual.memberships_per_interface.max(memberships / 16))
        .with_entries_per_interface(usual.entries_per_interface.max(entries / 2))
        .with_negative_entries_per_interface(usual.negative_entries_per_interface.max(negative_entries / 4))
        .with_enumerations(or(limits.dwEnumerations, usual.enumerations))
        .with_entry_lifetime(match limits.dwEntryLifetime {
            0 => usual.entry_lifetime,
            seconds => Duration::from_secs(seconds.into()),
        })
}

/// MgmRegisterMProtocol, with wishes in dwFlags: MGM_EXT_WANT_WRONG_IF has pfnWrongIfCallback called, which is not called
/// otherwise: for packets that arrive on an interface of the client's which is not their flow's incoming one, at most once
/// in a while for each flow.
///
/// ERROR_INVALID_PARAMETER: other flags, too.
///
/// # Safety
/// As of MgmRegisterMProtocol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn MgmExtRegisterMProtocol(
    prpiInfo: PROUTING_PROTOCOL_CONFIG,
    dwProtocolId: DWORD,
    dwComponentId: DWORD,
    dwFlags: DWORD,
    phProtocol: *mut HANDLE,
) -> DWORD {
    guard("MgmExtRegisterMProtocol", || {
        if prpiInfo.is_null() || dwFlags & !MGM_EXT_WANT_WRONG_IF != 0 {
            return Err(Code::INVALID);
        }
        // SAFETY: not null, and the caller's promise; it may be unaligned.
        let config = unsafe { prpiInfo.read_unaligned() };
        let client = Arc::new(Callbacks { config, wrong_interface: dwFlags & MGM_EXT_WANT_WRONG_IF != 0 });
        // SAFETY: the caller's promise.
        unsafe { register(client, Protocol::new(dwProtocolId, dwComponentId), phProtocol) }
    })
}

/// Sets the hooks of the forwarding plane, in the place of those that were set before; null for none. Starts the manager if
/// need be. When it returns, none of the hooks before is running, except when it is called from inside a hook: then it
/// does not wait. MgmDeInitialize takes the hooks away.
///
/// # Safety
/// pHooks is null or leads to what its type says; the hooks may be called from any thread until they are taken away.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn MgmExtSetHooks(pHooks: *const MGM_EXT_HOOKS) -> DWORD {
    guard("MgmExtSetHooks", || {
        started()?;
        // SAFETY: not null, and the caller's promise; it may be unaligned.
        hooks::set((!pHooks.is_null()).then(|| unsafe { pHooks.read_unaligned() }));
        Ok(Code::DONE)
    })
}

/// # Safety
/// `flow` is null or leads to what its type says.
pub(super) unsafe fn flow(flow: *const MGM_EXT_FLOW) -> Result<Flow, Code> {
    if flow.is_null() {
        return Err(Code::INVALID);
    }
    // SAFETY: not null, and the caller's promise; it may be unaligned.
    unsafe { flow.read_unaligned() }.to_flow().ok_or(Code::INVALID)
}

/// A packet met no entry: makes one, on this thread, asking the route lookup and the owners of interfaces. Of the packet,
/// as much is shown to the owner of the incoming interface as is given here: from its IP header on; it may be null with
/// size 0. After NO_ERROR the flow has an entry, perhaps a negative one.
///
/// ERROR_INVALID_PARAMETER: a null pointer, or no flow. ERROR_CAN_NOT_COMPLETE: the manager does not run, another thread is
/// making the entry, or the group is never forwarded. ERROR_NOT_ENOUGH_MEMORY: there are too many
/// entries, or there is no memory.
///
/// # Safety
/// Each pointer is null or leads to what its type says; pbPacket to dwSize bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn MgmExtNewFlow(
    pFlow: *const MGM_EXT_FLOW,
    pbPacket: *const u8,
    dwSize: DWORD,
) -> DWORD {
    guard("MgmExtNewFlow", || {
        // SAFETY: the caller's promise.
        let flow = unsafe { flow(pFlow) }?;
        // SAFETY: as above.
        let packet = unsafe { packet(pbPacket, dwSize) }?;
        let (world, life) = running().ok_or(Code::FAILED)?;
        let (manager, _) = world.on_time();
        manager.new_flow(FlowRequest::new(flow).with_packet(packet))?;
        if life.is_over() {
            // The stop may have swept before the entry was there.
            manager.flush_entries();
            return Err(Code::FAILED);
        }
        Ok(Code::DONE)
    })
}

/// # Safety
/// `bytes` is null or leads to so many bytes, which do not change while they are looked at.
pub(super) unsafe fn packet<'a>(bytes: *const u8, size: DWORD) -> Result<&'a [u8], Code> {
    match (bytes.is_null(), size) {
        (true, 0) => Ok(&[]),
        (true, _) => Err(Code::INVALID),
        // SAFETY: not null, and the caller's promise.
        (false, size) => Ok(unsafe { std::slice::from_raw_parts(bytes, size as usize) }),
    }
}

/// The entry of a flow: where its packets have to arrive (*pIncoming; MGM_EXT_NONE and index 0 if nowhere), and where they
/// are copied to (rgOutgoing). *pdwOutgoing says how many interfaces have room there, and on return how many there are.
///
/// ERROR_NOT_FOUND: there is no such entry. ERROR_INSUFFICIENT_BUFFER: rgOutgoing is too small; it is not written, and may
/// be null if there is no room. ERROR_INVALID_PARAMETER: a null pointer, or no flow.
///
/// # Safety
/// Each pointer is null or leads to what its type says; rgOutgoing to *pdwOutgoing of it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn MgmExtGetEntry(
    pFlow: *const MGM_EXT_FLOW,
    pIncoming: PMGM_EXT_INTERFACE,
    rgOutgoing: PMGM_EXT_INTERFACE,
    pdwOutgoing: PDWORD,
) -> DWORD {
    guard("MgmExtGetEntry", || {
        // SAFETY: the caller's promise.
        let flow = unsafe { flow(pFlow) }?;
        if pIncoming.is_null() || pdwOutgoing.is_null() {
            return Err(Code::INVALID);
        }
        // SAFETY: not null, and the caller's promise; it may be unaligned, here and below.
        let room = unsafe { pdwOutgoing.read_unaligned() } as usize;
        if rgOutgoing.is_null() && room > 0 {
            return Err(Code::INVALID);
        }
        let (world, _) = running().ok_or(Code::NOT_FOUND)?;
        let entry = world.on_time().0.entry(flow).ok_or(Code::NOT_FOUND)?;
        let incoming = entry.incoming.map_or_else(MGM_EXT_INTERFACE::default, MGM_EXT_INTERFACE::from);
        // SAFETY: as above.
        unsafe { pIncoming.write_unaligned(incoming) };
        // SAFETY: as above.
        unsafe { pdwOutgoing.write_unaligned(DWORD::try_from(entry.outgoing.len()).unwrap_or(DWORD::MAX)) };
        if entry.outgoing.len() > room {
            return Err(Code(ERROR_INSUFFICIENT_BUFFER));
        }
        for (at, outgoing) in entry.outgoing.iter().enumerate() {
            // SAFETY: fewer than there is room for, by the caller's promise.
            unsafe { rgOutgoing.wrapping_add(at).write_unaligned(outgoing.interface.into()) };
        }
        Ok(Code::DONE)
    })
}

/// The routes to the sources of a network are others now; null for all. The route lookup is asked about each of them that
/// has entries, on this thread, and entries whose packets have to arrive elsewhere go: their flows' next packets have
/// them made anew.
///
/// ERROR_INVALID_PARAMETER: no network. ERROR_CAN_NOT_COMPLETE: the manager does not run.
///
/// # Safety
/// pNetwork is null or leads to what its type says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn MgmExtRoutesChanged(pNetwork: *const MGM_EXT_ADDRESS, dwPrefix: DWORD) -> DWORD {
    guard("MgmExtRoutesChanged", || {
        let network = if pNetwork.is_null() {
            None
        } else {
            // SAFETY: not null, and the caller's promise; it may be unaligned.
            let network = unsafe { pNetwork.read_unaligned() }.to_address().ok_or(Code::INVALID)?;
            Some((network, dwPrefix))
        };
        let (world, _) = running().ok_or(Code::FAILED)?;
        world.on_time().0.routes_changed(|source| network.is_none_or(|network| is_in(source, network)));
        Ok(Code::DONE)
    })
}

/// Whether the leading bits of an address are those of a network. Of more bits than there are, all count.
fn is_in(address: IpAddr, (network, prefix): (IpAddr, DWORD)) -> bool {
    let same =
        |differing: u128, bits: u32| prefix.min(bits) <= differing.leading_zeros() - (u128::BITS - bits);
    match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(n)) => same((a.to_bits() ^ n.to_bits()).into(), 32),
        (IpAddr::V6(a), IpAddr::V6(n)) => same(a.to_bits() ^ n.to_bits(), 128),
        _ => false,
    }
}

/// How many panics of the library were stopped at the border to C since the process began. It should be 0.
#[unsafe(no_mangle)]
pub extern "C" fn MgmExtPanics() -> DWORD {
    DWORD::try_from(panics()).unwrap_or(DWORD::MAX)
}
