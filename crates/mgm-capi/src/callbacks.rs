//! A [`Client`] that calls the callbacks of a C program.
//!
//! The Windows callbacks carry IPv4 addresses only: events of IPv6 are not reported to such a client.

use crate::convert::{HOST_MASK, from_membership, to_dword, to_interface, to_neighbour};
use crate::ext_types::MGM_EXT_ROUTE;
use crate::incarnation::Incarnation;
use crate::protocol_config::{MGM_IF_ENTRY, ROUTING_PROTOCOL_CONFIG};
use crate::windows::{BOOL, DWORD, PBYTE};
use mgm::forwarding::Family;
use mgm::manager::{
    Cause, Client, CreationAlert, Interface, JoinAlert, Membership, PruneAlert, ReversePathQuestion,
    WrongInterfaceAlert,
};
use std::sync::Arc;
use std::time::Duration;

/// What a client has asked for beyond its callbacks.
#[derive(Clone, Copy, Default)]
pub(crate) struct ClientOptions {
    pub(crate) wants_wrong_interface: bool,
    pub(crate) wants_present_joins: bool,
}

/// A client with a copy of the callbacks that it registered with.
pub(crate) struct CallbackClient {
    pub(crate) config: ROUTING_PROTOCOL_CONFIG,
    pub(crate) options: ClientOptions,
    /// The incarnation of the registration. Its end is the end of the callbacks, also while the manager still knows the
    /// client.
    pub(crate) incarnation: Arc<Incarnation>,
}

/// Calls a callback unless it is null, or the client's incarnation is over. The manager runs the methods below as foreign
/// code.
///
/// SAFETY (of every call below): by registering, the client has promised that its callbacks are functions of their
/// type, which may be called from any thread until the client is deregistered. The pointers point to locals that
/// outlive the call.
macro_rules! call {
    ($client:expr, $callback:ident, $($argument:expr),*) => {
        if let Some(callback) = $client.config.$callback
            && let Some(_call) = $client.incarnation.enter()
        {
            // SAFETY: see the macro. The result is ignored, as the SDK's pages of all callbacks specify.
            let _ = unsafe { callback($($argument),*) };
        }
    };
}

fn is_v4(interface: Interface) -> bool {
    interface.family() == Family::V4
}

/// Returns the index and the next hop of an interface.
fn parts(interface: Interface) -> (DWORD, DWORD) {
    (interface.index(), to_dword(interface.next_hop()))
}

/// Returns the size and the start of a packet, for callbacks that take no `const` pointer. An empty packet is NULL.
fn packet(octets: &mut [u8]) -> (DWORD, PBYTE) {
    let length = DWORD::try_from(octets.len()).unwrap_or(DWORD::MAX);
    (length, if octets.is_empty() { std::ptr::null_mut() } else { octets.as_mut_ptr() })
}

const fn to_bool(yes: bool) -> BOOL {
    if yes { 1 } else { 0 }
}

impl Client for CallbackClient {
    fn reverse_path(&self, question: &mut ReversePathQuestion<'_>) {
        let flow = question.flow();
        let path = question.path();
        if self.config.pfnRpfCallback.is_none() || flow.family() != Family::V4 || !is_v4(path.interface) {
            return;
        }
        let (before, neighbour_before) = (parts(path.interface), path.neighbour.map_or(0, to_dword));
        let (mut index, mut next_hop) = before;
        let mut neighbour = neighbour_before;
        let route_before = path.route.map_or_else(MGM_EXT_ROUTE::default, MGM_EXT_ROUTE::from);
        let mut route = route_before;
        let mut octets = question.packet().to_vec();
        let (length, start) = packet(&mut octets);
        call!(
            self,
            pfnRpfCallback,
            to_dword(flow.source()),
            HOST_MASK,
            to_dword(flow.group()),
            HOST_MASK,
            &raw mut index,
            &raw mut next_hop,
            &raw mut neighbour,
            length,
            start,
            (&raw mut route).cast()
        );
        if (index, next_hop) != before {
            question.set_path(question.path().with_interface(to_interface(index, next_hop)));
        }
        if neighbour != neighbour_before {
            question.set_path(question.path().with_neighbour(to_neighbour(neighbour)));
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
                let (bIGMP, bIsEnabled) = (to_bool(offered.igmp_enabled()), to_bool(offered.enabled()));
                MGM_IF_ENTRY { dwIfIndex, dwIfNextHopAddr, bIGMP, bIsEnabled }
            })
            .collect();
        let (index, next_hop) = parts(incoming);
        call!(
            self,
            pfnCreationAlertCallback,
            to_dword(flow.source()),
            HOST_MASK,
            to_dword(flow.group()),
            HOST_MASK,
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
        let of = from_membership(alert.membership());
        call!(
            self,
            pfnJoinAlertCallback,
            of.dwSourceAddr,
            of.dwSourceMask,
            of.dwGroupAddr,
            of.dwGroupMask,
            to_bool(alert.cause() == Cause::Membership)
        );
    }

    fn prune_alert(&self, alert: &mut PruneAlert) {
        if alert.membership().family() != Family::V4 {
            return;
        }
        let of = from_membership(alert.membership());
        let (index, next_hop) = parts(alert.interface());
        let before = DWORD::try_from(alert.timeout().as_secs()).unwrap_or(DWORD::MAX);
        let mut timeout = before;
        call!(
            self,
            pfnPruneAlertCallback,
            of.dwSourceAddr,
            of.dwSourceMask,
            of.dwGroupAddr,
            of.dwGroupMask,
            index,
            next_hop,
            to_bool(alert.cause() == Cause::Membership),
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
        let of = from_membership(membership);
        let (index, next_hop) = parts(interface);
        call!(
            self,
            pfnLocalJoinCallback,
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
        let of = from_membership(membership);
        let (index, next_hop) = parts(interface);
        call!(
            self,
            pfnLocalLeaveCallback,
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
            call!(self, pfnDisableIgmpCallback, index, next_hop);
        }
    }

    fn enable_igmp(&self, interface: Interface) {
        let (index, next_hop) = parts(interface);
        if is_v4(interface) {
            call!(self, pfnEnableIgmpCallback, index, next_hop);
        }
    }

    fn wants_present_joins(&self) -> bool {
        self.options.wants_present_joins && self.config.pfnJoinAlertCallback.is_some()
    }

    fn wants_wrong_interface(&self) -> bool {
        self.options.wants_wrong_interface && self.config.pfnWrongIfCallback.is_some()
    }

    fn wrong_interface(&self, alert: &WrongInterfaceAlert) {
        if alert.flow().family() != Family::V4 || !is_v4(alert.arrival()) {
            return;
        }
        let (index, next_hop) = parts(alert.arrival());
        let mut octets = alert.packet().to_vec();
        let (length, start) = packet(&mut octets);
        call!(
            self,
            pfnWrongIfCallback,
            to_dword(alert.flow().source()),
            to_dword(alert.flow().group()),
            index,
            next_hop,
            length,
            start
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    unsafe extern "C" fn joined(_: DWORD, _: DWORD, _: DWORD, _: DWORD, _: BOOL) -> DWORD {
        0
    }

    #[test]
    fn only_a_client_that_asks_is_told_of_present_joins() {
        let client = |pfnJoinAlertCallback, wants_present_joins| {
            let config =
                ROUTING_PROTOCOL_CONFIG { pfnJoinAlertCallback, ..ROUTING_PROTOCOL_CONFIG::default() };
            let options = ClientOptions { wants_present_joins, ..ClientOptions::default() };
            CallbackClient { config, options, incarnation: Arc::default() }
        };
        assert!(client(Some(joined), true).wants_present_joins());
        assert!(!client(Some(joined), false).wants_present_joins());
        assert!(!client(None, true).wants_present_joins());
    }
}
