//! The steps of the search: nodes, and the nodes that can follow each.

use super::MAX_EVENTS;
use crate::history::{Answer, Call, Callback, Delivery, Event, Window, scenario};
use crate::spec::{
    ClientId, HandoverDue, Notice, NoticeKind, Outcome, OwnershipChange, OwnershipVersion, Spec,
};
use mgm::forwarding::Flow;
use mgm::manager::{Interface, Membership, Protocol, StateChange};
use std::collections::BTreeSet;
use std::rc::Rc;

/// How far the search has come on one path.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Node {
    /// The calls that have taken effect.
    done: u32,
    pub(super) spec: Rc<Spec>,
    /// The changes of owner that are not followed up yet, with their calls.
    pending: Vec<(u8, OwnershipChange)>,
    /// How many of its callbacks each client has received.
    delivered: Vec<u16>,
    /// The notices that were not delivered. Their version must not be current at the end.
    undelivered: BTreeSet<(ClientId, Option<OwnershipVersion>)>,
    handovers: Vec<Handover>,
    walks: Vec<Walk>,
    /// The flows joined by name with an RPF owner that is still to be told, with the calls that do it.
    unsettled: Vec<(u8, Flow)>,
}

/// A walk over the clients that is under way. A walk has no single instant: it shows every client that is registered from
/// its begin to its end, and only clients that are registered at some instant between them.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Walk {
    /// The number of the call.
    n: u8,
    throughout: BTreeSet<ClientId>,
    ever: BTreeSet<(ClientId, Protocol)>,
}

impl Walk {
    fn new(n: u8, spec: &Spec) -> Walk {
        let ever: BTreeSet<_> = spec.registered().collect();
        Walk { n, throughout: ever.iter().map(|(client, _)| *client).collect(), ever }
    }

    fn allows(&self, answer: &Answer) -> bool {
        let Answer::Clients(shown) = answer else { return false };
        let handles: BTreeSet<ClientId> = shown.iter().map(|(client, _)| *client).collect();
        handles.len() == shown.len()
            && self.throughout.is_subset(&handles)
            && shown.iter().all(|shown| self.ever.contains(shown))
    }
}

/// A handover of IGMP under way, with the times of its two callbacks.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Handover {
    notice: Notice,
    disabled: Option<u64>,
    enabled: Option<u64>,
}

/// A window, with facts that are computed once.
pub(super) struct Search<'w> {
    events: &'w [Event],
    /// The calls that had returned before each call began.
    before: Vec<u32>,
    /// The callbacks of each client, in the order of clients.
    deliveries: Vec<(ClientId, &'w [Delivery])>,
    /// Whether callbacks were recorded.
    recorded: bool,
}

impl<'w> Search<'w> {
    pub(super) fn new(window: &'w Window) -> Search<'w> {
        let events = &window.events[..];
        assert!(events.len() <= MAX_EVENTS, "a window of {} calls", events.len());
        let earlier = |event: &Event| {
            let earlier = (0..events.len()).filter(|n| events[*n].ended < event.began);
            earlier.fold(0, |bits, n| bits | 1 << n)
        };
        let deliveries = window.deliveries.iter().flatten().map(|(client, all)| (*client, &all[..]));
        Search {
            events,
            before: events.iter().map(earlier).collect(),
            deliveries: deliveries.collect(),
            recorded: window.deliveries.is_some(),
        }
    }

    pub(super) fn first_node(&self, start: &Spec) -> Node {
        Node {
            done: 0,
            spec: Rc::new(start.clone()),
            pending: Vec::new(),
            delivered: vec![0; self.deliveries.len()],
            undelivered: BTreeSet::new(),
            handovers: Vec::new(),
            walks: Vec::new(),
            unsettled: Vec::new(),
        }
    }

    /// Returns whether a client received a callback after its deregistration had returned. A deregistration inside a callback
    /// waits for no other callback, so one may have started before and be recorded after it.
    pub(super) fn has_callback_after_deregister(&self) -> bool {
        self.events.iter().any(|event| match event.call {
            Call::Deregister(client) if event.succeeded() && !event.is_inside_callback() => {
                let own = self.deliveries.iter().filter(|(to, _)| *to == client);
                own.flat_map(|(_, all)| *all).any(|delivery| delivery.at > event.ended)
            }
            _ => false,
        })
    }

    pub(super) fn is_end(&self, node: &Node) -> bool {
        let all_delivered =
            || node.delivered.iter().zip(&self.deliveries).all(|(n, (_, all))| usize::from(*n) == all.len());
        let dead = |client: &ClientId, version: &Option<OwnershipVersion>| {
            node.spec.protocol_of(*client).is_none()
                || version.is_some_and(|version| !node.spec.is_current(version))
        };
        node.done.count_ones() as usize == self.events.len()
            && node.pending.is_empty()
            && node.unsettled.is_empty()
            && all_delivered()
            && node.undelivered.iter().all(|(client, version)| dead(client, version))
    }

    /// Returns every node that one step can lead to.
    pub(super) fn steps(&self, node: &Node) -> Vec<Node> {
        let mut steps = Vec::new();
        for at in 0..node.pending.len() {
            self.follow_up(node, at, &mut steps);
        }
        for at in 0..node.unsettled.len() {
            let mut next = node.clone();
            let (_, flow) = next.unsettled.remove(at);
            Rc::make_mut(&mut next.spec).settle_rpf_owner(flow);
            self.deliver(next, &mut steps);
        }
        let pending = node.pending.iter().map(|(n, _)| n).chain(node.unsettled.iter().map(|(n, _)| n));
        let pending = pending.fold(0, |bits, n| bits | 1 << n);
        let walking = node.walks.iter().fold(0, |bits, walk| bits | 1 << walk.n);
        for (n, event) in self.events.iter().enumerate() {
            if (node.done | walking) & 1 << n != 0 {
                continue;
            }
            // Calls that returned before have taken effect and are followed up. A walk that returned before ends now.
            let missing = self.before[n] & (!node.done | pending);
            let mut next = node.clone();
            if !self.end_walks(&mut next, missing) {
                continue;
            }
            if let Call::Clients = event.call {
                next.walks.push(Walk::new(n as u8, &next.spec));
                // The earlier a walk begins and the later it ends, the more answers it allows. Only the end of another walk
                // is a reason to begin later.
                if missing == 0 {
                    return vec![next];
                }
                steps.push(next);
            } else {
                next.done |= 1 << n;
                if let Call::Add(_, _, Membership::OneSource(_))
                | Call::Delete(_, _, Membership::OneSource(_)) = event.call
                    && self.may_change_rpf_owner(&next)
                {
                    let mut deferred = next.clone();
                    Rc::make_mut(&mut deferred.spec).defer_settling();
                    self.take_effect(deferred, n, event, &mut steps);
                }
                self.take_effect(next, n, event, &mut steps);
            }
        }
        if (node.done | walking).count_ones() as usize == self.events.len() && walking != 0 {
            let mut next = node.clone();
            if self.end_walks(&mut next, walking) {
                steps.push(next);
            }
        }
        steps
    }

    /// Ends these calls, which must all be walks under way with answers that are right. Returns whether they are.
    fn end_walks(&self, node: &mut Node, ending: u32) -> bool {
        let mut rest = ending;
        node.walks.retain(|walk| {
            let ends = ending & 1 << walk.n != 0 && walk.allows(&self.events[usize::from(walk.n)].answer);
            if ends {
                rest &= !(1 << walk.n);
            }
            !ends
        });
        node.done |= ending & !rest;
        rest == 0
    }

    /// Does the second step of a change of owner.
    fn follow_up(&self, node: &Node, at: usize, steps: &mut Vec<Node>) {
        let (n, change) = node.pending[at];
        let choices: &[bool] = match node.spec.handover_due(&change) {
            HandoverDue::Required => &[true],
            HandoverDue::No => &[false],
            HandoverDue::Optional => &[true, false],
        };
        for handover in choices {
            let mut next = node.clone();
            next.pending.remove(at);
            if self.may_change_rpf_owner(&next) {
                let mut deferred = next.clone();
                let spec = Rc::make_mut(&mut deferred.spec);
                spec.defer_settling();
                spec.follow_up(&change, *handover);
                settle_later(&mut deferred, n);
                if !deferred.unsettled.is_empty() {
                    self.deliver(deferred, steps);
                }
            }
            Rc::make_mut(&mut next.spec).follow_up(&change, *handover);
            self.deliver(next, steps);
        }
    }

    /// Returns whether a call that has not taken effect yet changes an owner of the RPF interface. A call that tells the owner
    /// may tell the later one.
    fn may_change_rpf_owner(&self, node: &Node) -> bool {
        self.events.iter().enumerate().any(|(n, event)| {
            let changes =
                matches!(event.call, Call::Take(_, at) | Call::Release(_, at) if at == scenario::upstream());
            changes && node.done & 1 << n == 0 && event.succeeded()
        })
    }

    /// Lets a call take effect if its answer is right at this point.
    fn take_effect(&self, mut next: Node, n: usize, event: &Event, steps: &mut Vec<Node>) {
        let outcome = |outcome| event.answer == Answer::Outcome(outcome);
        let right = match event.call {
            _ if self.is_excused(n) => true,
            Call::Take(client, interface) => {
                let effect = Rc::make_mut(&mut next.spec).take_effect(client, interface);
                self.change_owner(&mut next, n, event, effect)
            }
            Call::Release(client, interface) => {
                let effect = Rc::make_mut(&mut next.spec).release_effect(client, interface);
                self.change_owner(&mut next, n, event, effect)
            }
            Call::OwnerOf(interface) => event.answer == Answer::Protocol(next.spec.owner_of(interface)),
            Call::Resolve(client) => event.answer == Answer::Protocol(next.spec.protocol_of(client)),
            Call::Memberships => {
                event.answer == Answer::Memberships(next.spec.memberships().into_iter().collect())
            }
            Call::Entries => {
                let entries = next.spec.entries().into_iter();
                let entries =
                    entries.map(|entry| (entry.flow, entry.incoming, entry.outgoing.into_iter().collect()));
                event.answer == Answer::Entries(entries.collect())
            }
            Call::Register(protocol) => {
                let spec = Rc::make_mut(&mut next.spec);
                match event.answer {
                    // The run checks that no handle is issued twice.
                    Answer::Handle(client) => {
                        next.walks.iter_mut().for_each(|walk| _ = walk.ever.insert((client, protocol)));
                        spec.register(protocol, client, false) == Outcome::Ok
                    }
                    _ => outcome(spec.register(protocol, ClientId::MAX, false)),
                }
            }
            Call::Deregister(client) => {
                if event.succeeded() {
                    next.walks.iter_mut().for_each(|walk| _ = walk.throughout.remove(&client));
                }
                outcome(Rc::make_mut(&mut next.spec).deregister(client))
            }
            Call::Clients => unreachable!("a walk has two steps of its own"),
            Call::Add(client, interface, membership) => {
                self.finish_handovers(&mut next, event, client, interface);
                let upstream = membership.source().map(|_| scenario::upstream());
                let spec = Rc::make_mut(&mut next.spec);
                outcome(spec.add(client, interface, membership, StateChange::Join, upstream))
            }
            Call::Delete(client, interface, membership) => {
                self.finish_handovers(&mut next, event, client, interface);
                let spec = Rc::make_mut(&mut next.spec);
                outcome(spec.delete(client, interface, membership, StateChange::Join))
            }
            Call::NewFlow(flow) => {
                let spec = Rc::make_mut(&mut next.spec);
                outcome(spec.new_flow(flow, Some(scenario::upstream())))
            }
        };
        if next.spec.defers_settling() {
            settle_later(&mut next, n as u8);
        }
        if right {
            self.sweep_of_refused_call(&next, event, steps);
            self.deliver(next, steps);
        }
    }

    /// Adds the step of a refused call about a membership that swept dead members before it was refused. Its interface
    /// changed owner between the sweep and the refusal.
    fn sweep_of_refused_call(&self, node: &Node, event: &Event, steps: &mut Vec<Node>) {
        if let Call::Add(client, interface, membership) | Call::Delete(client, interface, membership) =
            event.call
            && !event.succeeded()
            && self.recorded
            && !node.pending.is_empty()
        {
            let mut swept = node.clone();
            let own = node.spec.role(client).map(|role| (client, (interface, role)));
            Rc::make_mut(&mut swept.spec).sweep_dead(membership, own);
            if swept.spec != node.spec {
                self.deliver(swept, steps);
            }
        }
    }

    fn change_owner(
        &self,
        next: &mut Node,
        n: usize,
        event: &Event,
        effect: Result<OwnershipChange, Outcome>,
    ) -> bool {
        match effect {
            Ok(change) => {
                next.pending.push((n as u8, change));
                event.succeeded()
            }
            Err(refused) => event.answer == Answer::Outcome(refused),
        }
    }

    /// Finishes IGMP's handovers on an interface before a call of IGMP. A handover ends between its two callbacks; it is
    /// finished as late as the call's answer allows.
    fn finish_handovers(&self, next: &mut Node, event: &Event, client: ClientId, interface: Interface) {
        let succeeded = event.succeeded();
        let spec = Rc::make_mut(&mut next.spec);
        next.handovers.retain(|handover| {
            let notice = &handover.notice;
            let own = notice.to == client && notice.kind == NoticeKind::Handover(interface);
            let required = succeeded && handover.disabled.is_none_or(|at| at < event.ended);
            let finished = own && (required || handover.enabled.is_some_and(|at| at < event.began));
            if finished {
                spec.finish_handover(notice);
            }
            !finished
        });
    }

    /// Returns whether a call was refused because another call was under way. The sequential specification has no such
    /// answer; it changes nothing, and the other call must be there.
    fn is_excused(&self, n: usize) -> bool {
        let event = &self.events[n];
        let mut others = self.events.iter().filter(|other| event.overlaps(other));
        match (&event.call, &event.answer) {
            // Another thread builds the same flow's entry, or its incoming interface changes owner again and again.
            (Call::NewFlow(flow), Answer::Outcome(Outcome::Building)) => {
                others.any(|other| match other.call {
                    Call::NewFlow(other) => other == *flow,
                    Call::Take(_, interface) | Call::Release(_, interface) => {
                        interface == scenario::upstream()
                    }
                    _ => false,
                })
            }
            // IGMP was not notified yet of a change that another call has just made. Its time is known only if callbacks
            // were recorded.
            (Call::Add(..) | Call::Delete(..), Answer::Outcome(Outcome::ChangingHands)) if !self.recorded => {
                others.any(|other| {
                    matches!(
                        other.call,
                        Call::Take(..)
                            | Call::Release(..)
                            | Call::Add(..)
                            | Call::Delete(..)
                            | Call::NewFlow(_)
                    )
                })
            }
            _ => false,
        }
    }

    /// Matches the notices of a step with the clients' next callbacks.
    fn deliver(&self, mut node: Node, steps: &mut Vec<Node>) {
        if node.spec.notices().is_empty() {
            return steps.push(node);
        }
        let notices = Rc::make_mut(&mut node.spec).take_notices();
        if !self.recorded {
            let handovers = notices.into_iter().filter(|n| matches!(n.kind, NoticeKind::Handover(_)));
            node.handovers.extend(handovers.map(|notice| Handover { notice, disabled: None, enabled: None }));
            return steps.push(node);
        }
        let mut nodes = vec![node];
        for notice in &notices {
            let mut next = Vec::new();
            for node in nodes {
                self.deliver_one(node, notice, &mut next);
            }
            nodes = next;
        }
        steps.append(&mut nodes);
    }

    /// Adds a node for each number of callbacks of one notice that the client can have received.
    fn deliver_one(&self, node: Node, notice: &Notice, nodes: &mut Vec<Node>) {
        let current = notice.requires.is_none_or(|version| node.spec.is_current(version));
        let callbacks: &[Callback] = &match notice.kind {
            NoticeKind::Handover(interface) => {
                vec![Callback::DisableIgmp(interface), Callback::EnableIgmp(interface)]
            }
            kind => vec![Callback::Notice(kind)],
        };
        let client = self.deliveries.iter().position(|(client, _)| *client == notice.to);
        let from = client.map_or(0, |client| usize::from(node.delivered[client]));
        let rest = client.map_or(&[][..], |client| &self.deliveries[client].1[from..]);
        // The step queued it, and every step before had begun.
        let queued = self.latest_begin(node.done);
        let matching = callbacks.iter().zip(rest).take_while(|(callback, delivery)| {
            current && **callback == delivery.callback && queued <= delivery.at
        });
        let is_handover = matches!(notice.kind, NoticeKind::Handover(_));
        for received in 0..=matching.count() {
            let missing = received < callbacks.len() && current;
            if missing && !self.may_die(&node, notice) {
                continue;
            }
            let mut next = node.clone();
            if let Some(client) = client {
                next.delivered[client] += received as u16;
            }
            if is_handover {
                let at = |n: usize| rest.get(n).filter(|_| n < received).map(|delivery| delivery.at);
                next.handovers.push(Handover { notice: *notice, disabled: at(0), enabled: at(1) });
            }
            if missing {
                next.undelivered.insert((notice.to, notice.requires));
            }
            nodes.push(next);
        }
    }

    /// Returns when the last of these calls began.
    fn latest_begin(&self, done: u32) -> u64 {
        let done = self.events.iter().enumerate().filter(|(n, _)| done & 1 << n != 0);
        done.map(|(_, event)| event.began).max().unwrap_or(0)
    }

    /// Returns whether a call that has not taken effect yet can end what a notice requires.
    fn may_die(&self, node: &Node, notice: &Notice) -> bool {
        let interface = notice.requires.map(OwnershipVersion::interface);
        self.events.iter().enumerate().any(|(n, event)| {
            let to_come = node.done & 1 << n == 0 && event.succeeded();
            to_come
                && match event.call {
                    Call::Deregister(client) => client == notice.to,
                    Call::Take(_, at) | Call::Release(_, at) => Some(at) == interface,
                    _ => false,
                }
        })
    }
}

/// Leaves the flows that the spec has deferred to a later step of the call.
fn settle_later(node: &mut Node, n: u8) {
    let deferred = Rc::make_mut(&mut node.spec).take_deferred();
    node.unsettled.extend(deferred.into_iter().map(|flow| (n, flow)));
}
