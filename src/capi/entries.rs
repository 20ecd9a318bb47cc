//! Looking at entries, and naming the neighbour of one.

use super::buffer::{Buffer, Count};
use super::clients::handle;
use super::codes::Code;
use super::convert::{ONE, address, dword, neighbour};
use super::ext_types::MGM_EXT_ROUTE;
use super::process::{World, guard, running, with_handle};
use super::windows::{
    DWORD, ERROR_MORE_DATA, ERROR_NO_MORE_ITEMS, HANDLE, MGM_MFE_STATS_0, MGM_MFE_STATS_1, MIB_IPMCAST_MFE,
    MIB_IPMCAST_MFE_STATS, MIB_IPMCAST_MFE_STATS_EX, MIB_IPMCAST_OIF, MIB_IPMCAST_OIF_STATS, PBYTE, PDWORD,
    PMIB_IPMCAST_MFE,
};
use crate::forwarding::{Family, Flow};
use crate::manager::EntryRecord;
use std::mem::offset_of;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;
use zerocopy::IntoBytes;

/// So many entries are looked at under one lock.
const PAGE: usize = 64;

/// Which structure an entry is told in.
#[derive(Clone, Copy)]
enum Form {
    Entry,
    Statistics,
    MoreStatistics,
}

impl Form {
    fn of_flags(flags: DWORD) -> Result<Form, Code> {
        match flags {
            MGM_MFE_STATS_0 => Ok(Form::Statistics),
            MGM_MFE_STATS_1 => Ok(Form::MoreStatistics),
            _ => Err(Code::INVALID),
        }
    }

    /// An entry's bytes in this form: the fixed part, then what there is for each outgoing interface.
    fn bytes(self, entry: &EntryRecord, now: Duration) -> Vec<u8> {
        let common = Common::of(entry, now);
        match self {
            Form::Entry => entry_bytes(entry, &common),
            Form::Statistics => {
                let fixed = statistics(entry, &common);
                with_counts(&fixed.as_bytes()[..offset_of!(MIB_IPMCAST_MFE_STATS, rgmiosOutStats)], entry)
            }
            Form::MoreStatistics => {
                let fixed = more_statistics(entry, &common);
                with_counts(&fixed.as_bytes()[..offset_of!(MIB_IPMCAST_MFE_STATS_EX, rgmiosOutStats)], entry)
            }
        }
    }
}

/// What all forms begin with.
struct Common {
    group: DWORD,
    source: DWORD,
    neighbour: DWORD,
    incoming: DWORD,
    protocol: DWORD,
    route: MGM_EXT_ROUTE,
    outgoing: DWORD,
    up: Duration,
}

impl Common {
    fn of(entry: &EntryRecord, now: Duration) -> Common {
        Common {
            group: dword(entry.flow.group()),
            source: dword(entry.flow.source()),
            neighbour: entry.neighbour.map_or(0, dword),
            incoming: entry.incoming.map_or(0, |interface| interface.index()),
            protocol: entry.incoming_protocol.map_or(0, |protocol| protocol.id),
            route: entry.route.map_or_else(MGM_EXT_ROUTE::default, MGM_EXT_ROUTE::from),
            outgoing: DWORD::try_from(entry.outgoing.len()).unwrap_or(DWORD::MAX),
            up: now.saturating_sub(entry.made).min(entry.timeout),
        }
    }
}

/// A counter of the MIB: it wraps.
const fn counter(count: u64) -> DWORD {
    count as DWORD
}

fn saturated(number: u128) -> DWORD {
    DWORD::try_from(number).unwrap_or(DWORD::MAX)
}

fn entry_bytes(entry: &EntryRecord, common: &Common) -> Vec<u8> {
    let ulTimeOut = saturated(entry.timeout.as_millis().div_ceil(1000));
    let ulUpTime = saturated(common.up.as_secs().into()).min(ulTimeOut);
    let fixed = MIB_IPMCAST_MFE {
        dwGroup: common.group,
        dwSource: common.source,
        dwSrcMask: ONE,
        dwUpStrmNgbr: common.neighbour,
        dwInIfIndex: common.incoming,
        dwInIfProtocol: common.protocol,
        dwRouteProtocol: common.route.dwRouteProtocol,
        dwRouteNetwork: common.route.dwRouteNetwork,
        dwRouteMask: common.route.dwRouteMask,
        ulUpTime,
        ulExpiryTime: ulTimeOut - ulUpTime,
        ulTimeOut,
        ulNumOutIf: common.outgoing,
        ..MIB_IPMCAST_MFE::default()
    };
    let mut bytes = fixed.as_bytes()[..offset_of!(MIB_IPMCAST_MFE, rgmioOutInfo)].to_vec();
    for outgoing in &entry.outgoing {
        let record = MIB_IPMCAST_OIF {
            dwOutIfIndex: outgoing.interface.index(),
            dwNextHopAddr: dword(outgoing.interface.next_hop()),
            ..MIB_IPMCAST_OIF::default()
        };
        bytes.extend_from_slice(record.as_bytes());
    }
    bytes
}

fn statistics(entry: &EntryRecord, common: &Common) -> MIB_IPMCAST_MFE_STATS {
    let hundredths = |time: Duration| time.as_millis() / 10;
    let ulUpTime = saturated(hundredths(common.up));
    MIB_IPMCAST_MFE_STATS {
        dwGroup: common.group,
        dwSource: common.source,
        dwSrcMask: ONE,
        dwUpStrmNgbr: common.neighbour,
        dwInIfIndex: common.incoming,
        dwInIfProtocol: common.protocol,
        dwRouteProtocol: common.route.dwRouteProtocol,
        dwRouteNetwork: common.route.dwRouteNetwork,
        dwRouteMask: common.route.dwRouteMask,
        ulUpTime,
        // 0 would say that it does not age.
        ulExpiryTime: saturated(hundredths(entry.timeout).saturating_sub(ulUpTime.into())).max(1),
        ulNumOutIf: common.outgoing,
        ulInPkts: counter(entry.totals.packets),
        ulInOctets: counter(entry.totals.octets),
        ulPktsDifferentIf: counter(entry.totals.wrong_interface),
        ulQueueOverflow: counter(entry.totals.queue_overflow),
        ..MIB_IPMCAST_MFE_STATS::default()
    }
}

fn more_statistics(entry: &EntryRecord, common: &Common) -> MIB_IPMCAST_MFE_STATS_EX {
    let less = statistics(entry, common);
    MIB_IPMCAST_MFE_STATS_EX {
        dwGroup: less.dwGroup,
        dwSource: less.dwSource,
        dwSrcMask: less.dwSrcMask,
        dwUpStrmNgbr: less.dwUpStrmNgbr,
        dwInIfIndex: less.dwInIfIndex,
        dwInIfProtocol: less.dwInIfProtocol,
        dwRouteProtocol: less.dwRouteProtocol,
        dwRouteNetwork: less.dwRouteNetwork,
        dwRouteMask: less.dwRouteMask,
        ulUpTime: less.ulUpTime,
        ulExpiryTime: less.ulExpiryTime,
        ulNumOutIf: less.ulNumOutIf,
        ulInPkts: less.ulInPkts,
        ulInOctets: less.ulInOctets,
        ulPktsDifferentIf: less.ulPktsDifferentIf,
        ulQueueOverflow: less.ulQueueOverflow,
        ulUninitMfe: counter(entry.totals.uninitialized),
        ulNegativeMfe: counter(entry.totals.no_receivers),
        ulInDiscards: counter(entry.totals.discards),
        ulInHdrErrors: counter(entry.totals.header_errors),
        ulTotalOutPackets: counter(entry.totals.copies),
        ..MIB_IPMCAST_MFE_STATS_EX::default()
    }
}

fn with_counts(fixed: &[u8], entry: &EntryRecord) -> Vec<u8> {
    let mut bytes = fixed.to_vec();
    for outgoing in &entry.outgoing {
        let record = MIB_IPMCAST_OIF_STATS {
            dwOutIfIndex: outgoing.interface.index(),
            dwNextHopAddr: dword(outgoing.interface.next_hop()),
            dwDialContext: 0,
            ulTtlTooLow: counter(outgoing.ttl_too_low),
            ulFragNeeded: counter(outgoing.fragmentation_needed),
            ulOutPackets: counter(outgoing.packets),
            ulOutDiscards: counter(outgoing.discards),
        };
        bytes.extend_from_slice(record.as_bytes());
    }
    bytes
}

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
