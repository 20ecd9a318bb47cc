//! Whether a window of a history can be explained: whether there is an order of its calls in which each is answered as the
//! sequential specification has it, in which no call comes before one that had returned before it began, and by which every
//! client was told what it was told, in that order.
//!
//! Steps are tried one after the other, each time one that nothing else has to come before. Which steps are done and what
//! state they led to is remembered, so that no such pair is gone on from twice (Wing and Gong's search with Lowe's memory). All
//! states in which the window can end are found, and the next window may begin in any of them: nothing is lost by cutting a
//! history where every thread rests.
//!
//! ```text
//!   take, release   |----- effect ---------- others are told -----|     two steps, in this order, both within the call
//!   other calls     |---------------- all of it ------------------|     one step
//! ```
//!
//! What a step has to tell is matched at once with what the client was told next. It may not have been told at all if what
//! it is worth telling for was over before it could be: then that has to be over at the window's end.

use super::calls::{Answer, Call, is_full, world};
use super::listener::{Heard, Sound};
use mgm::manager::Interface;
use mgm_verify::spec::{Change, ClientId, Notice, Outcome, Spec, Stamp, Switching, Told};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::rc::Rc;

/// A call, who made it, and from when to when it took, in nanoseconds of the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Event {
    pub(crate) thread: usize,
    pub(crate) call: Call,
    pub(crate) answer: Answer,
    pub(crate) began: u64,
    pub(crate) ended: u64,
}

impl Event {
    pub(crate) fn overlaps(&self, other: &Event) -> bool {
        self.thread != other.thread && self.began < other.ended && other.began < self.ended
    }

    fn did(&self) -> bool {
        self.answer == Answer::Is(Outcome::Ok)
    }
}

/// What happened between two moments at which all threads rested.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Window {
    pub(crate) events: Vec<Event>,
    /// What each client was told, if that was written down.
    pub(crate) heard: Option<BTreeMap<ClientId, Vec<Heard>>>,
}

/// The most calls a window can have: each is a bit of a word.
pub(crate) const MOST: usize = 32;

pub(crate) type States = HashSet<Spec, foldhash::fast::RandomState>;

/// How far the search has come.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Node {
    /// The calls that have taken effect.
    done: u32,
    spec: Rc<Spec>,
    /// The changes of hands that others have not been told of, by their calls.
    pending: Vec<(u8, Change)>,
    /// How much of what it was told each client has been told.
    heard: Vec<u16>,
    /// What was not told: then this must be over in the end.
    untold: BTreeSet<(ClientId, Option<Stamp>)>,
    /// Switches of IGMP on their way: the notice, and when IGMP was told "off" and "on", if it was.
    switches: Vec<(Notice, Option<u64>, Option<u64>)>,
}

/// The states in which a window can end that begins in one of these; none if it cannot be explained.
pub(crate) fn ends(window: &Window, begins: &States) -> States {
    let search = Search::new(window);
    let mut ends = States::default();
    if search.called_after_goodbye() {
        return ends;
    }
    let mut seen: HashSet<Node, foldhash::fast::RandomState> = HashSet::default();
    for begin in begins {
        seen.insert(Node {
            done: 0,
            spec: Rc::new(begin.clone()),
            pending: Vec::new(),
            heard: vec![0; search.heard.len()],
            untold: BTreeSet::new(),
            switches: Vec::new(),
        });
    }
    let mut open: Vec<Node> = seen.iter().cloned().collect();
    while let Some(node) = open.pop() {
        if search.is_end(&node) {
            let mut spec = Rc::unwrap_or_clone(node.spec);
            spec.forget_past();
            ends.insert(spec);
            continue;
        }
        for next in search.steps(&node) {
            if !seen.contains(&next) {
                seen.insert(next.clone());
                open.push(next);
            }
        }
    }
    ends
}

/// A window, and what is found out about it once.
struct Search<'w> {
    events: &'w [Event],
    /// What has to have returned before each call began.
    before: Vec<u32>,
    /// What was told to whom, in the order of clients; `listened` if it was written down.
    heard: Vec<(ClientId, &'w [Heard])>,
    listened: bool,
}

impl<'w> Search<'w> {
    fn new(window: &'w Window) -> Search<'w> {
        let events = &window.events[..];
        assert!(events.len() <= MOST, "a window of {} calls", events.len());
        let earlier = |event: &Event| {
            let earlier = (0..events.len()).filter(|n| events[*n].ended < event.began);
            earlier.fold(0, |bits, n| bits | 1 << n)
        };
        let heard = window.heard.iter().flatten().map(|(client, heard)| (*client, &heard[..]));
        Search {
            events,
            before: events.iter().map(earlier).collect(),
            heard: heard.collect(),
            listened: window.heard.is_some(),
        }
    }

    /// Whether a client was told something after its deregistration had returned.
    fn called_after_goodbye(&self) -> bool {
        self.events.iter().any(|event| match event.call {
            Call::Deregister(client) if event.did() => {
                let heard = self.heard.iter().filter(|(to, _)| *to == client);
                heard.flat_map(|(_, heard)| *heard).any(|heard| heard.at > event.ended)
            }
            _ => false,
        })
    }

    fn is_end(&self, node: &Node) -> bool {
        node.done.count_ones() as usize == self.events.len()
            && node.pending.is_empty()
            && node.heard.iter().zip(&self.heard).all(|(told, (_, heard))| usize::from(*told) == heard.len())
            && node.untold.iter().all(|(client, stamp)| {
                node.spec.protocol_of(*client).is_none() || stamp.is_some_and(|stamp| !node.spec.holds(stamp))
            })
    }

    /// Every step that can be the next one.
    fn steps(&self, node: &Node) -> Vec<Node> {
        let mut steps = Vec::new();
        for at in 0..node.pending.len() {
            self.follow(node, at, &mut steps);
        }
        let pending = node.pending.iter().fold(0, |bits, (n, _)| bits | 1 << n);
        for (n, event) in self.events.iter().enumerate() {
            // What has to come first has come, and has told what it had to tell.
            if node.done & 1 << n == 0 && self.before[n] & (!node.done | pending) == 0 {
                let mut next = node.clone();
                next.done |= 1 << n;
                self.call(next, n, event, &mut steps);
            }
        }
        steps
    }

    /// The second step of a change of hands.
    fn follow(&self, node: &Node, at: usize, steps: &mut Vec<Node>) {
        let (_, change) = node.pending[at];
        let ways: &[bool] = match node.spec.switching(&change) {
            Switching::Must => &[true],
            Switching::No => &[false],
            Switching::May => &[true, false],
        };
        for switch in ways {
            let mut next = node.clone();
            next.pending.remove(at);
            Rc::make_mut(&mut next.spec).follow(&change, *switch);
            self.tell(next, steps);
        }
    }

    /// A call takes effect, if that answer is right then.
    fn call(&self, mut next: Node, n: usize, event: &Event, steps: &mut Vec<Node>) {
        let right = match event.call {
            _ if self.is_excused(n) => true,
            Call::Take(client, interface) => {
                let effect = Rc::make_mut(&mut next.spec).take_effect(client, interface);
                self.changed_hands(&mut next, n, event, effect)
            }
            Call::Release(client, interface) => {
                let effect = Rc::make_mut(&mut next.spec).release_effect(client, interface);
                self.changed_hands(&mut next, n, event, effect)
            }
            Call::OwnerOf(interface) => event.answer == Answer::Name(next.spec.owner_of(interface)),
            Call::Resolve(client) => event.answer == Answer::Name(next.spec.protocol_of(client)),
            Call::Memberships => {
                event.answer == Answer::Memberships(next.spec.memberships().into_iter().collect())
            }
            Call::Entries => {
                let entries = next.spec.entries().into_iter();
                let entries =
                    entries.map(|entry| (entry.flow, entry.incoming, entry.outgoing.into_iter().collect()));
                event.answer == Answer::Entries(entries.collect())
            }
            Call::Register(protocol) => match event.answer {
                // That no handle is issued twice is checked over the whole run.
                Answer::Handle(client) => {
                    Rc::make_mut(&mut next.spec).register(protocol, client) == Outcome::Ok
                }
                _ => {
                    let registered = next.spec.clients().contains_key(&protocol);
                    event.answer == Answer::Is(Outcome::AlreadyRegistered) && registered
                        || is_full(&event.answer) && !registered
                }
            },
            Call::Deregister(client) => {
                event.answer == Answer::Is(Rc::make_mut(&mut next.spec).deregister(client))
            }
            Call::Add(client, interface, what) => {
                self.deliver_switches(&mut next, event, client, interface);
                let towards = what.source().map(|_| world::towards_sources());
                let spec = Rc::make_mut(&mut next.spec);
                event.answer == Answer::Is(spec.add(client, interface, what, JOIN, towards))
            }
            Call::Delete(client, interface, what) => {
                self.deliver_switches(&mut next, event, client, interface);
                let spec = Rc::make_mut(&mut next.spec);
                event.answer == Answer::Is(spec.delete(client, interface, what, JOIN))
            }
            Call::NewFlow(flow) => {
                let spec = Rc::make_mut(&mut next.spec);
                event.answer == Answer::Is(spec.new_flow(flow, Some(world::towards_sources())))
            }
        };
        if right {
            self.refused_late(&next, event, steps);
            self.tell(next, steps);
        }
    }

    /// A call about a membership that is refused may have got as far as to settle that: its interface changed hands then.
    fn refused_late(&self, node: &Node, event: &Event, steps: &mut Vec<Node>) {
        if let Call::Add(_, _, what) | Call::Delete(_, _, what) = event.call
            && !event.did()
            && self.listened
            && !node.pending.is_empty()
        {
            let mut settled = node.clone();
            Rc::make_mut(&mut settled.spec).settle(what);
            if settled.spec != node.spec {
                self.tell(settled, steps);
            }
        }
    }

    fn changed_hands(
        &self,
        next: &mut Node,
        n: usize,
        event: &Event,
        effect: Result<Change, Outcome>,
    ) -> bool {
        match effect {
            Ok(change) => {
                next.pending.push((n as u8, change));
                event.did()
            }
            Err(refused) => event.answer == Answer::Is(refused),
        }
    }

    /// IGMP may speak again once it was told of the change, between "off" and "on": as late as the answer allows.
    fn deliver_switches(&self, next: &mut Node, event: &Event, client: ClientId, interface: Interface) {
        let spoke = event.did();
        let spec = Rc::make_mut(&mut next.spec);
        next.switches.retain(|(notice, off, on)| {
            let its = notice.to == client && notice.told == Told::Switch(interface);
            let must = spoke && off.is_none_or(|off| off < event.ended);
            let over = its && (must || on.is_some_and(|on| on < event.began));
            if over {
                spec.switched(notice);
            }
            !over
        });
    }

    /// A refusal that is no answer of the sequential specification, but says that something else is under way: then that has
    /// to be so. It changes nothing.
    fn is_excused(&self, n: usize) -> bool {
        let event = &self.events[n];
        let mut others = self.events.iter().filter(|other| event.overlaps(other));
        match (&event.call, &event.answer) {
            // Another thread is making the same flow's entry; or its way in changes hands again and again.
            (Call::NewFlow(flow), Answer::Is(Outcome::Building)) => others.any(|other| match other.call {
                Call::NewFlow(other) => other == *flow,
                Call::Take(_, interface) | Call::Release(_, interface) => {
                    interface == world::towards_sources()
                }
                _ => false,
            }),
            // IGMP has not been told yet of a change that another call has just made. When that was is known only if it was
            // written down.
            (Call::Add(..) | Call::Delete(..), Answer::Is(Outcome::ChangingHands)) if !self.listened => {
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

    /// What the step has to tell is what the clients were told next.
    fn tell(&self, mut node: Node, steps: &mut Vec<Node>) {
        if node.spec.notices().is_empty() {
            return steps.push(node);
        }
        let notices = Rc::make_mut(&mut node.spec).take_notices();
        if !self.listened {
            for notice in notices {
                node.switches.extend(matches!(notice.told, Told::Switch(_)).then_some((notice, None, None)));
            }
            return steps.push(node);
        }
        let mut ways = vec![node];
        for notice in &notices {
            let mut next = Vec::new();
            for node in ways {
                self.hear(node, notice, &mut next);
            }
            ways = next;
        }
        steps.append(&mut ways);
    }

    /// Each way in which a client can have been told of one notice, or not.
    fn hear(&self, node: Node, notice: &Notice, ways: &mut Vec<Node>) {
        let holds = notice.needs.is_none_or(|stamp| node.spec.holds(stamp));
        let sounds: &[Sound] = &match notice.told {
            Told::Switch(interface) => vec![Sound::Off(interface), Sound::On(interface)],
            told => vec![Sound::Told(told)],
        };
        let client = self.heard.iter().position(|(client, _)| *client == notice.to);
        let from = client.map_or(0, |client| usize::from(node.heard[client]));
        let heard = client.map_or(&[][..], |client| &self.heard[client].1[from..]);
        // It was queued at this step, and so after every step before began.
        let queued = self.latest(node.done);
        let told = sounds
            .iter()
            .zip(heard)
            .take_while(|(sound, heard)| holds && **sound == heard.sound && queued <= heard.at);
        let told = told.count();
        let switch = matches!(notice.told, Told::Switch(_));
        for told in 0..=told {
            if told < sounds.len() && holds && !self.may_be_over(&node, notice) {
                continue;
            }
            let mut next = node.clone();
            if let Some(client) = client {
                next.heard[client] += told as u16;
            }
            if switch {
                let at = |n: usize| heard.get(n).filter(|_| n < told).map(|heard| heard.at);
                next.switches.push((*notice, at(0), at(1)));
            }
            if told < sounds.len() && holds {
                next.untold.insert((notice.to, notice.needs));
            }
            ways.push(next);
        }
    }

    /// When the last of these calls began.
    fn latest(&self, done: u32) -> u64 {
        let done = self.events.iter().enumerate().filter(|(n, _)| done & 1 << n != 0);
        done.map(|(_, event)| event.began).max().unwrap_or(0)
    }

    /// Whether a call that is still to take effect may make a notice pointless.
    fn may_be_over(&self, node: &Node, notice: &Notice) -> bool {
        let interface = notice.needs.map(Stamp::interface);
        self.events.iter().enumerate().any(|(n, event)| {
            let to_come = node.done & 1 << n == 0 && event.did();
            to_come
                && match event.call {
                    Call::Deregister(client) => client == notice.to,
                    Call::Take(_, at) | Call::Release(_, at) => Some(at) == interface,
                    _ => false,
                }
        })
    }
}

const JOIN: mgm::manager::StateChange = mgm::manager::StateChange::Join;

#[cfg(test)]
mod tests;
