//! Who is told of what: the counting of RFC 2715 section 3.1.1, and the notices on their way.

use super::entries::Arrival;
use super::{IGMP, Member, Plain, ROUTING, Share};
use crate::model::told;
use mgm::forwarding::Flow;
use mgm::manager::{Cause, Interface, Membership};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

#[derive(Clone, Copy)]
enum What {
    Join(Membership, Cause),
    /// With the entry whose time-out may be changed: the flow, and when it was made.
    Prune(Membership, Interface, Cause, Option<(Flow, u64)>),
    LocalJoin(Interface, Membership),
    LocalLeave(Interface, Membership),
    Switch(Interface),
}

/// What a notice is told for: worth telling while that has not changed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Needs {
    Nothing,
    /// That a share has changed hands so often.
    Share(Share, u64),
    /// That the client decides on what arrives on an interface.
    Arrival(Interface, Arrival),
}

struct Notice {
    what: What,
    needs: Needs,
}

/// The notices for a client, and whether it is being told something.
#[derive(Default)]
pub(super) struct Outbox {
    notices: VecDeque<Notice>,
    lost: u64,
    telling: bool,
}

/// For each tenure of IGMP on an interface, how many changes it has still to be told of as far as "enable".
pub(super) type Switches = BTreeMap<(Interface, u64), usize>;

impl Plain {
    /// The clients that count for a membership.
    fn wanting(&self, what: Membership) -> BTreeSet<usize> {
        let counts = |of: &Membership| match what {
            Membership::AnySource(_) => *of == what || *of == Membership::everything(what.family()),
            _ => *of == what,
        };
        let members = self.memberships.iter().filter(|((of, _), member)| member.counts && counts(of));
        members.map(|(_, member)| member.client).collect()
    }

    /// Puts a membership in and has others told.
    pub(super) fn keep(&mut self, what: Membership, share: Share, client: usize) {
        if self.memberships.contains_key(&(what, share)) {
            return;
        }
        let before = self.wanting(what);
        let counts = share.1 == ROUTING || !self.owners.contains_key(&(share.0, ROUTING));
        self.memberships.insert((what, share), Member { client, counts });
        if !counts {
            return self.queue_to_owner((share.0, ROUTING), What::LocalJoin(share.0, what));
        }
        if let (Membership::OneSource(flow), true) = (what, before.is_empty()) {
            self.towards.insert(flow, self.routed(&flow));
        }
        for (other, towards) in self.concerned(what, client, before) {
            self.queue(other, What::Join(what, Cause::Membership), self.arrival(towards));
        }
    }

    /// Takes a membership out and has others told; IGMP's neighbour on a shared interface only if it stays.
    pub(super) fn forget(&mut self, what: Membership, share: Share, local: bool) {
        let Some(member) = self.memberships.remove(&(what, share)) else { return };
        if !member.counts {
            if local {
                self.queue_to_owner((share.0, ROUTING), What::LocalLeave(share.0, what));
            }
            return;
        }
        let left = self.wanting(what);
        let last = left.is_empty();
        for (other, towards) in self.concerned(what, member.client, left) {
            let prune = What::Prune(what, towards.unwrap_or(share.0), Cause::Membership, None);
            self.queue(other, prune, self.arrival(towards));
        }
        if let (Membership::OneSource(flow), true) = (what, last) {
            self.towards.remove(&flow);
        }
    }

    /// The way to a source that is joined by name is looked up again: its owners, the old and the new, are told if others
    /// have joined.
    pub(super) fn turn(&mut self, flow: Flow) {
        let what = Membership::one_source(flow.source(), flow.group()).unwrap();
        let (wanting, now) = (self.wanting(what), self.routed(&flow));
        let before = self.towards.insert(flow, now).flatten();
        let owner =
            |way: Option<Interface>| way.and_then(|interface| self.owner(interface)).map(|(owner, _)| owner);
        let (old, new) = (owner(before), owner(now));
        let is_told = |owner: &usize| old != new && wanting.iter().any(|client| client != owner);
        let (old, new) = (old.filter(is_told), new.filter(is_told));
        if let (Some(old), Some(at)) = (old, before) {
            self.queue(old, What::Prune(what, at, Cause::Membership, None), self.arrival(before));
        }
        if let Some(new) = new {
            self.queue(new, What::Join(what, Cause::Membership), self.arrival(now));
        }
    }

    /// Whom it concerns that a client wants something, or wants it no more, beside those who do; and the
    /// interface towards the source, if it is for that that they are told.
    fn concerned(
        &self,
        what: Membership,
        client: usize,
        beside: BTreeSet<usize>,
    ) -> Vec<(usize, Option<Interface>)> {
        match what {
            _ if beside.contains(&client) => Vec::new(),
            Membership::OneSource(flow) => {
                let towards = self.towards[&flow].filter(|_| beside.is_empty());
                let owner = towards.and_then(|interface| self.owner(interface)).map(|(owner, _)| owner);
                owner.filter(|owner| *owner != client).map(|owner| (owner, towards)).into_iter().collect()
            }
            _ if beside.is_empty() => {
                let mut others: Vec<usize> = (0..self.clients.len())
                    .filter(|other| *other != client && self.clients[*other].live)
                    .collect();
                others.sort_by_key(|other| self.clients[*other].protocol);
                others.into_iter().map(|other| (other, None)).collect()
            }
            _ if beside.len() == 1 => beside.into_iter().map(|one| (one, None)).collect(),
            _ => Vec::new(),
        }
    }

    /// An entry has begun (or ceased) to forward: the owner of its incoming interface is told, unless that did it.
    pub(super) fn entry_turned(&mut self, flow: Flow, made: u64, forwards: bool, by: Option<usize>) {
        let Some(incoming) = self.incoming(&flow) else { return };
        let Some((owner, _)) = self.owner(incoming).filter(|(owner, _)| Some(*owner) != by) else { return };
        let what = Membership::one_source(flow.source(), flow.group()).unwrap();
        let notice = match forwards {
            true => What::Join(what, Cause::Entry),
            false => What::Prune(what, incoming, Cause::Entry, Some((flow, made))),
        };
        self.queue(owner, notice, self.arrival(Some(incoming)));
    }

    /// A routing protocol has come to IGMP, or has gone.
    pub(super) fn switch(&mut self, interface: Interface) {
        let share = (interface, IGMP);
        let Some(igmp) = self.owners.get(&share) else { return };
        let needs = Needs::Share(share, self.changes(share));
        let notices = &self.clients[*igmp].outbox.notices;
        let same = |notice: &Notice| matches!(notice.what, What::Switch(_)) && notice.needs == needs;
        if notices.len() < self.config.notices as usize || !notices.iter().any(same) {
            *self.switches.entry((interface, self.changes(share))).or_default() += 1;
            self.queue_to_owner(share, What::Switch(interface));
        }
    }

    /// Whether IGMP may add and delete there.
    pub(super) fn settled(&self, interface: Interface) -> bool {
        let tenure = (interface, self.changes((interface, IGMP)));
        self.switches.get(&tenure).is_none_or(|pending| *pending == 0)
    }

    fn queue_to_owner(&mut self, share: Share, what: What) {
        if let Some(owner) = self.owners.get(&share) {
            self.queue(*owner, what, Needs::Share(share, self.changes(share)));
        }
    }

    /// An alert of a group is news to the client whichever interface it names; one of a source is for whoever decides on
    /// what arrives from there.
    fn arrival(&self, towards: Option<Interface>) -> Needs {
        towards.map_or(Needs::Nothing, |interface| Needs::Arrival(interface, self.stamp(towards)))
    }

    fn holds(&self, needs: Needs) -> bool {
        match needs {
            Needs::Nothing => true,
            Needs::Share(share, changes) => self.changes(share) == changes,
            Needs::Arrival(interface, arrival) => self.stamp(Some(interface)) == arrival,
        }
    }

    fn queue(&mut self, to: usize, what: What, needs: Needs) {
        let room = self.config.notices as usize;
        let outbox = &mut self.clients[to].outbox;
        if outbox.notices.len() < room || matches!(what, What::Switch(_)) {
            outbox.notices.push_back(Notice { what, needs });
        } else {
            outbox.lost += 1;
        }
        if let Some(to_tell) = self.to_tell.last_mut() {
            to_tell.push(to);
        }
    }

    /// Ends a call: has everybody told whom it has something to tell.
    pub(super) fn deliver(&mut self) {
        for client in self.to_tell.pop().unwrap_or_default() {
            if std::mem::replace(&mut self.clients[client].outbox.telling, true) {
                continue;
            }
            loop {
                let outbox = &mut self.clients[client].outbox;
                if let Some(notice) = outbox.notices.pop_front() {
                    self.tell(client, notice);
                } else if outbox.lost > 0 {
                    let lost = std::mem::take(&mut outbox.lost);
                    self.tell_if_there(client, told::lost(client, lost));
                } else {
                    outbox.telling = false;
                    break;
                }
            }
        }
    }

    fn tell(&mut self, client: usize, Notice { what, needs }: Notice) {
        if let (What::Switch(interface), Needs::Share(_, tenure)) = (what, needs) {
            let worth_telling = self.holds(needs);
            if worth_telling {
                self.tell_if_there(client, told::disable(client, interface));
            }
            *self.switches.entry((interface, tenure)).or_default() -= 1;
            // It may have given the interface up meanwhile.
            if worth_telling && self.holds(needs) {
                self.tell_if_there(client, told::enable(client, interface));
            }
            return;
        }
        if !self.holds(needs) || !self.clients[client].live {
            return;
        }
        let (life, answer) = (self.config.entry_lifetime, self.clients[client].timeout);
        self.tell_if_there(
            client,
            match what {
                What::Join(what, cause) => told::join(client, what, cause),
                What::Prune(what, at, cause, _) => told::prune(client, what, at, cause, life),
                What::LocalJoin(at, what) => told::local_join(client, at, what),
                What::LocalLeave(at, what) => told::local_leave(client, at, what),
                What::Switch(_) => unreachable!(),
            },
        );
        if let (What::Prune(.., Some((flow, made))), Some(answer)) = (what, answer) {
            let seconds = answer.as_secs() + u64::from(answer.subsec_nanos() > 0);
            if seconds > 0 {
                self.set_timeout(flow, made, Duration::from_secs(seconds));
            }
        }
    }

    /// Calls a client, which may call back.
    pub(super) fn tell_if_there(&mut self, client: usize, what: String) {
        if !self.clients[client].live {
            return;
        }
        self.log.push(what);
        if let Some(call) = self.clients[client].script.take() {
            let outcome = self.call(&call);
            self.log.push(format!("{call:?}: {outcome}"));
        }
    }
}
