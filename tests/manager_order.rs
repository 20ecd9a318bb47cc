//! Notices come in the order of what they tell of, whichever threads do it: receivers appear before they go, and IGMP is
//! switched off before it is switched on.

mod common;

use common::hearing::{Heard, hearing};
use common::*;
use mgm::handle::Handle;
use mgm::manager::{Cause, Client, MembershipError, StateChange};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

const GROUP: &str = "* 239.1.1.1";
const FLOW: &str = "192.0.2.7 239.1.1.1";
const ROUNDS: u32 = 3000;

/// What takes turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    /// Receivers of a group, as (true) they come and (false) they go.
    Members,
    /// Outgoing interfaces of an entry.
    Entry,
    /// Those of IGMP's on a shared interface.
    Local,
    /// IGMP on an interface: off (true), and on again.
    Switch(u32),
}

/// Checks that everything takes turns.
#[derive(Default)]
struct Turns {
    last: Mutex<BTreeMap<Turn, bool>>,
    calls: AtomicU32,
    out_of_turn: Mutex<Vec<Heard>>,
}

impl Turns {
    fn client(self: &Arc<Self>) -> Arc<dyn Client> {
        let turns = self.clone();
        hearing(move |heard| {
            let (turn, begins) = match heard {
                Heard::Join(alert) => (of(alert.cause()), true),
                Heard::Prune(alert) => (of(alert.cause()), false),
                Heard::LocalJoin(..) => (Turn::Local, true),
                Heard::LocalLeave(..) => (Turn::Local, false),
                Heard::Disable(at) => (Turn::Switch(at.index()), true),
                Heard::Enable(at) => (Turn::Switch(at.index()), false),
                _ => return,
            };
            turns.calls.fetch_add(1, Ordering::SeqCst);
            // Whatever it was before that, it begins first.
            if turns.last.lock().unwrap().insert(turn, begins).unwrap_or(false) == begins {
                turns.out_of_turn.lock().unwrap().push(heard);
            }
        })
    }

    fn now(&self, turn: Turn) -> bool {
        self.last.lock().unwrap().get(&turn).copied().unwrap_or(false)
    }

    fn check(&self) {
        assert_eq!(*self.out_of_turn.lock().unwrap(), []);
        assert!(
            self.calls.load(Ordering::SeqCst) > ROUNDS / 8,
            "{} calls",
            self.calls.load(Ordering::SeqCst)
        );
    }
}

fn of(cause: Cause) -> Turn {
    match cause {
        Cause::Membership => Turn::Members,
        Cause::Entry => Turn::Entry,
    }
}

/// Three clients join and leave a group at once. Somebody else hears of the first to come and of the last to go; the owner
/// of the flow's incoming interface of the entry's, too.
#[test]
fn receivers_appear_before_they_go() {
    let router = Router::new();
    let (watched, owner) = (Arc::<Turns>::default(), Arc::<Turns>::default());
    router.client_with(1, &[1], owner.client());
    router.client_with(2, &[], watched.client());
    // Made with receivers, so that the first thing to hear of the entry is that it has none.
    let first = router.client(3, &[3]);
    router.join(first, 3, FLOW);
    router.new_flow(FLOW).unwrap();
    router.leave(first, 3, FLOW);
    owner.last.lock().unwrap().clear();
    owner.out_of_turn.lock().unwrap().clear();
    thread::scope(|scope| {
        for n in 4..7 {
            let router = &router;
            scope.spawn(move || {
                let client = router.client(n, &[n]);
                for round in 0..ROUNDS {
                    router.join(client, n, GROUP);
                    if round % 16 == 0 {
                        router.manager.release(client, v4(n)).unwrap();
                        router.manager.take(client, v4(n)).unwrap();
                    } else {
                        router.leave(client, n, GROUP);
                    }
                }
            });
        }
    });
    watched.check();
    owner.check();
    assert!(!watched.now(Turn::Members) && !owner.now(Turn::Members) && !owner.now(Turn::Entry));
    assert_eq!(router.memberships(), 0);
}

/// Two routing protocols take and release interfaces that IGMP is on, and IGMP adds and deletes there.
#[test]
fn igmp_is_switched_off_before_it_is_switched_on_and_joins_before_it_leaves() {
    let router = Router::new();
    let (igmp_turns, local) = (Arc::<Turns>::default(), Arc::<Turns>::default());
    router.client_with(1, &[7], local.client());
    let igmp = router.igmp_with(&[5, 6, 7], igmp_turns.client());
    let changed = AtomicU32::new(0);
    thread::scope(|scope| {
        for n in 2..4 {
            let (router, changed) = (&router, &changed);
            scope.spawn(move || {
                let client: Handle = router.client(n, &[]);
                for round in 0..ROUNDS {
                    let at = v4(5 + (round + n) % 2);
                    if router.manager.take(client, at).is_ok() {
                        router.manager.release(client, at).unwrap();
                        changed.fetch_add(2, Ordering::SeqCst);
                    }
                }
            });
        }
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..ROUNDS {
                    router.join(igmp, 7, GROUP);
                    router.leave(igmp, 7, GROUP);
                    for at in [5, 6] {
                        let added = router.add(igmp, at, GROUP, StateChange::Join);
                        let refused = Err(MembershipError::ChangingHands(v4(at)));
                        assert!(added == Ok(()) || added == refused, "{added:?}");
                    }
                }
            });
        }
    });
    igmp_turns.check();
    local.check();
    assert!(!local.now(Turn::Local) && !igmp_turns.now(Turn::Switch(5)) && !igmp_turns.now(Turn::Switch(6)));
    let switched = igmp_turns.calls.load(Ordering::SeqCst);
    assert_eq!(switched, 2 * changed.load(Ordering::SeqCst), "a pair for each change");
    for at in [5, 6, 7] {
        router.join(igmp, at, GROUP);
    }
}
