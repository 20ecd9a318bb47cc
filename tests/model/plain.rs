//! The manager as anybody would write it who had one thread, no stamps and no packets to forward: every change of hands
//! removes at once what hung on it.

mod alerts;
mod entries;

use super::calls::{Call, sources};
use super::{Outcome, Seen};
use alerts::{Outbox, Switches};
use entries::Life;
use mgm::forwarding::Flow;
use mgm::manager::{Effect, Interface, ManagerConfig, Membership, Protocol};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

const ROUTING: usize = 0;
const IGMP: usize = 1;

type Share = (Interface, usize);

struct Client {
    protocol: Protocol,
    live: bool,
    path: Option<Interface>,
    vetoes: Vec<Interface>,
    timeout: Option<Duration>,
    script: Option<Call>,
    outbox: Outbox,
}

/// A membership on a share.
#[derive(Clone, Copy)]
struct Member {
    client: usize,
    /// Whether others are told of it: not what IGMP says beside a routing protocol, which decides on it.
    counts: bool,
}

pub struct Plain {
    config: ManagerConfig,
    clients: Vec<Client>,
    /// In the order in which they were first taken.
    known: Vec<Interface>,
    owners: BTreeMap<Share, usize>,
    /// How often a share has changed hands.
    changes: BTreeMap<Share, u64>,
    memberships: BTreeMap<(Membership, Share), Member>,
    routes: BTreeMap<IpAddr, Option<Interface>>,
    /// How often it was said that they changed.
    route_changes: u64,
    /// Where the packets of a flow come from that somebody asks for by name.
    towards: BTreeMap<Flow, Option<Interface>>,
    switches: Switches,
    flows: BTreeMap<Flow, Life>,
    foreign: BTreeSet<Flow>,
    now: Duration,
    events: u64,
    /// For each call under way, whom it has something to tell.
    to_tell: Vec<Vec<usize>>,
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
            route_changes: 0,
            towards: BTreeMap::new(),
            switches: Switches::default(),
            flows: BTreeMap::new(),
            foreign: BTreeSet::new(),
            now: Duration::ZERO,
            events: 0,
            to_tell: Vec::new(),
            log: Vec::new(),
        }
    }

    pub fn call(&mut self, call: &Call) -> Outcome {
        self.to_tell.push(Vec::new());
        let outcome = self.carry_out(call);
        self.deliver();
        outcome
    }

    fn carry_out(&mut self, call: &Call) -> Outcome {
        match call {
            Call::Register(protocol) => {
                if self.clients.iter().any(|c| c.live && c.protocol == *protocol) {
                    return "AlreadyRegistered".into();
                }
                self.clients.push(Client {
                    protocol: *protocol,
                    live: true,
                    path: None,
                    vetoes: Vec::new(),
                    timeout: None,
                    script: None,
                    outbox: Outbox::default(),
                });
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
                self.with_client(*client, |client| client.vetoes = interfaces.clone())
            }
            Call::Path(client, interface) => self.with_client(*client, |client| client.path = *interface),
            Call::Timeout(client, timeout) => {
                self.with_client(*client, |client| client.timeout = Some(*timeout))
            }
            Call::Script(client, call) => {
                self.with_client(*client, |client| client.script = Some((**call).clone()))
            }
            Call::Route(source, interface) => {
                self.routes.insert(*source, *interface);
                "Ok".into()
            }
            Call::RoutesChanged => {
                let moved = self.routes_changed();
                let joined: Vec<Flow> = self.towards.keys().copied().collect();
                joined.into_iter().for_each(|flow| self.turn(flow));
                format!("{moved} entries went another way").into()
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

    fn with_client(&mut self, client: usize, f: impl FnOnce(&mut Client)) -> Outcome {
        if let Some(client) = self.who(client) {
            f(&mut self.clients[client]);
        }
        "Ok".into()
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

    /// Who decides on what arrives there: the routing protocol, else IGMP.
    fn owner(&self, interface: Interface) -> Option<(usize, Share)> {
        let of = |role| self.owners.get(&(interface, role)).map(|owner| (*owner, (interface, role)));
        of(ROUTING).or_else(|| of(IGMP))
    }

    fn changes(&self, share: Share) -> u64 {
        self.changes.get(&share).copied().unwrap_or(0)
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
        self.owners.insert((interface, role), client);
        self.changed(client, interface, role);
        "Ok".into()
    }

    fn release(&mut self, client: usize, interface: Interface) -> Outcome {
        let Some(client) = self.live(client) else { return "Stale".into() };
        let role = self.role(client);
        if self.owners.get(&(interface, role)) != Some(&client) {
            return "NotOwner".into();
        }
        self.owners.remove(&(interface, role));
        self.changed(client, interface, role);
        "Ok".into()
    }

    /// A client has changed who has a share: what hung on it goes. IGMP's hangs on the routing protocol's, too.
    fn changed(&mut self, client: usize, interface: Interface, role: usize) {
        *self.changes.entry((interface, role)).or_default() += 1;
        let hung = |share: &Share| share.0 == interface && (role == ROUTING || share.1 == IGMP);
        let mut gone: Vec<_> = self.memberships.keys().copied().filter(|(_, share)| hung(share)).collect();
        gone.sort_by_key(|(m, share)| (m.group(), m.source(), *share));
        for (membership, share) in gone {
            self.forget(membership, share, role == IGMP);
        }
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
        self.renew(client);
        if role == ROUTING {
            self.switch(interface);
        }
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
            Some(_) if role == IGMP && !self.settled(interface) => return "ChangingHands".into(),
            Some(_) => {}
        }
        let (join, forward) = (effect != Effect::Forward, effect != Effect::Join);
        if join && add {
            let most = self.config.memberships as usize;
            if !self.memberships.contains_key(&(what, share)) && self.memberships.len() == most {
                return "TooMany".into();
            }
            self.keep(what, share, client);
        } else if join {
            self.forget(what, share, true);
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
        self.renew(client);
        "Ok".into()
    }

    pub fn seen(&self) -> Seen {
        let client = |n: usize| self.clients[n].protocol;
        let memberships = self.memberships.iter();
        let owned = |n: usize| self.owners.iter().filter(move |(_, owner)| **owner == n);
        let live = self.clients.iter().enumerate().filter(|(_, client)| client.live);
        Seen {
            entries: self.seen_entries(),
            memberships: memberships.map(|((m, share), by)| (share.0, *m, client(by.client))).collect(),
            owners: super::calls::interfaces().map(|i| self.owner(i).map(|(n, _)| client(n))).into(),
            clients: live
                .map(|(n, client)| (client.protocol, owned(n).map(|(share, _)| share.0).collect()))
                .collect(),
            known: self.known.clone(),
            foreign: self.foreign.clone(),
        }
    }
}
