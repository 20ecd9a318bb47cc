//! Sequences of calls, made of a real manager and of the specification, and compared after each call:
//! the outcome, what clients were asked and told, in order, and everything there is to see.
//!
//! The manager's tests and its fuzz target share this.
#![allow(unreachable_pub, reason = "included by path into crates of its own")]

pub mod calls;
mod plain;
mod real;
mod told;

use calls::{Bytes, Call};
use mgm::forwarding::{Family, Flow};
use mgm::manager::{Interface, ManagerConfig, Membership, Protocol};
use mgm_verify::spec::SeenEntry;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// How a call ended: "Ok", a flow's state or the name of the error.
pub type Outcome = Cow<'static, str>;

/// Everything there is to see.
#[derive(Debug, PartialEq, Eq)]
pub struct Seen {
    pub entries: Vec<SeenEntry>,
    pub memberships: BTreeSet<(Interface, Membership, Protocol)>,
    pub owners: Vec<Option<Protocol>>,
    pub clients: BTreeMap<Protocol, BTreeSet<Interface>>,
    pub known: Vec<Interface>,
    pub foreign: BTreeSet<Flow>,
}

pub fn default_route(source: IpAddr) -> Interface {
    Interface::of(Family::of(source), 1)
}

/// Small limits, so that they are reached.
pub fn config() -> ManagerConfig {
    ManagerConfig::default()
        .with_clients(4096)
        .with_interfaces(4)
        .with_memberships(8)
        .with_negative_entries(3)
        .with_notices(6)
        .with_entries(4096)
        .with_remembered_flows(2)
}

/// Makes the calls of both and compares.
///
/// # Panics
/// When the manager does not do as the model does.
pub fn check(calls: impl IntoIterator<Item = Bytes>) {
    let real = real::Real::new(config());
    let mut plain = plain::Plain::new(config());
    let mut history = String::new();
    for call in calls::prologue().into_iter().chain(calls.into_iter().map(Call::decode)) {
        let before = real.seen();
        let (outcome, expected) = (real.call(&call), plain.call(&call));
        history += &format!("\n  {call:?}: {outcome}");
        assert_eq!(outcome, expected, "after{history}");
        let (told, expected) = (real.take_log(), std::mem::take(&mut plain.log));
        assert_eq!(told, expected, "what clients were told in the last call of{history}");
        let seen = real.seen();
        assert_eq!(seen, plain.seen(), "what there is after{history}");
        let changing = matches!(&*outcome, "Ok" | "Active" | "Negative" | "Foreign" | "Building");
        if !changing && !outcome.ends_with("another way") {
            assert_eq!(before, seen, "refused, and something has changed, after{history}");
        }
    }
}
