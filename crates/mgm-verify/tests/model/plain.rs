//! The specification, and clients around it: who answer what they are asked, are told one thing after the other, and make
//! calls from inside.

use super::calls::{Call, sources};
use super::{Outcome, Seen, told};
use mgm::forwarding::Flow;
use mgm::manager::{Interface, ManagerConfig, Protocol};
use mgm_verify::spec::{Begun, Finished, Notice, Role, Share, Spec, Stamp, Told, Way};
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

/// A client that has registered once, and by whose number the specification knows it.
struct Client {
    protocol: Protocol,
    path: Option<Interface>,
    vetoes: Vec<Interface>,
    timeout: Option<Duration>,
    script: Option<Call>,
    outbox: Outbox,
}

/// The notices for a client, and whether it is being told something.
#[derive(Default)]
struct Outbox {
    notices: VecDeque<Notice>,
    lost: u64,
    telling: bool,
}

pub struct Plain {
    config: ManagerConfig,
    spec: Spec,
    clients: Vec<Client>,
    routes: BTreeMap<IpAddr, Option<Interface>>,
    /// How often it was said that they changed.
    route_changes: u64,
    /// For each call under way, whom it has something to tell.
    to_tell: Vec<Vec<usize>>,
    pub log: Vec<String>,
}

impl Plain {
    pub fn new(config: ManagerConfig) -> Plain {
        let routes = sources().map(|source| (source, Some(super::default_route(source))));
        Plain {
            spec: Spec::new(&config),
            config,
            clients: Vec::new(),
            routes: routes.into(),
            route_changes: 0,
            to_tell: Vec::new(),
            log: Vec::new(),
        }
    }

    pub fn call(&mut self, call: &Call) -> Outcome {
        self.to_tell.push(Vec::new());
        let outcome = self.carry_out(call);
        self.queue();
        self.deliver();
        outcome
    }

    fn carry_out(&mut self, call: &Call) -> Outcome {
        let id = |client: &usize| self.who(*client).map_or(u64::MAX, |client| client as u64);
        let outcome = match call {
            Call::Register(protocol) => {
                let outcome = self.spec.register(*protocol, self.clients.len() as u64);
                if outcome == mgm_verify::spec::Outcome::Ok {
                    self.clients.push(Client {
                        protocol: *protocol,
                        path: None,
                        vetoes: Vec::new(),
                        timeout: None,
                        script: None,
                        outbox: Outbox::default(),
                    });
                }
                outcome
            }
            Call::Deregister(client) => self.spec.deregister(id(client)),
            Call::Take(client, interface) => self.spec.take(id(client), *interface),
            Call::Release(client, interface) => self.spec.release(id(client), *interface),
            Call::Add(client, interface, what, effect) => {
                let towards = what.source().and_then(|source| self.towards(source));
                self.spec.add(id(client), *interface, *what, *effect, towards)
            }
            Call::Delete(client, interface, what, effect) => {
                self.spec.delete(id(client), *interface, *what, *effect)
            }
            Call::NewFlow(flow) => self.new_flow(*flow),
            Call::RoutesChanged => {
                self.route_changes += 1;
                let routes = &self.routes;
                let moved = self.spec.routes_changed(|flow| towards(routes, flow.source()));
                return format!("{moved} entries went another way").into();
            }
            Call::Foreign(flow, true) => self.spec.publish_foreign(*flow),
            other => {
                self.surroundings(other);
                mgm_verify::spec::Outcome::Ok
            }
        };
        outcome.to_string().into()
    }

    /// What is no call of the manager's, or never refused.
    fn surroundings(&mut self, call: &Call) {
        match call {
            Call::Advance(by) => self.spec.advance(*by),
            Call::Flush => self.spec.flush(),
            Call::Veto(client, interfaces) => {
                self.with_client(*client, |client| client.vetoes = interfaces.clone());
            }
            Call::Path(client, interface) => self.with_client(*client, |client| client.path = *interface),
            Call::Timeout(client, timeout) => {
                self.with_client(*client, |client| client.timeout = Some(*timeout));
            }
            Call::Script(client, call) => {
                self.with_client(*client, |client| client.script = Some((**call).clone()));
            }
            Call::Route(source, interface) => _ = self.routes.insert(*source, *interface),
            Call::Foreign(flow, false) => self.spec.withdraw_foreign(*flow),
            other => unreachable!("{other:?} is a call"),
        }
    }

    fn with_client(&mut self, client: usize, f: impl FnOnce(&mut Client)) {
        if let Some(client) = self.who(client) {
            f(&mut self.clients[client]);
        }
    }

    /// Which client a number means.
    fn who(&self, number: usize) -> Option<usize> {
        let registered: Vec<_> = self.clients.iter().map(|client| client.protocol).collect();
        super::calls::who(number, &registered)
    }

    fn is_there(&self, client: usize) -> bool {
        self.spec.protocol_of(client as u64).is_some()
    }

    fn towards(&self, source: IpAddr) -> Option<Interface> {
        towards(&self.routes, source)
    }

    /// A flow's first packet: the owner of the interface towards its source is asked where it arrives, those of the outgoing
    /// ones whether they want it there.
    fn new_flow(&mut self, flow: Flow) -> mgm_verify::spec::Outcome {
        if let Begun::Answered(outcome) = self.spec.begin_flow(flow) {
            return outcome;
        }
        loop {
            let (changes, routed) = (self.route_changes, self.towards(flow.source()));
            let way = self.way_in(flow, routed);
            let vetoes = self.ask_owners(flow, way);
            if self.route_changes != changes {
                continue;
            }
            match self.spec.finish_flow(flow, way, routed, &vetoes) {
                Finished::Answered(outcome) => return outcome,
                Finished::Again => {}
            }
        }
    }

    fn way_in(&mut self, flow: Flow, routed: Option<Interface>) -> Way {
        let way = self.spec.way_by(routed);
        let (Way::In { interface, owned: true, .. }, Some(owner)) =
            (way, routed.and_then(|interface| self.spec.deciding(interface)))
        else {
            return way;
        };
        let client = owner as usize;
        let igmp = self.clients[client].protocol.id == self.config.igmp_protocol;
        let role = if igmp { Role::Igmp } else { Role::Routing };
        let answer = self.clients[client].path.unwrap_or(interface);
        self.tell_if_there(client, told::reverse_path(client, flow, interface));
        self.spec.way_answered(&flow, owner, role, answer).unwrap_or(way)
    }

    /// Asks the owners in the order of protocols; their vetoes, with what they hang on.
    fn ask_owners(&mut self, flow: Flow, way: Way) -> Vec<(Share, Stamp)> {
        let mut vetoes = Vec::new();
        for (client, offered) in self.spec.ask_owners(&flow, &way).into_values() {
            let client = client as usize;
            let still: Vec<_> =
                offered.into_iter().filter(|offered| self.spec.holds(offered.stamp)).collect();
            if still.is_empty() || !self.is_there(client) {
                continue;
            }
            let shown: Vec<_> = still.iter().map(|offered| (offered.share.0, offered.igmp)).collect();
            for offered in still {
                if self.clients[client].vetoes.contains(&offered.share.0) {
                    vetoes.push((offered.share, offered.stamp));
                }
            }
            self.tell_if_there(client, told::asked(client, flow, way.interface(), &shown));
        }
        vetoes
    }

    /// What the call has to tell goes into the outboxes; what does not fit is counted, but switches are never lost.
    fn queue(&mut self) {
        let room = self.config.notices as usize;
        for notice in self.spec.take_notices() {
            let to = notice.to as usize;
            let outbox = &mut self.clients[to].outbox;
            let full = outbox.notices.len() >= room;
            let switch = matches!(notice.told, Told::Switch(_));
            let same = |other: &Notice| other.told == notice.told && other.needs == notice.needs;
            if switch && full && outbox.notices.iter().any(same) {
                // It goes together with that one.
                self.spec.switched(&Notice { change: 0, ..notice });
                let other = self.clients[to].outbox.notices.iter_mut().find(|other| same(other));
                other.expect("just seen").change = notice.change;
            } else if switch || !full {
                outbox.notices.push_back(notice);
            } else {
                outbox.lost += 1;
            }
            if let Some(to_tell) = self.to_tell.last_mut() {
                to_tell.push(to);
            }
        }
    }

    /// Ends a call: has everybody told whom it has something to tell.
    fn deliver(&mut self) {
        for client in self.to_tell.pop().unwrap_or_default() {
            if std::mem::replace(&mut self.clients[client].outbox.telling, true) {
                continue;
            }
            loop {
                let outbox = &mut self.clients[client].outbox;
                if let Some(notice) = outbox.notices.pop_front() {
                    self.tell(client, &notice);
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

    fn tell(&mut self, client: usize, notice: &Notice) {
        let holds = |plain: &Plain| notice.needs.is_none_or(|stamp| plain.spec.holds(stamp));
        if let Told::Switch(interface) = notice.told {
            let worth_telling = holds(self);
            if worth_telling {
                self.tell_if_there(client, told::disable(client, interface));
            }
            self.spec.switched(notice);
            // It may have given the interface up meanwhile.
            if worth_telling && holds(self) {
                self.tell_if_there(client, told::enable(client, interface));
            }
            return;
        }
        if !holds(self) || !self.is_there(client) {
            return;
        }
        let (life, answer) = (self.config.entry_lifetime, self.clients[client].timeout);
        let text = match notice.told {
            Told::Join(what, cause) => told::join(client, what, cause),
            Told::Prune(what, at, cause) => told::prune(client, what, at, cause, life),
            Told::LocalJoin(at, what) => told::local_join(client, at, what),
            Told::LocalLeave(at, what) => told::local_leave(client, at, what),
            Told::Switch(_) => unreachable!("told above"),
        };
        self.tell_if_there(client, text);
        if let (Some(entry), Some(answer)) = (notice.entry, answer) {
            let seconds = answer.as_secs() + u64::from(answer.subsec_nanos() > 0);
            if seconds > 0 {
                self.spec.set_timeout(entry, Duration::from_secs(seconds));
            }
        }
    }

    /// Calls a client, which may call back.
    fn tell_if_there(&mut self, client: usize, what: String) {
        if !self.is_there(client) {
            return;
        }
        self.log.push(what);
        if let Some(call) = self.clients[client].script.take() {
            let outcome = self.call(&call);
            self.log.push(format!("{call:?}: {outcome}"));
        }
    }

    pub fn seen(&self) -> Seen {
        Seen {
            entries: self.spec.entries(),
            memberships: self.spec.memberships(),
            owners: super::calls::interfaces().map(|interface| self.spec.owner_of(interface)).into(),
            clients: self.spec.clients(),
            known: self.spec.known().to_vec(),
            foreign: self.spec.foreign().clone(),
        }
    }
}

/// How a source is reached; by an interface of another family it is not.
fn towards(routes: &BTreeMap<IpAddr, Option<Interface>>, source: IpAddr) -> Option<Interface> {
    routes[&source].filter(|interface| mgm::forwarding::Family::of(source) == interface.family())
}
