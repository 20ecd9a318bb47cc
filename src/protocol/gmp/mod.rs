//! Group membership protocols: IGMP and MLD. The reports of hosts become memberships.
//!
//! [`GroupMembership`] is the router's side of IGMPv1, v2, v3 (RFC 1112, 2236, 3376) or of MLDv1, v2 (RFC 2710, 3810). It
//! registers with the manager in the IGMP role, takes interfaces, receives the messages that arrive there, and keeps the
//! manager's memberships equal to what each interface's hosts want:
//!
//! - A group in EXCLUDE makes (*, g) wanted.
//! - A source that hosts include makes (s, g) wanted.
//! - A source that the hosts exclude is blocked: in a new entry by the answer to the creation alert, in an existing entry by a
//!   FORWARD delete.
//!
//! Each interface has the state of RFC 3376 section 6 and RFC 3810 section 7: the filter mode, the group timer and the source
//! timers of each group ([`GroupMembership::groups`]). Beside it, [`hosts`] tracks each host, unless
//! [`GmpConfig::track_hosts`] is off.
//!
//! # Two roles
//!
//! [`Role::Listen`] sends nothing. It runs beside the network's querier, and on captured packets. [`Role::Querier`] takes part
//! in the election and sends queries: [`GroupMembership::poll_transmit`] returns them. In both roles another router that is
//! elected determines the robustness variable, the query interval and the response time, and its specific queries lower timers.
//!
//! # What a leave does
//!
//! [`Leave`] decides. By default a leave has the effect that the RFCs give it where a querier is heard: the querier asks, and
//! the state ends after the last member query time if no host answers. Where none is heard, the tracking of hosts acts at once. A
//! group with hosts of IGMPv1, IGMPv2 or MLDv1 is then held for the last member query time, since such hosts suppress their
//! reports and may be present unseen.
//!
//! # What is ignored
//!
//! [`LinkChecks`] has the checks of what shows that a message comes from the link. Reports without sources are ignored in the
//! source-specific ranges. [`GmpCounters`] counts each reason.
//!
//! Groups of link-local scope are reported like others and become memberships; the manager never forwards to them.
//!
//! # RFC 9776 and RFC 9777
//!
//! They replace RFC 3376 and RFC 3810. The tables of the router are the same. Their group membership interval is longer by one
//! query response interval: 270 seconds by default. This router keeps the 260 seconds of the older documents. Section
//! numbers are those of the older documents too. `docs/conformance.md` has the other differences.

mod config;
mod counters;
mod filter;
mod group;
pub mod hosts;
mod limits;
mod link;
mod observer;
mod outcome;
mod plan;
mod publisher;
mod tracker;
mod views;

pub use crate::wire::gmp::{Datagram, GmpVersion, QueryToSend};
pub use config::{GmpConfig, GmpConfigError, Leave, LinkChecks, Role};
pub use counters::GmpCounters;
pub use hosts::Wanted;
pub use limits::{HostLimits, Refused};
pub use observer::{GmpChange, GmpEvent, GmpObserver, GmpSubject};
pub use outcome::{GmpError, GmpTakeError, Ignored, Received};
pub use views::{FilterMode, GmpInterfaceState, GroupState, LeaveActs, LimitsReached, Querier, Transmission};

use crate::forwarding::Family;
use crate::handle::Handle;
use crate::manager::{GroupManager, Interface, Protocol, ReleaseError};
use crate::wire::gmp;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tracker::{State, Tracker};

/// The router's side of IGMP or of MLD: a client of the manager.
///
/// When a routing protocol takes or releases an interface that this client has taken, its memberships there end. It publishes
/// them again as soon as the manager enables IGMP there again.
///
/// Any method may be called from any thread, and from any callback of the manager. The thread that brings a change publishes
/// it to the manager, unless another thread is publishing: then that thread publishes this change too, and the call returns at
/// once. So calls may wait for the manager, but never for each other. Memberships are up to date while no call is running.
///
/// Dropping it releases its interfaces and deregisters.
///
/// ```
/// use mgm::forwarding::Family;
/// use mgm::manager::{GroupManager, Interface, ManagerConfig};
/// use mgm::protocol::gmp::{Datagram, GmpConfig, GroupMembership, Received};
/// use std::{sync::Arc, time::Duration};
///
/// let manager = Arc::new(GroupManager::new(ManagerConfig::default(), Arc::new(|_| None))?);
/// let igmp = GroupMembership::new(manager.clone(), Family::V4, GmpConfig::default())?;
/// igmp.take(Interface::v4(1))?;
///
/// // An IGMPv2 report of 239.0.0.3.
/// let report = Datagram {
///     source: "10.0.0.5".parse()?,
///     destination: "239.0.0.3".parse()?,
///     hop_limit: 1,
///     router_alert: true,
///     payload: &[0x16, 0, 0xfa, 0xfb, 239, 0, 0, 3],
/// };
/// assert_eq!(igmp.receive(Interface::v4(1), &report, Duration::ZERO), Received::Report);
/// assert_eq!(manager.memberships()[0].membership.to_string(), "(*, 239.0.0.3)");
///
/// igmp.advance(Duration::from_secs(260));
/// assert!(manager.memberships().is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct GroupMembership {
    manager: Arc<GroupManager>,
    handle: Handle,
    family: Family,
    /// The client that the manager calls. It keeps no `Arc` of the manager, which keeps it.
    tracker: Arc<Tracker>,
}

impl GroupMembership {
    /// The component number of IGMP, for IPv4, of instance 0. Each further instance has a number greater by 16.
    pub const IGMP_COMPONENT: u32 = 4;
    /// The component number of MLD, for IPv6, of instance 0. Each further instance has a number greater by 16.
    pub const MLD_COMPONENT: u32 = 6;

    /// Registers with the manager: IGMP for IPv4, MLD for IPv6.
    ///
    /// # Errors
    /// [`GmpError`]: settings that contradict each other, or a refused registration. At most one client of each family and
    /// [instance number](GmpConfig::instance) is registered at a time.
    pub fn new(
        manager: Arc<GroupManager>,
        family: Family,
        config: GmpConfig,
    ) -> Result<GroupMembership, GmpError> {
        config.validate()?;
        let (protocol, instance) = (config.protocol, u32::from(config.instance));
        let tracker = Arc::new(Tracker::new(Arc::new(config)));
        let component = match family {
            Family::V4 => GroupMembership::IGMP_COMPONENT,
            Family::V6 => GroupMembership::MLD_COMPONENT,
        };
        let name = Protocol::new(protocol, component + 16 * instance);
        let handle = manager.register(name, tracker.clone())?;
        tracker.publish_to(&manager, handle);
        Ok(GroupMembership { manager, handle, family, tracker })
    }

    /// Returns the handle under which this client is registered.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle
    }

    /// Returns the address family: IPv4 for IGMP, IPv6 for MLD.
    #[must_use]
    pub fn family(&self) -> Family {
        self.family
    }

    /// Takes an interface in the IGMP role. A routing protocol may have taken it too.
    ///
    /// # Errors
    /// [`GmpTakeError`].
    pub fn take(&self, interface: Interface) -> Result<(), GmpTakeError> {
        if interface.family() != self.family {
            return Err(GmpTakeError::OtherFamily(interface));
        }
        self.manager.take(self.handle, interface)?;
        self.follow_ownership(interface);
        Ok(())
    }

    /// Releases an interface: forgets its hosts, and ends the memberships there. The observer hears of each end.
    ///
    /// # Errors
    /// [`ReleaseError`].
    pub fn release(&self, interface: Interface) -> Result<(), ReleaseError> {
        self.manager.release(self.handle, interface)?;
        self.follow_ownership(interface);
        Ok(())
    }

    /// Tracks an interface as long as the manager has this client as its owner.
    ///
    /// The manager is asked under the tracker's lock, which needs no lock of the manager. So of two threads that take and
    /// release, the one that comes last here finds what is true then, in whatever order the manager's calls returned.
    fn follow_ownership(&self, interface: Interface) {
        self.tracker.change(|state| {
            let owned = self.manager.ownership_number(self.handle, interface);
            state.follow(interface, owned);
        });
        self.tracker.publish();
    }

    /// Returns the interfaces that this client has taken, in order.
    #[must_use]
    pub fn interfaces(&self) -> Vec<Interface> {
        self.tracker.read(State::interfaces)
    }

    /// Applies a message that arrived on an interface, and updates the memberships.
    ///
    /// State that is due at `now` lapses first, but a report at that very moment renews it without a gap. Times count from the
    /// start of the caller's clock; a time earlier than one before is taken as that one.
    pub fn receive(&self, interface: Interface, datagram: &Datagram<'_>, now: Duration) -> Received {
        let parsed = match (self.family, datagram.source, datagram.destination) {
            (Family::V4, IpAddr::V4(_), _) => gmp::parse_igmp(datagram.payload).map_err(Received::Malformed),
            (Family::V6, IpAddr::V6(source), IpAddr::V6(destination)) => {
                gmp::parse_mld(datagram.payload, source, destination).map_err(Received::Malformed)
            }
            _ => Err(Received::Ignored(Ignored::OtherFamily)),
        };
        let received = self.tracker.change(|state| {
            state.arrive(interface, now, |state| match parsed {
                Ok(message) => state.receive(interface, datagram, message),
                Err(received) => received,
            })
        });
        self.tracker.publish();
        received
    }

    /// Lets the time pass until `now`: state lapses, and queries come due. Costs one load if nothing is due, so a plane may call it
    /// for every packet.
    pub fn advance(&self, now: Duration) {
        if self.tracker.is_due(now) {
            self.tracker.change(|state| state.advance(now));
            self.tracker.publish();
        }
    }

    /// Returns the time of the next event, at which [`advance`](Self::advance) has an effect.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        self.tracker.read(State::next_deadline)
    }

    /// Forgets every host and querier, and ends every membership. Keeps the interfaces, the addresses and the counters. Time may
    /// begin anew. The observer does not hear of it.
    pub fn forget_everything(&self) {
        self.tracker.change(State::forget_hosts);
        self.tracker.publish();
    }

    /// Returns the interest of an interface's hosts in a group; `None` if this client has not taken the interface.
    #[must_use]
    pub fn wanted(&self, interface: Interface, group: IpAddr) -> Option<Wanted> {
        self.tracker.read(|state| state.wanted(interface, group))
    }

    /// Sets the observer, which hears of each change from now on. Only the first call has an effect.
    #[must_use]
    pub fn with_observer(self, observer: Arc<dyn GmpObserver>) -> GroupMembership {
        self.tracker.observe(observer);
        self
    }

    /// Sets this router's addresses on an interface, each with the length of its network's prefix. Those of the other family have no
    /// effect.
    ///
    /// The networks are for [`LinkChecks::subnet`]. The election of the querier takes the first address of the family; for MLD
    /// it takes the first link-local one. They stay when the interface is released.
    pub fn set_addresses(&self, interface: Interface, mut addresses: Vec<(IpAddr, u8)>) {
        addresses.retain(|(address, _)| Family::of(*address) == self.family);
        self.tracker.change(|state| state.set_addresses(interface, addresses));
    }

    /// Takes the next query that this router sends as querier; `None` if there is none at present.
    ///
    /// Queries come due by [`advance`](Self::advance) and by [`receive`](Self::receive). The caller sends them at once. At most
    /// 1024 wait, and the oldest of more are dropped and counted ([`GmpCounters::unsent`]).
    #[must_use]
    pub fn poll_transmit(&self) -> Option<Transmission> {
        self.tracker.change(State::next_transmission)
    }

    /// Returns the state of an interface; `None` if this client has not taken it.
    #[must_use]
    pub fn interface_state(&self, interface: Interface) -> Option<GmpInterfaceState> {
        self.tracker.read(|state| state.interface_state(interface))
    }

    /// Returns the groups of an interface that have state, in order; empty if this client has not taken it.
    #[must_use]
    pub fn groups(&self, interface: Interface) -> Vec<GroupState> {
        self.tracker.read(|state| state.groups(interface))
    }

    /// Returns the counters.
    #[must_use]
    pub fn counters(&self) -> GmpCounters {
        self.tracker.read(State::counters)
    }
}

impl Drop for GroupMembership {
    fn drop(&mut self) {
        for interface in self.interfaces() {
            // Refused only if this client no longer owns the interface: then there is nothing to release.
            _ = self.manager.release(self.handle, interface);
        }
        if let Err(error) = self.manager.deregister(self.handle) {
            tracing::warn!(family = ?self.family, %error, "IGMP stays registered");
        }
    }
}
