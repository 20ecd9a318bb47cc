//! Compares sequences of calls on a real manager and on the specification.
//!
//! After each call three things must agree: the outcome, the callbacks in their order, and the visible state. The property
//! test `manager_model` and the fuzz target of the same name use it.
//!
//! The module `stopped` of an instrumented build does the same while other threads are stopped inside changes of owner.
//!
//! [`check_alternation`] needs no specification: for each client and key, joins and prunes alternate, and at the end each
//! client was told of exactly those keys for which others count.

pub mod calls;
mod log;
mod manager_side;
mod spec_side;
#[cfg(mgm_instrumented)]
pub mod stopped;

use crate::spec::EntryView;
use calls::{Bytes, Call};
use manager_side::ManagerSide;
use mgm::forwarding::{Family, Flow};
use mgm::manager::{Interface, ManagerConfig, Membership, Protocol};
use spec_side::SpecSide;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// The result of a call as text: "Ok", a flow's state, or the name of the error.
type Outcome = Cow<'static, str>;

/// The visible state.
#[derive(Debug, PartialEq, Eq)]
struct View {
    entries: Vec<EntryView>,
    memberships: BTreeSet<(Interface, Membership, Protocol)>,
    owners: Vec<Option<Protocol>>,
    clients: BTreeMap<Protocol, BTreeSet<Interface>>,
    known: Vec<Interface>,
    foreign: BTreeSet<Flow>,
}

fn default_route(source: IpAddr) -> Interface {
    Interface::of(Family::of(source), 1)
}

/// Returns small limits, so that the calls reach them.
fn config() -> ManagerConfig {
    ManagerConfig::default()
        .with_clients(4096)
        .with_interfaces(4)
        .with_memberships(8)
        .with_negative_entries(3)
        .with_notices(6)
        .with_entries(4096)
        .with_remembered_flows(2)
}

/// Makes the calls on both sides and compares them after each call.
///
/// # Panics
/// If the manager differs from the specification, or if a refused call changes the visible state.
pub fn check(calls: impl IntoIterator<Item = Bytes>) {
    let manager = ManagerSide::new(config());
    let mut spec = SpecSide::new(config());
    let mut history = String::new();
    for call in calls::prologue().into_iter().chain(calls.into_iter().map(Call::decode)) {
        let before = manager.view(true);
        let (outcome, expected) = (manager.call(&call), spec.call(&call));
        history += &format!("\n  {call:?}: {outcome}");
        assert_eq!(outcome, expected, "after{history}");
        let view = compare(&manager, &mut spec, &history, true);
        let changing = matches!(&*outcome, "Ok" | "Active" | "Negative" | "Foreign" | "Building");
        if !changing && !outcome.ends_with(log::REROUTED) {
            assert_eq!(before, view, "a refused call has changed the visible state, after{history}");
        }
    }
}

/// Compares the callbacks of the last call and the visible state, which it returns. `swept` is false while a change of owner may
/// have a sweep to come.
///
/// # Panics
/// If they differ.
fn compare(manager: &ManagerSide, spec: &mut SpecSide, history: &str, swept: bool) -> View {
    let (callbacks, expected) = (manager.take_log(), std::mem::take(&mut spec.log));
    assert_eq!(callbacks, expected, "callbacks of the last call of{history}");
    let view = manager.view(swept);
    assert_eq!(view, spec.view(), "visible state after{history}");
    view
}

/// Makes the calls on a manager with outboxes that lose no notice. Checks after each call that the alerts of every client
/// alternate, and at the end that each client was told last what holds.
///
/// # Panics
/// If a client's alerts do not alternate, or tell the wrong thing.
pub fn check_alternation(calls: impl IntoIterator<Item = Bytes>) {
    let manager = ManagerSide::new(config().with_notices(4096));
    let mut history = String::new();
    for call in calls::prologue().into_iter().chain(calls.into_iter().map(Call::decode)) {
        let outcome = manager.call(&call);
        history += &format!("\n  {call:?}: {outcome}");
        manager.check_alternation(&history);
    }
    manager.check_told(&history);
}
