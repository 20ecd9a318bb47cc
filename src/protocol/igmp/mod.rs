//! IGMP and MLD: what hosts report becomes memberships.
//!
//! [`Igmp`] is the router's side of IGMPv1, v2, v3 (RFC 1112, 2236, 3376) or of MLDv1, v2 (RFC 2710, 3810): it registers
//! with the manager in the IGMP role, takes interfaces, is given the messages that arrive there, and keeps the manager's
//! memberships at what the hosts of each interface want all together ([`hosts`] tells how that is tracked):
//!
//! - A host that excludes sources, or was heard with an older version: (*, g).
//! - A host that includes sources: (s, g) for each.
//! - A source that every excluding host excludes and none includes is kept off: a new entry by the answer to the creation
//!   alert, an entry that is there by a FORWARD delete.
//!
//! It listens and does not speak: it sends no queries and needs none, so it runs beside the network's querier, and on
//! captured packets. A leave takes effect at once, when the last host that had reported is gone; what a host reported and
//! does not report again lapses after the group membership interval (RFC 3376 section 8.4).
//!
//! What is checked of a message beyond its form: nothing for IGMP, whose hosts may not even have an address yet (RFC 3376
//! section 4.2.13); MLD messages are ignored unless they come from a link-local address with hop limit 1 (RFC 3810
//! sections 5.2.13 and 7.4, RFC 2710 section 3), which shows that they come from the link. Section 7.4 also wants the
//! Router Alert option, by which a router finds messages that are not sent to it; who calls has found it already, so that
//! option is not asked for.
//!
//! Groups of link-local scope are reported like others and become memberships; the manager never forwards to them. The
//! source-specific range 232.0.0.0/8 (RFC 4607) is a range like others: what is forwarded there without a source named is
//! for the operator's configuration to say.

mod counters;
pub mod hosts;
mod plan;
mod speaker;
mod tracker;
pub mod wire;

pub use counters::IgmpCounters;

use crate::forwarding::Family;
use crate::handle::Handle;
use crate::manager::{GroupManager, Interface, Protocol, RegisterError, ReleaseError, TakeError};
use hosts::{Limits, Wanted};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tracker::{State, Tracker};
use wire::Malformed;

/// How an [`Igmp`] is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IgmpConfig {
    /// The protocol number it registers under: the manager's `igmp_protocol`.
    pub protocol: u32,
    /// The group membership interval: how long a report lasts that is not renewed.
    pub membership_interval: Duration,
    /// How much it keeps of each interface's hosts.
    pub limits: Limits,
}

impl Default for IgmpConfig {
    /// 260 seconds: robustness 2 times the query interval of 125 seconds, and 10 seconds to answer (RFC 3376 section 8).
    fn default() -> IgmpConfig {
        IgmpConfig {
            protocol: Protocol::IGMP,
            membership_interval: Duration::from_secs(260),
            limits: Limits::default(),
        }
    }
}

/// A packet with an IGMP or MLD message.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// Who sent it.
    pub source: IpAddr,
    /// Whom to.
    pub destination: IpAddr,
    /// Its hop limit or time to live.
    pub hop_limit: u8,
    /// The message: the payload of IPv4 protocol 2, or the whole ICMPv6 message behind the extension headers.
    pub payload: &'a [u8],
}

/// What became of a message. All but [`Malformed`](Received::Malformed) were well-formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// A host's report, leave or done: it was taken in.
    Report,
    /// A router's query.
    Query,
    /// A message that means nothing here.
    Ignored(Ignored),
    /// Not a message: nothing of it counts.
    Malformed(Malformed),
}

/// Why a well-formed message means nothing here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ignored {
    /// It is of another type: not a report, leave or query.
    #[error("a message of type {0}")]
    OtherType(u8),
    /// It is of the other address family.
    #[error("a packet of the other address family")]
    OtherFamily,
    /// It arrived on an interface that this client has not taken.
    #[error("{0} is not taken")]
    NotTaken(Interface),
    /// An MLD message whose hop limit is not 1.
    #[error("hop limit {0}: it may have been sent from beyond the link")]
    HopLimit(u8),
    /// An MLD message whose source is not a link-local address.
    #[error("source {0} is not a link-local address")]
    NotLinkLocal(IpAddr),
    /// It is about an address that is not a group.
    #[error("{0} is not a multicast group")]
    NotAGroup(IpAddr),
}

/// Why an interface was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IgmpTakeError {
    /// The interface is of the other family.
    #[error("{0} is of the other address family: IGMP takes IPv4 interfaces, MLD takes IPv6 ones")]
    OtherFamily(Interface),
    /// The manager refused.
    #[error(transparent)]
    Refused(#[from] TakeError),
}

/// The router's side of IGMP or of MLD: a client of the manager's.
///
/// When a routing protocol takes or releases an interface that it is on, the memberships there end, and it says them all
/// again as soon as the manager switches it on again.
///
/// Any method may be called from any thread and from any callback of the manager's. A change of memberships is made by the
/// thread that brought it, unless another thread is just making changes: then that thread makes it, too, and the call
/// returns at once. So calls may wait for the manager, but never for each other, and memberships are up to date when no
/// call is under way.
///
/// Dropping it releases its interfaces and deregisters.
///
/// ```
/// use mgm::forwarding::Family;
/// use mgm::manager::{GroupManager, Interface, ManagerConfig};
/// use mgm::protocol::igmp::{Datagram, Igmp, IgmpConfig, Received};
/// use std::{sync::Arc, time::Duration};
///
/// let manager = Arc::new(GroupManager::new(ManagerConfig::default(), Arc::new(|_| None))?);
/// let igmp = Igmp::new(manager.clone(), Family::V4, IgmpConfig::default())?;
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
pub struct Igmp {
    manager: Arc<GroupManager>,
    handle: Handle,
    family: Family,
    config: IgmpConfig,
    /// What the manager calls. It does not keep the manager, which keeps it.
    tracker: Arc<Tracker>,
}

impl Igmp {
    /// The component number of IGMP proper, for IPv4.
    pub const IGMP_COMPONENT: u32 = 4;
    /// The component number of MLD, for IPv6.
    pub const MLD_COMPONENT: u32 = 6;

    /// Registers: IGMP with the manager for IPv4, MLD for IPv6.
    ///
    /// # Errors
    /// [`RegisterError`]; there is one of each at a time.
    pub fn new(
        manager: Arc<GroupManager>,
        family: Family,
        config: IgmpConfig,
    ) -> Result<Igmp, RegisterError> {
        let tracker = Arc::new(Tracker::new());
        let component = match family {
            Family::V4 => Igmp::IGMP_COMPONENT,
            Family::V6 => Igmp::MLD_COMPONENT,
        };
        let handle = manager.register(Protocol::new(config.protocol, component), tracker.clone())?;
        tracker.speak_to(&manager, handle);
        Ok(Igmp { manager, handle, family, config, tracker })
    }

    /// The handle it is registered under.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle
    }

    /// The family it serves.
    #[must_use]
    pub fn family(&self) -> Family {
        self.family
    }

    /// Takes an interface, in the IGMP role: it may be a routing protocol's at the same time.
    ///
    /// # Errors
    /// [`IgmpTakeError`].
    pub fn take(&self, interface: Interface) -> Result<(), IgmpTakeError> {
        if interface.family() != self.family {
            return Err(IgmpTakeError::OtherFamily(interface));
        }
        self.manager.take(self.handle, interface)?;
        let IgmpConfig { membership_interval, limits, .. } = self.config;
        self.tracker.change(|state| state.begin(interface, membership_interval, limits));
        Ok(())
    }

    /// Releases an interface: its hosts are forgotten, and the memberships there end.
    ///
    /// # Errors
    /// [`ReleaseError`].
    pub fn release(&self, interface: Interface) -> Result<(), ReleaseError> {
        self.manager.release(self.handle, interface)?;
        self.tracker.change(|state| state.end(interface));
        Ok(())
    }

    /// The interfaces taken, in order.
    #[must_use]
    pub fn interfaces(&self) -> Vec<Interface> {
        self.tracker.look(State::interfaces)
    }

    /// Takes in a message that arrived on an interface, and makes the memberships follow. What is due to lapse by `now`
    /// lapses first, but a report that comes at that very moment renews without a gap.
    ///
    /// Times count from wherever the caller's clock begins; one earlier than a time given before is taken for that.
    pub fn receive(&self, interface: Interface, datagram: &Datagram<'_>, now: Duration) -> Received {
        let parsed = match (self.family, datagram.source, datagram.destination) {
            (Family::V4, IpAddr::V4(_), _) => wire::parse_igmp(datagram.payload).map_err(Received::Malformed),
            (Family::V6, IpAddr::V6(source), IpAddr::V6(destination)) => {
                wire::parse_mld(datagram.payload, source, destination).map_err(Received::Malformed)
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
        self.tracker.tell();
        received
    }

    /// Lets lapse what hosts have not renewed. Costs one load when nothing is due: it may be called for every packet.
    pub fn advance(&self, now: Duration) {
        if self.tracker.is_due(now) {
            self.tracker.change(|state| state.advance(now));
            self.tracker.tell();
        }
    }

    /// When [`advance`](Self::advance) next has something to do.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        self.tracker.look(State::next_deadline)
    }

    /// Forgets every host and ends every membership, but keeps the interfaces and the counters; time may begin anew.
    pub fn forget_everything(&self) {
        self.tracker.change(State::forget_hosts);
        self.tracker.tell();
    }

    /// What the hosts of an interface want of a group, all together; `None` when the interface is not taken.
    #[must_use]
    pub fn wanted(&self, interface: Interface, group: IpAddr) -> Option<Wanted> {
        self.tracker.look(|state| state.wanted(interface, group))
    }

    /// What was seen so far.
    #[must_use]
    pub fn counters(&self) -> IgmpCounters {
        self.tracker.look(State::counters)
    }
}

impl Drop for Igmp {
    fn drop(&mut self) {
        for interface in self.interfaces() {
            // Refused only if it is not this client's any more: then there is nothing to release.
            _ = self.manager.release(self.handle, interface);
        }
        if let Err(error) = self.manager.deregister(self.handle) {
            tracing::warn!(family = ?self.family, %error, "IGMP stays registered");
        }
    }
}
