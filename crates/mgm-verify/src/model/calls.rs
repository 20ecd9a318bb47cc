//! Calls, and the decoding of bytes into calls.

use mgm::forwarding::{Family, Flow};
use mgm::manager::{Interface, Membership, Protocol, StateChange};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// A call of the manager, or a change of its surroundings. [`registration_of`] explains the numbers of clients.
#[derive(Clone, Debug)]
pub(super) enum Call {
    Register(Protocol),
    Deregister(usize),
    Take(usize, Interface),
    Release(usize, Interface),
    Add(usize, Interface, Membership, StateChange),
    Delete(usize, Interface, Membership, StateChange),
    NewFlow(Flow),
    Advance(Duration),
    Flush,
    /// Sets the client's answer to a reverse-path question; `None` keeps the route.
    Path(usize, Option<Interface>),
    /// Sets the interfaces that the client vetoes for new flows.
    Veto(usize, Vec<Interface>),
    /// Sets the client's time-out for negative entries.
    Timeout(usize, Duration),
    /// Sets a call that the client makes once, inside its next callback.
    Script(usize, Box<Call>),
    /// Sets the route of a source.
    Route(IpAddr, Option<Interface>),
    /// Reports to the manager that routes have changed.
    RoutesChanged,
    /// Publishes (true) or withdraws a flow in the forwarding table without the manager.
    Foreign(Flow, bool),
}

/// One encoded call.
pub type Bytes = [u8; 6];

/// Returns the registration that a client's number names, among all registrations so far.
///
/// The first five numbers name the last registration of each protocol, live or not. A higher number names one of the oldest
/// registrations. `None` stands for a client that was never registered.
pub(super) fn registration_of(number: usize, registered: &[Protocol]) -> Option<usize> {
    match protocols().get(number) {
        Some(protocol) => registered.iter().rposition(|p| p == protocol),
        None => Some(number - protocols().len()).filter(|n| *n < registered.len()),
    }
}

/// Returns whether the client of a registration wants to be told of present joins.
pub(super) fn wants_present_joins(registration: usize) -> bool {
    registration % 3 != 2
}

/// Returns the first calls of every sequence: two routing protocols and IGMP share interfaces that have some receivers.
pub(super) fn prologue() -> Vec<Call> {
    let [a, b, _, igmp, _] = protocols();
    let [one, two, three, ..] = interfaces();
    let group = Membership::any_source(flow(3).group()).unwrap();
    vec![
        Call::Register(a),
        Call::Register(b),
        Call::Register(igmp),
        Call::Take(0, one),
        Call::Take(0, two),
        Call::Take(1, three),
        Call::Take(3, two),
        Call::Take(3, three),
        Call::Add(0, two, group, StateChange::Join),
        Call::Add(3, three, group, StateChange::Join),
    ]
}

/// Returns the few protocols of all calls, so that calls conflict.
fn protocols() -> [Protocol; 5] {
    let igmp = |component| Protocol::new(Protocol::IGMP, component);
    [Protocol::new(1, 0), Protocol::new(1, 1), Protocol::new(2, 0), igmp(0), igmp(1)]
}

pub(super) fn interfaces() -> [Interface; 5] {
    let link = Interface::with_next_hop(2, IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)));
    [Interface::v4(1), Interface::v4(2), Interface::v4(3), link, Interface::v6(1)]
}

pub(super) fn sources() -> [IpAddr; 3] {
    let v6 = IpAddr::V6(Ipv6Addr::new(0x2001, 0xDB8, 0, 0, 0, 0, 0, 1));
    [IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)), v6]
}

fn group(source: IpAddr, b: u8) -> IpAddr {
    match source {
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::new(0xFF0E, 0, 0, 0, 0, 0, 0, 1)),
        IpAddr::V4(_) if b.is_multiple_of(16) => IpAddr::V4(Ipv4Addr::new(224, 0, 0, 251)),
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::new(239, 1, 1, 1 + b % 3)),
    }
}

fn flow(b: u8) -> Flow {
    let [first, second, v6] = sources();
    let source = pick(&[first, first, first, second, second, second, v6], b);
    Flow::new(source, group(source, b / 7)).unwrap()
}

fn pick<T: Copy>(of: &[T], b: u8) -> T {
    of[usize::from(b) % of.len()]
}

fn membership(kind: u8, b: u8) -> Membership {
    let flow = flow(b);
    match kind % 4 {
        0 => Membership::everything(if b.is_multiple_of(4) { Family::V6 } else { Family::V4 }),
        1 | 2 => Membership::any_source(flow.group()).unwrap(),
        _ => Membership::one_source(flow.source(), flow.group()).unwrap(),
    }
}

impl Call {
    /// Decodes six bytes into a call. Every value is valid.
    pub(super) fn decode(bytes: Bytes) -> Call {
        use StateChange::{Forward, Join, JoinAndForward};
        let [what, client, interface, kind, address, extra] = bytes;
        let client = pick(&[0, 0, 0, 1, 1, 1, 2, 2, 3, 3, 3, 3, 4, 5, 6, 7], client);
        let [one, two, three, link, v6] = interfaces();
        let interface = pick(&[one, one, two, two, two, three, three, three, link, v6], interface);
        let change = pick(&[Join, Join, Forward, JoinAndForward], extra);
        match what % 64 {
            0..=2 => Call::Register(pick(&protocols(), extra)),
            3 => Call::Deregister(client),
            4..=9 => Call::Take(client, interface),
            10..=12 => Call::Release(client, interface),
            13..=28 => Call::Add(client, interface, membership(kind, address), change),
            29..=37 => Call::Delete(client, interface, membership(kind, address), change),
            38..=48 => Call::NewFlow(flow(address)),
            49 => Call::Path(client, (!extra.is_multiple_of(4)).then_some(interface)),
            50 => {
                let millis = pick(&[0, 500, 60_000, 2_000_001], extra);
                Call::Timeout(client, Duration::from_millis(millis))
            }
            51 => Call::Advance(Duration::from_secs(u64::from(extra) * 2)),
            52 if extra.is_multiple_of(8) => Call::Flush,
            52 if extra.is_multiple_of(2) => Call::RoutesChanged,
            52..=55 => {
                let vetoed = |n: &usize| kind >> n & 1 == 1;
                Call::Veto(client, (0..5).filter(vetoed).map(|n| interfaces()[n]).collect())
            }
            56..=60 => {
                // The inner call is never a script.
                let inner = Call::decode([extra % 56, kind, address, address, kind, address ^ kind]);
                Call::Script(client, Box::new(inner))
            }
            61 => {
                let source = pick(&sources(), address);
                Call::Route(source, (!extra.is_multiple_of(8)).then_some(interface))
            }
            _ => Call::Foreign(flow(address), extra.is_multiple_of(2)),
        }
    }
}
