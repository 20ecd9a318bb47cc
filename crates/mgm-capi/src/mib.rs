//! What an entry looks like in C: the three structures of the MIB.

use super::codes::Code;
use super::convert::{ONE, dword};
use super::ext_types::MGM_EXT_ROUTE;
use super::windows::{
    DWORD, MGM_MFE_STATS_0, MGM_MFE_STATS_1, MIB_IPMCAST_MFE, MIB_IPMCAST_MFE_STATS,
    MIB_IPMCAST_MFE_STATS_EX, MIB_IPMCAST_OIF, MIB_IPMCAST_OIF_STATS,
};
use mgm::manager::EntryRecord;
use std::mem::offset_of;
use std::time::Duration;
use zerocopy::IntoBytes;

/// Which structure an entry is told in.
#[derive(Clone, Copy)]
pub(super) enum Form {
    Entry,
    Statistics,
    MoreStatistics,
}

impl Form {
    pub(super) fn of_flags(flags: DWORD) -> Result<Form, Code> {
        match flags {
            MGM_MFE_STATS_0 => Ok(Form::Statistics),
            MGM_MFE_STATS_1 => Ok(Form::MoreStatistics),
            _ => Err(Code::INVALID),
        }
    }

    /// An entry's bytes in this form: the fixed part, then what there is for each outgoing interface.
    pub(super) fn bytes(self, entry: &EntryRecord, now: Duration) -> Vec<u8> {
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
