//! A router that is told in words what happens, and tells in words whom it called: the tables of alerts are written in
//! them.
//!
//! Clients: `p` owns interfaces 1 and 2, `q` 3 and 4, `r` 5, and IGMP, `g`, 4 and 6; so 4 is shared. What has other
//! letters comes and goes. Every source is reached by interface 1 unless told otherwise. `S` and `T` are sources, `G` and
//! `H` groups; `S6` and `G6` are IPv6's, and so is interface `1'`.
//!
//! ```text
//! p joins (*,G) on 2         JOIN add             p leaves (*,G) on 2      JOIN delete
//! p forwards (S,G) on 2      FORWARD add          p stops (S,G) on 2       FORWARD delete
//! p joins and forwards (S,G) on 2                 p leaves and stops (S,G) on 2
//! p takes 7                  p releases 7         p registers              p deregisters
//! packet (S,G)               time 100             flush
//! route S 3                  route S -            rerouted                 what the routes say, and that they have changed
//! wrong (S,G) on 2           a packet of it arrived there, though it should not, and was served
//! p watches                  registers as one who wants to hear of that; it owns nothing yet
//! p prefers 2                where packets have to arrive, when it is asked
//! p vetoes 2                 p answers 60         how many seconds an entry may stay, when a prune alert asks
//! ```
#![allow(dead_code, reason = "each test file uses its part")]

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

/// A router and whom it called.
pub(crate) struct Words {
    pub(crate) manager: Arc<GroupManager>,
    routes: Arc<Mutex<BTreeMap<IpAddr, Option<Interface>>>>,
    clients: BTreeMap<String, (Handle, Arc<Told>)>,
    log: Log,
}

type Log = Arc<Mutex<Vec<String>>>;

/// A client that writes down how it is called.
#[derive(Default)]
struct Told {
    name: String,
    log: Log,
    watches: bool,
    path: Mutex<Option<Interface>>,
    vetoes: Mutex<Vec<Interface>>,
    answer: Mutex<Option<Duration>>,
}

impl Words {
    pub(crate) fn new() -> Words {
        Words::with(ManagerConfig::default())
    }

    pub(crate) fn with(config: ManagerConfig) -> Words {
        let routes: Arc<Mutex<BTreeMap<IpAddr, Option<Interface>>>> = Arc::default();
        let table = routes.clone();
        let way = move |source: IpAddr| {
            let told = table.lock().unwrap().get(&source).copied();
            told.unwrap_or(Some(Interface::of(Family::of(source), 1))).map(ReversePath::through)
        };
        let manager = Arc::new(GroupManager::new(config, Arc::new(way)).unwrap());
        let mut words = Words { manager, routes, clients: BTreeMap::new(), log: Log::default() };
        words.say("p registers; p takes 1; p takes 1'; p takes 2; q registers; q takes 3; q takes 4");
        words.say("r registers; r takes 5; g registers; g takes 4; g takes 6");
        words.heard();
        words
    }

    /// Has things happen, one after the other.
    pub(crate) fn say(&mut self, what: &str) {
        for sentence in what.split([';', '\n']).map(str::trim).filter(|s| !s.is_empty()) {
            self.sentence(sentence);
        }
    }

    /// Who was called since the last time, in order.
    pub(crate) fn heard(&self) -> Vec<String> {
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
            client => self.does(client, rest),
        }
    }

    fn does(&mut self, name: &str, what: &str) {
        if matches!(what, "registers" | "watches") {
            let (name, log, watches) = (name.into(), self.log.clone(), what == "watches");
            let client = Arc::new(Told { name, log, watches, ..Told::default() });
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

impl Told {
    fn hears(&self, what: String) {
        self.log.lock().unwrap().push(format!("{}: {what}", self.name));
    }
}

impl Client for Told {
    fn reverse_path(&self, question: &mut ReversePathQuestion<'_>) {
        let at = number(question.path().interface);
        self.hears(format!("way of {} by {at}", short_flow(question.flow())));
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
        self.hears(format!("creation of {flow} from {from} to{offered}"));
    }

    fn join_alert(&self, alert: &JoinAlert) {
        self.hears(format!("join {} {}", short(alert.membership()), by(alert.cause())));
    }

    fn prune_alert(&self, alert: &mut PruneAlert) {
        let timeout = match alert.cause() {
            Cause::Entry => format!(" for {} s", alert.timeout().as_secs_f64()),
            Cause::Membership => String::new(),
        };
        let (what, at) = (short(alert.membership()), number(alert.interface()));
        self.hears(format!("prune {what} at {at} {}{timeout}", by(alert.cause())));
        if let Some(answer) = *self.answer.lock().unwrap() {
            alert.set_timeout(answer);
        }
    }

    fn local_join(&self, interface: Interface, membership: Membership) {
        self.hears(format!("local join {} on {}", short(membership), number(interface)));
    }

    fn local_leave(&self, interface: Interface, membership: Membership) {
        self.hears(format!("local leave {} on {}", short(membership), number(interface)));
    }

    fn disable_igmp(&self, interface: Interface) {
        self.hears(format!("disable {}", number(interface)));
    }

    fn enable_igmp(&self, interface: Interface) {
        self.hears(format!("enable {}", number(interface)));
    }

    fn wants_wrong_interface(&self) -> bool {
        self.watches
    }

    fn wrong_interface(&self, alert: &WrongInterfaceAlert) {
        self.hears(format!("wrong interface: {} on {}", short_flow(alert.flow()), number(alert.arrival())));
    }

    fn notices_lost(&self, count: u64) {
        self.hears(format!("{count} notices lost"));
    }
}

/// What was said before, what happens, who is told.
pub(crate) type Row = (&'static str, &'static str, &'static str);

/// Walks a table: one line of the last column is one call. Whoever is told first is told all that the change has for it,
/// in the order of what happened; then the next one.
pub(crate) fn walk(table: &[Row]) {
    for (before, happens, told) in table {
        let mut words = Words::new();
        words.say(before);
        words.heard();
        words.say(happens);
        let told: Vec<&str> = told.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        assert_eq!(words.heard(), told, "before: {before:?}, then: {happens:?}");
        assert_eq!(words.manager.client_panics(), 0);
    }
}

/// TRUE and FALSE, as `bMemberUpdate` and `bMemberDelete` have it.
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
