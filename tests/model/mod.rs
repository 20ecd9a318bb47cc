//! Sequences of calls, made of a real manager and of a plain single-threaded model of it, and compared after each call:
//! the outcome, what clients were asked, and everything there is to see.
//!
//! The manager's tests and its fuzz target share this.
#![allow(unreachable_pub, reason = "included by path into crates of its own")]

pub mod calls;
mod plain;

use calls::{Bytes, Call};
use mgm::forwarding::{Entry, Family, Flow};
use mgm::handle::Handle;
use mgm::manager::{
    Client, CreationAlert, DeregisterError, FlowState, GroupManager, Interface, ManagerConfig, Membership,
    MembershipError, NewFlowError, Protocol, RegisterError, ReleaseError, ReversePath, TakeError,
};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

/// How a call ended: "Ok", a flow's state or the name of the error.
pub type Outcome = Cow<'static, str>;

/// Everything there is to see.
#[derive(Debug, PartialEq, Eq)]
pub struct Seen {
    pub entries: Vec<SeenEntry>,
    pub memberships: BTreeSet<(Interface, Membership, Protocol)>,
    pub owners: Vec<Option<Protocol>>,
    pub clients: BTreeMap<Protocol, BTreeSet<Interface>>,
    pub known: Vec<Interface>,
    pub foreign: BTreeSet<Flow>,
}

#[derive(Debug, PartialEq, Eq)]
pub struct SeenEntry {
    pub flow: Flow,
    pub incoming: Option<Interface>,
    pub outgoing: BTreeSet<Interface>,
    pub expires: Duration,
}

pub fn default_route(source: IpAddr) -> Interface {
    Interface::of(Family::of(source), 1)
}

pub fn asked(
    client: usize,
    flow: Flow,
    incoming: Option<Interface>,
    offered: &[(Interface, bool)],
) -> String {
    format!("client {client} was asked about {flow} from {incoming:?} to {offered:?}")
}

/// Small limits, so that they are reached.
pub fn config() -> ManagerConfig {
    ManagerConfig {
        clients: 4096,
        interfaces: 4,
        memberships: 6,
        negative_entries: 2,
        entries: 4096,
        remembered_flows: 2,
        ..ManagerConfig::default()
    }
}

/// Makes the calls of both and compares.
///
/// # Panics
/// When the manager does not do as the model does.
pub fn check(calls: impl IntoIterator<Item = Bytes>) {
    let real = Real::new(config());
    let mut plain = plain::Plain::new(config());
    for (n, call) in calls::prologue().into_iter().chain(calls.into_iter().map(Call::decode)).enumerate() {
        let before = real.seen();
        let (outcome, expected) = (real.call(&call), plain.call(&call));
        assert_eq!(outcome, expected, "call {n}: {call:?}");
        assert_eq!(real.take_log(), std::mem::take(&mut plain.log), "what was asked in call {n}: {call:?}");
        let seen = real.seen();
        assert_eq!(seen, plain.seen(), "after call {n}: {call:?}: {outcome}");
        if !matches!(&*outcome, "Ok" | "Active" | "Negative" | "Foreign" | "Building") {
            assert_eq!(before, seen, "call {n} was refused and changed something: {call:?}: {outcome}");
        }
    }
}

/// The real manager, and what surrounds it.
struct Real {
    world: Arc<World>,
}

struct World {
    /// What new clients are given to make calls from inside alerts.
    me: Weak<World>,
    manager: GroupManager,
    routes: Arc<Mutex<BTreeMap<IpAddr, Option<Interface>>>>,
    clients: Mutex<Vec<(Handle, Arc<Asked>)>>,
    foreign: Mutex<BTreeSet<Flow>>,
    now: Mutex<Duration>,
    log: Mutex<Vec<String>>,
}

/// A client: keeps off what it was told to, and makes one call from inside an alert.
struct Asked {
    number: usize,
    protocol: Protocol,
    world: Weak<World>,
    vetoes: Mutex<Vec<Interface>>,
    script: Mutex<Option<Call>>,
}

impl Client for Asked {
    fn creation_alert(&self, alert: &mut CreationAlert<'_>) {
        let Some(world) = self.world.upgrade() else { return };
        let offered: Vec<_> = alert.outgoing().iter().map(|o| (o.interface(), o.igmp_enabled())).collect();
        world.log.lock().unwrap().push(asked(self.number, alert.flow(), Some(alert.incoming()), &offered));
        let vetoes = self.vetoes.lock().unwrap().clone();
        alert.outgoing_mut().iter_mut().filter(|o| vetoes.contains(&o.interface())).for_each(|o| o.veto());
        let script = self.script.lock().unwrap().take();
        if let Some(call) = script {
            let outcome = world.call(&call);
            world.log.lock().unwrap().push(format!("{call:?}: {outcome}"));
        }
    }
}

impl Real {
    fn new(config: ManagerConfig) -> Real {
        let routes: BTreeMap<_, _> = calls::sources().map(|s| (s, Some(default_route(s)))).into();
        let routes = Arc::new(Mutex::new(routes));
        let table = routes.clone();
        let way = move |source: IpAddr| {
            let interface = table.lock().unwrap()[&source]?;
            Some(ReversePath::through(interface))
        };
        let world = Arc::new_cyclic(|me| World {
            me: me.clone(),
            manager: GroupManager::new(config, Arc::new(way)).unwrap(),
            routes,
            clients: Mutex::default(),
            foreign: Mutex::default(),
            now: Mutex::default(),
            log: Mutex::default(),
        });
        Real { world }
    }

    fn call(&self, call: &Call) -> Outcome {
        self.world.call(call)
    }

    fn take_log(&self) -> Vec<String> {
        std::mem::take(&mut self.world.log.lock().unwrap())
    }

    fn seen(&self) -> Seen {
        let manager = &self.world.manager;
        let forwarding = manager.forwarding();
        let entries = manager.entries();
        let mut reader = forwarding.reader();
        for record in &entries {
            // What is listed is what packets get.
            let entry = reader.lookup(&record.flow).expect("every entry is in the forwarding table");
            let live: Vec<_> = entry.live_outgoing(forwarding.owners()).collect();
            let listed = record.outgoing.iter().map(|o| manager.interface_number(o.interface).unwrap());
            assert_eq!(live, listed.collect::<Vec<_>>(), "{record:?}");
            let incoming = entry.incoming().map(|i| manager.interface(i.interface).unwrap());
            assert_eq!(incoming, record.incoming);
            assert!(entry.incoming().is_none_or(|i| i.stamp.holds(forwarding.owners())));
            let state = if live.is_empty() { FlowState::Negative } else { FlowState::Active };
            assert_eq!(state, record.state);
            assert!(
                entry.incoming().is_none_or(|i| !live.contains(&i.interface)),
                "out by the way in: {entry:?}"
            );
        }
        assert!(entries.is_sorted_by_key(|entry| entry.flow));
        assert_eq!(manager.next_deadline(), entries.iter().map(|entry| entry.expires).min());
        let foreign = self.world.foreign.lock().unwrap().clone();
        assert_eq!(forwarding.len(), entries.len() + foreign.len());
        Seen {
            entries: entries
                .into_iter()
                .map(|entry| SeenEntry {
                    flow: entry.flow,
                    incoming: entry.incoming,
                    outgoing: entry.outgoing.into_iter().map(|outgoing| outgoing.interface).collect(),
                    expires: entry.expires,
                })
                .collect(),
            memberships: manager
                .memberships()
                .into_iter()
                .map(|record| (record.interface, record.membership, record.protocol))
                .collect(),
            owners: calls::interfaces().map(|i| manager.owner_of(i).ok()).into(),
            clients: manager
                .clients()
                .into_iter()
                .map(|client| (client.protocol, client.interfaces.into_iter().collect()))
                .collect(),
            known: (0..).map_while(|n| manager.interface(mgm::forwarding::InterfaceNumber(n))).collect(),
            foreign,
        }
    }
}

impl World {
    fn client(&self, client: usize) -> Option<(Handle, Arc<Asked>)> {
        let clients = self.clients.lock().unwrap();
        let registered: Vec<_> = clients.iter().map(|(_, client)| client.protocol).collect();
        calls::who(client, &registered).map(|n| clients[n].clone())
    }

    /// A client's handle; a number that was never issued for one that there never was.
    fn handle(&self, client: usize) -> Handle {
        self.client(client).map_or(Handle::from(0x7777_0100_0000 + client as u64), |(handle, _)| handle)
    }

    fn register(&self, protocol: Protocol) -> Outcome {
        let number = self.clients.lock().unwrap().len();
        let (world, vetoes, script) = (self.me.clone(), Mutex::default(), Mutex::default());
        let client = Arc::new(Asked { number, protocol, world, vetoes, script });
        match self.manager.register(protocol, client.clone()) {
            Ok(handle) => {
                self.clients.lock().unwrap().push((handle, client));
                "Ok".into()
            }
            Err(RegisterError::AlreadyRegistered(_)) => "AlreadyRegistered".into(),
            Err(RegisterError::Full(_)) => "Full".into(),
        }
    }

    fn with_client(&self, client: usize, f: impl FnOnce(&Asked)) -> Outcome {
        if let Some((_, client)) = self.client(client) {
            f(&client);
        }
        "Ok".into()
    }

    fn call(&self, call: &Call) -> Outcome {
        match call {
            Call::Register(protocol) => self.register(*protocol),
            Call::Deregister(client) => match self.manager.deregister(self.handle(*client)) {
                Ok(()) => "Ok".into(),
                Err(DeregisterError::Stale) => "Stale".into(),
                Err(DeregisterError::StillOwns(n)) => format!("StillOwns({n})").into(),
            },
            Call::Take(client, interface) => match self.manager.take(self.handle(*client), *interface) {
                Ok(()) => "Ok".into(),
                Err(TakeError::Stale) => "Stale".into(),
                Err(TakeError::Owned(_)) => "Owned".into(),
                Err(TakeError::TooManyInterfaces(_)) => "TooManyInterfaces".into(),
            },
            Call::Release(client, interface) => {
                match self.manager.release(self.handle(*client), *interface) {
                    Ok(()) => "Ok".into(),
                    Err(ReleaseError::Stale) => "Stale".into(),
                    Err(ReleaseError::NotOwner(_)) => "NotOwner".into(),
                }
            }
            Call::Add(client, interface, membership, effect) => {
                let client = self.handle(*client);
                changed(self.manager.add_membership(client, *interface, *membership, *effect))
            }
            Call::Delete(client, interface, membership, effect) => {
                let client = self.handle(*client);
                changed(self.manager.delete_membership(client, *interface, *membership, *effect))
            }
            Call::NewFlow(flow) => match self.manager.new_flow(*flow) {
                Ok(FlowState::Active) => "Active".into(),
                Ok(FlowState::Negative) => "Negative".into(),
                Err(NewFlowError::Building(_)) => "Building".into(),
                Err(NewFlowError::TooDeep(_)) => "TooDeep".into(),
                Err(NewFlowError::Full(_)) => "Full".into(),
                Err(NewFlowError::Foreign(_)) => "Foreign".into(),
                Err(NewFlowError::NotForwarded(_)) => "NotForwarded".into(),
            },
            Call::Advance(by) => {
                let mut now = self.now.lock().unwrap();
                *now += *by;
                self.manager.advance(*now);
                "Ok".into()
            }
            Call::Flush => {
                self.manager.flush_entries();
                "Ok".into()
            }
            Call::Veto(client, interfaces) => {
                self.with_client(*client, |client| *client.vetoes.lock().unwrap() = interfaces.clone())
            }
            Call::Script(client, call) => {
                self.with_client(*client, |client| *client.script.lock().unwrap() = Some((**call).clone()))
            }
            Call::Route(source, interface) => {
                self.routes.lock().unwrap().insert(*source, *interface);
                "Ok".into()
            }
            Call::Foreign(flow, true) => {
                let forwarding = self.manager.forwarding();
                let number = forwarding.open_number().unwrap();
                match forwarding.publish(Entry::new(*flow, number, None, &[])) {
                    Ok(()) => {
                        self.foreign.lock().unwrap().insert(*flow);
                        "Ok".into()
                    }
                    Err(_) => {
                        forwarding.close_number(number);
                        "Exists".into()
                    }
                }
            }
            Call::Foreign(flow, false) => {
                if self.foreign.lock().unwrap().remove(flow) {
                    self.manager.forwarding().withdraw(flow);
                }
                "Ok".into()
            }
        }
    }
}

fn changed(result: Result<(), MembershipError>) -> Outcome {
    match result {
        Ok(()) => "Ok".into(),
        Err(MembershipError::Stale) => "Stale".into(),
        Err(MembershipError::NotTaken(_)) => "NotTaken".into(),
        Err(MembershipError::NotOwner(_)) => "NotOwner".into(),
        Err(MembershipError::ChangingHands(_)) => "ChangingHands".into(),
        Err(MembershipError::FamiliesDiffer(_)) => "FamiliesDiffer".into(),
        Err(MembershipError::TooMany(_)) => "TooMany".into(),
    }
}
