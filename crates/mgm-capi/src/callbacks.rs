//! What C registers with, as a [`Client`].
//!
//! The Windows callbacks know IPv4 alone: what happens to IPv6 is not told to a client that registered with them.

use super::convert::{ONE, dword, interface, source_group};
use super::ext_types::MGM_EXT_ROUTE;
use super::windows::{BOOL, DWORD, MGM_IF_ENTRY, PBYTE, ROUTING_PROTOCOL_CONFIG};
use mgm::forwarding::Family;
use mgm::manager::{
    Cause, Client, CreationAlert, Interface, JoinAlert, Membership, PruneAlert, ReversePathQuestion,
    WrongInterfaceAlert,
};
use std::time::Duration;

/// A copy of what the client registered with.
pub(super) struct Callbacks {
    pub(super) config: ROUTING_PROTOCOL_CONFIG,
    pub(super) wrong_interface: bool,
}

/// SAFETY (of every call below): the client has promised, by registering, that its callbacks are functions of their type
/// which may be called from any thread until it has left. The pointers they are given lead to locals that outlive the call.
macro_rules! call {
    ($callback:expr, $($argument:expr),*) => {
        if let Some(callback) = $callback {
            // SAFETY: see the macro. What it returns is ignored, as the pages of all callbacks have it.
            let _ = unsafe { callback($($argument),*) };
        }
    };
}

fn is_v4(interface: Interface) -> bool {
    interface.family() == Family::V4
}

fn parts(interface: Interface) -> (DWORD, DWORD) {
    (interface.index(), dword(interface.next_hop()))
}

/// A packet, for a callback that gets no `const` pointer: NULL when there is none.
fn packet(bytes: &mut [u8]) -> (DWORD, PBYTE) {
    let length = DWORD::try_from(bytes.len()).unwrap_or(DWORD::MAX);
    (length, if bytes.is_empty() { std::ptr::null_mut() } else { bytes.as_mut_ptr() })
}

const fn bool(yes: bool) -> BOOL {
    if yes { 1 } else { 0 }
}

impl Client for Callbacks {
    fn reverse_path(&self, question: &mut ReversePathQuestion<'_>) {
        let flow = question.flow();
        let path = question.path();
        if self.config.pfnRpfCallback.is_none() || flow.family() != Family::V4 || !is_v4(path.interface) {
            return;
        }
        let (before, neighbour_before) = (parts(path.interface), path.neighbour.map_or(0, dword));
        let (mut index, mut next_hop) = before;
        let mut neighbour = neighbour_before;
        let route_before = path.route.map_or_else(MGM_EXT_ROUTE::default, MGM_EXT_ROUTE::from);
        let mut route = route_before;
        let mut bytes = question.packet().to_vec();
        let (length, start) = packet(&mut bytes);
        call!(
            self.config.pfnRpfCallback,
            dword(flow.source()),
            ONE,
            dword(flow.group()),
            ONE,
            &raw mut index,
            &raw mut next_hop,
            &raw mut neighbour,
            length,
            start,
            (&raw mut route).cast()
        );
        if (index, next_hop) != before {
            question.set_path(question.path().with_interface(interface(index, next_hop)));
        }
        if neighbour != neighbour_before {
            question.set_path(question.path().with_neighbour(super::convert::neighbour(neighbour)));
        }
        if route != route_before {
            question.set_path(question.path().with_route(route.to_route()));
        }
    }

    fn creation_alert(&self, alert: &mut CreationAlert<'_>) {
        let (flow, incoming) = (alert.flow(), alert.incoming());
        if self.config.pfnCreationAlertCallback.is_none() || flow.family() != Family::V4 {
            return;
        }
        let mut entries: Vec<MGM_IF_ENTRY> = alert
            .outgoing()
            .iter()
            .map(|offered| {
                let (dwIfIndex, dwIfNextHopAddr) = parts(offered.interface());
                let (bIGMP, bIsEnabled) = (bool(offered.igmp_enabled()), bool(offered.enabled()));
                MGM_IF_ENTRY { dwIfIndex, dwIfNextHopAddr, bIGMP, bIsEnabled }
            })
            .collect();
        let (index, next_hop) = parts(incoming);
        call!(
            self.config.pfnCreationAlertCallback,
            dword(flow.source()),
            ONE,
            dword(flow.group()),
            ONE,
            index,
            next_hop,
            DWORD::try_from(entries.len()).unwrap_or(DWORD::MAX),
            entries.as_mut_ptr()
        );
        for (offered, entry) in alert.outgoing_mut().iter_mut().zip(entries) {
            if entry.bIsEnabled == 0 {
                offered.veto();
            }
        }
    }

    fn join_alert(&self, alert: &JoinAlert) {
        if alert.membership().family() != Family::V4 {
            return;
        }
        let of = source_group(alert.membership());
        call!(
            self.config.pfnJoinAlertCallback,
            of.dwSourceAddr,
            of.dwSourceMask,
            of.dwGroupAddr,
            of.dwGroupMask,
            bool(alert.cause() == Cause::Membership)
        );
    }

    fn prune_alert(&self, alert: &mut PruneAlert) {
        if alert.membership().family() != Family::V4 {
            return;
        }
        let of = source_group(alert.membership());
        let (index, next_hop) = parts(alert.interface());
        let before = DWORD::try_from(alert.timeout().as_secs()).unwrap_or(DWORD::MAX);
        let mut timeout = before;
        call!(
            self.config.pfnPruneAlertCallback,
            of.dwSourceAddr,
            of.dwSourceMask,
            of.dwGroupAddr,
            of.dwGroupMask,
            index,
            next_hop,
            bool(alert.cause() == Cause::Membership),
            &raw mut timeout
        );
        if timeout != before {
            alert.set_timeout(Duration::from_secs(timeout.into()));
        }
    }

    fn local_join(&self, interface: Interface, membership: Membership) {
        if !is_v4(interface) {
            return;
        }
        let of = source_group(membership);
        let (index, next_hop) = parts(interface);
        call!(
            self.config.pfnLocalJoinCallback,
            of.dwSourceAddr,
            of.dwSourceMask,
            of.dwGroupAddr,
            of.dwGroupMask,
            index,
            next_hop
        );
    }

    fn local_leave(&self, interface: Interface, membership: Membership) {
        if !is_v4(interface) {
            return;
        }
        let of = source_group(membership);
        let (index, next_hop) = parts(interface);
        call!(
            self.config.pfnLocalLeaveCallback,
            of.dwSourceAddr,
            of.dwSourceMask,
            of.dwGroupAddr,
            of.dwGroupMask,
            index,
            next_hop
        );
    }

    fn disable_igmp(&self, interface: Interface) {
        let (index, next_hop) = parts(interface);
        if is_v4(interface) {
            call!(self.config.pfnDisableIgmpCallback, index, next_hop);
        }
    }

    fn enable_igmp(&self, interface: Interface) {
        let (index, next_hop) = parts(interface);
        if is_v4(interface) {
            call!(self.config.pfnEnableIgmpCallback, index, next_hop);
        }
    }

    fn wants_wrong_interface(&self) -> bool {
        self.wrong_interface && self.config.pfnWrongIfCallback.is_some()
    }

    fn wrong_interface(&self, alert: &WrongInterfaceAlert) {
        if alert.flow().family() != Family::V4 || !is_v4(alert.arrival()) {
            return;
        }
        let (index, next_hop) = parts(alert.arrival());
        let mut bytes = alert.packet().to_vec();
        let (length, start) = packet(&mut bytes);
        call!(
            self.config.pfnWrongIfCallback,
            dword(alert.flow().source()),
            dword(alert.flow().group()),
            index,
            next_hop,
            length,
            start
        );
    }
}
