//! [`ControlLoad`]: a thread that uses memberships, enumerations and walks while packets are forwarded.
//!
//! It has interfaces and groups of its own, so that the counts of the capture do not change.

use crate::churn::{WrongAnswer, first_interface};
use mgm::handle::Handle;
use mgm::manager::{
    Client, EnumerationKind, GroupManager, Interface, JoinAlert, Membership, Protocol, PruneAlert,
    RegisterError, StateChange,
};
use std::fmt::Debug;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

/// An unassigned protocol of type PROTO_TYPE_MCAST.
const PROTOCOL: u32 = 0x4000_F00E;
/// The number of groups of a round. Each is joined from any source and from one.
const GROUPS: u8 = 16;

/// A client that counts its alerts.
#[derive(Default)]
struct AlertCounter {
    alerts: AtomicU64,
}

impl Client for AlertCounter {
    fn join_alert(&self, _: &JoinAlert) {
        // Relaxed, here and below: a count.
        self.alerts.fetch_add(1, Ordering::Relaxed);
    }

    fn prune_alert(&self, _: &mut PruneAlert) {
        self.alerts.fetch_add(1, Ordering::Relaxed);
    }
}

/// The running thread.
pub(super) struct ControlLoad {
    stop: Arc<AtomicBool>,
    calls: Arc<AtomicU64>,
    client: Arc<AlertCounter>,
    thread: JoinHandle<Result<(), WrongAnswer>>,
}

/// The calls and the alerts of a finished thread.
pub(super) struct Done {
    pub(super) calls: u64,
    pub(super) alerts: u64,
}

impl ControlLoad {
    /// Starts the thread with the interfaces of churn thread `number`, which must not run.
    pub(super) fn start(manager: &Arc<GroupManager>, number: u16) -> ControlLoad {
        let (stop, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let client = Arc::new(AlertCounter::default());
        let first = first_interface(number);
        let thread = {
            let manager = manager.clone();
            let (stop, calls, client) = (stop.clone(), calls.clone(), client.clone());
            thread::spawn(move || {
                // Relaxed: the flag orders nothing.
                while !stop.load(Ordering::Relaxed) {
                    let made = round(&manager, &client, first)?;
                    // Relaxed: a count.
                    calls.fetch_add(made, Ordering::Relaxed);
                }
                Ok(())
            })
        };
        ControlLoad { stop, calls, client, thread }
    }

    /// Returns the number of calls so far.
    pub(super) fn calls(&self) -> u64 {
        // Relaxed: a count.
        self.calls.load(Ordering::Relaxed)
    }

    /// Returns whether the thread has ended early. [`stop`](ControlLoad::stop) returns the reason.
    pub(super) fn has_failed(&self) -> bool {
        self.thread.is_finished()
    }

    /// Blocks until the thread has finished its round, and returns its counts.
    pub(super) fn stop(self) -> Result<Done, WrongAnswer> {
        // Relaxed: the flag orders nothing.
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| WrongAnswer::new("the control load", "with a panic"))??;
        // Relaxed: the join orders both counts.
        let (calls, alerts) =
            (self.calls.load(Ordering::Relaxed), self.client.alerts.load(Ordering::Relaxed));
        Ok(Done { calls, alerts })
    }
}

/// Lets two clients register, join, read everything, and leave. Returns the number of calls.
fn round(manager: &GroupManager, client: &Arc<AlertCounter>, first: u32) -> Result<u64, WrongAnswer> {
    let (one, other) = (Interface::v4(first), Interface::v4(first + 1));
    let a = register(manager, client, 0)?;
    let b = register(manager, client, 1)?;
    succeeds("take", manager.take(a, one))?;
    succeeds("take", manager.take(b, other))?;
    let mut calls = 4;
    let memberships: Vec<Membership> = (0..GROUPS).flat_map(joined).collect();
    for membership in &memberships {
        succeeds("add_membership", manager.add_membership(a, one, *membership, StateChange::Join))?;
        succeeds("add_membership", manager.add_membership(b, other, *membership, StateChange::Join))?;
        calls += 2;
    }
    calls += enumerate(manager, b, memberships.len())?;
    // The list holds the memberships of the capture's hosts as well.
    let own = |interface| manager.memberships().iter().filter(|record| record.interface == interface).count();
    let seen = (own(one), own(other));
    if seen != (memberships.len(), memberships.len()) {
        return Err(WrongAnswer::new("memberships", format!("{seen:?} of {} each", memberships.len())));
    }
    // Only called: other checks compare the content.
    let (_entries, _clients) = (manager.entries(), manager.clients());
    calls += 4;
    // One client deletes half of its memberships. The releases delete the rest.
    for membership in memberships.iter().step_by(2) {
        succeeds("delete_membership", manager.delete_membership(a, one, *membership, StateChange::Join))?;
        calls += 1;
    }
    for (client, interface) in [(a, one), (b, other)] {
        succeeds("release", manager.release(client, interface))?;
        succeeds("deregister", manager.deregister(client))?;
        calls += 2;
    }
    Ok(calls)
}

/// Returns (\*,g) and (s,g) of addresses that are reserved for documentation (RFC 6676, RFC 5737).
fn joined(group: u8) -> [Membership; 2] {
    let (group, source) = (Ipv4Addr::new(233, 252, 0, 128 + group), Ipv4Addr::new(192, 0, 2, group));
    [Membership::any_source(group.into()), Membership::one_source(source.into(), group.into())]
        .map(|membership| membership.expect("a group and a host's address"))
}

fn register(
    manager: &GroupManager,
    client: &Arc<AlertCounter>,
    component: u32,
) -> Result<Handle, WrongAnswer> {
    loop {
        match manager.register(Protocol::new(PROTOCOL, component), client.clone()) {
            // Free slots wait for readers that may still look at them.
            Err(RegisterError::Full(_)) => thread::yield_now(),
            answer => return succeeds("register", answer),
        }
    }
}

/// Enumerates all memberships. Returns the number of calls.
fn enumerate(manager: &GroupManager, client: Handle, min: usize) -> Result<u64, WrongAnswer> {
    let enumeration =
        succeeds("enumerate_groups", manager.enumerate_groups(client, EnumerationKind::AllSources))?;
    let (mut groups, mut calls) = (0, 2);
    loop {
        let page = succeeds("next_groups", manager.next_groups(enumeration, 8))?;
        groups += page.groups.len();
        calls += 1;
        if !page.more {
            break;
        }
    }
    succeeds("end_enumeration", manager.end_enumeration(enumeration))?;
    if groups < min {
        return Err(WrongAnswer::new("an enumeration", format!("{groups} of at least {min} memberships")));
    }
    Ok(calls)
}

fn succeeds<T, E: Debug>(call: &str, answer: Result<T, E>) -> Result<T, WrongAnswer> {
    answer.map_err(|error| WrongAnswer::new(call, format!("{error:?}")))
}
