//! The real manager and its surroundings.

use super::calls::{self, Call};
use super::{Outcome, View, default_route, log};
use crate::alternation::{self, NotAlternating, Told};
use crate::spec::{self, EntryView};
use mgm::forwarding::{Flow, NewEntry};
use mgm::handle::Handle;
use mgm::manager::{
    Client, CreationAlert, EntryRecord, EnumerationKind, FlowState, GroupManager, Interface, JoinAlert,
    ManagerConfig, Membership, Protocol, PruneAlert, ReversePath, ReversePathQuestion,
};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

#[cfg_attr(mgm_instrumented, derive(Clone))]
pub(super) struct ManagerSide {
    world: Arc<World>,
}

struct World {
    /// Given to new clients, which make calls inside callbacks.
    me: Weak<World>,
    manager: GroupManager,
    routes: Arc<Mutex<BTreeMap<IpAddr, Option<Interface>>>>,
    clients: Mutex<Vec<(Handle, Arc<ScriptedClient>)>>,
    foreign: Mutex<BTreeSet<Flow>>,
    now: Mutex<Duration>,
    log: Mutex<Vec<String>>,
}

/// A client that logs its callbacks, vetoes the interfaces of [`Call::Veto`], and makes one call inside a callback.
struct ScriptedClient {
    number: usize,
    protocol: Protocol,
    world: Weak<World>,
    path: Mutex<Option<Interface>>,
    vetoes: Mutex<Vec<Interface>>,
    timeout: Mutex<Option<Duration>>,
    script: Mutex<Option<Call>>,
    told: Mutex<Told>,
    /// The alert that followed one of its kind, if any did.
    not_alternating: Mutex<Option<NotAlternating>>,
}

impl ScriptedClient {
    fn called_back(&self, text: String) {
        let Some(world) = self.world.upgrade() else { return };
        world.log.lock().unwrap().push(text);
        let script = self.script.lock().unwrap().take();
        if let Some(call) = script {
            let outcome = world.call(&call);
            world.log.lock().unwrap().push(format!("{call:?}: {outcome}"));
        }
    }
}

impl ScriptedClient {
    fn check(&self, result: Result<(), NotAlternating>) {
        if let Err(wrong) = result {
            self.not_alternating.lock().unwrap().get_or_insert(wrong);
        }
    }
}

impl Client for ScriptedClient {
    fn wants_present_joins(&self) -> bool {
        calls::wants_present_joins(self.number)
    }

    fn reverse_path(&self, question: &mut ReversePathQuestion<'_>) {
        let text = log::reverse_path(self.number, question.flow(), question.path().interface);
        if let Some(interface) = *self.path.lock().unwrap() {
            question.set_path(question.path().with_interface(interface));
        }
        self.called_back(text);
    }

    fn creation_alert(&self, alert: &mut CreationAlert<'_>) {
        let offered: Vec<_> = alert.outgoing().iter().map(|o| (o.interface(), o.igmp_enabled())).collect();
        let vetoes = self.vetoes.lock().unwrap().clone();
        alert.outgoing_mut().iter_mut().filter(|o| vetoes.contains(&o.interface())).for_each(|o| o.veto());
        self.called_back(log::creation(self.number, alert.flow(), Some(alert.incoming()), &offered));
    }

    fn join_alert(&self, alert: &JoinAlert) {
        self.check(self.told.lock().unwrap().join(alert));
        self.called_back(log::join(self.number, alert.membership(), alert.cause()));
    }

    fn prune_alert(&self, alert: &mut PruneAlert) {
        self.check(self.told.lock().unwrap().prune(alert));
        let (membership, at) = (alert.membership(), alert.interface());
        let text = log::prune(self.number, membership, at, alert.cause(), alert.timeout());
        if let Some(timeout) = *self.timeout.lock().unwrap() {
            alert.set_timeout(timeout);
        }
        self.called_back(text);
    }

    fn local_join(&self, interface: Interface, membership: Membership) {
        self.called_back(log::local_join(self.number, interface, membership));
    }

    fn local_leave(&self, interface: Interface, membership: Membership) {
        self.called_back(log::local_leave(self.number, interface, membership));
    }

    fn disable_igmp(&self, interface: Interface) {
        self.called_back(log::disable(self.number, interface));
    }

    fn enable_igmp(&self, interface: Interface) {
        self.called_back(log::enable(self.number, interface));
    }

    fn notices_lost(&self, count: u64) {
        self.called_back(log::lost(self.number, count));
    }
}

impl ManagerSide {
    pub(super) fn new(config: ManagerConfig) -> ManagerSide {
        let routes: BTreeMap<_, _> = calls::sources().map(|s| (s, Some(default_route(s)))).into();
        let routes = Arc::new(Mutex::new(routes));
        let table = routes.clone();
        let lookup = move |source: IpAddr| {
            let interface = table.lock().unwrap()[&source]?;
            Some(ReversePath::through(interface))
        };
        let world = Arc::new_cyclic(|me| World {
            me: me.clone(),
            manager: GroupManager::new(config, Arc::new(lookup)).unwrap(),
            routes,
            clients: Mutex::default(),
            foreign: Mutex::default(),
            now: Mutex::default(),
            log: Mutex::default(),
        });
        ManagerSide { world }
    }

    pub(super) fn call(&self, call: &Call) -> Outcome {
        self.world.call(call)
    }

    pub(super) fn take_log(&self) -> Vec<String> {
        std::mem::take(&mut self.world.log.lock().unwrap())
    }

    /// Returns whether a callback of the last call has disabled IGMP on an interface.
    #[cfg(mgm_instrumented)]
    pub(super) fn has_disabled_igmp(&self, interface: Interface) -> bool {
        let disabled = |(_, client): &(Handle, Arc<ScriptedClient>)| log::disable(client.number, interface);
        let disabled: Vec<String> = self.world.clients.lock().unwrap().iter().map(disabled).collect();
        self.world.log.lock().unwrap().iter().any(|line| disabled.contains(line))
    }

    /// Checks that the alerts of every client have alternated so far, and that none was lost.
    ///
    /// # Panics
    /// If they have not.
    pub(super) fn check_alternation(&self, history: &str) {
        for (_, client) in self.world.clients.lock().unwrap().iter() {
            if let Some(wrong) = *client.not_alternating.lock().unwrap() {
                panic!("client {}: {wrong}, after{history}", client.number);
            }
        }
        let log = self.world.log.lock().unwrap();
        assert!(!log.iter().any(|line| line.contains("notices lost")), "a notice was lost, after{history}");
    }

    /// Checks that every registered client was told of exactly those keys for which others count. Reports a change of
    /// routes before, so that the manager knows the present RPF interfaces.
    ///
    /// # Panics
    /// If a client was not.
    pub(super) fn check_told(&self, history: &str) {
        let world = &self.world;
        world.manager.routes_changed(|_| true);
        self.check_alternation(history);
        let routes = world.routes.lock().unwrap().clone();
        let rpf = |membership: Membership| {
            let interface = routes[&membership.source()?]?;
            Some(interface).filter(|interface| interface.family() == membership.family())
        };
        let clients = world.clients.lock().unwrap().clone();
        for (handle, protocol, expected) in alternation::expected(&world.manager, rpf) {
            let (_, client) =
                clients.iter().find(|(other, _)| *other == handle).expect("it was registered here");
            let told = client.told.lock().unwrap();
            let expected: BTreeSet<_> = match calls::wants_present_joins(client.number) {
                true => expected,
                // Of what was there before the client it may have been told nothing.
                false => expected.intersection(&told.known()).copied().collect(),
            };
            assert_eq!(told.joined(), expected, "{protocol} was told of other keys, after{history}");
        }
    }

    /// Returns the visible state, after comparing the manager's ways to read it with each other. `swept` is false while what
    /// depends on a former owner may not be removed yet: it is invisible, and still there.
    pub(super) fn view(&self, swept: bool) -> View {
        let manager = &self.world.manager;
        let entries = manager.entries();
        self.compare_with_forwarding(&entries);
        self.compare_with_pages(&entries);
        self.compare_with_enumerations();
        let (next, first) = (manager.next_deadline(), entries.iter().map(|entry| entry.expires).min());
        let foreign = self.world.foreign.lock().unwrap().clone();
        let (held, visible) = (manager.forwarding_table().len(), entries.len() + foreign.len());
        if swept {
            assert_eq!((next, held), (first, visible));
        } else {
            assert!(first.is_none_or(|first| next.is_some_and(|next| next <= first)) && held >= visible);
        }
        View {
            entries: entries
                .into_iter()
                .map(|entry| EntryView {
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
            known: manager.known_interfaces().into_iter().map(|(_, interface)| interface).collect(),
            foreign,
        }
    }

    /// Compares the listed entries with what a packet finds.
    fn compare_with_forwarding(&self, entries: &[EntryRecord]) {
        let manager = &self.world.manager;
        let forwarding = manager.forwarding_table();
        let mut reader = forwarding.reader();
        for record in entries {
            let entry = reader.lookup(&record.flow).expect("every entry is in the forwarding table");
            let live: Vec<_> = entry.live_outgoing().map(|o| o.interface).collect();
            let listed = record.outgoing.iter().map(|o| manager.vif_index(o.interface).unwrap());
            assert_eq!(live, listed.collect::<Vec<_>>(), "{record:?}");
            let incoming = entry.incoming().map(|i| manager.interface(i.interface).unwrap());
            assert_eq!(incoming, record.incoming);
            assert!(entry.incoming().is_none_or(|i| i.stamp.is_current(forwarding.owners())));
            let state = if live.is_empty() { FlowState::Negative } else { FlowState::Active };
            assert_eq!(state, record.state);
            assert!(
                entry.incoming().is_none_or(|i| !live.contains(&i.interface)),
                "the incoming interface is an outgoing one: {entry:?}"
            );
        }
        assert!(entries.is_sorted_by_key(|entry| entry.flow));
    }

    /// Compares the listed entries with pages of them and with single look-ups.
    fn compare_with_pages(&self, entries: &[EntryRecord]) {
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
    }

    /// Compares the listed memberships with both kinds of enumeration.
    fn compare_with_enumerations(&self) {
        let manager = &self.world.manager;
        let Some(client) = manager.clients().pop() else { return };
        let joined: BTreeSet<Membership> = manager.memberships().iter().map(|m| m.membership).collect();
        let groups = joined.iter().map(|membership| match membership {
            Membership::OneSource(flow) => Membership::any_source(flow.group()).unwrap(),
            any_source => *any_source,
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
}

impl World {
    fn client(&self, client: usize) -> Option<(Handle, Arc<ScriptedClient>)> {
        let clients = self.clients.lock().unwrap();
        let registered: Vec<_> = clients.iter().map(|(_, client)| client.protocol).collect();
        calls::registration_of(client, &registered).map(|n| clients[n].clone())
    }

    /// Returns a client's handle, or a handle that was never issued for a client that was never registered.
    fn handle(&self, client: usize) -> Handle {
        self.client(client).map_or(
            Handle::from_bits(0x7777_0100_0000 + client as u64).unwrap_or(Handle::STALE),
            |(handle, _)| handle,
        )
    }

    fn register(&self, protocol: Protocol) -> Outcome {
        let number = self.clients.lock().unwrap().len();
        let client = Arc::new(ScriptedClient {
            number,
            protocol,
            world: self.me.clone(),
            path: Mutex::default(),
            vetoes: Mutex::default(),
            timeout: Mutex::default(),
            script: Mutex::default(),
            told: Mutex::new(Told::new(calls::wants_present_joins(number))),
            not_alternating: Mutex::default(),
        });
        match self.manager.register(protocol, client.clone()) {
            Ok(handle) => {
                self.clients.lock().unwrap().push((handle, client));
                "Ok".into()
            }
            Err(refused) => outcome(refused),
        }
    }

    fn with_client(&self, client: usize, f: impl FnOnce(&ScriptedClient)) -> Outcome {
        if let Some((_, client)) = self.client(client) {
            f(&client);
        }
        "Ok".into()
    }

    fn call(&self, call: &Call) -> Outcome {
        match call {
            Call::Register(protocol) => self.register(*protocol),
            Call::Deregister(client) => outcome(self.manager.deregister(self.handle(*client))),
            Call::Take(client, interface) => outcome(self.manager.take(self.handle(*client), *interface)),
            Call::Release(client, interface) => {
                outcome(self.manager.release(self.handle(*client), *interface))
            }
            Call::Add(client, interface, membership, change) => {
                let client = self.handle(*client);
                outcome(self.manager.add_membership(client, *interface, *membership, *change))
            }
            Call::Delete(client, interface, membership, change) => {
                let client = self.handle(*client);
                outcome(self.manager.delete_membership(client, *interface, *membership, *change))
            }
            Call::NewFlow(flow) => outcome(self.manager.new_flow(*flow)),
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
            Call::RoutesChanged => {
                format!("{} {}", self.manager.routes_changed(|_| true), log::REROUTED).into()
            }
            Call::Foreign(flow, true) => self.publish_foreign(*flow),
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
            Call::Route(source, interface) => {
                self.routes.lock().unwrap().insert(*source, *interface);
                "Ok".into()
            }
            Call::Foreign(flow, false) => {
                if self.foreign.lock().unwrap().remove(flow) {
                    self.manager.forwarding_table().withdraw(flow);
                }
                "Ok".into()
            }
        }
    }

    fn publish_foreign(&self, flow: Flow) -> Outcome {
        let forwarding = self.manager.forwarding_table();
        let counter = forwarding.alloc_counter().unwrap();
        match forwarding.publish(NewEntry::new(flow, counter, None, &[])) {
            Ok(()) => {
                self.foreign.lock().unwrap().insert(flow);
                "Ok".into()
            }
            Err(_) => {
                forwarding.free_counter(counter);
                "Foreign".into()
            }
        }
    }
}

/// Converts a result into the specification's text.
fn outcome(result: impl Into<spec::Outcome>) -> Outcome {
    result.into().to_string().into()
}
