//! The counters of a running router, for `mgm show counters`.

use super::Router;
use super::instance::{Running, protocol_name};
use crate::control::protocol::CounterRow;
use crate::control::server::ControlCounters;
use mgm::protocol::gmp::GmpCounters;
use mgm_linux::plane::PlaneCounters;
use std::sync::atomic::Ordering::Relaxed;

/// Makes rows of fields, under their names.
macro_rules! rows {
    ($of:expr, $counters:expr, [$($field:ident),* $(,)?]) => {
        [$((stringify!($field), $counters.$field)),*].map(|(name, count)| row($of, name, count))
    };
}

fn row(of: &str, name: &str, count: u64) -> CounterRow {
    CounterRow { of: of.to_owned(), name: name.to_owned(), count }
}

impl Router {
    /// Returns every counter.
    pub(super) fn counter_rows(&self, control: Option<&ControlCounters>) -> Vec<CounterRow> {
        let mut all = Vec::new();
        let limits = self.manager.limit_counters();
        all.extend(rows!(
            "manager",
            limits,
            [
                entries_withdrawn,
                entries_refused,
                entries_refused_of_interface,
                memberships_refused,
                negative_evicted,
                flows_forgotten,
                upcalls_refused,
                wrong_interface_refused,
            ]
        ));
        all.push(row("manager", "client_panics", self.manager.client_panics()));
        for plane in &self.planes {
            let of = format!(
                "plane {}",
                if plane.family() == mgm::forwarding::Family::V4 { "IPv4" } else { "IPv6" }
            );
            all.extend(plane_rows(&of, &plane.counters()));
        }
        for instance in &self.instances {
            match &instance.running {
                Running::Gmp(families) => {
                    for family in families {
                        let protocol = protocol_name(family.membership.family());
                        let of = format!("{} {protocol}", instance.config.name);
                        all.extend(gmp_rows(&of, &family.membership.counters()));
                        let socket = family.service.counters();
                        let socket_of = format!("{of} socket");
                        all.extend(rows!(
                            &socket_of,
                            socket,
                            [received, elsewhere, unreadable, receive_errors, sent, send_errors]
                        ));
                    }
                }
                Running::Static(joins) => {
                    let (of, flows) = (&instance.config.name, joins.flows());
                    all.push(row(of, "flows", flows.flows as u64));
                    all.extend(rows!(of, flows, [refused, failed]));
                }
            }
        }
        if let Some(control) = control {
            all.extend([
                row("control", "accepted", control.accepted.load(Relaxed)),
                row("control", "requests", control.requests.load(Relaxed)),
                row("control", "malformed", control.malformed.load(Relaxed)),
                row("control", "dropped", control.dropped.load(Relaxed)),
            ]);
        }
        all
    }
}

fn plane_rows(of: &str, counters: &PlaneCounters) -> Vec<CounterRow> {
    rows!(
        of,
        counters,
        [
            no_entry,
            refused,
            wrong_interface,
            igmp,
            malformed,
            receive_errors,
            entries_set,
            entries_deleted,
            entries_failed,
            comparisons,
            interfaces_cut,
        ]
    )
    .into()
}

fn gmp_rows(of: &str, counters: &GmpCounters) -> Vec<CounterRow> {
    let mut all: Vec<_> = rows!(
        of,
        counters,
        [
            reports,
            leaves,
            queries,
            older_queries,
            malformed,
            other_type,
            other_family,
            not_taken,
            hop_limit,
            not_link_local,
            ttl,
            no_router_alert,
            not_from_link,
            source_specific_range,
            older_hosts,
            unsent,
            not_a_group,
            unknown_records,
            not_a_source,
            lapsed,
            no_room,
            not_owned,
            observer_panics,
            events_lost,
        ]
    )
    .into();
    let refused = counters.refused;
    all.extend([
        row(of, "refused_groups", refused.groups),
        row(of, "refused_hosts", refused.hosts),
        row(of, "refused_sources", refused.sources),
    ]);
    all
}
