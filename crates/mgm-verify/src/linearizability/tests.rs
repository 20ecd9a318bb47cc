//! Windows that are linearizable, and windows that are not.

use super::*;
use crate::history::{Answer, Call, Callback, Delivery, Event, scenario};
use crate::spec::{ClientId, NoticeKind, Outcome};
use mgm::manager::{Cause, ManagerConfig, Membership, Protocol};
use std::collections::BTreeMap;

const A: Protocol = Protocol::new(1, 0);
const B: Protocol = Protocol::new(1, 1);
const IGMP: Protocol = Protocol::new(Protocol::IGMP, 0);
const OK: Answer = Answer::Outcome(Outcome::Ok);

fn refused(outcome: Outcome) -> Answer {
    Answer::Outcome(outcome)
}

fn event(thread: usize, began: u64, ended: u64, call: Call, answer: Answer) -> Event {
    Event { thread, call, answer, began, ended }
}

use crate::history::scenario::interface as at;

fn group() -> Membership {
    Membership::any_source(scenario::flow(0, 0).group()).unwrap()
}

fn start() -> States {
    States::from_iter([Spec::new(&ManagerConfig::default())])
}

/// Returns a window without recorded callbacks.
fn unrecorded(events: &[Event]) -> Window {
    Window { events: events.to_vec(), deliveries: None }
}

/// Returns a window with recorded callbacks.
fn recorded(events: &[Event], callbacks: &[(ClientId, u64, Callback)]) -> Window {
    let mut all: BTreeMap<ClientId, Vec<Delivery>> = BTreeMap::new();
    for (client, at, callback) in callbacks {
        all.entry(*client).or_default().push(Delivery { at: *at, callback: *callback });
    }
    Window { events: events.to_vec(), deliveries: Some(all) }
}

/// Returns the states after calls that came one after the other.
fn after(calls: &[(Call, Answer)]) -> States {
    let event =
        |(n, (call, answer)): (u64, &(Call, Answer))| event(0, n * 10, n * 10 + 5, *call, answer.clone());
    let events: Vec<Event> = (0..).zip(calls).map(event).collect();
    let states = end_states(&unrecorded(&events), &start());
    assert!(!states.is_empty(), "{calls:?}");
    states
}

/// Returns the states after A, B and IGMP have registered as clients 1, 2 and 3 and have made more calls.
fn with(more: &[(Call, Answer)]) -> States {
    let register = |(client, protocol)| (Call::Register(protocol), Answer::Handle(client));
    let mut calls: Vec<_> = (1..).zip([A, B, IGMP]).map(register).collect();
    calls.extend_from_slice(more);
    after(&calls)
}

fn join(membership: Membership) -> Callback {
    Callback::Notice(NoticeKind::Join(membership, Cause::Membership))
}

fn prune(membership: Membership, from: u32) -> Callback {
    Callback::Notice(NoticeKind::Prune(membership, at(from), Cause::Membership))
}

#[test]
fn sequential_calls_answer_as_specified() {
    let flow = scenario::flow(0, 0);
    let calls = [
        (Call::Register(A), Answer::Handle(7)),
        (Call::Register(A), refused(Outcome::AlreadyRegistered)),
        (Call::Register(IGMP), Answer::Handle(8)),
        (Call::Resolve(7), Answer::Protocol(Some(A))),
        (Call::Take(8, at(1)), OK),
        (Call::Add(8, at(1), group()), OK),
        (Call::NewFlow(flow), Answer::Outcome(Outcome::Negative)),
        (Call::Take(7, at(0)), OK),
        (Call::NewFlow(flow), Answer::Outcome(Outcome::Active)),
        (Call::Entries, Answer::Entries(vec![(flow, Some(at(0)), vec![at(1)])])),
        (Call::Memberships, Answer::Memberships(vec![(at(1), group(), IGMP)])),
        (Call::Take(7, at(1)), OK),
        (Call::Memberships, Answer::Memberships(vec![])),
        (Call::Entries, Answer::Entries(vec![(flow, Some(at(0)), vec![])])),
        (Call::OwnerOf(at(1)), Answer::Protocol(Some(A))),
        (Call::Deregister(7), refused(Outcome::StillOwns(2))),
        (Call::Release(8, at(0)), refused(Outcome::NotOwner)),
        (Call::Release(7, at(1)), OK),
        (Call::Add(7, at(1), group()), refused(Outcome::NotTaken)),
        (Call::OwnerOf(at(1)), Answer::Protocol(Some(IGMP))),
        (Call::Release(7, at(0)), OK),
        (Call::Entries, Answer::Entries(vec![])),
        (Call::Deregister(7), OK),
        (Call::Take(7, at(0)), refused(Outcome::Stale)),
    ];
    let mut states = start();
    for (n, (call, answer)) in (0_u64..).zip(calls) {
        let only = event(0, n * 10, n * 10 + 5, call, answer.clone());
        let wrong = Event { answer: refused(Outcome::TooDeep), ..only.clone() };
        assert!(end_states(&unrecorded(&[wrong]), &states).is_empty(), "a wrong answer of {call:?}");
        states = end_states(&unrecorded(&[only]), &states);
        assert_eq!(states.len(), 1, "{call:?} answers {answer:?}");
    }
}

#[test]
fn only_overlapping_calls_may_change_their_order() {
    let register = |began, ended| event(0, began, ended, Call::Register(A), Answer::Handle(1));
    let resolve = |began, ended, answer| event(1, began, ended, Call::Resolve(1), Answer::Protocol(answer));
    for answer in [None, Some(A)] {
        let window = unrecorded(&[register(0, 10), resolve(5, 15, answer)]);
        assert_eq!(end_states(&window, &start()).len(), 1, "{answer:?}");
    }
    assert!(end_states(&unrecorded(&[register(0, 10), resolve(11, 15, None)]), &start()).is_empty());
    assert!(end_states(&unrecorded(&[register(20, 30), resolve(11, 15, Some(A))]), &start()).is_empty());
}

/// Two deregistrations of one client both answer that they succeeded.
#[test]
fn an_impossible_answer_is_found_despite_overlap() {
    let window = [
        event(0, 0, 10, Call::Register(A), Answer::Handle(1)),
        event(0, 20, 50, Call::Deregister(1), OK),
        event(1, 20, 50, Call::Deregister(1), OK),
    ];
    assert!(end_states(&unrecorded(&window), &start()).is_empty());
    assert_eq!(end_states(&unrecorded(&window[..2]), &start()).len(), 1);
}

/// Two takes of a free interface both answer that it is owned.
#[test]
fn no_call_fails_because_of_one_that_fails() {
    let owned = || refused(Outcome::Owned);
    let window =
        [event(0, 10, 50, Call::Take(1, at(3)), owned()), event(1, 10, 50, Call::Take(2, at(3)), owned())];
    assert!(end_states(&unrecorded(&window), &with(&[])).is_empty());
}

#[test]
fn a_window_may_end_in_more_than_one_state() {
    let starts = with(&[(Call::Take(1, at(1)), OK)]);
    let window = [
        event(0, 0, 10, Call::Add(1, at(1), group()), OK),
        event(1, 0, 10, Call::Delete(1, at(1), group()), OK),
    ];
    let both = end_states(&unrecorded(&window), &starts);
    assert_eq!(both.len(), 2);
    let walk = event(0, 20, 30, Call::Memberships, Answer::Memberships(vec![]));
    assert_eq!(end_states(&unrecorded(&[walk]), &both).len(), 1, "a later view selects one state");
}

#[test]
fn callbacks_come_in_the_order_of_their_causes() {
    let starts = with(&[(Call::Take(1, at(1)), OK)]);
    let (add, delete) = (
        event(0, 0, 20, Call::Add(1, at(1), group()), OK),
        event(1, 10, 30, Call::Delete(1, at(1), group()), OK),
    );
    let explained = |callbacks: &[(ClientId, u64, Callback)]| {
        !end_states(&recorded(&[add.clone(), delete.clone()], callbacks), &starts).is_empty()
    };
    let (join, prune) = (join(group()), prune(group(), 1));
    assert!(explained(&[(2, 15, join), (2, 16, prune), (3, 15, join), (3, 25, prune)]));
    assert!(explained(&[(2, 15, join), (3, 15, join)]), "the deletion came first and deleted nothing");
    assert!(!explained(&[(2, 15, prune), (2, 16, join), (3, 15, join), (3, 25, prune)]), "the wrong order");
    assert!(!explained(&[(2, 15, join), (2, 16, prune), (3, 15, join)]), "a missing callback");
    assert!(!explained(&[(2, 15, join), (2, 16, prune)]), "a client without callbacks");
    let twice = [(2, 15, join), (2, 16, prune), (2, 17, join), (3, 15, join), (3, 25, prune)];
    assert!(!explained(&twice), "one callback too many");
    assert!(!explained(&[]));
}

/// Another call may come between a release's effect and its follow-up, but not one about the same membership.
#[test]
fn a_release_is_followed_up_before_its_members_are_counted() {
    let other = Membership::any_source(scenario::flow(1, 0).group()).unwrap();
    let starts =
        with(&[(Call::Take(1, at(1)), OK), (Call::Add(1, at(1), group()), OK), (Call::Take(2, at(2)), OK)]);
    let release = event(0, 0, 100, Call::Release(1, at(1)), OK);
    let seen = event(1, 10, 20, Call::OwnerOf(at(1)), Answer::Protocol(None));
    let explained = |added: Membership, callbacks: &[(ClientId, u64, Callback)]| {
        let add = event(1, 30, 40, Call::Add(2, at(2), added), OK);
        !end_states(&recorded(&[release.clone(), seen.clone(), add], callbacks), &starts).is_empty()
    };
    let gone = prune(group(), 1);
    let late = [(3, 35, join(other)), (1, 35, join(other)), (2, 50, gone), (3, 51, gone)];
    assert!(explained(other, &late));
    let swept = [(2, 35, gone), (3, 35, gone), (3, 36, join(group())), (1, 36, join(group()))];
    assert!(explained(group(), &swept));
    let unswept = [(3, 36, join(group())), (1, 36, join(group())), (2, 50, gone), (3, 50, gone)];
    assert!(!explained(group(), &unswept));
}

/// A call about a membership is refused because its interface changes owner during the call. Before that it has swept the
/// members of a release. The release's handover comes later, after that of another interface.
#[test]
fn a_refused_call_may_have_swept_dead_members() {
    let starts = with(&[
        (Call::Take(1, at(1)), OK),
        (Call::Take(3, at(1)), OK),
        (Call::Take(3, at(2)), OK),
        (Call::Add(1, at(1), group()), OK),
    ]);
    let release = event(0, 0, 100, Call::Release(1, at(1)), OK);
    let add = event(1, 5, 30, Call::Add(3, at(1), group()), refused(Outcome::ChangingHands));
    let take = event(1, 40, 50, Call::Take(2, at(2)), OK);
    let gone = prune(group(), 1);
    let (off, on) = (Callback::DisableIgmp, Callback::EnableIgmp);
    let callbacks = [
        (2, 20, gone),
        (3, 20, gone),
        (3, 45, off(at(2))),
        (3, 46, on(at(2))),
        (3, 60, off(at(1))),
        (3, 61, on(at(1))),
    ];
    let all = [release.clone(), add, take.clone()];
    assert!(!end_states(&recorded(&all, &callbacks), &starts).is_empty());
    let without = end_states(&recorded(&[release, take], &callbacks), &starts);
    assert!(without.is_empty(), "no other call swept them");
}

/// A release is followed up only after the interface was taken again. IGMP's handover for the release is over by then, and
/// the one for the take is still to come.
#[test]
fn each_change_of_owner_has_its_own_handover() {
    let starts =
        with(&[(Call::Take(3, at(1)), OK), (Call::Take(1, at(1)), OK), (Call::Add(1, at(1), group()), OK)]);
    let (release, take) =
        (event(0, 0, 20, Call::Release(1, at(1)), OK), event(1, 2, 50, Call::Take(2, at(1)), OK));
    let (off, on) = (Callback::DisableIgmp(at(1)), Callback::EnableIgmp(at(1)));
    let seen = event(0, 21, 22, Call::OwnerOf(at(1)), Answer::Protocol(Some(B)));
    let delete = |began, answer| event(0, began, began + 1, Call::Delete(3, at(1), group()), answer);
    let changing = refused(Outcome::ChangingHands);
    let explained = |delete: Event| {
        let gone = prune(group(), 1);
        let callbacks = [(2, 12, gone), (3, 12, gone), (3, 15, off), (3, 16, on), (3, 40, off), (3, 41, on)];
        let events = [release.clone(), take.clone(), seen.clone(), delete];
        !end_states(&recorded(&events, &callbacks), &starts).is_empty()
    };
    assert!(explained(delete(25, changing.clone())));
    assert!(!explained(delete(25, OK)), "IGMP was not notified of the take");
    assert!(explained(delete(45, OK)));
    assert!(!explained(delete(45, changing)), "IGMP was notified of every change");
}

#[test]
fn a_notice_may_be_dropped_once_it_is_pointless() {
    let starts = with(&[(Call::Take(1, at(1)), OK)]);
    let add = event(0, 0, 20, Call::Add(1, at(1), group()), OK);
    let leave = event(1, 5, 30, Call::Deregister(2), OK);
    let explained = |events: &[Event], callbacks: &[(ClientId, u64, Callback)]| {
        !end_states(&recorded(events, callbacks), &starts).is_empty()
    };
    let other = (3, 15, join(group()));
    assert!(explained(&[add.clone(), leave.clone()], &[other]), "client 2 has left");
    assert!(explained(&[add.clone(), leave.clone()], &[other, (2, 15, join(group()))]), "delivered before");
    assert!(!explained(&[add.clone(), leave], &[other, (2, 31, join(group()))]), "delivered after it left");
    assert!(!explained(&[add], &[other]), "client 2 has not left");
}

#[test]
fn igmp_may_call_again_between_disable_and_enable() {
    let starts = with(&[(Call::Take(3, at(1)), OK)]);
    let take = event(0, 0, 50, Call::Take(1, at(1)), OK);
    let explained = |answer: Answer, began, callbacks: &[(ClientId, u64, Callback)]| {
        let add = event(1, began, began + 5, Call::Add(3, at(1), group()), answer);
        !end_states(&recorded(&[take.clone(), add], callbacks), &starts).is_empty()
    };
    let (off, on) = ((3, 20, Callback::DisableIgmp(at(1))), (3, 30, Callback::EnableIgmp(at(1))));
    let joined = (1, 36, Callback::Notice(NoticeKind::LocalJoin(at(1), group())));
    let changing = || refused(Outcome::ChangingHands);
    assert!(explained(changing(), 10, &[off, on]));
    assert!(explained(changing(), 22, &[off, on]), "disable_igmp has begun but not returned");
    assert!(!explained(changing(), 31, &[off, on]), "enable_igmp has begun");
    assert!(explained(OK, 31, &[off, on, joined]));
    // A call on another interface proves nothing about this one.
    let elsewhere = with(&[(Call::Take(3, at(1)), OK), (Call::Take(3, at(2)), OK)]);
    let add_there = event(1, 21, 24, Call::Add(3, at(2), group()), OK);
    let add_here = event(1, 25, 28, Call::Add(3, at(1), group()), changing());
    let joined_there = join(group());
    let callbacks = [off, on, (1, 23, joined_there), (2, 23, joined_there)];
    let window = recorded(&[take.clone(), add_there, add_here], &callbacks);
    assert!(!end_states(&window, &elsewhere).is_empty());
    assert!(!explained(changing(), 10, &[off]), "enable_igmp is missing");
    assert!(!explained(changing(), 10, &[on, off]));
}

#[test]
fn a_registration_is_refused_only_when_the_limit_is_reached() {
    let one = States::from_iter([Spec::new(&ManagerConfig::default().with_clients(1))]);
    let full = |began, ended| event(1, began, ended, Call::Register(B), refused(Outcome::Full));
    let explained = |events: &[Event]| !end_states(&unrecorded(events), &one).is_empty();
    let register = event(0, 0, 20, Call::Register(A), Answer::Handle(1));
    assert!(explained(&[register.clone(), full(5, 10)]));
    assert!(!explained(&[full(5, 10)]), "no client is registered");
    let leave = event(0, 30, 40, Call::Deregister(1), OK);
    assert!(explained(&[register.clone(), leave.clone(), full(35, 50)]));
    assert!(!explained(&[register.clone(), leave, full(41, 50)]), "the client has left");
    let stalled = event(1, 5, 10, Call::Register(B), refused(Outcome::Stalled));
    assert!(!explained(&[register, stalled]), "no reader is stalled");
}

/// A walk has no instant of its own.
#[test]
fn a_walk_shows_every_client_that_is_registered_throughout() {
    let walk = |began, ended, shown: &[(ClientId, Protocol)]| {
        event(1, began, ended, Call::Clients, Answer::Clients(shown.to_vec()))
    };
    let register = event(0, 10, 20, Call::Register(A), Answer::Handle(1));
    let leave = event(0, 30, 40, Call::Deregister(1), OK);
    let other = event(2, 15, 25, Call::Register(B), Answer::Handle(2));
    let explained = |walks: &[Event]| {
        let events = [&[register.clone(), leave.clone(), other.clone()], walks].concat();
        !end_states(&unrecorded(&events), &start()).is_empty()
    };
    let (a, b) = ((1, A), (2, B));
    for shown in [&[][..], &[a], &[b], &[a, b], &[b, a]] {
        assert!(explained(&[walk(0, 50, shown)]), "{shown:?}");
    }
    assert!(explained(&[walk(26, 29, &[a, b])]) && !explained(&[walk(26, 29, &[a])]));
    assert!(!explained(&[walk(41, 50, &[a, b])]), "A has left");
    assert!(!explained(&[walk(0, 9, &[a])]), "A is not registered yet");
    assert!(!explained(&[walk(0, 50, &[a, a, b])]), "twice");
    assert!(!explained(&[walk(0, 50, &[(1, B)])]), "another protocol");
    // What one walk has shown, a later one shows as well, and so do calls.
    assert!(!explained(&[walk(11, 13, &[a]), walk(14, 18, &[])]));
    assert!(explained(&[walk(11, 13, &[a]), walk(14, 18, &[a])]));
    assert!(explained(&[walk(11, 33, &[a]), walk(34, 38, &[b])]));
    let resolve = |answer| event(1, 14, 18, Call::Resolve(1), Answer::Protocol(answer));
    assert!(explained(&[walk(11, 13, &[a]), resolve(Some(A))]));
    assert!(!explained(&[walk(11, 13, &[a]), resolve(None)]), "a handle that was shown is live");
    assert!(explained(&[walk(11, 13, &[]), resolve(None)]));
}

/// IGMP joins (s,g) on the RPF interface while a routing protocol takes it. The join ends with the take. Before that the new
/// owner may be told of it, and is then told of its end.
#[test]
fn the_rpf_owner_is_the_one_at_an_instant_within_the_call() {
    let starts = with(&[(Call::Take(3, at(0)), OK)]);
    let joined = Membership::OneSource(scenario::flow(0, 0));
    let add = |began, ended| event(1, began, ended, Call::Add(3, at(0), joined), OK);
    let take = event(0, 10, 50, Call::Take(1, at(0)), OK);
    let explained = |add: Event, callbacks: &[(ClientId, u64, Callback)]| {
        let (off, on) = ((3, 45, Callback::DisableIgmp(at(0))), (3, 46, Callback::EnableIgmp(at(0))));
        let callbacks = [callbacks, &[off, on]].concat();
        !end_states(&recorded(&[add, take.clone()], &callbacks), &starts).is_empty()
    };
    let told = [(1, 30, join(joined)), (1, 40, prune(joined, 0))];
    assert!(explained(add(5, 35), &[]) && explained(add(5, 35), &told));
    assert!(!explained(add(5, 35), &told[..1]), "the join is not taken back");
    assert!(!explained(add(5, 35), &told[1..]), "a prune of nothing");
    assert!(!explained(add(5, 8), &told), "the call had returned before the take began");
}
