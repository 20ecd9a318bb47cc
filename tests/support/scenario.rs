//! Scenario tables: a router that is driven by sentences and records the callbacks of its clients as
//! sentences. The tables of alerts in `tests/manager` are written in this language.
//!
//! A row has three columns: the sentences that prepare the router, the sentences under test, and the
//! callbacks that the latter must cause, one a line and in order. [`check_table`] runs each row on a router
//! of its own:
//!
//! ```text
//! ("p joins (*,G) on 2", "q joins (*,G) on 3", "p: join (*,G) TRUE")
//! ```
//!
//! reads: after `p` has joined (\*,G) on interface 2, `q` joins it on interface 3. That alerts `p`, with
//! `bMemberUpdate` TRUE, and no other client.
//!
//! Names. The routing protocol `p` owns interfaces 1 and 2, `q` owns 3 and 4, `r` owns 5. IGMP, `g`, owns 4
//! and 6, so 4 is shared. `n` is registered by the sentences that need it. `S` and `T` are sources, `G` and
//! `H` groups; `S6` and `G6` are IPv6 addresses, and `1'` is IPv6 interface 1. Every source is reached
//! through interface 1 unless a sentence says otherwise.
//!
//! Sentences, separated by `;` or by line ends:
//!
//! ```text
//! p registers; p deregisters      the client comes and goes
//! p takes 7; p releases 7         ownership of interface 7
//! p joins (*,G) on 2              JOIN add;          p leaves (*,G) on 2             JOIN delete
//! p forwards (S,G) on 2           FORWARD add;       p stops (S,G) on 2              FORWARD delete
//! p joins and forwards (S,G) on 2 both flags;        p leaves and stops (S,G) on 2   both flags
//! packet (S,G)                    the first packet of a flow, on its incoming interface
//! wrong (S,G) on 2                a packet of the flow on another interface; its upcall is processed
//! n watches                       registers a client that asks for wrong-interface alerts
//! route S 3; route S -            the route to a source: by interface 3, or none
//! rerouted                        the manager is notified that routes have changed
//! time 100; flush                 the clock advances to 100 s; every entry ends
//! p prefers 2                     the answer of p to reverse path questions
//! p vetoes 2                      the answer of p to creation alerts
//! p answers 60                    the answer of p to prune alerts: the lifetime of the entry in seconds
//! ```
//!
//! Callbacks, each after the name of the client:
//!
//! ```text
//! path of (S,G) by 1              the reverse path question; the route leads to interface 1
//! creation of (S,G) from 1 to 3 4+igmp    the creation alert: incoming interface, outgoing ones, those with IGMP enabled
//! join (*,G) TRUE                 the join alert; TRUE for memberships, FALSE for an entry
//! prune (S,G) at 1 FALSE for 900 s        the prune alert: the interface, the cause, for an entry its lifetime
//! local join (*,G) on 4; local leave (*,G) on 4
//! disable 4; enable 4             IGMP stops on a shared interface and may start again
//! wrong interface: (S,G) on 7     the wrong-interface alert
//! 2 notices lost
//! ```

use mgm::forwarding::{Family, Flow};
use mgm::handle::Handle;
use mgm::manager::{
    Cause, Client, CreationAlert, GroupManager, Interface, JoinAlert, ManagerConfig, Membership, Protocol,
    PruneAlert, ReversePath, ReversePathQuestion, StateChange, WrongInterfaceAlert,
};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const ADDRESSES: [(&str, &str); 6] = [
    ("S", "192.0.2.7"),
    ("T", "192.0.2.8"),
    ("G", "239.1.1.1"),
    ("H", "239.1.1.2"),
    ("S6", "2001:db8::7"),
    ("G6", "ff0e::1"),
];

const PROTOCOLS: [(&str, u32); 5] = [("p", 1), ("q", 2), ("r", 3), ("n", 4), ("g", Protocol::IGMP)];

/// A router, its clients, and the callbacks that it has made.
pub(crate) struct Scenario {
    pub(crate) manager: Arc<GroupManager>,
    routes: Arc<Mutex<BTreeMap<IpAddr, Option<Interface>>>>,
    clients: BTreeMap<String, (Handle, Arc<Recorder>)>,
    log: Log,
}

type Log = Arc<Mutex<Vec<String>>>;

/// A client that records its callbacks.
#[derive(Default)]
struct Recorder {
    name: String,
    log: Log,
    watches: bool,
    path: Mutex<Option<Interface>>,
    vetoes: Mutex<Vec<Interface>>,
    answer: Mutex<Option<Duration>>,
}

impl Scenario {
    pub(crate) fn new() -> Scenario {
        Scenario::with(ManagerConfig::default())
    }

    pub(crate) fn with(config: ManagerConfig) -> Scenario {
        let routes: Arc<Mutex<BTreeMap<IpAddr, Option<Interface>>>> = Arc::default();
        let table = routes.clone();
        let lookup = move |source: IpAddr| {
            let route = table.lock().unwrap().get(&source).copied();
            route.unwrap_or(Some(Interface::of(Family::of(source), 1))).map(ReversePath::through)
        };
        let manager = Arc::new(GroupManager::new(config, Arc::new(lookup)).unwrap());
        let mut scenario = Scenario { manager, routes, clients: BTreeMap::new(), log: Log::default() };
        scenario.run("p registers; p takes 1; p takes 1'; p takes 2; q registers; q takes 3; q takes 4");
        scenario.run("r registers; r takes 5; g registers; g takes 4; g takes 6");
        scenario.take_calls();
        scenario
    }

    /// Executes sentences one after the other.
    pub(crate) fn run(&mut self, sentences: &str) {
        for sentence in sentences.split([';', '\n']).map(str::trim).filter(|s| !s.is_empty()) {
            self.sentence(sentence);
        }
    }

    /// Returns the callbacks since the last call, in order.
    pub(crate) fn take_calls(&self) -> Vec<String> {
        std::mem::take(&mut self.log.lock().unwrap())
    }

    pub(crate) fn handle(&self, name: &str) -> Handle {
        self.clients[name].0
    }

    fn sentence(&mut self, sentence: &str) {
        let (first, rest) = sentence.split_once(' ').unwrap_or((sentence, ""));
        match first {
            "packet" => drop(self.manager.new_flow(flow(rest)).unwrap()),
            "time" => self.manager.advance(Duration::from_secs(rest.parse().unwrap())),
            "wrong" => {
                let (what, on) = rest.split_once(" on ").unwrap();
                self.manager.wrong_interface(flow(what), interface(on), &[0x45]);
                self.manager.process_upcalls(1);
            }
            "flush" => self.manager.flush_entries(),
            "rerouted" => drop(self.manager.routes_changed(|_| true)),
            "route" => {
                let (source, by) = rest.split_once(' ').unwrap();
                let by = (by != "-").then(|| interface(by));
                self.routes.lock().unwrap().insert(address(source), by);
            }
            client => self.execute(client, rest),
        }
    }

    fn execute(&mut self, name: &str, what: &str) {
        if matches!(what, "registers" | "watches") {
            let (name, log, watches) = (name.into(), self.log.clone(), what == "watches");
            let client = Arc::new(Recorder { name, log, watches, ..Recorder::default() });
            let id = PROTOCOLS.iter().find(|(known, _)| *known == client.name).unwrap().1;
            let handle = self.manager.register(Protocol::new(id, 0), client.clone()).unwrap();
            self.clients.insert(client.name.clone(), (handle, client));
            return;
        }
        let (handle, client) = self.clients[name].clone();
        let words: Vec<&str> = what.split(' ').collect();
        let change = |add: bool, effect, what: &str, n: &str| {
            let (what, interface) = (membership(what), interface(n));
            let done = if add {
                self.manager.add_membership(handle, interface, what, effect)
            } else {
                self.manager.delete_membership(handle, interface, what, effect)
            };
            done.unwrap();
        };
        match words[..] {
            ["deregisters"] => self.manager.deregister(handle).unwrap(),
            ["takes", n] => self.manager.take(handle, interface(n)).unwrap(),
            ["releases", n] => self.manager.release(handle, interface(n)).unwrap(),
            ["joins", what, "on", n] => change(true, StateChange::Join, what, n),
            ["forwards", what, "on", n] => change(true, StateChange::Forward, what, n),
            ["joins", "and", "forwards", what, "on", n] => change(true, StateChange::JoinAndForward, what, n),
            ["leaves", what, "on", n] => change(false, StateChange::Join, what, n),
            ["stops", what, "on", n] => change(false, StateChange::Forward, what, n),
            ["leaves", "and", "stops", what, "on", n] => change(false, StateChange::JoinAndForward, what, n),
            ["prefers", n] => *client.path.lock().unwrap() = Some(interface(n)),
            ["vetoes", n] => client.vetoes.lock().unwrap().push(interface(n)),
            ["answers", n] => {
                *client.answer.lock().unwrap() = Some(Duration::from_secs_f64(n.parse().unwrap()));
            }
            _ => panic!("{name} cannot do this: {what}"),
        }
    }
}

impl Recorder {
    fn record(&self, what: String) {
        self.log.lock().unwrap().push(format!("{}: {what}", self.name));
    }
}

impl Client for Recorder {
    fn reverse_path(&self, question: &mut ReversePathQuestion<'_>) {
        let at = number(question.path().interface);
        self.record(format!("path of {} by {at}", short_flow(question.flow())));
        if let Some(path) = *self.path.lock().unwrap() {
            question.set_path(question.path().with_interface(path));
        }
    }

    fn creation_alert(&self, alert: &mut CreationAlert<'_>) {
        let vetoes = self.vetoes.lock().unwrap().clone();
        let mut offered = String::new();
        for o in alert.outgoing_mut() {
            offered += &format!(" {}", number(o.interface()));
            offered += if o.igmp_enabled() { "+igmp" } else { "" };
            if vetoes.contains(&o.interface()) {
                o.veto();
            }
        }
        let (flow, from) = (short_flow(alert.flow()), number(alert.incoming()));
        self.record(format!("creation of {flow} from {from} to{offered}"));
    }

    fn join_alert(&self, alert: &JoinAlert) {
        self.record(format!("join {} {}", short(alert.membership()), by(alert.cause())));
    }

    fn prune_alert(&self, alert: &mut PruneAlert) {
        let timeout = match alert.cause() {
            Cause::Entry => format!(" for {} s", alert.timeout().as_secs_f64()),
            Cause::Membership => String::new(),
        };
        let (what, at) = (short(alert.membership()), number(alert.interface()));
        self.record(format!("prune {what} at {at} {}{timeout}", by(alert.cause())));
        if let Some(answer) = *self.answer.lock().unwrap() {
            alert.set_timeout(answer);
        }
    }

    fn local_join(&self, interface: Interface, membership: Membership) {
        self.record(format!("local join {} on {}", short(membership), number(interface)));
    }

    fn local_leave(&self, interface: Interface, membership: Membership) {
        self.record(format!("local leave {} on {}", short(membership), number(interface)));
    }

    fn disable_igmp(&self, interface: Interface) {
        self.record(format!("disable {}", number(interface)));
    }

    fn enable_igmp(&self, interface: Interface) {
        self.record(format!("enable {}", number(interface)));
    }

    fn wants_wrong_interface(&self) -> bool {
        self.watches
    }

    fn wrong_interface(&self, alert: &WrongInterfaceAlert) {
        self.record(format!("wrong interface: {} on {}", short_flow(alert.flow()), number(alert.arrival())));
    }

    fn notices_lost(&self, count: u64) {
        self.record(format!("{count} notices lost"));
    }
}

/// The preparing sentences, the sentences under test, and the callbacks that they must cause.
pub(crate) type Row = (&'static str, &'static str, &'static str);

/// Checks each row of a table. All that one change causes for a client comes together, in the order of the
/// events; the clients follow in the order of their first notice.
pub(crate) fn check_table(table: &[Row]) {
    for (before, happens, expected) in table {
        let mut scenario = Scenario::new();
        scenario.run(before);
        scenario.take_calls();
        scenario.run(happens);
        let expected: Vec<&str> = expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        assert_eq!(scenario.take_calls(), expected, "before: {before:?}, then: {happens:?}");
        assert_eq!(scenario.manager.client_panics(), 0);
    }
}

/// Returns the value of `bMemberUpdate` or `bMemberDelete`.
fn by(cause: Cause) -> &'static str {
    match cause {
        Cause::Membership => "TRUE",
        Cause::Entry => "FALSE",
    }
}

fn address(name: &str) -> IpAddr {
    ADDRESSES.iter().find(|(known, _)| *known == name).map_or(name, |(_, a)| a).parse().unwrap()
}

fn name(address: IpAddr) -> String {
    let text = address.to_string();
    ADDRESSES.iter().find(|(_, known)| *known == text).map_or(text.clone(), |(name, _)| (*name).into())
}

fn pair(text: &str) -> (&str, &str) {
    text.strip_prefix('(').and_then(|text| text.strip_suffix(')')?.split_once(',')).unwrap()
}

fn flow(text: &str) -> Flow {
    let (source, group) = pair(text);
    Flow::new(address(source), address(group)).unwrap()
}

pub(crate) fn membership(text: &str) -> Membership {
    match pair(text) {
        ("*", "*") => Membership::everything(Family::V4),
        ("*", "*'") => Membership::everything(Family::V6),
        ("*", group) => Membership::any_source(address(group)).unwrap(),
        (source, group) => Membership::one_source(address(source), address(group)).unwrap(),
    }
}

fn short(membership: Membership) -> String {
    match membership {
        Membership::Everything(Family::V4) => "(*,*)".into(),
        Membership::Everything(Family::V6) => "(*,*')".into(),
        Membership::AnySource(group) => format!("(*,{})", name(group.address())),
        Membership::OneSource(flow) => short_flow(flow),
    }
}

fn short_flow(flow: Flow) -> String {
    format!("({},{})", name(flow.source()), name(flow.group()))
}

pub(crate) fn interface(text: &str) -> Interface {
    match text.strip_suffix('\'') {
        Some(n) => Interface::v6(n.parse().unwrap()),
        None => Interface::v4(text.parse().unwrap()),
    }
}

fn number(interface: Interface) -> String {
    let mark = if interface.family() == Family::V6 { "'" } else { "" };
    format!("{}{mark}", interface.index())
}
