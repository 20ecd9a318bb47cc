//! Reads entries, and sets the upstream neighbour of an entry.

use crate::boundary::catch_panic;
use crate::buffer::{Buffer, RecordCount};
use crate::codes::Code;
use crate::convert::{to_address, to_neighbour};
use crate::instance::Instance;
use crate::mib::RecordFormat;
use crate::mib_types::{MIB_IPMCAST_MFE, PMIB_IPMCAST_MFE};
use crate::process::running_or;
use crate::windows::{DWORD, ERROR_MORE_DATA, ERROR_NO_MORE_ITEMS, HANDLE, PBYTE, PDWORD};
use mgm::forwarding::{Family, Flow};
use std::mem::offset_of;
use std::net::{IpAddr, Ipv4Addr};

/// Entries that are read under one lock at most.
const PAGE: usize = 64;

/// Reads a field of a record that may be unaligned, and shorter than its type.
///
/// # Safety
/// The record has four octets at the offset.
unsafe fn field(record: PMIB_IPMCAST_MFE, offset: usize) -> DWORD {
    // SAFETY: the caller's promise.
    unsafe { record.wrapping_byte_add(offset).cast::<DWORD>().read_unaligned() }
}

/// Reads the source and the group of a key. The caller may own no more of the structure than these two fields.
///
/// # Safety
/// `key` is null or both fields can be read.
unsafe fn key(key: PMIB_IPMCAST_MFE) -> Result<(Ipv4Addr, Ipv4Addr), Code> {
    if key.is_null() {
        return Err(Code::INVALID_PARAMETER);
    }
    // SAFETY: not null, and the caller's promise; the read may be unaligned.
    let group = unsafe { field(key, offset_of!(MIB_IPMCAST_MFE, dwGroup)) };
    // SAFETY: as above.
    let source = unsafe { field(key, offset_of!(MIB_IPMCAST_MFE, dwSource)) };
    Ok((to_address(source), to_address(group)))
}

/// Where a walk over the entries starts.
enum Start {
    First,
    After(Flow),
    /// No entry can follow.
    End,
}

impl Start {
    /// Returns the start strictly after a pair of addresses, which need not be a flow.
    fn after(source: Ipv4Addr, group: Ipv4Addr) -> Start {
        if !group.is_multicast() {
            let lowest = Ipv4Addr::new(224, 0, 0, 0);
            return if group < lowest { Start::First } else { Start::End };
        }
        let group = IpAddr::V4(group);
        match Flow::new(source.into(), group) {
            Ok(flow) => Start::After(flow),
            Err(_) if source.is_unspecified() => Start::After(Flow::first_of(group)),
            // The source is a multicast address: continues after the highest address below it that can be a source.
            Err(_) => {
                Flow::new(Ipv4Addr::new(223, 255, 255, 255).into(), group).map_or(Start::End, Start::After)
            }
        }
    }
}

/// Writes the record of one flow.
fn copy_one(
    instance: &Instance,
    (source, group): (Ipv4Addr, Ipv4Addr),
    format: RecordFormat,
    mut buffer: Buffer,
) -> Result<Code, Code> {
    let (manager, now) = instance.advanced();
    let flow = Flow::new(source.into(), group.into()).map_err(|_| Code::NOT_FOUND)?;
    let record = format.encode(&manager.entry(flow).ok_or(Code::NOT_FOUND)?, now);
    if buffer.append(&record) { Ok(Code::SUCCESS) } else { Err(buffer.insufficient(record.len())) }
}

/// Writes the records from a start on, as many as fit.
fn copy_from(
    start: Start,
    format: RecordFormat,
    mut buffer: Buffer,
    count: &RecordCount,
) -> Result<Code, Code> {
    const END: Code = Code(ERROR_NO_MORE_ITEMS);
    count.set(0);
    let instance = running_or(END)?;
    let mut written = 0;
    let mut after = match start {
        Start::First => None,
        Start::After(flow) => Some(flow),
        Start::End => return Ok(END),
    };
    let (manager, now) = instance.advanced();
    loop {
        // One entry more than can fit shows whether there are more.
        let max = (buffer.room() / offset_of!(MIB_IPMCAST_MFE, rgmioOutInfo) + 1).min(PAGE);
        let page = manager.entries_after(after, max);
        // All IPv6 entries follow the IPv4 entries.
        for entry in page.iter().filter(|entry| entry.flow.family() == Family::V4) {
            let record = format.encode(entry, now);
            if !buffer.append(&record) {
                count.set(written);
                let more = Code(ERROR_MORE_DATA);
                return Ok(if written == 0 { buffer.insufficient(record.len()) } else { more });
            }
            written += 1;
        }
        match page.last() {
            Some(last) if last.flow.family() == Family::V4 => after = Some(last.flow),
            _ => {
                count.set(written);
                return Ok(END);
            }
        }
    }
}

/// Returns the entry of one flow, as a MIB_IPMCAST_MFE record.
///
/// dwSource and dwGroup of *pimm name the flow; no other field is read. pbBuffer may be null when its size is 0.
///
/// - ERROR_INSUFFICIENT_BUFFER: *pdwBufferSize says how many octets the record needs. No other code changes it.
/// - ERROR_NOT_FOUND: the flow has no entry.
/// - ERROR_INVALID_PARAMETER: a null pointer.
///
/// # Safety
/// Each pointer is null or points to a value of its type, and pbBuffer to *pdwBufferSize octets.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn MgmGetMfe(pimm: PMIB_IPMCAST_MFE, pdwBufferSize: PDWORD, pbBuffer: PBYTE) -> DWORD {
    catch_panic("MgmGetMfe", || {
        // SAFETY: the caller's promise.
        let key = unsafe { key(pimm) }?;
        // SAFETY: as above.
        let buffer = unsafe { Buffer::new(pdwBufferSize, pbBuffer) }?;
        copy_one(running_or(Code::NOT_FOUND)?, key, RecordFormat::Entry, buffer)
    })
}

/// Returns the first entries, as many as fit. *pdwNumEntries says how many.
///
/// The records lie one after the other, each SIZEOF_MIB_MFE(ulNumOutIf) octets. They are ordered by group, then by
/// source, in network byte order. pbBuffer may be null when its size is 0.
///
/// - ERROR_MORE_DATA: there are more entries: go on with MgmGetNextMfe.
/// - ERROR_NO_MORE_ITEMS: these entries, perhaps none, were the last.
/// - ERROR_INSUFFICIENT_BUFFER: no record fits; *pdwBufferSize says how many octets the first needs. No other code
///   changes it.
/// - ERROR_INVALID_PARAMETER: a null pointer.
///
/// # Safety
/// As of MgmGetMfe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn MgmGetFirstMfe(
    pdwBufferSize: PDWORD,
    pbBuffer: PBYTE,
    pdwNumEntries: PDWORD,
) -> DWORD {
    catch_panic("MgmGetFirstMfe", || {
        // SAFETY: the caller's promise.
        let buffer = unsafe { Buffer::new(pdwBufferSize, pbBuffer) }?;
        // SAFETY: as above.
        let count = unsafe { RecordCount::new(pdwNumEntries) }?;
        copy_from(Start::First, RecordFormat::Entry, buffer, &count)
    })
}

/// Returns the entries that follow the group and source of *pimmStart, as many as fit.
///
/// Pass the last record of the previous call. A flow without an entry is allowed as well. Returns the codes of
/// MgmGetFirstMfe.
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
    catch_panic("MgmGetNextMfe", || {
        // SAFETY: the caller's promise.
        let (source, group) = unsafe { key(pimmStart) }?;
        // SAFETY: as above.
        let buffer = unsafe { Buffer::new(pdwBufferSize, pbBuffer) }?;
        // SAFETY: as above.
        let count = unsafe { RecordCount::new(pdwNumEntries) }?;
        copy_from(Start::after(source, group), RecordFormat::Entry, buffer, &count)
    })
}

/// Returns the entry of one flow with its counters, as MgmGetMfe does.
///
/// dwFlags is MGM_MFE_STATS_0 for a MIB_IPMCAST_MFE_STATS record, or MGM_MFE_STATS_1 for MIB_IPMCAST_MFE_STATS_EX.
///
/// - ERROR_INVALID_PARAMETER: other flags as well.
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
    catch_panic("MgmGetMfeStats", || {
        // SAFETY: the caller's promise.
        let key = unsafe { key(pimm) }?;
        // SAFETY: as above.
        let buffer = unsafe { Buffer::new(pdwBufferSize, pbBuffer) }?;
        let format = RecordFormat::from_flags(dwFlags)?;
        copy_one(running_or(Code::NOT_FOUND)?, key, format, buffer)
    })
}

/// Returns the first entries with their counters, as MgmGetFirstMfe does. dwFlags is as of MgmGetMfeStats.
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
    catch_panic("MgmGetFirstMfeStats", || {
        // SAFETY: the caller's promise.
        let buffer = unsafe { Buffer::new(pdwBufferSize, pbBuffer) }?;
        // SAFETY: as above.
        let count = unsafe { RecordCount::new(pdwNumEntries) }?;
        copy_from(Start::First, RecordFormat::from_flags(dwFlags)?, buffer, &count)
    })
}

/// Returns the following entries with their counters, as MgmGetNextMfe does. dwFlags is as of MgmGetMfeStats.
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
    catch_panic("MgmGetNextMfeStats", || {
        // SAFETY: the caller's promise.
        let (source, group) = unsafe { key(pimmStart) }?;
        // SAFETY: as above.
        let buffer = unsafe { Buffer::new(pdwBufferSize, pbBuffer) }?;
        // SAFETY: as above.
        let count = unsafe { RecordCount::new(pdwNumEntries) }?;
        let format = RecordFormat::from_flags(dwFlags)?;
        copy_from(Start::after(source, group), format, buffer, &count)
    })
}

/// Sets the upstream neighbour of an entry: the next router towards the source, dwUpStrmNgbr, or 0 for none.
///
/// The client must own the incoming interface of the entry. dwSource and dwGroup name the entry; no other field is
/// read.
///
/// - ERROR_INVALID_PARAMETER: a stale handle, a null pointer, or the client does not own the incoming interface.
/// - ERROR_NOT_FOUND: the flow has no entry.
///
/// # Safety
/// pmimm is null or points to a value of its type.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn MgmSetMfe(hProtocol: HANDLE, pmimm: PMIB_IPMCAST_MFE) -> DWORD {
    catch_panic("MgmSetMfe", || {
        // SAFETY: the caller's promise.
        let (source, group) = unsafe { key(pmimm)? };
        // SAFETY: `key` has refused null; otherwise as above.
        let upstream = unsafe { field(pmimm, offset_of!(MIB_IPMCAST_MFE, dwUpStrmNgbr)) };
        let (manager, client) = Instance::of_handle(hProtocol)?;
        // A pair that is no flow has no entry. The manager is asked all the same: a stale handle has to be reported
        // first.
        let flow = Flow::new(source.into(), group.into()).unwrap_or(Flow::first_of(group.into()));
        manager.set_upstream_neighbour(client, flow, to_neighbour(upstream))?;
        Ok(Code::SUCCESS)
    })
}
