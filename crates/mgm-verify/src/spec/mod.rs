//! The sequential specification: the behaviour of a group manager if calls come one after the other.
//!
//! It is written for one thread that forwards no packets: plain maps, from which every visible state and every notice
//! follow. The linearizability checker, the property tests and the fuzz target compare the real manager with it.
//!
//! # Terms
//!
//! A client is a number that the caller chooses. An [`OwnershipKey`] names one of an interface's two roles: the routing
//! protocol's and IGMP's. An [`OwnershipVersion`] records how often a role has changed owner. Everything that depends on
//! an ownership keeps the version under which it began, and is dead when that version is no longer current.
//!
//! A change of owner has two parts:
//!
//! - Its *effect* is one instant: [`take_effect`](Spec::take_effect) or [`release_effect`](Spec::release_effect). From then
//!   on nothing that depended on the old ownership is visible.
//! - Its *follow-up* ([`follow_up`](Spec::follow_up)) notifies other clients. It may come later, but before the call
//!   returns, and before a call about the same memberships counts their members.
//!
//! [`take`](Spec::take) and [`release`](Spec::release) do both at once.
//!
//! Notices are put into a list, in order ([`take_notices`](Spec::take_notices)). How they reach the clients is outside this
//! module. The rules come from the pages of the Windows SDK that each file names, from RFC 2715 and, where both are silent,
//! from docs/decisions.md.
//!
//! # Files
//!
//! | file | subject |
//! |---|---|
//! | [`clients`] | registration and deregistration |
//! | [`ownership`] | take, release, and the follow-up of both |
//! | [`memberships`] | joins and leaves |
//! | [`notices`] | which client is notified of which event |
//! | [`flows`] | forwarding entries: creation and end |
//! | `renewal` | forwarding entries: outgoing interfaces |
//! | [`view`] | the visible state, and its canonical form |
//! | [`outcome`] | results of calls |

pub mod clients;
pub mod flows;
pub mod memberships;
pub mod notices;
pub mod outcome;
pub mod ownership;
mod renewal;
pub mod view;

pub use clients::ClientId;
pub use flows::{Arrival, FlowBegin, FlowFinish, OfferedInterface};
pub use notices::{Notice, NoticeKind};
pub use outcome::Outcome;
pub use ownership::{HandoverDue, OwnershipChange, OwnershipKey, OwnershipVersion, Role};
pub use view::EntryView;

use flows::FlowStage;
use memberships::{JoinState, RpfJoin};
use mgm::forwarding::Flow;
use mgm::manager::{Interface, ManagerConfig, Membership, Protocol};
use ownership::IgmpTenure;
use serde::{Deserialize, Serialize};
use serde_with::serde_as;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The part of a manager's configuration that its behaviour depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Limits {
    /// The number of the protocol that registers in the IGMP role.
    igmp: u32,
    clients: usize,
    interfaces: usize,
    memberships: usize,
    negative_entries: usize,
    entry_lifetime: Duration,
}

/// The state between two calls.
#[serde_as]
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Spec {
    limits: Limits,
    #[serde_as(as = "Vec<(_, _)>")]
    clients: BTreeMap<ClientId, Protocol>,
    /// The interfaces that have a place, by place.
    known: Vec<Interface>,
    /// The place after the one that was last given to another interface.
    hand: usize,
    #[serde_as(as = "Vec<(_, _)>")]
    owners: BTreeMap<OwnershipKey, ClientId>,
    /// How often each role of an interface has changed owner.
    #[serde_as(as = "Vec<(_, _)>")]
    changes: BTreeMap<OwnershipKey, u64>,
    #[serde_as(as = "Vec<(_, _)>")]
    memberships: BTreeMap<(Membership, OwnershipKey), JoinState>,
    /// The (s,g) for which a client counts.
    #[serde_as(as = "Vec<(_, _)>")]
    rpf_joins: BTreeMap<Flow, RpfJoin>,
    /// The flows to settle later, while settling is deferred.
    deferred: Option<BTreeSet<Flow>>,
    #[serde_as(as = "Vec<(_, _)>")]
    igmp: BTreeMap<Interface, IgmpTenure>,
    #[serde_as(as = "Vec<(_, _)>")]
    flows: BTreeMap<Flow, FlowStage>,
    /// Flows that were published in the forwarding table without the manager.
    foreign: BTreeSet<Flow>,
    now: Duration,
    /// Numbers the incarnations of entries, and the moments at which entries become negative.
    events: u64,
    notices: Vec<Notice>,
}

impl Spec {
    /// Returns the state of a manager without clients.
    #[must_use]
    pub fn new(config: &ManagerConfig) -> Spec {
        Spec {
            limits: Limits {
                igmp: config.igmp_protocol,
                clients: config.clients as usize,
                interfaces: config.interfaces as usize,
                memberships: config.memberships as usize,
                negative_entries: config.negative_entries as usize,
                entry_lifetime: config.entry_lifetime,
            },
            clients: BTreeMap::new(),
            known: Vec::new(),
            hand: 0,
            owners: BTreeMap::new(),
            changes: BTreeMap::new(),
            memberships: BTreeMap::new(),
            rpf_joins: BTreeMap::new(),
            deferred: None,
            igmp: BTreeMap::new(),
            flows: BTreeMap::new(),
            foreign: BTreeSet::new(),
            now: Duration::ZERO,
            events: 0,
            notices: Vec::new(),
        }
    }
}
