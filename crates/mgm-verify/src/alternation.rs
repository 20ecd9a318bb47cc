//! Alternation of alerts: for each client and key, joins and prunes caused by memberships alternate.
//!
//! [`Told`] follows what one client is told. [`expected`] reads from a manager on which no call is under way what its
//! clients should have been told.

use mgm::handle::Handle;
use mgm::manager::{Cause, GroupManager, Interface, JoinAlert, Membership, Protocol, PruneAlert};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The alert that breaks the alternation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAlternating {
    /// The key.
    pub membership: Membership,
    /// Whether the alert was a join. A prune before any join, for a client that is told of present joins, counts as well.
    pub join: bool,
}

impl fmt::Display for NotAlternating {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (alert, before) = if self.join { ("join", "join") } else { ("prune", "prune, or nothing,") };
        write!(f, "the {alert} alert of {} follows a {before} of the same key", self.membership)
    }
}

/// What a client was told of each key. It has been told of a join last, or of a prune.
#[derive(Debug)]
pub struct Told {
    wants_present_joins: bool,
    keys: BTreeMap<Membership, bool>,
}

impl Told {
    /// Returns the state of a new client. One that does not want present joins may be told of a prune first.
    #[must_use]
    pub fn new(wants_present_joins: bool) -> Told {
        Told { wants_present_joins, keys: BTreeMap::new() }
    }

    /// Records a join alert.
    ///
    /// # Errors
    /// If the alert before, of the same key, was a join.
    pub fn join(&mut self, alert: &JoinAlert) -> Result<(), NotAlternating> {
        self.record(alert.membership(), alert.cause(), true)
    }

    /// Records a prune alert.
    ///
    /// # Errors
    /// If the alert before, of the same key, was no join.
    pub fn prune(&mut self, alert: &PruneAlert) -> Result<(), NotAlternating> {
        self.record(alert.membership(), alert.cause(), false)
    }

    fn record(&mut self, membership: Membership, cause: Cause, join: bool) -> Result<(), NotAlternating> {
        if cause != Cause::Membership {
            return Ok(());
        }
        // Of (s,g) no client is told at registration: only its take of the RPF interface leads to a join.
        let first = self.wants_present_joins || membership.source().is_some();
        let before = self.keys.insert(membership, join);
        if before == Some(join) || (before.is_none() && first && !join) {
            return Err(NotAlternating { membership, join });
        }
        Ok(())
    }

    /// Returns the keys of which the client was told a join last.
    #[must_use]
    pub fn joined(&self) -> BTreeSet<Membership> {
        self.keys.iter().filter(|(_, join)| **join).map(|(membership, _)| *membership).collect()
    }

    /// Returns the keys of which the client was told anything.
    #[must_use]
    pub fn known(&self) -> BTreeSet<Membership> {
        self.keys.keys().copied().collect()
    }
}

/// Returns, for each client of a manager on which no call is under way, the keys for which other clients count. Of (s,g)
/// the owner of the interface that `routes` gives is told, if that is also the RPF interface that the manager has.
#[must_use]
pub fn expected(
    manager: &GroupManager,
    routes: impl Fn(Membership) -> Option<Interface>,
) -> Vec<(Handle, Protocol, BTreeSet<Membership>)> {
    let counting: BTreeSet<(Membership, Protocol)> = manager
        .memberships()
        .into_iter()
        // IGMP does not count beside a routing protocol, which is the owner that the manager names then.
        .filter(|record| manager.owner_of(record.interface) == Ok(record.protocol))
        .map(|record| (record.membership, record.protocol))
        .collect();
    let keys: BTreeSet<Membership> = counting.iter().map(|(membership, _)| *membership).collect();
    let told = |membership: &Membership, client: Protocol| {
        let others = counting.iter().any(|(other, member)| other == membership && *member != client);
        let decides = || routes(*membership).is_some_and(|at| manager.owner_of(at) == Ok(client));
        others && (membership.source().is_none() || decides())
    };
    let of = |client: Protocol| keys.iter().copied().filter(|key| told(key, client)).collect();
    manager
        .clients()
        .into_iter()
        .map(|client| (client.handle, client.protocol, of(client.protocol)))
        .collect()
}
