//! [`GmpObserver`]: hears of each change of what the hosts of an interface want.

use crate::manager::Interface;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GmpSubject {
    /// (*, g): every source of a group.
    AnySource {
        /// The group.
        group: IpAddr,
    },
    /// (s, g): one source of a group.
    OneSource {
        /// The source.
        source: IpAddr,
        /// The group.
        group: IpAddr,
    },
    /// A source that (*, g) does not bring, because the hosts exclude it.
    Blocked {
        /// The source.
        source: IpAddr,
        /// The group.
        group: IpAddr,
    },
}

impl fmt::Display for GmpSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GmpSubject::AnySource { group } => write!(f, "(*, {group})"),
            GmpSubject::OneSource { source, group } => write!(f, "({source}, {group})"),
            GmpSubject::Blocked { source, group } => write!(f, "({source}, {group}) blocked"),
        }
    }
}

/// What happened to the subject of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GmpChange {
    /// It began: hosts want the membership, or exclude the source.
    Joined,
    /// It ended by a host's message, at once or when no host had answered the querier in time. Or it ended with its interface, or
    /// was forgotten: then [`GmpEvent::host`] is `None`.
    Left,
    /// It ended because no report renewed it in time.
    Lapsed,
}

/// A change of what the hosts of an interface want.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GmpEvent {
    /// The time, of the caller's clock.
    pub at: Duration,
    /// The interface.
    pub interface: Interface,
    /// The membership or blocked source.
    pub subject: GmpSubject,
    /// What happened to it.
    pub change: GmpChange,
    /// The host that brought the change: the reporter, the host that left, or the last reporter of state that lapsed.
    /// `None` if that is not known.
    pub host: Option<IpAddr>,
}

/// Hears of each change of what the hosts of an interface want.
///
/// It is called in the order of the changes, by one thread at a time, without any lock held. It may call the
/// [`GroupMembership`](super::GroupMembership).
///
/// The events of a subject alternate: it begins, and ends before it begins again. What ends when an interface is released, or by
/// [`forget_everything`](super::GroupMembership::forget_everything), is [`GmpChange::Left`] without a host. Dropping the
/// [`GroupMembership`](super::GroupMembership) is no event.
///
/// At most 65,536 events wait while a call is running. Further ones are lost and counted ([`GmpCounters::events_lost`]). A panic
/// of the observer is contained, logged and counted ([`GmpCounters::observer_panics`]), and the next event follows.
///
/// [`GmpCounters::events_lost`]: super::GmpCounters::events_lost
/// [`GmpCounters::observer_panics`]: super::GmpCounters::observer_panics
pub trait GmpObserver: Send + Sync {
    /// Hears of one change.
    fn changed(&self, event: &GmpEvent);
}
