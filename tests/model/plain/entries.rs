//! The entries of flows: made on their first packet, renewed by whatever changes what they follow from.

use super::{IGMP, Plain, ROUTING, Share};
use crate::model::{Outcome, SeenEntry, told};
use mgm::forwarding::Flow;
use mgm::manager::{Interface, Protocol};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

/// How often the shares that something hangs on had changed hands when it was said.
type Changes = (u64, u64);

/// What the validity of an incoming interface hangs on: whether it is known, and how often its shares have changed hands.
pub(super) type Arrival = Option<(bool, u64, u64)>;

/// A share that is offered, and whether IGMP is on the interface.
type Offered = (Share, Changes, bool);

/// What an owner said of a flow on its share of an interface.
#[derive(Clone, Default)]
pub(super) struct Said {
    pub(super) veto: bool,
    pub(super) edit: Option<bool>,
}

#[derive(Default)]
pub(super) struct Made {
    pub(super) route: Option<Interface>,
    /// What the routes had said.
    routed: Option<Interface>,
    /// Whether somebody owns the incoming interface.
    owned: bool,
    pub(super) said: BTreeMap<Share, Said>,
    pub(super) deadline: Duration,
    /// Which of all entries it is.
    number: u64,
    /// When it became negative.
    negative: Option<u64>,
}

pub(super) enum Life {
    Building { said: BTreeMap<Share, Said>, acted: BTreeSet<Share> },
    Entry(Made),
}

impl Plain {
    /// Brings the list of negative entries up to date, in the order of flows as the manager does, after something that a
    /// client did.
    pub(super) fn renew(&mut self, by: usize) {
        let flows: Vec<Flow> = self.flows.keys().copied().collect();
        for flow in flows {
            let Some(Life::Entry(made)) = self.flows.get(&flow) else { continue };
            let (number, was, is) =
                (made.number, made.negative.is_none(), !self.outgoing(&flow, made).is_empty());
            if was != is {
                self.entry_turned(flow, number, is, Some(by));
            }
            self.mark(flow, !is);
        }
    }

    fn mark(&mut self, flow: Flow, negative: bool) {
        let Some(Life::Entry(made)) = self.flows.get_mut(&flow) else { return };
        match (negative, made.negative) {
            (true, None) => {
                self.events += 1;
                made.negative = Some(self.events);
            }
            (false, Some(_)) => made.negative = None,
            _ => {}
        }
        let since = |(flow, life): (&Flow, &Life)| match life {
            Life::Entry(Made { negative: Some(since), .. }) => Some((*since, *flow)),
            _ => None,
        };
        let mut all: Vec<_> = self.flows.iter().filter_map(since).collect();
        if all.len() > self.config.negative_entries as usize {
            all.sort_unstable();
            self.flows.remove(&all[0].1);
        }
    }

    /// Where a flow's packets have to arrive, if it has an entry.
    pub(super) fn incoming(&self, flow: &Flow) -> Option<Interface> {
        match self.flows.get(flow) {
            Some(Life::Entry(made)) => made.route,
            _ => None,
        }
    }

    /// An entry without receivers is to stay so long from now on, if it is still there and still has none.
    pub(super) fn set_timeout(&mut self, flow: Flow, number: u64, timeout: Duration) {
        if let Some(Life::Entry(made)) = self.flows.get_mut(&flow)
            && made.number == number
            && made.negative.is_some()
        {
            made.deadline = self.now + timeout;
        }
    }

    fn outgoing(&self, flow: &Flow, made: &Made) -> BTreeSet<Interface> {
        if !made.owned {
            return BTreeSet::new();
        }
        let mut shares: BTreeSet<Share> =
            self.memberships.keys().filter(|(m, _)| m.covers(flow)).map(|(_, share)| *share).collect();
        for (share, said) in &made.said {
            match said.edit {
                Some(true) => shares.insert(*share),
                Some(false) => shares.remove(share),
                None => false,
            };
        }
        let vetoed = |share: &Share| made.said.get(share).is_some_and(|said| said.veto);
        let interfaces = shares.iter().filter(|share| !vetoed(share) && !vetoed(&(share.0, ROUTING)));
        interfaces.map(|share| share.0).filter(|interface| Some(*interface) != made.route).collect()
    }

    pub(super) fn new_flow(&mut self, flow: Flow) -> Outcome {
        let link_local = match flow.group() {
            IpAddr::V4(group) => group.octets().starts_with(&[224, 0, 0]),
            IpAddr::V6(_) => false,
        };
        if link_local {
            return "NotForwarded".into();
        }
        match self.flows.get(&flow) {
            Some(Life::Building { .. }) => return "Building".into(),
            Some(Life::Entry(made)) => return self.state(&flow, made),
            None if self.foreign.contains(&flow) => return "Foreign".into(),
            None => {}
        }
        self.flows.insert(flow, Life::Building { said: BTreeMap::new(), acted: BTreeSet::new() });
        loop {
            let (changes, routed) = (self.route_changes, self.routed(&flow));
            let (route, owned, at) = self.way_in(flow);
            let Some(Life::Building { said, acted }) = self.flows.get_mut(&flow) else { unreachable!() };
            acted.clear();
            let mut made = Made { route, routed, owned, said: said.clone(), ..Made::default() };
            let vetoes = self.ask(flow, &made);
            if self.stamp(route) != at || self.route_changes != changes {
                continue;
            }
            let Some(Life::Building { said, acted }) = self.flows.remove(&flow) else { unreachable!() };
            if self.foreign.contains(&flow) {
                return "Foreign".into();
            }
            made.said = said;
            for (share, changes) in vetoes {
                if !acted.contains(&share) && self.hangs_on(share) == changes {
                    made.said.entry(share).or_default().veto = true;
                }
            }
            made.deadline = self.now + self.config.entry_lifetime;
            self.events += 1;
            made.number = self.events;
            let (number, negative) = (made.number, self.outgoing(&flow, &made).is_empty());
            let state = self.state(&flow, &made);
            self.flows.insert(flow, Life::Entry(made));
            if negative {
                self.entry_turned(flow, number, false, None);
            }
            self.mark(flow, negative);
            return state;
        }
    }

    /// Where the packets of a new flow have to arrive, as its owner answers; whether somebody owns that; and what changes
    /// when it is not valid any more.
    fn way_in(&mut self, flow: Flow) -> (Option<Interface>, bool, Arrival) {
        let route = self.routed(&flow);
        let (owner, at) = (route.and_then(|interface| self.owner(interface)), self.stamp(route));
        let (Some(routed), Some((client, (_, role)))) = (route, owner) else { return (route, false, at) };
        let answer = self.clients[client].path.unwrap_or(routed);
        self.tell_if_there(client, told::reverse_path(client, flow, routed));
        if self.owners.get(&(answer, role)) == Some(&client) && answer.family() == flow.family() {
            return (Some(answer), true, self.stamp(Some(answer)));
        }
        (route, true, at)
    }

    /// How a flow's source is reached.
    pub(super) fn routed(&self, flow: &Flow) -> Option<Interface> {
        self.routes[&flow.source()].filter(|interface| interface.family() == flow.family())
    }

    /// How many entries end because their packets have to arrive elsewhere.
    pub(super) fn routes_changed(&mut self) -> usize {
        self.route_changes += 1;
        let moved = |(flow, life): (&Flow, &Life)| match life {
            Life::Entry(made) => (made.routed != self.routed(flow)).then_some(*flow),
            Life::Building { .. } => None,
        };
        let moved: Vec<Flow> = self.flows.iter().filter_map(moved).collect();
        moved.iter().for_each(|flow| _ = self.flows.remove(flow));
        moved.len()
    }

    fn state(&self, flow: &Flow, made: &Made) -> Outcome {
        if self.outgoing(flow, made).is_empty() { "Negative".into() } else { "Active".into() }
    }

    /// What changes when an entry whose packets arrive there is not valid any more.
    pub(super) fn stamp(&self, route: Option<Interface>) -> Arrival {
        let interface = route?;
        let routing = self.owners.contains_key(&(interface, ROUTING));
        let igmp = if routing { 0 } else { self.changes((interface, IGMP)) };
        Some((self.known.contains(&interface), self.changes((interface, ROUTING)), igmp))
    }

    /// What changes when something a share's owner has said does not count any more.
    fn hangs_on(&self, share: Share) -> Changes {
        let igmp = if share.1 == IGMP { self.changes(share) } else { 0 };
        (self.changes((share.0, ROUTING)), igmp)
    }

    /// Asks the owners in the order of protocols; their vetoes, with what they hang on.
    fn ask(&mut self, flow: Flow, made: &Made) -> Vec<(Share, Changes)> {
        let mut offers: BTreeMap<Protocol, (usize, Vec<Offered>)> = BTreeMap::new();
        let outgoing = self.outgoing(&flow, made);
        for interface in self.known.iter().filter(|i| outgoing.contains(i)) {
            for role in [ROUTING, IGMP] {
                let share = (*interface, role);
                let Some(owner) = self.owners.get(&share) else { continue };
                let offer = offers.entry(self.clients[*owner].protocol).or_insert((*owner, Vec::new()));
                let igmp = self.owners.contains_key(&(*interface, IGMP));
                offer.1.push((share, self.hangs_on(share), igmp));
            }
        }
        let mut vetoes = Vec::new();
        for (client, offered) in offers.into_values() {
            let still = offered.into_iter().filter(|(share, at, _)| self.hangs_on(*share) == *at);
            let still: Vec<_> = still.collect();
            if still.is_empty() || !self.clients[client].live {
                continue;
            }
            let shown: Vec<_> = still.iter().map(|(share, _, igmp)| (share.0, *igmp)).collect();
            for (share, at, _) in still {
                if self.clients[client].vetoes.contains(&share.0) {
                    vetoes.push((share, at));
                }
            }
            self.tell_if_there(client, told::asked(client, flow, made.route, &shown));
        }
        vetoes
    }

    pub(super) fn seen_entries(&self) -> Vec<SeenEntry> {
        let entries = self.flows.iter().filter_map(|(flow, life)| match life {
            Life::Entry(made) => Some(SeenEntry {
                flow: *flow,
                incoming: made.route.filter(|i| self.known.contains(i)),
                outgoing: self.outgoing(flow, made),
                expires: made.deadline,
            }),
            Life::Building { .. } => None,
        });
        entries.collect()
    }
}
