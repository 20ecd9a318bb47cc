//! The real manager, and what surrounds it.

use super::calls::{self, Call};
use super::{Outcome, Seen, default_route, told};
use mgm::forwarding::{Flow, NewEntry, VifIndex};
use mgm::handle::Handle;
use mgm::manager::{
    Client, CreationAlert, EntryRecord, EnumerationKind, FlowState, GroupManager, Interface, JoinAlert,
    ManagerConfig, Membership, Protocol, PruneAlert, ReversePath, ReversePathQuestion,
};
use mgm_verify::spec::SeenEntry;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

pub struct Real {
    world: Arc<World>,
}

struct World {
    /// What new clients are given to make calls from inside alerts.
    me: Weak<World>,
    manager: GroupManager,
    routes: Arc<Mutex<BTreeMap<IpAddr, Option<Interface>>>>,
    clients: Mutex<Vec<(Handle, Arc<Told>)>>,
    foreign: Mutex<BTreeSet<Flow>>,
    now: Mutex<Duration>,
    log: Mutex<Vec<String>>,
}

/// A client: writes down how it is called, keeps off what it was told to, and makes one call from inside a callback.
struct Told {
    number: usize,
    protocol: Protocol,
    world: Weak<World>,
    path: Mutex<Option<Interface>>,
    vetoes: Mutex<Vec<Interface>>,
    timeout: Mutex<Option<Duration>>,
    script: Mutex<Option<Call>>,
}

impl Told {
    fn is_told(&self, what: String) {
        let Some(world) = self.world.upgrade() else { return };
        world.log.lock().unwrap().push(what);
        let script = self.script.lock().unwrap().take();
        if let Some(call) = script {
            let outcome = world.call(&call);
            world.log.lock().unwrap().push(format!("{call:?}: {outcome}"));
        }
    }
}

impl Client for Told {
    fn reverse_path(&self, question: &mut ReversePathQuestion<'_>) {
        let text = told::reverse_path(self.number, question.flow(), question.path().interface);
        if let Some(interface) = *self.path.lock().unwrap() {
            question.set_path(question.path().with_interface(interface));
        }
        self.is_told(text);
    }

    fn creation_alert(&self, alert: &mut CreationAlert<'_>) {
        let offered: Vec<_> = alert.outgoing().iter().map(|o| (o.interface(), o.igmp_enabled())).collect();
        let vetoes = self.vetoes.lock().unwrap().clone();
        alert.outgoing_mut().iter_mut().filter(|o| vetoes.contains(&o.interface())).for_each(|o| o.veto());
        self.is_told(told::asked(self.number, alert.flow(), Some(alert.incoming()), &offered));
    }

    fn join_alert(&self, alert: &JoinAlert) {
        self.is_told(told::join(self.number, alert.membership(), alert.cause()));
    }

    fn prune_alert(&self, alert: &mut PruneAlert) {
        let (what, at) = (alert.membership(), alert.interface());
        let text = told::prune(self.number, what, at, alert.cause(), alert.timeout());
        if let Some(timeout) = *self.timeout.lock().unwrap() {
            alert.set_timeout(timeout);
        }
        self.is_told(text);
    }

    fn local_join(&self, interface: Interface, membership: Membership) {
        self.is_told(told::local_join(self.number, interface, membership));
    }

    fn local_leave(&self, interface: Interface, membership: Membership) {
        self.is_told(told::local_leave(self.number, interface, membership));
    }

    fn disable_igmp(&self, interface: Interface) {
        self.is_told(told::disable(self.number, interface));
    }

    fn enable_igmp(&self, interface: Interface) {
        self.is_told(told::enable(self.number, interface));
    }

    fn notices_lost(&self, count: u64) {
        self.is_told(told::lost(self.number, count));
    }
}

impl Real {
    pub fn new(config: ManagerConfig) -> Real {
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

    pub fn call(&self, call: &Call) -> Outcome {
        self.world.call(call)
    }

    pub fn take_log(&self) -> Vec<String> {
        std::mem::take(&mut self.world.log.lock().unwrap())
    }

    /// Page by page, one by one, and by enumeration there is the same to see.
    fn look_otherwise(&self, entries: &[EntryRecord]) {
        let manager = &self.world.manager;
        let mut paged: Vec<EntryRecord> = Vec::new();
        loop {
            let page = manager.entries_after(paged.last().map(|last| last.flow), 2);
            if page.is_empty() {
                break;
            }
            paged.extend(page);
        }
        assert_eq!(paged, entries);
        entries.iter().for_each(|entry| assert_eq!(manager.entry(entry.flow).as_ref(), Some(entry)));
        let Some(client) = manager.clients().pop() else { return };
        let joined: BTreeSet<Membership> = manager.memberships().iter().map(|m| m.membership).collect();
        let groups = joined.iter().map(|what| match what {
            Membership::OneSource(flow) => Membership::any_source(flow.group()).unwrap(),
            wide => *wide,
        });
        let groups: BTreeSet<Membership> = groups.collect();
        for (kind, expected) in [(EnumerationKind::AllSources, joined), (EnumerationKind::AnySource, groups)]
        {
            let enumeration = manager.enumerate_groups(client.handle, kind).unwrap();
            let page = manager.next_groups(enumeration, usize::MAX).unwrap();
            assert_eq!((page.groups.len(), page.more), (expected.len(), false));
            assert_eq!(page.groups.into_iter().collect::<BTreeSet<_>>(), expected);
            manager.end_enumeration(enumeration).unwrap();
        }
    }

    pub fn seen(&self) -> Seen {
        let manager = &self.world.manager;
        let forwarding = manager.forwarding_table();
        let entries = manager.entries();
        let mut reader = forwarding.reader();
        for record in &entries {
            // What is listed is what packets get.
            let entry = reader.lookup(&record.flow).expect("every entry is in the forwarding table");
            let live: Vec<_> = entry.live_outgoing().collect();
            let listed = record.outgoing.iter().map(|o| manager.vif_index(o.interface).unwrap());
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
        self.look_otherwise(&entries);
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
            known: (0..).map_while(|n| manager.interface(VifIndex(n))).collect(),
            foreign,
        }
    }
}

impl World {
    fn client(&self, client: usize) -> Option<(Handle, Arc<Told>)> {
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
        let client = Arc::new(Told {
            number,
            protocol,
            world: self.me.clone(),
            path: Mutex::default(),
            vetoes: Mutex::default(),
            timeout: Mutex::default(),
            script: Mutex::default(),
        });
        match self.manager.register(protocol, client.clone()) {
            Ok(handle) => {
                self.clients.lock().unwrap().push((handle, client));
                "Ok".into()
            }
            Err(refused) => said(refused),
        }
    }

    fn with_client(&self, client: usize, f: impl FnOnce(&Told)) -> Outcome {
        if let Some((_, client)) = self.client(client) {
            f(&client);
        }
        "Ok".into()
    }

    fn call(&self, call: &Call) -> Outcome {
        match call {
            Call::Register(protocol) => self.register(*protocol),
            Call::Deregister(client) => said(self.manager.deregister(self.handle(*client))),
            Call::Take(client, interface) => said(self.manager.take(self.handle(*client), *interface)),
            Call::Release(client, interface) => said(self.manager.release(self.handle(*client), *interface)),
            Call::Add(client, interface, membership, effect) => {
                let client = self.handle(*client);
                said(self.manager.add_membership(client, *interface, *membership, *effect))
            }
            Call::Delete(client, interface, membership, effect) => {
                let client = self.handle(*client);
                said(self.manager.delete_membership(client, *interface, *membership, *effect))
            }
            Call::NewFlow(flow) => said(self.manager.new_flow(*flow)),
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
            Call::Path(client, interface) => {
                self.with_client(*client, |client| *client.path.lock().unwrap() = *interface)
            }
            Call::Timeout(client, timeout) => {
                self.with_client(*client, |client| *client.timeout.lock().unwrap() = Some(*timeout))
            }
            Call::Script(client, call) => {
                self.with_client(*client, |client| *client.script.lock().unwrap() = Some((**call).clone()))
            }
            Call::Route(source, interface) => {
                self.routes.lock().unwrap().insert(*source, *interface);
                "Ok".into()
            }
            Call::RoutesChanged => {
                format!("{} entries went another way", self.manager.routes_changed(|_| true)).into()
            }
            Call::Foreign(flow, true) => {
                let forwarding = self.manager.forwarding_table();
                let number = forwarding.alloc_counter().unwrap();
                match forwarding.publish(NewEntry::new(*flow, number, None, &[])) {
                    Ok(()) => {
                        self.foreign.lock().unwrap().insert(*flow);
                        "Ok".into()
                    }
                    Err(_) => {
                        forwarding.free_counter(number);
                        "Foreign".into()
                    }
                }
            }
            Call::Foreign(flow, false) => {
                if self.foreign.lock().unwrap().remove(flow) {
                    self.manager.forwarding_table().withdraw(flow);
                }
                "Ok".into()
            }
        }
    }
}

/// How a call ended, in the specification's words.
fn said(result: impl Into<mgm_verify::spec::Outcome>) -> Outcome {
    result.into().to_string().into()
}
