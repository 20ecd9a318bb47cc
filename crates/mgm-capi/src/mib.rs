//! Encodes an entry as one of the three structures of the MIB.

use crate::codes::Code;
use crate::convert::{HOST_MASK, to_dword};
use crate::ext_types::MGM_EXT_ROUTE;
use crate::mib_types::{
    MIB_IPMCAST_MFE, MIB_IPMCAST_MFE_STATS, MIB_IPMCAST_MFE_STATS_EX, MIB_IPMCAST_OIF, MIB_IPMCAST_OIF_STATS,
};
use crate::windows::{DWORD, MGM_MFE_STATS_0, MGM_MFE_STATS_1};
use mgm::manager::EntryRecord;
use std::mem::offset_of;
use std::time::Duration;
use zerocopy::IntoBytes;

/// The structure that an entry is encoded as.
#[derive(Clone, Copy)]
pub(crate) enum RecordFormat {
    /// `MIB_IPMCAST_MFE`.
    Entry,
    /// `MIB_IPMCAST_MFE_STATS`.
    Stats,
    /// `MIB_IPMCAST_MFE_STATS_EX`.
    StatsEx,
}

impl RecordFormat {
    pub(crate) fn from_flags(flags: DWORD) -> Result<RecordFormat, Code> {
        match flags {
            MGM_MFE_STATS_0 => Ok(RecordFormat::Stats),
            MGM_MFE_STATS_1 => Ok(RecordFormat::StatsEx),
            _ => Err(Code::INVALID_PARAMETER),
        }
    }

    /// Encodes an entry: the fixed part, then one record for each outgoing interface.
    pub(crate) fn encode(self, entry: &EntryRecord, now: Duration) -> Vec<u8> {
        let common = Common::of(entry, now);
        match self {
            RecordFormat::Entry => encode_entry(entry, &common),
            RecordFormat::Stats => {
                let fixed = stats(entry, &common);
                let length = offset_of!(MIB_IPMCAST_MFE_STATS, rgmiosOutStats);
                with_outgoing_stats(&fixed.as_bytes()[..length], entry)
            }
            RecordFormat::StatsEx => {
                let fixed = stats_ex(entry, &common);
                let length = offset_of!(MIB_IPMCAST_MFE_STATS_EX, rgmiosOutStats);
                with_outgoing_stats(&fixed.as_bytes()[..length], entry)
            }
        }
    }
}

/// The fields that all formats begin with.
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
            group: to_dword(entry.flow.group()),
            source: to_dword(entry.flow.source()),
            neighbour: entry.neighbour.map_or(0, to_dword),
            incoming: entry.incoming.map_or(0, |interface| interface.index()),
            protocol: entry.incoming_protocol.map_or(0, |protocol| protocol.id),
            route: entry.route.map_or_else(MGM_EXT_ROUTE::default, MGM_EXT_ROUTE::from),
            outgoing: DWORD::try_from(entry.outgoing.len()).unwrap_or(DWORD::MAX),
            up: now.saturating_sub(entry.made).min(entry.timeout),
        }
    }
}

/// Truncates a counter: counters of the MIB wrap.
const fn counter(count: u64) -> DWORD {
    count as DWORD
}

fn saturated(number: u128) -> DWORD {
    DWORD::try_from(number).unwrap_or(DWORD::MAX)
}

fn encode_entry(entry: &EntryRecord, common: &Common) -> Vec<u8> {
    let ulTimeOut = saturated(entry.timeout.as_millis().div_ceil(1000));
    let ulUpTime = saturated(common.up.as_secs().into()).min(ulTimeOut);
    let fixed = MIB_IPMCAST_MFE {
        dwGroup: common.group,
        dwSource: common.source,
        dwSrcMask: HOST_MASK,
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
    let mut octets = fixed.as_bytes()[..offset_of!(MIB_IPMCAST_MFE, rgmioOutInfo)].to_vec();
    for outgoing in &entry.outgoing {
        let record = MIB_IPMCAST_OIF {
            dwOutIfIndex: outgoing.interface.index(),
            dwNextHopAddr: to_dword(outgoing.interface.next_hop()),
            ..MIB_IPMCAST_OIF::default()
        };
        octets.extend_from_slice(record.as_bytes());
    }
    octets
}

fn stats(entry: &EntryRecord, common: &Common) -> MIB_IPMCAST_MFE_STATS {
    let hundredths = |time: Duration| time.as_millis() / 10;
    let ulUpTime = saturated(hundredths(common.up));
    MIB_IPMCAST_MFE_STATS {
        dwGroup: common.group,
        dwSource: common.source,
        dwSrcMask: HOST_MASK,
        dwUpStrmNgbr: common.neighbour,
        dwInIfIndex: common.incoming,
        dwInIfProtocol: common.protocol,
        dwRouteProtocol: common.route.dwRouteProtocol,
        dwRouteNetwork: common.route.dwRouteNetwork,
        dwRouteMask: common.route.dwRouteMask,
        ulUpTime,
        // Never 0, which would say that the entry does not expire.
        ulExpiryTime: saturated(hundredths(entry.timeout).saturating_sub(ulUpTime.into())).max(1),
        ulNumOutIf: common.outgoing,
        ulInPkts: counter(entry.totals.packets),
        ulInOctets: counter(entry.totals.octets),
        ulPktsDifferentIf: counter(entry.totals.wrong_interface),
        ulQueueOverflow: counter(entry.totals.queue_overflow),
        ..MIB_IPMCAST_MFE_STATS::default()
    }
}

fn stats_ex(entry: &EntryRecord, common: &Common) -> MIB_IPMCAST_MFE_STATS_EX {
    let basic = stats(entry, common);
    MIB_IPMCAST_MFE_STATS_EX {
        dwGroup: basic.dwGroup,
        dwSource: basic.dwSource,
        dwSrcMask: basic.dwSrcMask,
        dwUpStrmNgbr: basic.dwUpStrmNgbr,
        dwInIfIndex: basic.dwInIfIndex,
        dwInIfProtocol: basic.dwInIfProtocol,
        dwRouteProtocol: basic.dwRouteProtocol,
        dwRouteNetwork: basic.dwRouteNetwork,
        dwRouteMask: basic.dwRouteMask,
        ulUpTime: basic.ulUpTime,
        ulExpiryTime: basic.ulExpiryTime,
        ulNumOutIf: basic.ulNumOutIf,
        ulInPkts: basic.ulInPkts,
        ulInOctets: basic.ulInOctets,
        ulPktsDifferentIf: basic.ulPktsDifferentIf,
        ulQueueOverflow: basic.ulQueueOverflow,
        ulUninitMfe: counter(entry.totals.uninitialized),
        ulNegativeMfe: counter(entry.totals.no_receivers),
        ulInDiscards: counter(entry.totals.discards),
        ulInHdrErrors: counter(entry.totals.header_errors),
        ulTotalOutPackets: counter(entry.totals.copies),
        ..MIB_IPMCAST_MFE_STATS_EX::default()
    }
}

fn with_outgoing_stats(fixed: &[u8], entry: &EntryRecord) -> Vec<u8> {
    let mut octets = fixed.to_vec();
    for outgoing in &entry.outgoing {
        let record = MIB_IPMCAST_OIF_STATS {
            dwOutIfIndex: outgoing.interface.index(),
            dwNextHopAddr: to_dword(outgoing.interface.next_hop()),
            dwDialContext: 0,
            ulTtlTooLow: counter(outgoing.ttl_too_low),
            ulFragNeeded: counter(outgoing.fragmentation_needed),
            ulOutPackets: counter(outgoing.packets),
            ulOutDiscards: counter(outgoing.discards),
        };
        octets.extend_from_slice(record.as_bytes());
    }
    octets
}
