//! The sequential specification: what a group manager does when calls come one after the other.
//!
//! Written as anybody would write it who had one thread and no packets to forward: plain maps, and after each call everything
//! there is to see and everybody who is to be told follows from them. The checker of `mgm stress`, the property tests and the
//! fuzz target all hold the real manager against this one file.
//!
//! # How to read it
//!
//! A client is a number that the caller chooses. A *share* is one of an interface's two roles: the routing protocol's, and
//! IGMP's. A *stamp* says how often a share has changed hands; whatever hangs on an ownership keeps the stamp it began
//! under, and is over when that is not the share's any more.
//!
//! A change of hands has two parts. Its *effect* is one instant: [`take_effect`](Spec::take_effect),
//! [`release_effect`](Spec::release_effect). From then on nothing that hung on the old ownership is to be seen. What
//! [`follows`](Spec::follow) is that others are told, which may come later, though before the call returns, and before
//! anybody else's call about the same memberships counts who wants them. [`take`](Spec::take) and
//! [`release`](Spec::release) are both at once.
//!
//! Who is told of what is put into a list, in order ([`take_notices`](Spec::take_notices)); how it gets to the clients is not
//! this page's subject. The rules are those of the pages of the Windows SDK that are named at each, of RFC 2715, and, where both
//! are silent, of docs/decisions.md.

mod outcome;

pub use outcome::Outcome;

use mgm::forwarding::Flow;
use mgm::manager::{Cause, Interface, ManagerConfig, Membership, Protocol, StateChange};
use serde::{Deserialize, Serialize};
use serde_with::serde_as;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

/// Who a client is to whoever makes the calls.
pub type ClientId = u64;

/// In which of its two capacities an interface is owned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Role {
    /// By the routing protocol.
    Routing,
    /// By IGMP or MLD.
    Igmp,
}

/// One role's share in an interface.
pub type Share = (Interface, Role);

/// What something hangs on: that the interface's shares have not changed hands since.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Stamp {
    interface: Interface,
    routing: Option<u64>,
    igmp: Option<u64>,
}

impl Stamp {
    /// The interface whose shares must not change hands.
    #[must_use]
    pub fn interface(self) -> Interface {
        self.interface
    }
}

/// What a client is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Told {
    /// Receivers have appeared elsewhere.
    Join(Membership, Cause),
    /// None are left elsewhere; where the packets arrive, or where the last were.
    Prune(Membership, Interface, Cause),
    /// IGMP has joined on an interface of the client's.
    LocalJoin(Interface, Membership),
    /// IGMP has left there.
    LocalLeave(Interface, Membership),
    /// To IGMP: the routing protocol beside it has changed. It is switched off, and on again.
    Switch(Interface),
}

/// A notice on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Notice {
    /// To whom.
    pub to: ClientId,
    /// Of what.
    pub told: Told,
    /// What it is worth telling for: it is dropped when that does not hold any more.
    pub needs: Option<Stamp>,
    /// Of a prune alert about an entry: the flow, and which of its lives, whose time-out the client may change.
    pub entry: Option<(Flow, u64)>,
    /// Of a switch: how often the routing protocol had changed.
    pub change: u64,
}

/// A change of hands that has taken effect, and of which others are still to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Change {
    client: ClientId,
    share: Share,
    /// Which change of that share it is.
    number: u64,
    /// IGMP's tenure beside the routing protocol at the time.
    igmp: Option<(ClientId, u64)>,
}

/// Whether IGMP has to be told of a change of the routing protocol beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switching {
    /// It was there at the time, and still is.
    Must,
    /// It has come since, and may be told.
    May,
    /// It is not there.
    No,
}

/// Where a flow's packets arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Way {
    /// There is no route.
    Nowhere,
    /// The route leads to an interface that was never taken.
    Unknown(Interface),
    /// Here, while the stamp holds; nobody has it unless it is `owned`.
    In {
        /// Where.
        interface: Interface,
        /// What that hangs on.
        stamp: Stamp,
        /// Whether somebody owns it.
        owned: bool,
    },
}

impl Way {
    /// The interface, if it is one.
    #[must_use]
    pub fn interface(&self) -> Option<Interface> {
        match self {
            Way::In { interface, .. } => Some(*interface),
            _ => None,
        }
    }
}

/// An outgoing interface of a new flow, offered to its owner: whose share, under which stamp, and whether IGMP is on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offered {
    /// Whose share.
    pub share: Share,
    /// What it hangs on.
    pub stamp: Stamp,
    /// Whether IGMP is on the interface.
    pub igmp: bool,
}

/// An entry, as it is to be seen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeenEntry {
    /// Whose packets.
    pub flow: Flow,
    /// Where they arrive.
    pub incoming: Option<Interface>,
    /// Where they are copied to.
    pub outgoing: BTreeSet<Interface>,
    /// When its life is over.
    pub expires: Duration,
}

/// What became of the wish for an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begun {
    /// It is answered at once.
    Answered(Outcome),
    /// The caller is to make it: asks the owners, and then [`finish_flow`](Spec::finish_flow).
    Started,
}

/// What became of the making of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finished {
    /// It is made, or cannot be.
    Answered(Outcome),
    /// Where the packets arrive has changed hands: everything is asked again.
    Again,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Rules {
    igmp: u32,
    interfaces: usize,
    memberships: usize,
    negative: usize,
    lifetime: Duration,
}

/// A membership on a share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Member {
    client: ClientId,
    stamp: Stamp,
    /// Whether others are told of it: not what IGMP says beside a routing protocol, which decides on it.
    counts: bool,
}

/// IGMP on an interface: which of its tenures, of which change of the routing protocol it was told last, and how many
/// notices of changes are on their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Tenure {
    number: u64,
    told: u64,
    queued: u32,
}

/// What an owner said of a flow on its share of an interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Said {
    veto: Option<Stamp>,
    /// FORWARD add (true) or delete.
    edit: Option<(bool, Stamp)>,
}

type Says = BTreeMap<Share, Said>;

#[serde_as]
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Entry {
    way: Way,
    /// What the routes had said.
    routed: Option<Interface>,
    #[serde_as(as = "Vec<(_, _)>")]
    said: Says,
    /// Where packets were copied to when the entry was last made anew.
    outgoing: BTreeSet<Interface>,
    deadline: Duration,
    /// Which of all entries it is.
    life: u64,
    /// When it became negative, in the order of such events.
    negative: Option<u64>,
}

#[serde_as]
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
enum Life {
    /// Its makers wait for answers. The shares whose owner has acted since it was asked.
    Building {
        #[serde_as(as = "Vec<(_, _)>")]
        said: Says,
        acted: BTreeSet<Share>,
    },
    Entry(Entry),
}

/// An entry has lost its last outgoing interface (false), or got its first.
struct Turned {
    flow: Flow,
    life: u64,
    interface: Interface,
    stamp: Stamp,
    forwards: bool,
}

/// The state between two calls.
#[serde_as]
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Spec {
    rules: Rules,
    #[serde_as(as = "Vec<(_, _)>")]
    clients: BTreeMap<ClientId, Protocol>,
    /// In the order in which they were first taken.
    known: Vec<Interface>,
    #[serde_as(as = "Vec<(_, _)>")]
    owners: BTreeMap<Share, ClientId>,
    /// How often a share has changed hands.
    #[serde_as(as = "Vec<(_, _)>")]
    changes: BTreeMap<Share, u64>,
    #[serde_as(as = "Vec<(_, _)>")]
    memberships: BTreeMap<(Membership, Share), Member>,
    /// The interface towards the source of each (s,g) that somebody counts for, as it was when the first did.
    #[serde_as(as = "Vec<(_, _)>")]
    towards: BTreeMap<Flow, Option<Interface>>,
    #[serde_as(as = "Vec<(_, _)>")]
    igmp: BTreeMap<Interface, Tenure>,
    #[serde_as(as = "Vec<(_, _)>")]
    flows: BTreeMap<Flow, Life>,
    /// Flows that somebody else has published in the forwarding table.
    foreign: BTreeSet<Flow>,
    now: Duration,
    events: u64,
    notices: Vec<Notice>,
}

// ---- Clients: MgmRegisterMProtocol, MgmDeRegisterMProtocol -------------------------------------------------------------

impl Spec {
    /// A manager that nobody has registered with.
    #[must_use]
    pub fn new(config: &ManagerConfig) -> Spec {
        Spec {
            rules: Rules {
                igmp: config.igmp_protocol,
                interfaces: config.interfaces as usize,
                memberships: config.memberships as usize,
                negative: config.negative_entries as usize,
                lifetime: config.entry_lifetime,
            },
            clients: BTreeMap::new(),
            known: Vec::new(),
            owners: BTreeMap::new(),
            changes: BTreeMap::new(),
            memberships: BTreeMap::new(),
            towards: BTreeMap::new(),
            igmp: BTreeMap::new(),
            flows: BTreeMap::new(),
            foreign: BTreeSet::new(),
            now: Duration::ZERO,
            events: 0,
            notices: Vec::new(),
        }
    }

    /// A protocol instance registers once at a time; it goes by `client` from then on.
    pub fn register(&mut self, protocol: Protocol, client: ClientId) -> Outcome {
        if self.clients.values().any(|registered| *registered == protocol) {
            return Outcome::AlreadyRegistered;
        }
        self.clients.insert(client, protocol);
        Outcome::Ok
    }

    /// It leaves when it owns nothing, and not before.
    pub fn deregister(&mut self, client: ClientId) -> Outcome {
        if !self.clients.contains_key(&client) {
            return Outcome::Stale;
        }
        match self.owners.values().filter(|owner| **owner == client).count() {
            0 => {
                self.clients.remove(&client);
                Outcome::Ok
            }
            owned => Outcome::StillOwns(owned as u32),
        }
    }

    /// Which protocol a client is registered as.
    #[must_use]
    pub fn protocol_of(&self, client: ClientId) -> Option<Protocol> {
        self.clients.get(&client).copied()
    }

    fn role(&self, client: ClientId) -> Option<Role> {
        let protocol = self.clients.get(&client)?;
        Some(if protocol.id == self.rules.igmp { Role::Igmp } else { Role::Routing })
    }
}

// ---- Interfaces: MgmTakeInterfaceOwnership, MgmReleaseInterfaceOwnership, MgmGetProtocolOnInterface ---------------------

impl Spec {
    /// An interface has at most one owner in each role: IGMP in the one, everybody else in the other.
    pub fn take(&mut self, client: ClientId, interface: Interface) -> Outcome {
        self.both(|spec| spec.take_effect(client, interface))
    }

    /// Its owner gives it up.
    pub fn release(&mut self, client: ClientId, interface: Interface) -> Outcome {
        self.both(|spec| spec.release_effect(client, interface))
    }

    fn both(&mut self, effect: impl FnOnce(&mut Spec) -> Result<Change, Outcome>) -> Outcome {
        match effect(self) {
            Err(refused) => refused,
            Ok(change) => {
                let switch = self.switching(&change) != Switching::No;
                self.follow(&change, switch);
                Outcome::Ok
            }
        }
    }

    /// The first part of [`take`](Self::take).
    ///
    /// # Errors
    /// Why it is refused.
    pub fn take_effect(&mut self, client: ClientId, interface: Interface) -> Result<Change, Outcome> {
        let role = self.role(client).ok_or(Outcome::Stale)?;
        if !self.known.contains(&interface) {
            if self.known.len() == self.rules.interfaces {
                return Err(Outcome::TooManyInterfaces);
            }
            self.known.push(interface);
        }
        let share = (interface, role);
        if self.owners.contains_key(&share) {
            return Err(Outcome::Owned);
        }
        self.owners.insert(share, client);
        Ok(self.changed_hands(client, share))
    }

    /// The first part of [`release`](Self::release).
    ///
    /// # Errors
    /// Why it is refused.
    pub fn release_effect(&mut self, client: ClientId, interface: Interface) -> Result<Change, Outcome> {
        let share = (interface, self.role(client).ok_or(Outcome::Stale)?);
        if self.owners.get(&share) != Some(&client) {
            return Err(Outcome::NotOwner);
        }
        self.owners.remove(&share);
        Ok(self.changed_hands(client, share))
    }

    fn changed_hands(&mut self, client: ClientId, share: Share) -> Change {
        let number = self.changes(share) + 1;
        self.changes.insert(share, number);
        let beside = (share.0, Role::Igmp);
        let igmp = self.owners.get(&beside).filter(|_| share.1 == Role::Routing);
        Change { client, share, number, igmp: igmp.map(|igmp| (*igmp, self.changes(beside))) }
    }

    /// Whether what follows a change of hands is that IGMP is switched off and on.
    #[must_use]
    pub fn switching(&self, change: &Change) -> Switching {
        let beside = (change.share.0, Role::Igmp);
        match self.owners.get(&beside) {
            Some(igmp) if change.share.1 == Role::Routing => {
                let now = Some((*igmp, self.changes(beside)));
                if change.igmp == now { Switching::Must } else { Switching::May }
            }
            _ => Switching::No,
        }
    }

    /// What follows a change of hands: what hung on the old ownership is cleared away, and those whom it matters to are told;
    /// then IGMP, if the routing protocol beside it has changed.
    pub fn follow(&mut self, change: &Change, switch: bool) {
        let interface = change.share.0;
        self.sweep(interface, Some(change.client));
        let number = self.changes((interface, Role::Igmp));
        let routing = self.changes((interface, Role::Routing));
        match change.share.1 {
            Role::Igmp if self.owners.contains_key(&change.share) => {
                let fresh = Tenure { number, told: routing, queued: 0 };
                let tenure = self.igmp.entry(interface).or_insert(fresh);
                if tenure.number != number {
                    *tenure = fresh;
                }
            }
            Role::Igmp => _ = self.igmp.remove(&interface),
            Role::Routing => {
                if let Some(igmp) = self.owners.get(&(interface, Role::Igmp)).copied().filter(|_| switch) {
                    let needs = Stamp { interface, routing: None, igmp: Some(number) };
                    // Of this change, and of no later one that has taken effect meanwhile: that has a notice to come.
                    let told = change.number;
                    let tenure = self.igmp.entry(interface).or_insert(Tenure { number, told, queued: 0 });
                    tenure.queued += 1;
                    let told = Told::Switch(interface);
                    let notice =
                        Notice { to: igmp, told, needs: Some(needs), entry: None, change: change.number };
                    self.notices.push(notice);
                }
            }
        }
    }

    /// A switch has been delivered as far as "on", or dropped, or goes together with another.
    pub fn switched(&mut self, notice: &Notice) {
        let Told::Switch(interface) = notice.told else { return };
        let number = notice.needs.and_then(|stamp| stamp.igmp);
        if let Some(tenure) = self.igmp.get_mut(&interface).filter(|tenure| Some(tenure.number) == number) {
            tenure.queued = tenure.queued.saturating_sub(1);
            tenure.told = tenure.told.max(notice.change);
        }
    }

    /// Whether IGMP may add and delete there: it has been told of every change of the routing protocol.
    #[must_use]
    pub fn is_settled(&self, interface: Interface) -> bool {
        let number = self.changes((interface, Role::Igmp));
        self.igmp.get(&interface).is_none_or(|tenure| {
            tenure.number != number
                || (tenure.queued == 0 && tenure.told == self.changes((interface, Role::Routing)))
        })
    }

    /// Which protocol has an interface: the routing protocol, else IGMP.
    #[must_use]
    pub fn owner_of(&self, interface: Interface) -> Option<Protocol> {
        self.deciding(interface).and_then(|owner| self.protocol_of(owner))
    }

    /// Who decides on what arrives there.
    #[must_use]
    pub fn deciding(&self, interface: Interface) -> Option<ClientId> {
        let of = |role| self.owners.get(&(interface, role)).copied();
        of(Role::Routing).or_else(|| of(Role::Igmp))
    }

    fn changes(&self, share: Share) -> u64 {
        self.changes.get(&share).copied().unwrap_or(0)
    }

    /// What hangs on a share: IGMP's on the routing protocol's, too.
    #[must_use]
    pub fn stamp(&self, share: Share) -> Stamp {
        let (interface, role) = share;
        Stamp {
            interface,
            routing: Some(self.changes((interface, Role::Routing))),
            igmp: (role == Role::Igmp).then(|| self.changes(share)),
        }
    }

    /// What hangs on whoever decides on what arrives there.
    #[must_use]
    pub fn arrival_stamp(&self, interface: Interface) -> Stamp {
        let routing = self.owners.contains_key(&(interface, Role::Routing));
        self.stamp((interface, if routing { Role::Routing } else { Role::Igmp }))
    }

    /// Whether nothing that it hangs on has changed.
    #[must_use]
    pub fn holds(&self, stamp: Stamp) -> bool {
        let same = |role, at: Option<u64>| at.is_none_or(|at| at == self.changes((stamp.interface, role)));
        same(Role::Routing, stamp.routing) && same(Role::Igmp, stamp.igmp)
    }

    /// Clears away what is over on an interface, renews the entries that had to do with it, and tells whom it matters to.
    fn sweep(&mut self, interface: Interface, causer: Option<ClientId>) {
        let members = self.memberships.iter();
        let mut over: Vec<_> = members
            .filter(|((_, share), member)| share.0 == interface && !self.holds(member.stamp))
            .map(|((what, share), member)| (*what, *share, *member))
            .collect();
        over.sort_by_key(|(what, share, _)| (what.group(), what.source(), *share));
        // A release was its client's doing; what is over because the routing protocol has changed was not IGMP's.
        let tenure = Some(self.changes((interface, Role::Igmp)));
        let gave_up =
            over.iter().filter(|(_, share, of)| share.1 == Role::Routing || of.stamp.igmp != tenure);
        let causers: BTreeSet<ClientId> = gave_up.map(|(.., of)| of.client).chain(causer).collect();
        for (what, share, _) in over {
            self.forget(what, share);
        }
        self.end_flows(|_, entry| entry.way == Way::Unknown(interface));
        let mentions = |entry: &Entry| {
            let said = entry.said.keys().map(|share| share.0);
            let mut all = entry.outgoing.iter().copied().chain(entry.way.interface()).chain(said);
            all.any(|mentioned| mentioned == interface)
        };
        let mentioning: Vec<Flow> = self.entries_where(|_, entry| mentions(entry));
        self.end_flows(|spec, entry| mentions(entry) && !spec.arrives(&entry.way));
        self.renew(mentioning, Some(interface), &causers);
    }
}

// ---- Memberships: MgmAddGroupMembershipEntry, MgmDeleteGroupMembershipEntry --------------------------------------------

impl Spec {
    /// There are receivers on an interface of the client's. `towards` is the interface towards the source of (s,g), as the
    /// routes have it.
    pub fn add(
        &mut self,
        client: ClientId,
        interface: Interface,
        what: Membership,
        effect: StateChange,
        towards: Option<Interface>,
    ) -> Outcome {
        self.say(client, interface, what, effect, Some(towards))
    }

    /// There are none left.
    pub fn delete(
        &mut self,
        client: ClientId,
        interface: Interface,
        what: Membership,
        effect: StateChange,
    ) -> Outcome {
        self.say(client, interface, what, effect, None)
    }

    fn say(
        &mut self,
        client: ClientId,
        interface: Interface,
        what: Membership,
        effect: StateChange,
        add: Option<Option<Interface>>,
    ) -> Outcome {
        let Some(role) = self.role(client) else { return Outcome::Stale };
        if interface.family() != what.family() {
            return Outcome::FamiliesDiffer;
        }
        let share = (interface, role);
        match self.owners.get(&share) {
            None => return Outcome::NotTaken,
            Some(owner) if *owner != client => return Outcome::NotOwner,
            Some(_) if role == Role::Igmp && !self.is_settled(interface) => return Outcome::ChangingHands,
            Some(_) => {}
        }
        self.settle(what);
        let (join, forward) = (effect != StateChange::Forward, effect != StateChange::Join);
        let stamp = self.stamp(share);
        if let (true, Some(towards)) = (join, add) {
            if !self.memberships.contains_key(&(what, share)) {
                if self.memberships.len() >= self.rules.memberships {
                    let known = self.known.clone();
                    known.into_iter().for_each(|interface| self.sweep(interface, None));
                }
                if self.memberships.len() >= self.rules.memberships {
                    return Outcome::TooMany;
                }
            }
            self.keep(what, share, client, towards);
        } else if join {
            self.forget(what, share);
        }
        for (flow, life) in &mut self.flows {
            if !what.covers(flow) {
                continue;
            }
            let said = match life {
                Life::Entry(entry) => &mut entry.said,
                Life::Building { said, acted } => {
                    acted.insert(share);
                    said
                }
            };
            // The last action of an owner wins on its share.
            let words = said.entry(share).or_default();
            if join {
                words.edit = None;
            }
            if forward {
                words.edit = Some((add.is_some(), stamp));
            }
            if add.is_some() {
                words.veto = None;
            }
            if *words == Said::default() {
                said.remove(&share);
            }
        }
        let covered = self.entries_where(|flow, _| what.covers(flow));
        self.renew(covered, None, &BTreeSet::from([client]));
        Outcome::Ok
    }

    /// Clears away what is over among those who count for a membership, so that the count is right: what every call about it
    /// begins with, also one that then finds that it has to be refused.
    pub fn settle(&mut self, what: Membership) {
        let over = self
            .memberships
            .iter()
            .filter(|((of, _), member)| (*of == what || counts_for(of, what)) && !self.holds(member.stamp));
        let over: BTreeSet<Interface> = over.map(|((_, share), _)| share.0).collect();
        let known: Vec<Interface> = self.known.iter().copied().filter(|known| over.contains(known)).collect();
        known.into_iter().for_each(|interface| self.sweep(interface, None));
    }

    /// The clients that count for a membership.
    fn wanting(&self, what: Membership) -> BTreeSet<ClientId> {
        let members = self.memberships.iter();
        let counting = members.filter(|((of, _), member)| member.counts && counts_for(of, what));
        counting.map(|(_, member)| member.client).collect()
    }

    /// Puts a membership in and has others told.
    fn keep(&mut self, what: Membership, share: Share, client: ClientId, towards: Option<Interface>) {
        if self.memberships.contains_key(&(what, share)) {
            return;
        }
        let before = self.wanting(what);
        let (interface, role) = share;
        let counts = role == Role::Routing || !self.owners.contains_key(&(interface, Role::Routing));
        let stamp = self.stamp(share);
        self.memberships.insert((what, share), Member { client, stamp, counts });
        if !counts {
            return self.tell_sharer(interface, stamp, Told::LocalJoin(interface, what));
        }
        if before.contains(&client) {
            return;
        }
        let joined = Told::Join(what, Cause::Membership);
        match what {
            Membership::OneSource(flow) => {
                if before.is_empty() {
                    self.towards.insert(flow, towards);
                    self.tell_upstream(towards, &BTreeSet::from([client]), joined);
                }
            }
            _ => self.tell_others(&before, client, joined),
        }
    }

    /// Takes a membership out and has others told.
    fn forget(&mut self, what: Membership, share: Share) {
        let Some(member) = self.memberships.remove(&(what, share)) else { return };
        if !member.counts {
            return self.tell_sharer(share.0, member.stamp, Told::LocalLeave(share.0, what));
        }
        let left = self.wanting(what);
        if left.contains(&member.client) {
            return;
        }
        match what {
            Membership::OneSource(flow) => {
                if left.is_empty()
                    && let Some(Some(towards)) = self.towards.remove(&flow)
                {
                    let pruned = Told::Prune(what, towards, Cause::Membership);
                    self.tell_upstream(Some(towards), &BTreeSet::from([member.client]), pruned);
                }
            }
            _ => self.tell_others(&left, member.client, Told::Prune(what, share.0, Cause::Membership)),
        }
    }
}

/// Whether whoever has joined `of` counts for `what`: who wants every group counts for each of them.
fn counts_for(of: &Membership, what: Membership) -> bool {
    *of == what || matches!(what, Membership::AnySource(_)) && *of == Membership::everything(what.family())
}

// ---- Who is told: PMGM_JOIN_ALERT_CALLBACK, PMGM_PRUNE_ALERT_CALLBACK, PMGM_LOCAL_JOIN_CALLBACK; RFC 2715 section 3.1 --

impl Spec {
    /// Whom there is something to tell.
    #[must_use]
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }

    /// Takes that out: whom there was something to tell since the last call of this.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    fn tell(&mut self, to: ClientId, told: Told, needs: Option<Stamp>, entry: Option<(Flow, u64)>) {
        if self.clients.contains_key(&to) {
            self.notices.push(Notice { to, told, needs, entry, change: 0 });
        }
    }

    /// (*,g) and (*,*): the first to come and the last to go matter to every other client, the second to come and the last but
    /// one to go to the one beside him, others to nobody.
    fn tell_others(&mut self, beside: &BTreeSet<ClientId>, causer: ClientId, told: Told) {
        let mut beside = beside.iter();
        match (beside.next(), beside.next()) {
            (None, _) => {
                let mut others: Vec<_> =
                    self.clients.iter().map(|(client, protocol)| (*protocol, *client)).collect();
                others.sort_unstable();
                for (_, other) in others.into_iter().filter(|(_, other)| *other != causer) {
                    self.tell(other, told, None, None);
                }
            }
            (Some(one), None) => self.tell(*one, told, None, None),
            _ => {}
        }
    }

    /// (s,g): the owner of the interface towards s, unless it is the only one whom it is about.
    fn tell_upstream(&mut self, towards: Option<Interface>, about: &BTreeSet<ClientId>, told: Told) {
        let Some(towards) = towards.filter(|towards| self.known.contains(towards)) else { return };
        let owner = self.deciding(towards).filter(|owner| about.iter().any(|client| client != owner));
        if let Some(owner) = owner {
            let needs = self.arrival_stamp(towards);
            self.tell(owner, told, Some(needs), None);
        }
    }

    /// What IGMP says beside a routing protocol: that protocol, if it is still the one.
    fn tell_sharer(&mut self, interface: Interface, said: Stamp, told: Told) {
        let share = (interface, Role::Routing);
        let needs = self.stamp(share);
        if said.routing == needs.routing
            && let Some(owner) = self.owners.get(&share).copied()
        {
            self.tell(owner, told, Some(needs), None);
        }
    }

    /// An entry has begun (or ceased) to forward: the owner of its incoming interface, unless that did it.
    fn tell_of_entry(&mut self, turned: &Turned, causers: &BTreeSet<ClientId>) {
        let Some(owner) = self.deciding(turned.interface).filter(|owner| !causers.contains(owner)) else {
            return;
        };
        let what = Membership::OneSource(turned.flow);
        let (told, entry) = match turned.forwards {
            true => (Told::Join(what, Cause::Entry), None),
            false => {
                let told = Told::Prune(what, turned.interface, Cause::Entry);
                (told, Some((turned.flow, turned.life)))
            }
        };
        self.tell(owner, told, Some(turned.stamp), entry);
    }
}

// ---- Entries: made on a flow's first packet, renewed by whatever changes what they follow from --------------------------

impl Spec {
    /// A flow's first packet. Answered at once, or to be made by the caller.
    pub fn begin_flow(&mut self, flow: Flow) -> Begun {
        if !leaves_its_link(flow.group()) {
            return Begun::Answered(Outcome::NotForwarded);
        }
        match self.flows.get(&flow) {
            Some(Life::Building { .. }) => return Begun::Answered(Outcome::Building),
            Some(Life::Entry(entry)) if self.arrives(&entry.way) => {
                return Begun::Answered(state(&self.outgoing(&flow, &entry.way, &entry.said, false)));
            }
            None if self.foreign.contains(&flow) => return Begun::Answered(Outcome::Foreign),
            _ => {}
        }
        self.flows.insert(flow, Life::Building { said: Says::new(), acted: BTreeSet::new() });
        Begun::Started
    }

    /// Where the packets of a flow arrive whose source the routes say is behind `interface`.
    #[must_use]
    pub fn way_by(&self, interface: Option<Interface>) -> Way {
        match interface {
            None => Way::Nowhere,
            Some(interface) if !self.known.contains(&interface) => Way::Unknown(interface),
            Some(interface) => Way::In {
                interface,
                stamp: self.arrival_stamp(interface),
                owned: self.deciding(interface).is_some(),
            },
        }
    }

    /// Where they arrive if the client that decides on `routed` answers `answer`: there, if that is its own in the same role.
    #[must_use]
    pub fn way_answered(&self, flow: &Flow, client: ClientId, role: Role, answer: Interface) -> Option<Way> {
        let own = self.owners.get(&(answer, role)) == Some(&client) && answer.family() == flow.family();
        own.then(|| Way::In { interface: answer, stamp: self.arrival_stamp(answer), owned: true })
    }

    /// The outgoing interfaces of a flow that is being made, for their owners to be asked, in the order of protocols. What
    /// owners have done up to now is older than the question.
    pub fn ask_owners(&mut self, flow: &Flow, way: &Way) -> BTreeMap<Protocol, (ClientId, Vec<Offered>)> {
        let mut offers = BTreeMap::new();
        let Some(Life::Building { said, acted }) = self.flows.get_mut(flow) else { return offers };
        acted.clear();
        let said = said.clone();
        let outgoing = self.outgoing(flow, way, &said, false);
        for interface in self.known.iter().filter(|known| outgoing.contains(known)) {
            for role in [Role::Routing, Role::Igmp] {
                let share = (*interface, role);
                let Some(owner) = self.owners.get(&share) else { continue };
                let Some(protocol) = self.clients.get(owner) else { continue };
                let igmp = self.owners.contains_key(&(*interface, Role::Igmp));
                let (_, offered) = offers.entry(*protocol).or_insert((*owner, Vec::new()));
                offered.push(Offered { share, stamp: self.stamp(share), igmp });
            }
        }
        offers
    }

    /// Makes the entry. A veto yields to what its owner has done since it was asked, and to a change of hands.
    pub fn finish_flow(
        &mut self,
        flow: Flow,
        way: Way,
        routed: Option<Interface>,
        vetoes: &[(Share, Stamp)],
    ) -> Finished {
        if !self.arrives(&way) || matches!(way, Way::Unknown(interface) if self.known.contains(&interface)) {
            return Finished::Again;
        }
        let Some(Life::Building { mut said, acted }) = self.flows.remove(&flow) else {
            return Finished::Answered(Outcome::Building);
        };
        if self.foreign.contains(&flow) {
            return Finished::Answered(Outcome::Foreign);
        }
        for (share, stamp) in vetoes {
            if !acted.contains(share) && self.holds(*stamp) {
                said.entry(*share).or_default().veto = Some(*stamp);
            }
        }
        let outgoing = self.outgoing(&flow, &way, &said, false);
        let answer = state(&outgoing);
        self.events += 1;
        let life = self.events;
        let deadline = self.now + self.rules.lifetime;
        let turned = match way {
            Way::In { interface, stamp, .. } if outgoing.is_empty() => {
                Some(Turned { flow, life, interface, stamp, forwards: false })
            }
            _ => None,
        };
        let entry = Entry { way, routed, said, outgoing, deadline, life, negative: None };
        self.flows.insert(flow, Life::Entry(entry));
        self.list(flow);
        if let Some(turned) = turned {
            self.tell_of_entry(&turned, &BTreeSet::new());
        }
        Finished::Answered(answer)
    }

    /// The whole of it where nobody answers anything.
    pub fn new_flow(&mut self, flow: Flow, routed: Option<Interface>) -> Outcome {
        if let Begun::Answered(outcome) = self.begin_flow(flow) {
            return outcome;
        }
        let routed = routed.filter(|interface| interface.family() == flow.family());
        match self.finish_flow(flow, self.way_by(routed), routed, &[]) {
            Finished::Answered(outcome) => outcome,
            Finished::Again => Outcome::Building,
        }
    }

    /// The clock goes on; entries whose life is over go, without a word.
    pub fn advance(&mut self, by: Duration) {
        self.now += by;
        self.end_flows(|spec, entry| entry.deadline <= spec.now);
    }

    /// Every entry goes.
    pub fn flush(&mut self) {
        self.end_flows(|_, _| true);
    }

    /// A client answers a prune alert: an entry without receivers is to stay so long from now on, if it is still that entry.
    pub fn set_timeout(&mut self, (flow, life): (Flow, u64), timeout: Duration) {
        if let Some(Life::Entry(entry)) = self.flows.get_mut(&flow)
            && entry.life == life
            && entry.negative.is_some()
        {
            entry.deadline = self.now + timeout;
        }
    }

    /// The routes have changed: entries end whose packets arrive elsewhere by them; and where a source is joined by name, those
    /// are told who have the interfaces towards it, the old and the new, unless they are one or the only one that has joined.
    pub fn routes_changed(&mut self, routes: impl Fn(&Flow) -> Option<Interface>) -> usize {
        let before = self.flows.len();
        let elsewhere = self.entries_where(|flow, entry| entry.routed != routes(flow));
        elsewhere.iter().for_each(|flow| _ = self.flows.remove(flow));
        let joined: Vec<Flow> = self.towards.keys().copied().collect();
        joined.into_iter().for_each(|flow| self.turn(flow, routes(&flow)));
        before - self.flows.len()
    }

    fn turn(&mut self, flow: Flow, towards: Option<Interface>) {
        let what = Membership::OneSource(flow);
        self.settle(what);
        let wanting = self.wanting(what);
        if wanting.is_empty() {
            return;
        }
        let before = self.towards.insert(flow, towards).flatten();
        let owner = |way: Option<Interface>| way.and_then(|interface| self.deciding(interface));
        if owner(before) == owner(towards) {
            return;
        }
        if let Some(before) = before {
            self.tell_upstream(Some(before), &wanting, Told::Prune(what, before, Cause::Membership));
        }
        self.tell_upstream(towards, &wanting, Told::Join(what, Cause::Membership));
    }

    /// Somebody else publishes a flow of his own in the forwarding table.
    pub fn publish_foreign(&mut self, flow: Flow) -> Outcome {
        let taken = matches!(self.flows.get(&flow), Some(Life::Entry(_)));
        if taken || !self.foreign.insert(flow) { Outcome::Foreign } else { Outcome::Ok }
    }

    /// He withdraws it.
    pub fn withdraw_foreign(&mut self, flow: Flow) {
        self.foreign.remove(&flow);
    }

    /// Where packets are copied to: (s,g), (*,g) and (*,*), as FORWARD edits and vetoes leave it, but never out by the way in.
    /// The routing protocol's veto takes the interface out, IGMP's what IGMP put in. What is over but not yet cleared away
    /// is `kept` or not.
    fn outgoing(&self, flow: &Flow, way: &Way, said: &Says, kept: bool) -> BTreeSet<Interface> {
        let Way::In { interface: incoming, owned: true, .. } = *way else { return BTreeSet::new() };
        let covering = self.memberships.iter().filter(|((what, _), _)| what.covers(flow));
        let covering: Vec<(Share, bool)> =
            covering.map(|((_, share), member)| (*share, self.holds(member.stamp))).collect();
        let mut shares: BTreeSet<Share> =
            covering.iter().filter(|(_, alive)| kept || *alive).map(|(share, _)| *share).collect();
        // What an owner said that is over gives way to what the next one has joined.
        let counts = |share: &Share, stamp| {
            self.holds(stamp) || kept && !covering.iter().any(|(of, alive)| of == share && *alive)
        };
        for (share, words) in said {
            match words.edit {
                Some((true, stamp)) if counts(share, stamp) => _ = shares.insert(*share),
                Some((false, stamp)) if counts(share, stamp) => _ = shares.remove(share),
                _ => {}
            }
        }
        let vetoed = |share: &Share| {
            said.get(share).and_then(|words| words.veto).is_some_and(|stamp| counts(share, stamp))
        };
        let let_out = shares.iter().filter(|share| !vetoed(share) && !vetoed(&(share.0, Role::Routing)));
        let_out.map(|share| share.0).filter(|interface| *interface != incoming).collect()
    }

    /// Makes entries anew, in the order of flows, and tells of those that have begun or ceased to forward.
    fn renew(&mut self, flows: Vec<Flow>, swept: Option<Interface>, causers: &BTreeSet<ClientId>) {
        let mut turns = Vec::new();
        for flow in flows {
            let Some(Life::Entry(entry)) = self.flows.get(&flow) else { continue };
            let mut entry = entry.clone();
            if !self.arrives(&entry.way) {
                self.flows.remove(&flow);
                continue;
            }
            entry.said.retain(|share, words| {
                if Some(share.0) == swept {
                    words.veto = words.veto.filter(|stamp| self.holds(*stamp));
                    words.edit = words.edit.filter(|(_, stamp)| self.holds(*stamp));
                }
                *words != Said::default()
            });
            let outgoing = self.outgoing(&flow, &entry.way, &entry.said, true);
            if let Way::In { interface, stamp, .. } = entry.way
                && outgoing.is_empty() != entry.outgoing.is_empty()
            {
                let forwards = !outgoing.is_empty();
                turns.push(Turned { flow, life: entry.life, interface, stamp, forwards });
            }
            entry.outgoing = outgoing;
            self.flows.insert(flow, Life::Entry(entry));
            self.list(flow);
        }
        turns.iter().for_each(|turned| self.tell_of_entry(turned, causers));
    }

    /// Keeps the list of negative entries, of which the oldest makes room for a new one.
    fn list(&mut self, flow: Flow) {
        let Some(Life::Entry(entry)) = self.flows.get_mut(&flow) else { return };
        match (entry.outgoing.is_empty(), entry.negative) {
            (true, None) => {
                self.events += 1;
                entry.negative = Some(self.events);
            }
            (false, Some(_)) => entry.negative = None,
            _ => {}
        }
        let since = |(flow, life): (&Flow, &Life)| match life {
            Life::Entry(Entry { negative: Some(since), .. }) => Some((*since, *flow)),
            _ => None,
        };
        let negative: BTreeSet<(u64, Flow)> = self.flows.iter().filter_map(since).collect();
        if let Some((_, oldest)) = negative.first().filter(|_| negative.len() > self.rules.negative) {
            self.flows.remove(oldest);
        }
    }

    /// Whether packets still arrive where the entry has it.
    fn arrives(&self, way: &Way) -> bool {
        match way {
            Way::In { stamp, .. } => self.holds(*stamp),
            _ => true,
        }
    }

    fn entries_where(&self, is: impl Fn(&Flow, &Entry) -> bool) -> Vec<Flow> {
        let entries = self.flows.iter().filter_map(|(flow, life)| match life {
            Life::Entry(entry) if is(flow, entry) => Some(*flow),
            _ => None,
        });
        entries.collect()
    }

    fn end_flows(&mut self, over: impl Fn(&Spec, &Entry) -> bool) {
        let over = self.entries_where(|_, entry| over(self, entry));
        over.iter().for_each(|flow| _ = self.flows.remove(flow));
    }
}

/// Groups of link-local or smaller scope never leave their link (RFC 5771 section 4, RFC 4291 section 2.7).
fn leaves_its_link(group: IpAddr) -> bool {
    match group {
        IpAddr::V4(group) => !group.octets().starts_with(&[224, 0, 0]),
        IpAddr::V6(group) => group.octets()[1] & 0x0F > 2,
    }
}

fn state(outgoing: &BTreeSet<Interface>) -> Outcome {
    if outgoing.is_empty() { Outcome::Negative } else { Outcome::Active }
}

// ---- What there is to see -------------------------------------------------------------------------------------------------

impl Spec {
    /// Every membership, with who says so.
    #[must_use]
    pub fn memberships(&self) -> BTreeSet<(Interface, Membership, Protocol)> {
        let live = self.memberships.iter().filter(|(_, member)| self.holds(member.stamp));
        live.filter_map(|((what, share), of)| Some((share.0, *what, self.protocol_of(of.client)?))).collect()
    }

    /// Every entry, in the order of flows.
    #[must_use]
    pub fn entries(&self) -> Vec<SeenEntry> {
        let entries = self.flows.iter().filter_map(|(flow, life)| match life {
            Life::Entry(entry) if self.arrives(&entry.way) => Some(SeenEntry {
                flow: *flow,
                incoming: entry.way.interface(),
                outgoing: self.outgoing(flow, &entry.way, &entry.said, false),
                expires: entry.deadline,
            }),
            _ => None,
        });
        entries.collect()
    }

    /// Every client, with what it owns.
    #[must_use]
    pub fn clients(&self) -> BTreeMap<Protocol, BTreeSet<Interface>> {
        let owned = |client: &ClientId| {
            let shares = self.owners.iter().filter(|(_, owner)| *owner == client);
            shares.map(|(share, _)| share.0).collect()
        };
        self.clients.iter().map(|(client, protocol)| (*protocol, owned(client))).collect()
    }

    /// The interfaces that were ever taken, in that order.
    #[must_use]
    pub fn known(&self) -> &[Interface] {
        &self.known
    }

    /// The flows that others have published.
    #[must_use]
    pub fn foreign(&self) -> &BTreeSet<Flow> {
        &self.foreign
    }
}

// ---- Between two calls nothing is under way -----------------------------------------------------------------------------

impl Spec {
    /// Forgets how the state came about, as far as nothing that is still to come depends on it: states that cannot be told
    /// apart any more are equal after this. For when no call is under way, all changes of hands have been
    /// [followed](Self::follow), and every notice has been delivered.
    pub fn forget_past(&mut self) {
        self.end_flows(|spec, entry| !spec.arrives(&entry.way));
        let past = self.clone();
        self.memberships.retain(|_, member| past.holds(member.stamp));
        self.igmp.retain(|interface, _| past.owners.contains_key(&(*interface, Role::Igmp)));
        self.changes.clear();
        let now = self.clone();
        for ((_, share), member) in &mut self.memberships {
            member.stamp = now.stamp(*share);
        }
        for tenure in self.igmp.values_mut() {
            *tenure = Tenure { number: 0, told: 0, queued: 0 };
        }
        let mut events = BTreeSet::new();
        for life in self.flows.values_mut() {
            let said = match life {
                Life::Building { said, .. } => said,
                Life::Entry(entry) => {
                    if let Way::In { interface, stamp, .. } = &mut entry.way {
                        *stamp = now.arrival_stamp(*interface);
                    }
                    events.extend([Some(entry.life), entry.negative].into_iter().flatten());
                    &mut entry.said
                }
            };
            said.retain(|share, words| {
                words.veto = words.veto.filter(|stamp| past.holds(*stamp)).map(|_| now.stamp(*share));
                let edit = words.edit.filter(|(_, stamp)| past.holds(*stamp));
                words.edit = edit.map(|(add, _)| (add, now.stamp(*share)));
                *words != Said::default()
            });
        }
        let events: BTreeMap<u64, u64> = events.into_iter().zip(1..).collect();
        for life in self.flows.values_mut() {
            if let Life::Entry(entry) = life {
                entry.life = events[&entry.life];
                entry.negative = entry.negative.map(|event| events[&event]);
            }
        }
        self.events = events.len() as u64;
    }
}

impl std::fmt::Display for Spec {
    /// What has been agreed on: who is registered, who owns what, who wants what where, which flows have entries.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "clients {:?}, owners {:?}", self.clients, self.owners)?;
        let memberships: Vec<_> = self.memberships().into_iter().map(|(at, what, _)| (what, at)).collect();
        let entries: Vec<_> =
            self.entries().into_iter().map(|entry| (entry.flow, entry.incoming, entry.outgoing)).collect();
        write!(f, ", memberships {memberships:?}, entries {entries:?}")
    }
}
