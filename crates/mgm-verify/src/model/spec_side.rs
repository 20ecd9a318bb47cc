//! The specification with clients around it. The clients answer questions, receive one notice after the other, and make
//! calls inside callbacks.

use super::calls::{self, Call, sources};
use super::{Outcome, View, log};
use crate::spec::{
    self, Arrival, FlowBegin, FlowFinish, Notice, NoticeKind, OwnershipKey, OwnershipVersion, Role, Spec,
};
use mgm::forwarding::{Family, Flow};
use mgm::manager::{Interface, ManagerConfig, Protocol};
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

/// A registered client. The specification knows it by its index.
struct Client {
    protocol: Protocol,
    path: Option<Interface>,
    vetoes: Vec<Interface>,
    timeout: Option<Duration>,
    script: Option<Call>,
    outbox: Outbox,
}

/// The notices for a client.
#[derive(Default)]
struct Outbox {
    notices: VecDeque<Notice>,
    lost: u64,
    /// Whether a call delivers them at the moment.
    delivering: bool,
}

pub(super) struct SpecSide {
    config: ManagerConfig,
    spec: Spec,
    clients: Vec<Client>,
    routes: BTreeMap<IpAddr, Option<Interface>>,
    /// How often a change of routes was reported.
    route_changes: u64,
    /// For each call under way, the clients to which it has to deliver notices.
    recipients: Vec<Vec<usize>>,
    pub(super) log: Vec<String>,
}

impl SpecSide {
    pub(super) fn new(config: ManagerConfig) -> SpecSide {
        let routes = sources().map(|source| (source, Some(super::default_route(source))));
        SpecSide {
            spec: Spec::new(&config),
            config,
            clients: Vec::new(),
            routes: routes.into(),
            route_changes: 0,
            recipients: Vec::new(),
            log: Vec::new(),
        }
    }

    pub(super) fn call(&mut self, call: &Call) -> Outcome {
        self.recipients.push(Vec::new());
        let outcome = self.execute(call);
        self.queue_notices();
        self.deliver_notices();
        outcome
    }

    /// Does the first half of a take or a release. Returns the outcome of a call that is refused.
    #[cfg(mgm_instrumented)]
    pub(super) fn take_effect(&mut self, call: &Call) -> Result<spec::OwnershipChange, Outcome> {
        let id = |client: &usize| self.index_of(*client).map_or(u64::MAX, |client| client as u64);
        let change = match call {
            Call::Take(client, interface) => self.spec.take_effect(id(client), *interface),
            Call::Release(client, interface) => self.spec.release_effect(id(client), *interface),
            other => unreachable!("{other:?} has one step"),
        };
        change.map_err(|refused| refused.to_string().into())
    }

    /// Does the second half of a take or a release. `notified` says whether IGMP was notified where it need not be.
    #[cfg(mgm_instrumented)]
    pub(super) fn follow_up(&mut self, change: &spec::OwnershipChange, notified: bool) {
        self.recipients.push(Vec::new());
        let handover = match self.spec.handover_due(change) {
            spec::HandoverDue::Required => true,
            spec::HandoverDue::Optional => notified,
            spec::HandoverDue::No => false,
        };
        self.spec.follow_up(change, handover);
        self.queue_notices();
        self.deliver_notices();
    }

    fn execute(&mut self, call: &Call) -> Outcome {
        let id = |client: &usize| self.index_of(*client).map_or(u64::MAX, |client| client as u64);
        let outcome = match call {
            Call::Register(protocol) => {
                let number = self.clients.len();
                let wants = calls::wants_present_joins(number);
                let outcome = self.spec.register(*protocol, number as u64, wants);
                if outcome == spec::Outcome::Ok {
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
            Call::Add(client, interface, membership, change) => {
                let upstream = membership.source().and_then(|source| self.upstream(source));
                self.spec.add(id(client), *interface, *membership, *change, upstream)
            }
            Call::Delete(client, interface, membership, change) => {
                self.spec.delete(id(client), *interface, *membership, *change)
            }
            Call::NewFlow(flow) => self.new_flow(*flow),
            Call::RoutesChanged => {
                self.route_changes += 1;
                let routes = &self.routes;
                let moved = self.spec.routes_changed(|flow| upstream(routes, flow.source()));
                return format!("{moved} {}", log::REROUTED).into();
            }
            Call::Foreign(flow, true) => self.spec.publish_foreign(*flow),
            other => {
                self.change_surroundings(other);
                spec::Outcome::Ok
            }
        };
        outcome.to_string().into()
    }

    /// Executes a call that is never refused.
    fn change_surroundings(&mut self, call: &Call) {
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
            other => unreachable!("execute handles {other:?}"),
        }
    }

    fn with_client(&mut self, client: usize, f: impl FnOnce(&mut Client)) {
        if let Some(client) = self.index_of(client) {
            f(&mut self.clients[client]);
        }
    }

    fn index_of(&self, number: usize) -> Option<usize> {
        let registered: Vec<_> = self.clients.iter().map(|client| client.protocol).collect();
        calls::registration_of(number, &registered)
    }

    fn is_registered(&self, client: usize) -> bool {
        self.spec.protocol_of(client as u64).is_some()
    }

    fn upstream(&self, source: IpAddr) -> Option<Interface> {
        upstream(&self.routes, source)
    }

    /// Handles a flow's first packet: asks the owner of the upstream interface where it arrives, then asks the owners of the
    /// outgoing interfaces for vetoes.
    fn new_flow(&mut self, flow: Flow) -> spec::Outcome {
        if let FlowBegin::Answered(outcome) = self.spec.begin_flow(flow) {
            return outcome;
        }
        loop {
            let (changes, routed) = (self.route_changes, self.upstream(flow.source()));
            let arrival = self.arrival(flow, routed);
            let vetoes = self.ask_owners(flow, arrival);
            if changes != self.route_changes {
                continue;
            }
            match self.spec.finish_flow(flow, arrival, routed, &vetoes) {
                FlowFinish::Answered(outcome) => return outcome,
                FlowFinish::Retry => {}
            }
        }
    }

    fn arrival(&mut self, flow: Flow, routed: Option<Interface>) -> Arrival {
        let arrival = self.spec.arrival_by_route(routed);
        let (Arrival::On { interface, owned: true, .. }, Some(owner)) =
            (arrival, routed.and_then(|interface| self.spec.deciding_owner(interface)))
        else {
            return arrival;
        };
        let client = owner as usize;
        let igmp = self.clients[client].protocol.id == self.config.igmp_protocol;
        let role = if igmp { Role::Igmp } else { Role::Routing };
        let answer = self.clients[client].path.unwrap_or(interface);
        self.call_back(client, log::reverse_path(client, flow, interface));
        self.spec.arrival_by_answer(&flow, owner, role, answer).unwrap_or(arrival)
    }

    /// Asks the owners in the order of protocols. Returns their vetoes, each with the version of the ownership.
    fn ask_owners(&mut self, flow: Flow, arrival: Arrival) -> Vec<(OwnershipKey, OwnershipVersion)> {
        let mut vetoes = Vec::new();
        for (client, offered) in self.spec.offer_to_owners(&flow, &arrival).into_values() {
            let client = client as usize;
            let still: Vec<_> =
                offered.into_iter().filter(|offered| self.spec.is_current(offered.version)).collect();
            if still.is_empty() || !self.is_registered(client) {
                continue;
            }
            let shown: Vec<_> = still.iter().map(|offered| (offered.key.0, offered.igmp)).collect();
            for offered in still {
                if self.clients[client].vetoes.contains(&offered.key.0) {
                    vetoes.push((offered.key, offered.version));
                }
            }
            self.call_back(client, log::creation(client, flow, arrival.interface(), &shown));
        }
        vetoes
    }

    /// Queues the notices of the current call. Notices that do not fit are counted, but handovers are never lost.
    fn queue_notices(&mut self) {
        let room = self.config.notices as usize;
        for notice in self.spec.take_notices() {
            let to = notice.to as usize;
            let outbox = &mut self.clients[to].outbox;
            let full = outbox.notices.len() >= room;
            let handover = matches!(notice.kind, NoticeKind::Handover(_));
            let same = |other: &Notice| other.kind == notice.kind && other.requires == notice.requires;
            if handover && full && outbox.notices.iter().any(same) {
                // It is merged with the one that is queued.
                self.spec.finish_handover(&Notice { change: 0, ..notice });
                let other = self.clients[to].outbox.notices.iter_mut().find(|other| same(other));
                other.expect("`any` has just found it").change = notice.change;
            } else if handover || !full {
                outbox.notices.push_back(notice);
            } else {
                outbox.lost += 1;
            }
            if let Some(recipients) = self.recipients.last_mut() {
                recipients.push(to);
            }
        }
    }

    /// Delivers the notices of the current call's recipients.
    fn deliver_notices(&mut self) {
        for client in self.recipients.pop().unwrap_or_default() {
            if std::mem::replace(&mut self.clients[client].outbox.delivering, true) {
                continue;
            }
            loop {
                let outbox = &mut self.clients[client].outbox;
                if let Some(notice) = outbox.notices.pop_front() {
                    self.deliver(client, &notice);
                } else if outbox.lost > 0 {
                    let lost = std::mem::take(&mut outbox.lost);
                    self.call_back(client, log::lost(client, lost));
                } else {
                    outbox.delivering = false;
                    break;
                }
            }
        }
    }

    fn deliver(&mut self, client: usize, notice: &Notice) {
        let is_current =
            |side: &SpecSide| notice.requires.is_none_or(|version| side.spec.is_current(version));
        if let NoticeKind::Handover(interface) = notice.kind {
            let current = is_current(self);
            if current {
                self.call_back(client, log::disable(client, interface));
            }
            self.spec.finish_handover(notice);
            // The callback may have released the interface.
            if current && is_current(self) {
                self.call_back(client, log::enable(client, interface));
            }
            return;
        }
        if !is_current(self) || !self.is_registered(client) {
            return;
        }
        let (lifetime, answer) = (self.config.entry_lifetime, self.clients[client].timeout);
        let text = match notice.kind {
            NoticeKind::Join(membership, cause) => log::join(client, membership, cause),
            NoticeKind::Prune(membership, at, cause) => log::prune(client, membership, at, cause, lifetime),
            NoticeKind::LocalJoin(at, membership) => log::local_join(client, at, membership),
            NoticeKind::LocalLeave(at, membership) => log::local_leave(client, at, membership),
            NoticeKind::Handover(_) => unreachable!("delivered above"),
        };
        self.call_back(client, text);
        if let (Some(entry), Some(answer)) = (notice.entry, answer) {
            let seconds = answer.as_secs() + u64::from(answer.subsec_nanos() > 0);
            if seconds > 0 {
                self.spec.set_timeout(entry, Duration::from_secs(seconds));
            }
        }
    }

    /// Logs a callback of a registered client and makes the client's scripted call.
    fn call_back(&mut self, client: usize, text: String) {
        if !self.is_registered(client) {
            return;
        }
        self.log.push(text);
        if let Some(call) = self.clients[client].script.take() {
            let outcome = self.call(&call);
            self.log.push(format!("{call:?}: {outcome}"));
        }
    }

    pub(super) fn view(&self) -> View {
        View {
            entries: self.spec.entries(),
            memberships: self.spec.memberships(),
            owners: calls::interfaces().map(|interface| self.spec.owner_of(interface)).into(),
            clients: self.spec.clients(),
            known: self.spec.known().to_vec(),
            foreign: self.spec.foreign().clone(),
        }
    }
}

/// Returns the upstream interface of a source. An interface of another family is none.
fn upstream(routes: &BTreeMap<IpAddr, Option<Interface>>, source: IpAddr) -> Option<Interface> {
    routes[&source].filter(|interface| Family::of(source) == interface.family())
}
