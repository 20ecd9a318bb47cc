//! Looking at entries, and naming the neighbour of one.

use super::buffer::{Buffer, Count};
use super::clients::handle;
use super::codes::Code;
use super::convert::{address, neighbour};
use super::mib::Form;
use super::process::{World, guard, running, with_handle};
use super::windows::{
    DWORD, ERROR_MORE_DATA, ERROR_NO_MORE_ITEMS, HANDLE, MIB_IPMCAST_MFE, PBYTE, PDWORD, PMIB_IPMCAST_MFE,
};
use mgm::forwarding::{Family, Flow};
use std::mem::offset_of;
use std::net::{IpAddr, Ipv4Addr};

/// So many entries are looked at under one lock.
const PAGE: usize = 64;

/// A field of a record that may be unaligned, and shorter than its type.
///
/// # Safety
/// Four bytes may be read there.
unsafe fn field(record: PMIB_IPMCAST_MFE, offset: usize) -> DWORD {
    // SAFETY: the caller's promise.
    unsafe { record.wrapping_byte_add(offset).cast::<DWORD>().read_unaligned() }
}

/// The two fields of a key that are looked at: source and group. The caller may have no more of the structure than that.
///
/// # Safety
/// `key` is null or the two may be read.
unsafe fn key(key: PMIB_IPMCAST_MFE) -> Result<(Ipv4Addr, Ipv4Addr), Code> {
    if key.is_null() {
        return Err(Code::INVALID);
    }
    // SAFETY: not null, and the caller's promise; it may be unaligned.
    let group = unsafe { field(key, offset_of!(MIB_IPMCAST_MFE, dwGroup)) };
    // SAFETY: as above.
    let source = unsafe { field(key, offset_of!(MIB_IPMCAST_MFE, dwSource)) };
    Ok((address(source), address(group)))
}

/// Where a walk goes on.
enum From {
    Beginning,
    Behind(Flow),
    End,
}

impl From {
    /// Strictly behind a pair of addresses, which need not be a flow: all of them are in one order.
    fn behind(source: Ipv4Addr, group: Ipv4Addr) -> From {
        if !group.is_multicast() {
            let first = Ipv4Addr::new(224, 0, 0, 0);
            return if group < first { From::Beginning } else { From::End };
        }
        let group = IpAddr::V4(group);
        match Flow::new(source.into(), group) {
            Ok(flow) => From::Behind(flow),
            Err(_) if source.is_unspecified() => From::Behind(Flow::first_of(group)),
            // A multicast address: the last one below that can be a source.
            Err(_) => {
                Flow::new(Ipv4Addr::new(223, 255, 255, 255).into(), group).map_or(From::End, From::Behind)
            }
        }
    }
}

fn one(
    world: &World,
    (source, group): (Ipv4Addr, Ipv4Addr),
    form: Form,
    mut into: Buffer,
) -> Result<Code, Code> {
    let (manager, now) = world.on_time();
    let flow = Flow::new(source.into(), group.into()).map_err(|_| Code::NOT_FOUND)?;
    let record = form.bytes(&manager.entry(flow).ok_or(Code::NOT_FOUND)?, now);
    if into.put(&record) { Ok(Code::DONE) } else { Err(into.too_small(record.len())) }
}

fn walk(world: Option<&World>, from: From, form: Form, mut into: Buffer, count: &Count) -> Code {
    let mut written = 0;
    let (mut after, world) = match (from, world) {
        (From::Beginning, Some(world)) => (None, world),
        (From::Behind(flow), Some(world)) => (Some(flow), world),
        (From::End, _) | (_, None) => {
            count.set(0);
            return Code(ERROR_NO_MORE_ITEMS);
        }
    };
    let (manager, now) = world.on_time();
    loop {
        // One more than can fit says whether there is more.
        let most = (into.room() / offset_of!(MIB_IPMCAST_MFE, rgmioOutInfo) + 1).min(PAGE);
        let page = manager.entries_after(after, most);
        // IPv6 comes behind all of IPv4.
        for entry in page.iter().filter(|entry| entry.flow.family() == Family::V4) {
            let record = form.bytes(entry, now);
            if !into.put(&record) {
                count.set(written);
                return if written == 0 { into.too_small(record.len()) } else { Code(ERROR_MORE_DATA) };
            }
            written += 1;
        }
        match page.last() {
            Some(last) if last.flow.family() == Family::V4 => after = Some(last.flow),
            _ => {
                count.set(written);
                return Code(ERROR_NO_MORE_ITEMS);
            }
        }
    }
}

fn world() -> Option<&'static World> {
    running().map(|(world, _)| world)
}

/// The entry of one flow: dwSource and dwGroup of *pimm say which. Nothing else of it is read.
///
/// ERROR_INSUFFICIENT_BUFFER: *pdwBufferSize, which is not changed otherwise, now says how many bytes it takes.
/// ERROR_NOT_FOUND: there is no such entry. ERROR_INVALID_PARAMETER: a null pointer; but pbBuffer may be null when its
/// size is 0.
///
/// # Safety
/// Each pointer is null or leads to what its type says; pbBuffer to *pdwBufferSize bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn MgmGetMfe(pimm: PMIB_IPMCAST_MFE, pdwBufferSize: PDWORD, pbBuffer: PBYTE) -> DWORD {
    guard("MgmGetMfe", || {
        // SAFETY: the caller's promise.
        let key = unsafe { key(pimm) }?;
        // SAFETY: as above.
        let into = unsafe { Buffer::new(pdwBufferSize, pbBuffer) }?;
        one(world().ok_or(Code::NOT_FOUND)?, key, Form::Entry, into)
    })
}

/// The first entries, as many as fit, one behind the other, each SIZEOF_MIB_MFE(ulNumOutIf) bytes, ordered by group, then
/// source, in network byte order. *pdwNumEntries says how many.
///
/// ERROR_MORE_DATA: there are more: go on with MgmGetNextMfe. ERROR_NO_MORE_ITEMS: that was all, which may be none.
/// ERROR_INSUFFICIENT_BUFFER: not even one fits; *pdwBufferSize, which is not changed otherwise, says how many bytes it
/// takes. ERROR_INVALID_PARAMETER: a null pointer; but pbBuffer may be null when its size is 0.
///
/// # Safety
/// As of MgmGetMfe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn MgmGetFirstMfe(
    pdwBufferSize: PDWORD,
    pbBuffer: PBYTE,
    pdwNumEntries: PDWORD,
) -> DWORD {
    guard("MgmGetFirstMfe", || {
        // SAFETY: the caller's promise.
        let into = unsafe { Buffer::new(pdwBufferSize, pbBuffer) }?;
        // SAFETY: as above.
        let count = unsafe { Count::new(pdwNumEntries) }?;
        Ok(walk(world(), From::Beginning, Form::Entry, into, &count))
    })
}

/// The entries strictly behind the group and source of *pimmStart, whether or not that has an entry: pass the last record of
/// the reply before. Codes as of MgmGetFirstMfe.
///
/// # Safety
/// As of MgmGetMfe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn MgmGetNextMfe(
    pimmStart: PMIB_IPMCAST_MFE,
    pdwBufferSize: PDWORD,
    pbBuffer: PBYTE,
    pdwNumEntries: PDWORD,
) -> DWORD {
    guard("MgmGetNextMfe", || {
        // SAFETY: the caller's promise.
        let (source, group) = unsafe { key(pimmStart) }?;
        // SAFETY: as above.
        let into = unsafe { Buffer::new(pdwBufferSize, pbBuffer) }?;
        // SAFETY: as above.
        let count = unsafe { Count::new(pdwNumEntries) }?;
        Ok(walk(world(), From::behind(source, group), Form::Entry, into, &count))
    })
}

/// As MgmGetMfe, with what was counted: dwFlags is MGM_MFE_STATS_0 for MIB_IPMCAST_MFE_STATS, MGM_MFE_STATS_1 for
/// MIB_IPMCAST_MFE_STATS_EX. ERROR_INVALID_PARAMETER: other flags, too.
///
/// # Safety
/// As of MgmGetMfe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn MgmGetMfeStats(
    pimm: PMIB_IPMCAST_MFE,
    pdwBufferSize: PDWORD,
    pbBuffer: PBYTE,
    dwFlags: DWORD,
) -> DWORD {
    guard("MgmGetMfeStats", || {
        // SAFETY: the caller's promise.
        let key = unsafe { key(pimm) }?;
        // SAFETY: as above.
        let into = unsafe { Buffer::new(pdwBufferSize, pbBuffer) }?;
        let form = Form::of_flags(dwFlags)?;
        one(world().ok_or(Code::NOT_FOUND)?, key, form, into)
    })
}

/// As MgmGetFirstMfe, with what was counted; dwFlags as of MgmGetMfeStats.
///
/// # Safety
/// As of MgmGetMfe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn MgmGetFirstMfeStats(
    pdwBufferSize: PDWORD,
    pbBuffer: PBYTE,
    pdwNumEntries: PDWORD,
    dwFlags: DWORD,
) -> DWORD {
    guard("MgmGetFirstMfeStats", || {
        // SAFETY: the caller's promise.
        let into = unsafe { Buffer::new(pdwBufferSize, pbBuffer) }?;
        // SAFETY: as above.
        let count = unsafe { Count::new(pdwNumEntries) }?;
        Ok(walk(world(), From::Beginning, Form::of_flags(dwFlags)?, into, &count))
    })
}

/// As MgmGetNextMfe, with what was counted; dwFlags as of MgmGetMfeStats.
///
/// # Safety
/// As of MgmGetMfe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn MgmGetNextMfeStats(
    pimmStart: PMIB_IPMCAST_MFE,
    pdwBufferSize: PDWORD,
    pbBuffer: PBYTE,
    pdwNumEntries: PDWORD,
    dwFlags: DWORD,
) -> DWORD {
    guard("MgmGetNextMfeStats", || {
        // SAFETY: the caller's promise.
        let (source, group) = unsafe { key(pimmStart) }?;
        // SAFETY: as above.
        let into = unsafe { Buffer::new(pdwBufferSize, pbBuffer) }?;
        // SAFETY: as above.
        let count = unsafe { Count::new(pdwNumEntries) }?;
        Ok(walk(world(), From::behind(source, group), Form::of_flags(dwFlags)?, into, &count))
    })
}

/// Names the next router towards the source of an entry whose incoming interface is the client's: dwUpStrmNgbr, 0 for
/// none. dwSource and dwGroup say which entry; nothing else is read.
///
/// ERROR_INVALID_PARAMETER: a stale handle, a null pointer, or the incoming interface is not the client's.
/// ERROR_NOT_FOUND: there is no such entry.
///
/// # Safety
/// pmimm is null or leads to what its type says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn MgmSetMfe(hProtocol: HANDLE, pmimm: PMIB_IPMCAST_MFE) -> DWORD {
    guard("MgmSetMfe", || {
        // SAFETY: the caller's promise.
        let (source, group) = unsafe { key(pmimm)? };
        // SAFETY: `key` has found it not to be null; otherwise as above.
        let upstream = unsafe { field(pmimm, offset_of!(MIB_IPMCAST_MFE, dwUpStrmNgbr)) };
        let manager = with_handle()?.manager();
        let client = handle(hProtocol);
        // What is no flow has no entry; whether the handle is stale is to be said all the same.
        let flow = Flow::new(source.into(), group.into()).unwrap_or(Flow::first_of(group.into()));
        manager.set_upstream_neighbour(client, flow, neighbour(upstream))?;
        Ok(Code::DONE)
    })
}
