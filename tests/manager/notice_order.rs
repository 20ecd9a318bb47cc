//! Notices arrive in the order of the changes that they report, whichever threads cause them: receivers
//! appear before they disappear, and IGMP is disabled before it is enabled.

use crate::support::callback_client::{Callback, callback_client};
use crate::support::router::*;
use mgm::handle::Handle;
use mgm::manager::{Cause, Client, MembershipError, StateChange};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

const GROUP: &str = "* 239.1.1.1";
const FLOW: &str = "192.0.2.7 239.1.1.1";
const ROUNDS: u32 = 3000;

/// A state with a begin and an end that alternate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    /// Receivers of a group: the first appears (true), the last disappears (false).
    Members,
    /// The outgoing interfaces of an entry.
    Entry,
    /// IGMP's memberships on a shared interface.
    Local,
    /// IGMP on an interface: disabled (true), then enabled (false).
    Handover(u32),
}

/// Checks that begin and end of each subject alternate.
#[derive(Default)]
struct Alternation {
    last: Mutex<BTreeMap<Subject, bool>>,
    calls: AtomicU32,
    out_of_order: Mutex<Vec<Callback>>,
}

impl Alternation {
    fn client(self: &Arc<Self>) -> Arc<dyn Client> {
        let alternation = self.clone();
        callback_client(move |callback| {
            let (subject, begins) = match callback {
                Callback::Join(alert) => (of(alert.cause()), true),
                Callback::Prune(alert) => (of(alert.cause()), false),
                Callback::LocalJoin(..) => (Subject::Local, true),
                Callback::LocalLeave(..) => (Subject::Local, false),
                Callback::Disable(at) => (Subject::Handover(at.index()), true),
                Callback::Enable(at) => (Subject::Handover(at.index()), false),
                _ => return,
            };
            alternation.calls.fetch_add(1, Ordering::SeqCst);
            // The first callback of a subject has to be a begin.
            if alternation.last.lock().unwrap().insert(subject, begins).unwrap_or(false) == begins {
                alternation.out_of_order.lock().unwrap().push(callback);
            }
        })
    }

    fn now(&self, subject: Subject) -> bool {
        self.last.lock().unwrap().get(&subject).copied().unwrap_or(false)
    }

    fn check(&self) {
        assert_eq!(*self.out_of_order.lock().unwrap(), []);
        assert!(
            self.calls.load(Ordering::SeqCst) > ROUNDS / 8,
            "{} calls",
            self.calls.load(Ordering::SeqCst)
        );
    }
}

fn of(cause: Cause) -> Subject {
    match cause {
        Cause::Membership => Subject::Members,
        Cause::Entry => Subject::Entry,
    }
}

/// Three clients join and leave a group at the same time. Another client is alerted about the first to join
/// and the last to leave; the owner of the flow's incoming interface about the entry, too.
#[test]
fn receivers_appear_before_they_disappear() {
    let router = Router::new();
    let (watched, owner) = (Arc::<Alternation>::default(), Arc::<Alternation>::default());
    router.client_with(1, &[1], owner.client());
    router.client_with(2, &[], watched.client());
    // The entry is created with receivers, so that the first alert about it is a prune.
    let first = router.client(3, &[3]);
    router.join(first, 3, FLOW);
    router.new_flow(FLOW).unwrap();
    router.leave(first, 3, FLOW);
    owner.last.lock().unwrap().clear();
    owner.out_of_order.lock().unwrap().clear();
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
    assert!(!watched.now(Subject::Members) && !owner.now(Subject::Members) && !owner.now(Subject::Entry));
    assert_eq!(router.memberships(), 0);
}

/// Two routing protocols take and release interfaces of IGMP while IGMP adds and deletes memberships there.
#[test]
fn igmp_is_disabled_before_enabled_and_joins_before_leaves() {
    let router = Router::new();
    let (handovers, local) = (Arc::<Alternation>::default(), Arc::<Alternation>::default());
    router.client_with(1, &[7], local.client());
    let igmp = router.igmp_with(&[5, 6, 7], handovers.client());
    let ownership_changes = AtomicU32::new(0);
    thread::scope(|scope| {
        for n in 2..4 {
            let (router, ownership_changes) = (&router, &ownership_changes);
            scope.spawn(move || {
                let client: Handle = router.client(n, &[]);
                for round in 0..ROUNDS {
                    let at = v4(5 + (round + n) % 2);
                    if router.manager.take(client, at).is_ok() {
                        router.manager.release(client, at).unwrap();
                        ownership_changes.fetch_add(2, Ordering::SeqCst);
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
    handovers.check();
    local.check();
    assert!(
        !local.now(Subject::Local)
            && !handovers.now(Subject::Handover(5))
            && !handovers.now(Subject::Handover(6))
    );
    let handover_calls = handovers.calls.load(Ordering::SeqCst);
    assert_eq!(handover_calls, 2 * ownership_changes.load(Ordering::SeqCst), "one pair for each change");
    for at in [5, 6, 7] {
        router.join(igmp, at, GROUP);
    }
}
