//! Quiet after goodbye: no callback of a client starts after its deregistration took effect, and `deregister` returns only
//! when those that were running have ended.

mod common;

use common::hearing::{Heard, hearing};
use common::*;
use mgm::forwarding::Flow;
use mgm::handle::Handle;
use mgm::manager::{GroupManager, Protocol};
use std::hint::spin_loop;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::Duration;

const GROUP: &str = "* 239.1.1.1";

/// Whoever waits longer than this waits for ever.
const LONG: Duration = Duration::from_secs(60);

/// What a guest and whoever sees it off know of its callbacks.
#[derive(Default)]
struct Watch {
    inside: AtomicU32,
    calls: AtomicU64,
    /// It has been seen off: from now on nobody may be inside.
    gone: AtomicBool,
    late: AtomicU32,
}

impl Watch {
    /// A callback of the guest's.
    fn called(&self) {
        self.look();
        self.inside.fetch_add(1, Ordering::SeqCst);
        let calls = self.calls.fetch_add(1, Ordering::SeqCst);
        // Of many lengths, so that goodbyes meet it anywhere.
        for _ in 0..(calls * 7919) % 1500 {
            spin_loop();
        }
        if calls.is_multiple_of(16) {
            thread::yield_now();
        }
        self.inside.fetch_sub(1, Ordering::SeqCst);
        self.look();
    }

    /// It has been seen off, and those that were running have ended.
    fn is_gone(&self) {
        self.gone.store(true, Ordering::SeqCst);
        assert_eq!(self.inside.load(Ordering::SeqCst), 0, "somebody is inside after goodbye");
    }

    fn look(&self) {
        if self.gone.load(Ordering::SeqCst) {
            self.late.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// Four threads that have whoever is registered called: three by new flows, which its owners are asked about at the same
/// time, one by memberships.
struct Crowd {
    router: Router,
    /// How often each thread has been through.
    rounds: [AtomicU64; 4],
    done: AtomicBool,
}

impl Crowd {
    fn run(&self, n: usize) {
        let client = self.router.client(10 + n as u32, &[10 + n as u32]);
        let flow = Flow::new([192, 0, 2, n as u8].into(), [239, 1, 1, 1].into()).unwrap();
        while !self.done.load(Ordering::SeqCst) {
            if n == 0 {
                let own = 10 + n as u32;
                self.router.join(client, own, "* 239.1.1.2");
                self.router.leave(client, own, "* 239.1.1.2");
                self.router.manager.flush_entries();
            } else {
                // Whatever becomes of it: the guest comes and goes.
                _ = self.router.manager.new_flow(flow);
            }
            self.rounds[n].fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Waits until every call that was under way has ended.
    fn all_return(&self) {
        for rounds in &self.rounds {
            let before = rounds.load(Ordering::SeqCst);
            // The round that was under way, and so the next one's end at the latest.
            while rounds.load(Ordering::SeqCst) < before + 2 && !self.done.load(Ordering::SeqCst) {
                thread::yield_now();
            }
        }
    }
}

/// Says that it is over, however that comes about, so that nobody waits for one that has failed.
struct Finally<'a>(&'a AtomicBool);

impl Drop for Finally<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// 10,000 goodbyes, or as many as `MGM_GOODBYES` says.
#[test]
fn no_callback_runs_after_goodbye() {
    let goodbyes: u64 = std::env::var("MGM_GOODBYES").map_or(10_000, |text| text.parse().unwrap());
    let rounds = [const { AtomicU64::new(0) }; 4];
    let crowd = Crowd { router: Router::new(), rounds, done: AtomicBool::new(false) };
    let manager = &crowd.router.manager;
    let (mut met, mut called, mut guests) = (0, 0, Vec::new());
    thread::scope(|scope| {
        let _done = Finally(&crowd.done);
        for n in 0..4 {
            let crowd = &crowd;
            scope.spawn(move || crowd.run(n));
        }
        for goodbye in 0..goodbyes {
            let watch = Arc::new(Watch::default());
            let own = watch.clone();
            let guest = manager.register(Protocol::new(1, 0), hearing(move |_| own.called())).unwrap();
            manager.take(guest, v4(1)).unwrap();
            manager.take(guest, v4(2)).unwrap();
            crowd.router.join(guest, 2, GROUP);
            // So that as many as possible meet it; not for ever, on a machine that has other things to do.
            for look in 0..400 {
                if watch.inside.load(Ordering::SeqCst) > 0 {
                    break;
                }
                if look % 100 == 99 {
                    thread::yield_now();
                }
                spin_loop();
            }
            manager.release(guest, v4(1)).unwrap();
            manager.release(guest, v4(2)).unwrap();
            met += u64::from(watch.inside.load(Ordering::SeqCst) > 0);
            if goodbye % 8 == 0 {
                manager.deregister_now(guest).unwrap();
            } else {
                manager.deregister(guest).unwrap();
                watch.is_gone();
            }
            guests.push(watch);
            if goodbye % 128 == 127 || goodbye == goodbyes - 1 {
                // What was running at a `deregister_now` has ended then.
                crowd.all_return();
                guests.iter().for_each(|watch| watch.is_gone());
                crowd.all_return();
                for watch in guests.drain(..) {
                    assert_eq!(
                        watch.late.load(Ordering::SeqCst),
                        0,
                        "called after goodbye, at most {goodbye}"
                    );
                    called += watch.calls.load(Ordering::SeqCst);
                }
            }
        }
    });
    assert_eq!(manager.client_panics(), 0);
    assert!(called >= goodbyes / 4, "{called} calls are too few");
    assert!(met >= goodbyes / 50, "only {met} of {goodbyes} goodbyes met a callback");
    println!("{goodbyes} goodbyes, {met} of them during a callback; {called} callbacks");
}

/// A client whose calls wait to be let go.
struct StillOwns {
    called: Receiver<Heard>,
    go_on: Sender<()>,
    ended: Arc<AtomicU32>,
}

fn held() -> (StillOwns, Arc<dyn mgm::manager::Client>) {
    let ((call, called), (go_on, go), ended) = (channel(), channel(), Arc::<AtomicU32>::default());
    let (both, count) = (Mutex::new((call, go)), ended.clone());
    let client = hearing(move |heard| {
        let both = both.lock().unwrap();
        both.0.send(heard).unwrap();
        both.1.recv_timeout(LONG).unwrap();
        count.fetch_add(1, Ordering::SeqCst);
    });
    (StillOwns { called, go_on, ended }, client)
}

fn is_registered(manager: &GroupManager, client: Handle) -> bool {
    manager.clients().iter().any(|record| record.handle == client)
}

#[test]
fn deregister_waits_for_the_callback_that_is_running_and_drops_what_is_queued() {
    for waits in [true, false] {
        let router = Router::new();
        let (held, client) = held();
        let (guest, q) = (router.client_with(1, &[], client), router.client(3, &[3]));
        thread::scope(|scope| {
            scope.spawn(|| router.join(q, 3, GROUP));
            held.called.recv_timeout(LONG).unwrap();
            router.join(q, 3, "* 239.1.1.2");
            let goodbye = scope.spawn(|| {
                if waits {
                    router.manager.deregister(guest).unwrap();
                } else {
                    router.manager.deregister_now(guest).unwrap();
                }
                held.ended.load(Ordering::SeqCst)
            });
            // It has taken effect while the callback runs.
            while is_registered(&router.manager, guest) {
                thread::yield_now();
            }
            assert!(router.manager.deregister_now(guest).is_err(), "nobody leaves twice");
            if !waits {
                assert_eq!(goodbye.join().unwrap(), 0);
                held.go_on.send(()).unwrap();
            } else {
                assert!(!goodbye.is_finished());
                held.go_on.send(()).unwrap();
                assert_eq!(goodbye.join().unwrap(), 1, "not before the callback has ended");
            }
        });
        router.join(q, 3, "* 239.1.1.3");
        assert!(held.called.try_recv().is_err(), "nothing of what was queued, or came later");
        assert_eq!(router.manager.client_panics(), 0);
    }
}

/// Each in a callback of its own, on a thread of its own, sees the other off. Neither waits, or both would for ever.
#[test]
fn two_callbacks_that_see_each_other_off_both_return() {
    for round in 0..200_u32 {
        let (done, is_done) = channel();
        let cell = thread::spawn(move || {
            see_each_other_off(round);
            done.send(()).unwrap();
        });
        match is_done.recv_timeout(LONG) {
            Ok(()) => cell.join().unwrap(),
            Err(RecvTimeoutError::Timeout) => panic!("they wait for each other, in round {round}"),
            Err(RecvTimeoutError::Disconnected) => panic!("round {round} failed"),
        }
    }
}

fn see_each_other_off(round: u32) {
    let router = Router::new();
    let both_inside = Arc::new(Barrier::new(2));
    let handles: Arc<Mutex<Vec<Handle>>> = Arc::default();
    let calls: [Arc<AtomicU32>; 2] = Default::default();
    let clients: Vec<Handle> = (0..2_usize)
        .map(|me| {
            let (manager, handles) = (Arc::downgrade(&router.manager), handles.clone());
            let (calls, both_inside) = (calls[me].clone(), both_inside.clone());
            let client = hearing(move |heard| {
                if !matches!(heard, Heard::ReversePath(_)) {
                    return;
                }
                calls.fetch_add(1, Ordering::SeqCst);
                both_inside.wait();
                let manager = manager.upgrade().unwrap();
                let other = handles.lock().unwrap()[1 - me];
                manager.release(other, v4(2 - me as u32)).unwrap();
                if round.is_multiple_of(2) {
                    manager.deregister(other).unwrap();
                } else {
                    manager.deregister_now(other).unwrap();
                }
                assert!(!is_registered(&manager, other));
            });
            router.client_with(1 + me as u32, &[1 + me as u32], client)
        })
        .collect();
    handles.lock().unwrap().extend(clients);
    router.route("192.0.2.2", Some(v4(2)));
    thread::scope(|scope| {
        for n in 1..=2 {
            let router = &router;
            scope.spawn(move || router.new_flow(&format!("192.0.2.{n} 239.1.1.1")));
        }
    });
    assert_eq!(router.manager.client_panics(), 0);
    assert!(router.manager.clients().is_empty());
    let q = router.client(3, &[3]);
    router.join(q, 3, GROUP);
    _ = router.new_flow("192.0.2.1 239.1.1.9");
    assert_eq!(calls.map(|calls| calls.load(Ordering::SeqCst)), [1, 1]);
}
