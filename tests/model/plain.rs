//! The manager as anybody would write it who had one thread, no stamps and no packets to forward: every change of hands
//! removes at once what hung on it.

use super::calls::{Call, sources};
use super::{Outcome, Seen, SeenEntry};
use mgm::forwarding::Flow;
use mgm::manager::{Effect, Interface, ManagerConfig, Membership, Protocol};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

const ROUTING: usize = 0;
const IGMP: usize = 1;

type Share = (Interface, usize);

/// How often the shares that something hangs on had changed hands when it was said.
type Changes = (u64, u64);

/// A share that is offered, and whether IGMP is on the interface.
type Offered = (Share, Changes, bool);

struct Client {
    protocol: Protocol,
    live: bool,
    vetoes: Vec<Interface>,
    script: Option<Call>,
}

/// What an owner said of a flow on its share of an interface.
#[derive(Clone, Default)]
struct Said {
    veto: bool,
    edit: Option<bool>,
}

#[derive(Default)]
struct Made {
    route: Option<Interface>,
    /// Whether somebody owns the incoming interface.
    owned: bool,
    said: BTreeMap<Share, Said>,
    deadline: Duration,
    /// When it became negative.
    negative: Option<u64>,
}

enum Life {
    Building { said: BTreeMap<Share, Said>, acted: BTreeSet<Share> },
    Entry(Made),
}

pub struct Plain {
    config: ManagerConfig,
    clients: Vec<Client>,
    /// In the order in which they were first taken.
    known: Vec<Interface>,
    owners: BTreeMap<Share, usize>,
    /// How often a share has changed hands.
    changes: BTreeMap<Share, u64>,
    memberships: BTreeMap<(Membership, Share), usize>,
    routes: BTreeMap<IpAddr, Option<Interface>>,
    flows: BTreeMap<Flow, Life>,
    foreign: BTreeSet<Flow>,
    now: Duration,
    events: u64,
    pub log: Vec<String>,
}

impl Plain {
    pub fn new(config: ManagerConfig) -> Plain {
        let routes = sources().map(|source| (source, Some(super::default_route(source))));
        Plain {
            config,
            clients: Vec::new(),
            known: Vec::new(),
            owners: BTreeMap::new(),
            changes: BTreeMap::new(),
            memberships: BTreeMap::new(),
            routes: routes.into(),
            flows: BTreeMap::new(),
            foreign: BTreeSet::new(),
            now: Duration::ZERO,
            events: 0,
            log: Vec::new(),
        }
    }

    pub fn call(&mut self, call: &Call) -> Outcome {
        match call {
            Call::Register(protocol) => {
                if self.clients.iter().any(|c| c.live && c.protocol == *protocol) {
                    return "AlreadyRegistered".into();
                }
                let protocol = *protocol;
                self.clients.push(Client { protocol, live: true, vetoes: Vec::new(), script: None });
                "Ok".into()
            }
            Call::Deregister(client) => {
                let Some(client) = self.live(*client) else { return "Stale".into() };
                match self.owners.values().filter(|owner| **owner == client).count() {
                    0 => self.clients[client].live = false,
                    n => return format!("StillOwns({n})").into(),
                }
                "Ok".into()
            }
            Call::Take(client, interface) => self.take(*client, *interface),
            Call::Release(client, interface) => self.release(*client, *interface),
            Call::Add(client, interface, membership, effect) => {
                self.change(*client, *interface, *membership, *effect, true)
            }
            Call::Delete(client, interface, membership, effect) => {
                self.change(*client, *interface, *membership, *effect, false)
            }
            Call::NewFlow(flow) => self.new_flow(*flow),
            Call::Advance(by) => {
                self.now += *by;
                let now = self.now;
                self.flows.retain(|_, life| !matches!(life, Life::Entry(made) if made.deadline <= now));
                "Ok".into()
            }
            Call::Flush => {
                self.flows.retain(|_, life| !matches!(life, Life::Entry(_)));
                "Ok".into()
            }
            Call::Veto(client, interfaces) => {
                if let Some(client) = self.who(*client) {
                    self.clients[client].vetoes = interfaces.clone();
                }
                "Ok".into()
            }
            Call::Script(client, call) => {
                if let Some(client) = self.who(*client) {
                    self.clients[client].script = Some((**call).clone());
                }
                "Ok".into()
            }
            Call::Route(source, interface) => {
                self.routes.insert(*source, *interface);
                "Ok".into()
            }
            Call::Foreign(flow, true) => {
                let taken = matches!(self.flows.get(flow), Some(Life::Entry(_)));
                if taken || !self.foreign.insert(*flow) { "Exists".into() } else { "Ok".into() }
            }
            Call::Foreign(flow, false) => {
                self.foreign.remove(flow);
                "Ok".into()
            }
        }
    }

    /// Which client a number means.
    fn who(&self, number: usize) -> Option<usize> {
        let registered: Vec<_> = self.clients.iter().map(|client| client.protocol).collect();
        super::calls::who(number, &registered)
    }

    fn live(&self, number: usize) -> Option<usize> {
        self.who(number).filter(|n| self.clients[*n].live)
    }

    fn role(&self, client: usize) -> usize {
        let client = &self.clients[client];
        if client.protocol.id == self.config.igmp_protocol { IGMP } else { ROUTING }
    }

    fn take(&mut self, client: usize, interface: Interface) -> Outcome {
        let Some(client) = self.live(client) else { return "Stale".into() };
        let role = self.role(client);
        if !self.known.contains(&interface) {
            if self.known.len() == self.config.interfaces as usize {
                return "TooManyInterfaces".into();
            }
            self.known.push(interface);
            self.flows.retain(|_, life| !matches!(life, Life::Entry(made) if made.route == Some(interface)));
        }
        if self.owners.contains_key(&(interface, role)) {
            return "Owned".into();
        }
        self.changed(interface, role);
        self.owners.insert((interface, role), client);
        "Ok".into()
    }

    fn release(&mut self, client: usize, interface: Interface) -> Outcome {
        let Some(client) = self.live(client) else { return "Stale".into() };
        let role = self.role(client);
        if self.owners.get(&(interface, role)) != Some(&client) {
            return "NotOwner".into();
        }
        self.owners.remove(&(interface, role));
        self.changed(interface, role);
        "Ok".into()
    }

    /// A share changes hands: what hung on it goes. IGMP's hangs on the routing protocol's, too.
    fn changed(&mut self, interface: Interface, role: usize) {
        *self.changes.entry((interface, role)).or_default() += 1;
        let hung = |share: &Share| share.0 == interface && (role == ROUTING || share.1 == IGMP);
        self.memberships.retain(|(_, share), _| !hung(share));
        let arrival = role == ROUTING || !self.owners.contains_key(&(interface, ROUTING));
        self.flows.retain(|_, life| match life {
            Life::Entry(made) => {
                made.said.retain(|share, _| !hung(share));
                !(arrival && made.route == Some(interface))
            }
            Life::Building { said, .. } => {
                said.retain(|share, _| !hung(share));
                true
            }
        });
        self.renew();
    }

    fn change(
        &mut self,
        client: usize,
        interface: Interface,
        what: Membership,
        effect: Effect,
        add: bool,
    ) -> Outcome {
        let Some(client) = self.live(client) else { return "Stale".into() };
        let role = self.role(client);
        if interface.family() != what.family() {
            return "FamiliesDiffer".into();
        }
        let share = (interface, role);
        match self.owners.get(&share) {
            None => return "NotTaken".into(),
            Some(owner) if *owner != client => return "NotOwner".into(),
            Some(_) => {}
        }
        let (join, forward) = (effect != Effect::Forward, effect != Effect::Join);
        if join && add {
            let most = self.config.memberships as usize;
            if !self.memberships.contains_key(&(what, share)) && self.memberships.len() == most {
                return "TooMany".into();
            }
            self.memberships.insert((what, share), client);
        } else if join {
            self.memberships.remove(&(what, share));
        }
        for (_, life) in self.flows.iter_mut().filter(|(flow, _)| what.covers(flow)) {
            let said = match life {
                Life::Entry(made) => &mut made.said,
                Life::Building { said, acted } => {
                    acted.insert(share);
                    said
                }
            };
            let said = said.entry(share).or_default();
            if join {
                said.edit = None;
            }
            if forward {
                said.edit = Some(add);
            }
            if add {
                said.veto = false;
            }
        }
        self.renew();
        "Ok".into()
    }

    /// Brings the list of negative entries up to date, in the order of flows as the manager does.
    fn renew(&mut self) {
        let flows: Vec<Flow> = self.flows.keys().copied().collect();
        for flow in flows {
            let Some(Life::Entry(made)) = self.flows.get(&flow) else { continue };
            let negative = self.outgoing(&flow, made).is_empty();
            self.mark(flow, negative);
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

    fn new_flow(&mut self, flow: Flow) -> Outcome {
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
            let route = self.routes[&flow.source()].filter(|i| i.family() == flow.family());
            let at = self.stamp(route);
            let owned = route.is_some_and(|i| (0..2).any(|role| self.owners.contains_key(&(i, role))));
            let Some(Life::Building { said, acted }) = self.flows.get_mut(&flow) else { unreachable!() };
            acted.clear();
            let mut made = Made { route, owned, said: said.clone(), ..Made::default() };
            let vetoes = self.ask(flow, &made);
            if self.stamp(route) != at {
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
            let (negative, state) = (self.outgoing(&flow, &made).is_empty(), self.state(&flow, &made));
            self.flows.insert(flow, Life::Entry(made));
            self.mark(flow, negative);
            return state;
        }
    }

    fn state(&self, flow: &Flow, made: &Made) -> Outcome {
        if self.outgoing(flow, made).is_empty() { "Negative".into() } else { "Active".into() }
    }

    /// What changes when an entry whose packets arrive there is not valid any more.
    fn stamp(&self, route: Option<Interface>) -> Option<(bool, u64, u64)> {
        let interface = route?;
        let changes = |role| self.changes.get(&(interface, role)).copied().unwrap_or(0);
        let routing = self.owners.contains_key(&(interface, ROUTING));
        Some((self.known.contains(&interface), changes(ROUTING), if routing { 0 } else { changes(IGMP) }))
    }

    /// What changes when something a share's owner has said does not count any more.
    fn hangs_on(&self, share: Share) -> Changes {
        let changes = |role| self.changes.get(&(share.0, role)).copied().unwrap_or(0);
        (changes(ROUTING), if share.1 == IGMP { changes(IGMP) } else { 0 })
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
            self.log.push(super::asked(client, flow, made.route, &shown));
            for (share, at, _) in still {
                if self.clients[client].vetoes.contains(&share.0) {
                    vetoes.push((share, at));
                }
            }
            if let Some(call) = self.clients[client].script.take() {
                let outcome = self.call(&call);
                self.log.push(format!("{call:?}: {outcome}"));
            }
        }
        vetoes
    }

    pub fn seen(&self) -> Seen {
        let entries = self.flows.iter().filter_map(|(flow, life)| match life {
            Life::Entry(made) => Some(SeenEntry {
                flow: *flow,
                incoming: made.route.filter(|i| self.known.contains(i)),
                outgoing: self.outgoing(flow, made),
                expires: made.deadline,
            }),
            Life::Building { .. } => None,
        });
        let client = |n: usize| self.clients[n].protocol;
        let owner = |i: Interface| self.owners.get(&(i, ROUTING)).or_else(|| self.owners.get(&(i, IGMP)));
        Seen {
            entries: entries.collect(),
            memberships: self.memberships.iter().map(|((m, share), by)| (share.0, *m, client(*by))).collect(),
            owners: super::calls::interfaces().map(|i| owner(i).map(|n| client(*n))).into(),
            clients: self
                .clients
                .iter()
                .enumerate()
                .filter(|(_, client)| client.live)
                .map(|(n, client)| {
                    let owned =
                        self.owners.iter().filter(|(_, owner)| **owner == n).map(|(share, _)| share.0);
                    (client.protocol, owned.collect())
                })
                .collect(),
            known: self.known.clone(),
            foreign: self.foreign.clone(),
        }
    }
}
