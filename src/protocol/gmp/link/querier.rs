//! [`Election`]: the querier of an interface, and the values that it determines (RFC 3376 section 6.6.2, RFC 3810 section
//! 7.6.2).
//!
//! The router with the lowest address is the querier. A router that hears a lower address than its own is silent until that
//! router is gone. The other routers use the robustness variable, the query interval and the response time of its queries.
//!
//! A query from the unspecified address is that of a switch that asks in place of a router (RFC 4541 section 2.1.1). It loses
//! each election. Where no router asks, it counts as the querier: the hosts answer it.

use super::super::config::{GmpConfig, Role};
use super::super::views::Querier;
use crate::wire::gmp::{GmpVersion, Query};
use std::net::IpAddr;
use std::time::Duration;

/// The values in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Values {
    pub(super) robustness: u8,
    pub(super) query_interval: Duration,
    pub(super) response_interval: Duration,
}

impl Values {
    pub(super) fn own(config: &GmpConfig) -> Values {
        Values {
            robustness: config.robustness,
            query_interval: config.query_interval,
            response_interval: config.query_response_interval,
        }
    }

    /// Returns the group membership interval, which is also the older host present interval (RFC 3376 sections 8.4 and 8.13).
    pub(super) fn membership_interval(&self) -> Duration {
        self.queries().saturating_add(self.response_interval)
    }

    /// Returns the other querier present interval (RFC 3376 section 8.5).
    fn other_querier_interval(&self) -> Duration {
        self.queries().saturating_add(self.response_interval / 2)
    }

    /// Returns the time in which as many general queries come as may get lost.
    fn queries(&self) -> Duration {
        self.query_interval.saturating_mul(u32::from(self.robustness))
    }
}

/// The election on one interface.
#[derive(Debug)]
pub(super) struct Election {
    /// This router's address, if it takes part.
    own: Option<IpAddr>,
    other: Option<Other>,
    pub(super) values: Values,
    /// The time of this router's next general query.
    pub(super) next_general: Option<Duration>,
    /// The number of general queries at start that are still to be sent.
    startup: u8,
}

#[derive(Clone, Copy, Debug)]
struct Other {
    address: IpAddr,
    until: Duration,
    version: GmpVersion,
}

impl Election {
    pub(super) fn new(config: &GmpConfig) -> Election {
        Election { own: None, other: None, values: Values::own(config), next_general: None, startup: 0 }
    }

    /// Sets this router's address, and begins to ask (RFC 3376 section 6.6.2: a router starts as querier).
    pub(super) fn set_own(&mut self, config: &GmpConfig, own: Option<IpAddr>, now: Duration) {
        let own = own.filter(|_| config.role == Role::Querier);
        if own == self.own {
            return;
        }
        self.own = own;
        if let (Some(own), Some(other)) = (own, self.other)
            && !loses_to(own, other.address)
        {
            self.other = None;
        }
        (self.startup, self.next_general) = (0, None);
        if self.is_querier() {
            self.values = Values::own(config);
            (self.startup, self.next_general) = (config.startup_count(), Some(now));
        }
    }

    /// Forgets the other querier, and begins anew.
    pub(super) fn restart(&mut self, config: &GmpConfig) {
        let own = self.own;
        *self = Election::new(config);
        self.set_own(config, own, Duration::ZERO);
    }

    /// Returns whether this router is the querier.
    pub(super) fn is_querier(&self) -> bool {
        self.own.is_some() && self.other.is_none()
    }

    /// Returns the address that queries are sent from.
    pub(super) fn own(&self) -> Option<IpAddr> {
        self.own
    }

    /// Returns whether a querier is heard, or is this router.
    pub(super) fn is_asked(&self) -> bool {
        self.own.is_some() || self.other.is_some()
    }

    /// Returns the querier and the version of its queries.
    pub(super) fn querier(&self, config: &GmpConfig) -> Option<(Querier, GmpVersion)> {
        match (self.other, self.own) {
            (Some(Other { address, until, version }), _) => {
                Some((Querier::Other { address, until }, version))
            }
            (None, Some(address)) => Some((Querier::This { address }, config.version)),
            (None, None) => None,
        }
    }

    /// Hears a query. Returns whether this router stops being the querier.
    pub(super) fn hear(
        &mut self,
        config: &GmpConfig,
        source: IpAddr,
        query: &Query<'_>,
        now: Duration,
    ) -> bool {
        let was_querier = self.is_querier();
        if self.own.is_some_and(|own| !loses_to(own, source))
            || self.other.is_some_and(|other| other.address != source && !loses_to(other.address, source))
        {
            return false;
        }
        let mut values = Values::own(config);
        if query.robustness != 0 {
            values.robustness = query.robustness;
        }
        if !query.query_interval.is_zero() {
            values.query_interval = query.query_interval;
        }
        // The response time of a specific query is another: the last member query interval.
        values.response_interval = match self.other {
            _ if query.is_general() => query.max_response_time,
            Some(_) => self.values.response_interval,
            None => config.query_response_interval,
        };
        self.values = values;
        let until = now.saturating_add(values.other_querier_interval());
        self.other = Some(Other { address: source, until, version: query.version });
        (self.startup, self.next_general) = (0, None);
        was_querier
    }

    /// Returns the time at which something happens here without a message.
    pub(super) fn deadline(&self) -> Option<Duration> {
        [self.next_general, self.other.map(|other| other.until)].into_iter().flatten().min()
    }

    /// Lets the time pass until `at`. Returns whether a general query is due. `now` is the time up to which the caller lets pass.
    pub(super) fn advance(&mut self, config: &GmpConfig, at: Duration, now: Duration) -> bool {
        if self.other.is_some_and(|other| other.until <= at) {
            self.other = None;
            self.values = Values::own(config);
            if self.own.is_some() {
                self.next_general = Some(at);
            }
        }
        let Some(due) = self.next_general.filter(|due| *due <= at) else { return false };
        self.startup = self.startup.saturating_sub(1);
        let interval = if self.startup > 0 { config.startup_interval() } else { config.query_interval };
        // Queries that the caller let pass by are not made up for. At the end of time there is no next one.
        let next = [due, now].map(|from| from.saturating_add(interval));
        self.next_general = next.into_iter().find(|next| *next > now);
        true
    }
}

/// Returns whether a router with an address loses the election to a query's source.
fn loses_to(address: IpAddr, source: IpAddr) -> bool {
    match (address.is_unspecified(), source.is_unspecified()) {
        (_, true) => false,
        (true, false) => true,
        (false, false) => source < address,
    }
}
