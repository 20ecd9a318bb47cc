//! Group membership protocols: IGMP and MLD. The reports of hosts become memberships.
//!
//! [`GroupMembership`] is the router's side of IGMPv1, v2, v3 (RFC 1112, 2236, 3376) or of MLDv1, v2 (RFC 2710, 3810). It
//! registers with the manager in the IGMP role, takes interfaces, receives the messages that arrive there, and keeps the
//! manager's memberships equal to the interest of each interface's hosts ([`hosts`] describes how it tracks them):
//!
//! - A host that excludes sources, or reports with an older version, makes (*, g) wanted.
//! - A host that includes sources makes (s, g) wanted for each.
//! - A source that every excluding host excludes, and no host includes, is blocked: in a new entry by the answer to the creation
//!   alert, in an existing entry by a FORWARD delete.
//!
//! It listens and does not send: it sends no queries and needs none. So it runs beside the network's querier, and on captured
//! packets. A leave takes effect at once when the last reporting host is gone. A report that is not renewed lapses after the
//! group membership interval (RFC 3376 section 8.4).
//!
//! Beyond the form of a message, IGMP has no checks: its hosts may have no address yet (RFC 3376 section 4.2.13). MLD messages
//! are ignored unless they come from a link-local address with hop limit 1 (RFC 3810 sections 5.2.13 and 7.4, RFC 2710
//! section 3), which shows that they come from the link. Section 7.4 also requires the Router Alert option, by which a router
//! finds messages that are not sent to it. The caller has found the message already, so this client does not check the option.
//!
//! Groups of link-local scope are reported like others and become memberships; the manager never forwards to them. The
//! source-specific range 232.0.0.0/8 (RFC 4607) is treated like other ranges: the operator's configuration decides whether to
//! forward there without a named source.

mod counters;
mod filter;
mod group;
pub mod hosts;
mod limits;
mod outcome;
mod plan;
mod publisher;
mod tracker;

pub use crate::wire::gmp::Datagram;
pub use counters::GmpCounters;
pub use hosts::Wanted;
pub use limits::{HostLimits, Refused};
pub use outcome::{GmpTakeError, Ignored, Received};

use crate::forwarding::Family;
use crate::handle::Handle;
use crate::manager::{GroupManager, Interface, Protocol, RegisterError, ReleaseError};
use crate::wire::gmp;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tracker::{State, Tracker};

/// The settings of a [`GroupMembership`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GmpConfig {
    /// The protocol number to register with: the manager's `igmp_protocol`.
    pub protocol: u32,
    /// The group membership interval, after which a report lapses unless it is renewed.
    pub membership_interval: Duration,
    /// The limits of the state of each interface's hosts.
    pub limits: HostLimits,
}

impl Default for GmpConfig {
    /// 260 seconds: robustness 2 times the query interval of 125 seconds, and 10 seconds to answer (RFC 3376 section 8).
    fn default() -> GmpConfig {
        GmpConfig {
            protocol: Protocol::IGMP,
            membership_interval: Duration::from_secs(260),
            limits: HostLimits::default(),
        }
    }
}

impl GmpConfig {
    /// Sets the protocol number to register with.
    #[must_use]
    pub const fn with_protocol(self, protocol: u32) -> GmpConfig {
        GmpConfig { protocol, ..self }
    }

    /// Sets the group membership interval.
    #[must_use]
    pub const fn with_membership_interval(self, membership_interval: Duration) -> GmpConfig {
        GmpConfig { membership_interval, ..self }
    }

    /// Sets the limits of the state of each interface's hosts.
    #[must_use]
    pub const fn with_limits(self, limits: HostLimits) -> GmpConfig {
        GmpConfig { limits, ..self }
    }
}

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
    config: GmpConfig,
    /// The client that the manager calls. It keeps no `Arc` of the manager, which keeps it.
    tracker: Arc<Tracker>,
}

impl GroupMembership {
    /// The component number of IGMP, for IPv4.
    pub const IGMP_COMPONENT: u32 = 4;
    /// The component number of MLD, for IPv6.
    pub const MLD_COMPONENT: u32 = 6;

    /// Registers with the manager: IGMP for IPv4, MLD for IPv6.
    ///
    /// # Errors
    /// [`RegisterError`]; at most one client of each is registered at a time.
    pub fn new(
        manager: Arc<GroupManager>,
        family: Family,
        config: GmpConfig,
    ) -> Result<GroupMembership, RegisterError> {
        let tracker = Arc::new(Tracker::new());
        let component = match family {
            Family::V4 => GroupMembership::IGMP_COMPONENT,
            Family::V6 => GroupMembership::MLD_COMPONENT,
        };
        let handle = manager.register(Protocol::new(config.protocol, component), tracker.clone())?;
        tracker.publish_to(&manager, handle);
        Ok(GroupMembership { manager, handle, family, config, tracker })
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

    /// Releases an interface: forgets its hosts, and ends the memberships there.
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
        let GmpConfig { membership_interval, limits, .. } = self.config;
        self.tracker.change(|state| {
            let owned = self.manager.ownership_number(self.handle, interface);
            state.follow(interface, owned, membership_interval, limits);
        });
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
            state.advance(now);
            let received = match parsed {
                Ok(message) => state.receive(interface, datagram, message),
                Err(received) => received,
            };
            state.counters.count(received);
            received
        });
        self.tracker.publish();
        received
    }

    /// Removes the state that lapses until `now`. Costs one load if none does, so a plane may call it for every packet.
    pub fn advance(&self, now: Duration) {
        if self.tracker.is_due(now) {
            self.tracker.change(|state| state.advance(now));
            self.tracker.publish();
        }
    }

    /// Returns the time of the next lapse, at which [`advance`](Self::advance) has an effect.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        self.tracker.read(State::next_deadline)
    }

    /// Forgets every host and ends every membership. Keeps the interfaces and the counters. Time may begin anew.
    pub fn forget_everything(&self) {
        self.tracker.change(State::forget_hosts);
        self.tracker.publish();
    }

    /// Returns the interest of an interface's hosts in a group; `None` if this client has not taken the interface.
    #[must_use]
    pub fn wanted(&self, interface: Interface, group: IpAddr) -> Option<Wanted> {
        self.tracker.read(|state| state.wanted(interface, group))
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
