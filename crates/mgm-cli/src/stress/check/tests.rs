//! Windows that can be explained, and windows that cannot.

use super::*;
use mgm::manager::{Cause, ManagerConfig, Membership, Protocol};

const A: Protocol = Protocol::new(1, 0);
const B: Protocol = Protocol::new(1, 1);
const IGMP: Protocol = Protocol::new(Protocol::IGMP, 0);

fn event(thread: usize, began: u64, ended: u64, call: Call, answer: Answer) -> Event {
    Event { thread, call, answer, began, ended }
}

fn at(number: u32) -> Interface {
    world::interface(number)
}

fn group() -> Membership {
    Membership::any_source(world::flow(0, 0).group()).unwrap()
}

const OK: Answer = Answer::Is(Outcome::Ok);

fn start() -> States {
    States::from_iter([Spec::new(&ManagerConfig::default())])
}

/// A window of which nobody wrote down what clients were told.
fn unheard(events: &[Event]) -> Window {
    Window { events: events.to_vec(), heard: None }
}

/// The states after calls that came one after the other, whoever was told of what.
fn after(calls: &[(Call, Answer)]) -> States {
    let event =
        |(n, (call, answer)): (u64, &(Call, Answer))| event(0, n * 10, n * 10 + 5, *call, answer.clone());
    let events: Vec<Event> = (0..).zip(calls).map(event).collect();
    let states = ends(&unheard(&events), &start());
    assert!(!states.is_empty(), "{calls:?}");
    states
}

/// A and B are registered as 1 and 2, IGMP as 3.
fn registered() -> Vec<(Call, Answer)> {
    let register = |(client, protocol)| (Call::Register(protocol), Answer::Handle(client));
    (1..).zip([A, B, IGMP]).map(register).collect()
}

fn with(more: &[(Call, Answer)]) -> States {
    let mut calls = registered();
    calls.extend_from_slice(more);
    after(&calls)
}

#[test]
fn one_thing_after_the_other_is_answered_as_the_specification_has_it() {
    let flow = world::flow(0, 0);
    let life = [
        (Call::Register(A), Answer::Handle(7)),
        (Call::Register(A), Answer::Is(Outcome::AlreadyRegistered)),
        (Call::Register(IGMP), Answer::Handle(8)),
        (Call::Resolve(7), Answer::Name(Some(A))),
        (Call::Take(8, at(1)), OK),
        (Call::Add(8, at(1), group()), OK),
        (Call::NewFlow(flow), Answer::Is(Outcome::Negative)),
        (Call::Take(7, at(0)), OK),
        (Call::NewFlow(flow), Answer::Is(Outcome::Active)),
        (Call::Entries, Answer::Entries(vec![(flow, Some(at(0)), vec![at(1)])])),
        (Call::Memberships, Answer::Memberships(vec![(at(1), group(), IGMP)])),
        (Call::Take(7, at(1)), OK),
        (Call::Memberships, Answer::Memberships(vec![])),
        (Call::Entries, Answer::Entries(vec![(flow, Some(at(0)), vec![])])),
        (Call::OwnerOf(at(1)), Answer::Name(Some(A))),
        (Call::Deregister(7), Answer::Is(Outcome::StillOwns(2))),
        (Call::Release(8, at(0)), Answer::Is(Outcome::NotOwner)),
        (Call::Release(7, at(1)), OK),
        (Call::Add(7, at(1), group()), Answer::Is(Outcome::NotTaken)),
        (Call::OwnerOf(at(1)), Answer::Name(Some(IGMP))),
        (Call::Release(7, at(0)), OK),
        (Call::Entries, Answer::Entries(vec![])),
        (Call::Deregister(7), OK),
        (Call::Take(7, at(0)), Answer::Is(Outcome::Stale)),
    ];
    let mut states = start();
    for (n, (call, answer)) in (0_u64..).zip(life) {
        let only = event(0, n * 10, n * 10 + 5, call, answer.clone());
        let wrong = Event { answer: Answer::Is(Outcome::TooDeep), ..only.clone() };
        assert!(ends(&unheard(&[wrong]), &states).is_empty(), "a wrong answer is found out: {call:?}");
        states = ends(&unheard(&[only]), &states);
        assert_eq!(states.len(), 1, "{call:?} answers {answer:?}");
    }
}

#[test]
fn what_overlaps_may_come_in_either_order_and_what_does_not_may_not() {
    let register = |began, ended| event(0, began, ended, Call::Register(A), Answer::Handle(1));
    let resolve = |began, ended, answer| event(1, began, ended, Call::Resolve(1), Answer::Name(answer));
    for answer in [None, Some(A)] {
        assert_eq!(
            ends(&unheard(&[register(0, 10), resolve(5, 15, answer)]), &start()).len(),
            1,
            "{answer:?}"
        );
    }
    assert!(ends(&unheard(&[register(0, 10), resolve(11, 15, None)]), &start()).is_empty());
    assert!(ends(&unheard(&[register(20, 30), resolve(11, 15, Some(A))]), &start()).is_empty());
}

/// Two deregistrations of one client, both of which say that they did it.
#[test]
fn what_cannot_be_is_found_however_it_overlaps() {
    let window = [
        event(0, 0, 10, Call::Register(A), Answer::Handle(1)),
        event(0, 20, 50, Call::Deregister(1), OK),
        event(1, 20, 50, Call::Deregister(1), OK),
    ];
    assert!(ends(&unheard(&window), &start()).is_empty());
    assert_eq!(ends(&unheard(&window[..2]), &start()).len(), 1);
}

/// A take that failed because of one that failed itself.
#[test]
fn no_call_fails_because_of_one_that_fails() {
    let owned = || Answer::Is(Outcome::Owned);
    let window =
        [event(0, 10, 50, Call::Take(1, at(3)), owned()), event(1, 10, 50, Call::Take(2, at(3)), owned())];
    assert!(ends(&unheard(&window), &with(&[])).is_empty());
}

#[test]
fn a_window_may_end_in_more_than_one_state() {
    let begun = with(&[(Call::Take(1, at(1)), OK)]);
    let window = [
        event(0, 0, 10, Call::Add(1, at(1), group()), OK),
        event(1, 0, 10, Call::Delete(1, at(1), group()), OK),
    ];
    let both = ends(&unheard(&window), &begun);
    assert_eq!(both.len(), 2);
    let walk = event(0, 20, 30, Call::Memberships, Answer::Memberships(vec![]));
    assert_eq!(ends(&unheard(&[walk]), &both).len(), 1, "what is seen later says which it was");
}

/// A window of which everything was written down.
fn heard(events: &[Event], heard: &[(ClientId, u64, Sound)]) -> Window {
    let mut all: BTreeMap<ClientId, Vec<Heard>> = BTreeMap::new();
    for (client, at, sound) in heard {
        all.entry(*client).or_default().push(Heard { at: *at, sound: *sound });
    }
    Window { events: events.to_vec(), heard: Some(all) }
}

fn join(what: Membership) -> Sound {
    Sound::Told(Told::Join(what, Cause::Membership))
}

fn prune(what: Membership, from: u32) -> Sound {
    Sound::Told(Told::Prune(what, at(from), Cause::Membership))
}

#[test]
fn clients_are_told_what_follows_and_in_the_order_of_what_it_follows_from() {
    let begun = with(&[(Call::Take(1, at(1)), OK)]);
    let (add, delete) = (
        event(0, 0, 20, Call::Add(1, at(1), group()), OK),
        event(1, 10, 30, Call::Delete(1, at(1), group()), OK),
    );
    let told = |sounds: &[(ClientId, u64, Sound)]| {
        !ends(&heard(&[add.clone(), delete.clone()], sounds), &begun).is_empty()
    };
    let (came, went) = (join(group()), prune(group(), 1));
    assert!(told(&[(2, 15, came), (2, 16, went), (3, 15, came), (3, 25, went)]));
    assert!(told(&[(2, 15, came), (3, 15, came)]), "the deletion came first and had nothing to delete");
    assert!(!told(&[(2, 15, went), (2, 16, came), (3, 15, came), (3, 25, went)]), "in the wrong order");
    assert!(!told(&[(2, 15, came), (2, 16, went), (3, 15, came)]), "one client was told less");
    assert!(!told(&[(2, 15, came), (2, 16, went)]), "and one nothing");
    assert!(!told(&[(2, 15, came), (2, 16, went), (2, 17, came), (3, 15, came), (3, 25, went)]), "too much");
    assert!(!told(&[]));
}

/// Between a release's effect and what follows another call may come; but not one about the same membership.
#[test]
fn what_follows_a_release_comes_late_but_not_too_late() {
    let other = Membership::any_source(world::flow(1, 0).group()).unwrap();
    let begun =
        with(&[(Call::Take(1, at(1)), OK), (Call::Add(1, at(1), group()), OK), (Call::Take(2, at(2)), OK)]);
    let release = event(0, 0, 100, Call::Release(1, at(1)), OK);
    let seen = event(1, 10, 20, Call::OwnerOf(at(1)), Answer::Name(None));
    let told = |added: Membership, sounds: &[(ClientId, u64, Sound)]| {
        let add = event(1, 30, 40, Call::Add(2, at(2), added), OK);
        !ends(&heard(&[release.clone(), seen.clone(), add], sounds), &begun).is_empty()
    };
    let gone = prune(group(), 1);
    let late = [(3, 35, join(other)), (1, 35, join(other)), (2, 50, gone), (3, 51, gone)];
    assert!(told(other, &late));
    let settled = [(2, 35, gone), (3, 35, gone), (3, 36, join(group())), (1, 36, join(group()))];
    assert!(told(group(), &settled));
    let unsettled = [(3, 36, join(group())), (1, 36, join(group())), (2, 50, gone), (3, 50, gone)];
    assert!(!told(group(), &unsettled));
}

/// A membership call was refused because its interface changed hands in the middle of it; before that it had the others told of
/// a release. Its switch of IGMP comes later, behind that of another interface.
#[test]
fn who_is_refused_late_may_have_told_what_was_to_be_told() {
    let begun = with(&[
        (Call::Take(1, at(1)), OK),
        (Call::Take(3, at(1)), OK),
        (Call::Take(3, at(2)), OK),
        (Call::Add(1, at(1), group()), OK),
    ]);
    let release = event(0, 0, 100, Call::Release(1, at(1)), OK);
    let refused = event(1, 5, 30, Call::Add(3, at(1), group()), Answer::Is(Outcome::ChangingHands));
    let take = event(1, 40, 50, Call::Take(2, at(2)), OK);
    let gone = prune(group(), 1);
    let (off, on) = (Sound::Off, Sound::On);
    let sounds = [
        (2, 20, gone),
        (3, 20, gone),
        (3, 45, off(at(2))),
        (3, 46, on(at(2))),
        (3, 60, off(at(1))),
        (3, 61, on(at(1))),
    ];
    let all = [release, refused, take];
    assert!(!ends(&heard(&all, &sounds), &begun).is_empty());
    assert!(
        ends(&heard(&[all[0].clone(), all[2].clone()], &sounds), &begun).is_empty(),
        "nobody else came by"
    );
}

/// A release is followed only after the interface was taken again. IGMP has been switched off and on for the release then, and
/// still has to hear of the taking.
#[test]
fn each_change_of_hands_has_a_switch_of_its_own() {
    let begun =
        with(&[(Call::Take(3, at(1)), OK), (Call::Take(1, at(1)), OK), (Call::Add(1, at(1), group()), OK)]);
    let (release, take) =
        (event(0, 0, 20, Call::Release(1, at(1)), OK), event(1, 2, 50, Call::Take(2, at(1)), OK));
    let (off, on) = (Sound::Off(at(1)), Sound::On(at(1)));
    let seen = event(0, 21, 22, Call::OwnerOf(at(1)), Answer::Name(Some(B)));
    let delete = |began, answer| event(0, began, began + 1, Call::Delete(3, at(1), group()), answer);
    let refused = Answer::Is(Outcome::ChangingHands);
    let told = |delete: Event| {
        let gone = prune(group(), 1);
        let sounds = [(2, 12, gone), (3, 12, gone), (3, 15, off), (3, 16, on), (3, 40, off), (3, 41, on)];
        !ends(&heard(&[release.clone(), take.clone(), seen.clone(), delete], &sounds), &begun).is_empty()
    };
    assert!(told(delete(25, refused.clone())));
    assert!(!told(delete(25, OK)), "it has not heard of the taking");
    assert!(told(delete(45, OK)));
    assert!(!told(delete(45, refused)), "it has heard of everything");
}

#[test]
fn nobody_need_be_told_what_was_pointless_before_it_could_be_told() {
    let begun = with(&[(Call::Take(1, at(1)), OK)]);
    let add = event(0, 0, 20, Call::Add(1, at(1), group()), OK);
    let leave = event(1, 5, 30, Call::Deregister(2), OK);
    let told = |events: &[Event], sounds: &[(ClientId, u64, Sound)]| {
        !ends(&heard(events, sounds), &begun).is_empty()
    };
    let other = (3, 15, join(group()));
    assert!(told(&[add.clone(), leave.clone()], &[other]), "client 2 has left");
    assert!(told(&[add.clone(), leave.clone()], &[other, (2, 15, join(group()))]), "or was told before");
    assert!(!told(&[add.clone(), leave], &[other, (2, 31, join(group()))]), "but not after it had left");
    assert!(!told(&[add], &[other]), "client 2 has not left");
}

#[test]
fn igmp_is_switched_off_and_on_and_may_speak_again_in_between() {
    let begun = with(&[(Call::Take(3, at(1)), OK)]);
    let take = event(0, 0, 50, Call::Take(1, at(1)), OK);
    let window = |answer: Answer, began, sounds: &[(ClientId, u64, Sound)]| {
        let add = event(1, began, began + 5, Call::Add(3, at(1), group()), answer);
        !ends(&heard(&[take.clone(), add], sounds), &begun).is_empty()
    };
    let (off, on) = ((3, 20, Sound::Off(at(1))), (3, 30, Sound::On(at(1))));
    let joined = (1, 36, Sound::Told(Told::LocalJoin(at(1), group())));
    let refused = || Answer::Is(Outcome::ChangingHands);
    assert!(window(refused(), 10, &[off, on]));
    assert!(window(refused(), 22, &[off, on]), "it has heard of it, but not yet returned");
    assert!(!window(refused(), 31, &[off, on]), "it is on again");
    assert!(window(OK, 31, &[off, on, joined]));
    // What it does on another interface says nothing of this one.
    let elsewhere = with(&[(Call::Take(3, at(1)), OK), (Call::Take(3, at(2)), OK)]);
    let add = event(1, 21, 24, Call::Add(3, at(2), group()), OK);
    let add_here = event(1, 25, 28, Call::Add(3, at(1), group()), refused());
    let joined_there = join(group());
    let told =
        heard(&[take.clone(), add, add_here], &[off, on, (1, 23, joined_there), (2, 23, joined_there)]);
    assert!(!ends(&told, &elsewhere).is_empty());
    assert!(!window(refused(), 10, &[off]), "it has to be switched on again");
    assert!(!window(refused(), 10, &[on, off]));
}
