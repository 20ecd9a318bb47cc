//! The rest of the control plane, busy while packets are forwarded: memberships with their alerts, enumerations and walks.
//!
//! On interfaces of its own and with groups of its own, so that what is counted of the capture stays what it is.

use crate::churn::{BrokenPromise, Live, OWN_INTERFACES, broken};
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

/// A protocol of type PROTO_TYPE_MCAST that no list has.
const PROTOCOL: u32 = 0x4000_F00E;
/// How many groups are joined in a round, each from any source and from one.
const GROUPS: u8 = 16;

/// A client that counts what it is told.
#[derive(Default)]
struct Listener {
    alerts: AtomicU64,
}

impl Client for Listener {
    fn join_alert(&self, _: &JoinAlert) {
        // Relaxed, here and below: a count.
        self.alerts.fetch_add(1, Ordering::Relaxed);
    }

    fn prune_alert(&self, _: &mut PruneAlert) {
        self.alerts.fetch_add(1, Ordering::Relaxed);
    }
}

/// The thread at work.
pub(crate) struct Busy {
    stop: Arc<AtomicBool>,
    calls: Arc<AtomicU64>,
    listener: Arc<Listener>,
    thread: JoinHandle<Result<(), BrokenPromise>>,
}

/// What it did.
pub(crate) struct Done {
    pub(crate) calls: u64,
    pub(crate) alerts: u64,
}

impl Busy {
    /// With the interfaces that thread `number` of the churn would have.
    pub(crate) fn start(manager: &Arc<GroupManager>, number: u16) -> Busy {
        let (stop, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let listener = Arc::new(Listener::default());
        let first = OWN_INTERFACES + u32::from(number) * Live::OWN;
        let thread = {
            let manager = manager.clone();
            let (stop, calls, listener) = (stop.clone(), calls.clone(), listener.clone());
            thread::spawn(move || {
                // Relaxed: it says nothing but "enough".
                while !stop.load(Ordering::Relaxed) {
                    let made = round(&manager, &listener, first)?;
                    calls.fetch_add(made, Ordering::Relaxed);
                }
                Ok(())
            })
        };
        Busy { stop, calls, listener, thread }
    }

    /// How many calls it has made so far.
    pub(crate) fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Whether it has ended before it was told to: [`stop`](Busy::stop) tells why.
    pub(crate) fn has_failed(&self) -> bool {
        self.thread.is_finished()
    }

    /// Lets it end its round; what it did.
    pub(crate) fn stop(self) -> Result<Done, BrokenPromise> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| broken("the busy thread", "with a panic"))??;
        Ok(Done {
            calls: self.calls.load(Ordering::Relaxed),
            alerts: self.listener.alerts.load(Ordering::Relaxed),
        })
    }
}

/// Two clients come, join, ask for everything there is to see, and leave; how many calls that were.
fn round(manager: &GroupManager, listener: &Arc<Listener>, first: u32) -> Result<u64, BrokenPromise> {
    let (one, other) = (Interface::v4(first), Interface::v4(first + 1));
    let a = register(manager, listener, 0)?;
    let b = register(manager, listener, 1)?;
    right("taking an interface of one's own", manager.take(a, one))?;
    right("taking an interface of one's own", manager.take(b, other))?;
    let mut calls = 4;
    let memberships: Vec<Membership> = (0..GROUPS).flat_map(joined).collect();
    for membership in &memberships {
        right("joining", manager.add_membership(a, one, *membership, StateChange::Join))?;
        right("joining", manager.add_membership(b, other, *membership, StateChange::Join))?;
        calls += 2;
    }
    calls += enumerate(manager, b, memberships.len())?;
    // What the capture's hosts have joined is among these as well.
    let mine =
        |interface| manager.memberships().iter().filter(|record| record.interface == interface).count();
    let seen = (mine(one), mine(other));
    if seen != (memberships.len(), memberships.len()) {
        return Err(broken("a walk over memberships", format!("{seen:?} of {} each", memberships.len())));
    }
    // Only made: what is in them is for others to check.
    let (_entries, _clients) = (manager.entries(), manager.clients());
    calls += 4;
    // One client deletes half of what it joined; its release, and the other's, delete the rest.
    for membership in memberships.iter().step_by(2) {
        right("leaving", manager.delete_membership(a, one, *membership, StateChange::Join))?;
        calls += 1;
    }
    for (client, interface) in [(a, one), (b, other)] {
        right("releasing", manager.release(client, interface))?;
        right("deregistering", manager.deregister(client))?;
        calls += 2;
    }
    Ok(calls)
}

/// (\*,g) and (s,g), of addresses of documentation (RFC 6676, RFC 5737).
fn joined(group: u8) -> [Membership; 2] {
    let (group, source) = (Ipv4Addr::new(233, 252, 0, 128 + group), Ipv4Addr::new(192, 0, 2, group));
    [Membership::any_source(group.into()), Membership::one_source(source.into(), group.into())]
        .map(|membership| membership.expect("a group and a host's address"))
}

fn register(
    manager: &GroupManager,
    listener: &Arc<Listener>,
    component: u32,
) -> Result<Handle, BrokenPromise> {
    loop {
        match manager.register(Protocol::new(PROTOCOL, component), listener.clone()) {
            // Slots that were given back wait for the readers that may still look at them.
            Err(RegisterError::Full(_)) => thread::yield_now(),
            answer => return right("registering", answer),
        }
    }
}

fn enumerate(manager: &GroupManager, client: Handle, least: usize) -> Result<u64, BrokenPromise> {
    let enumeration = right("an enumeration", manager.enumerate_groups(client, EnumerationKind::AllSources))?;
    let (mut groups, mut calls) = (0, 2);
    loop {
        let page = right("a page of an enumeration", manager.next_groups(enumeration, 8))?;
        groups += page.groups.len();
        calls += 1;
        if !page.more {
            break;
        }
    }
    right("ending an enumeration", manager.end_enumeration(enumeration))?;
    if groups < least {
        return Err(broken("an enumeration", format!("{groups} of at least {least} memberships")));
    }
    Ok(calls)
}

fn right<T, E: Debug>(what: &str, answer: Result<T, E>) -> Result<T, BrokenPromise> {
    answer.map_err(|error| broken(what, format!("{error:?}")))
}
