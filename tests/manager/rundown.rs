//! Run-down: no callback of a client starts after its deregistration took effect, and `deregister` returns
//! only when the callbacks that were running have ended.

use crate::support::SetOnDrop;
use crate::support::callback_client::{Callback, callback_client};
use crate::support::router::*;
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

/// Limits the waiting of tests that fail; no test measures time against it.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Counters shared by a client that comes and goes (the guest) and the thread that deregisters it.
#[derive(Default)]
struct Watch {
    inside: AtomicU32,
    calls: AtomicU64,
    /// The guest is deregistered: no callback may be running.
    gone: AtomicBool,
    late: AtomicU32,
}

impl Watch {
    /// Runs as a callback of the guest.
    fn called(&self) {
        self.count_if_late();
        self.inside.fetch_add(1, Ordering::SeqCst);
        let calls = self.calls.fetch_add(1, Ordering::SeqCst);
        // Callbacks differ in length, so that deregistrations meet them at every point.
        for _ in 0..(calls * 7919) % 1500 {
            spin_loop();
        }
        if calls.is_multiple_of(16) {
            thread::yield_now();
        }
        self.inside.fetch_sub(1, Ordering::SeqCst);
        self.count_if_late();
    }

    /// Records that the guest is deregistered and that its running callbacks have ended.
    fn set_gone(&self) {
        self.gone.store(true, Ordering::SeqCst);
        assert_eq!(self.inside.load(Ordering::SeqCst), 0, "a callback is running after deregister returned");
    }

    fn count_if_late(&self) {
        if self.gone.load(Ordering::SeqCst) {
            self.late.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// Four threads that cause callbacks of registered clients: three by new flows, about which several owners
/// are asked at the same time, one by memberships.
struct Callers {
    router: Router,
    /// The number of rounds that each thread has completed.
    rounds: [AtomicU64; 4],
    done: AtomicBool,
}

impl Callers {
    fn run(&self, n: usize) {
        // A caller that panics makes no more rounds: the others must not wait for them.
        let _done = SetOnDrop(&self.done);
        let client = self.router.client(10 + n as u32, &[10 + n as u32]);
        let flow = Flow::new([192, 0, 2, n as u8].into(), [239, 1, 1, 1].into()).unwrap();
        while !self.done.load(Ordering::SeqCst) {
            if n == 0 {
                let own = 10 + n as u32;
                self.router.join(client, own, "* 239.1.1.2");
                self.router.leave(client, own, "* 239.1.1.2");
                self.router.manager.flush_entries();
            } else {
                // Any outcome is fine: the guest comes and goes.
                _ = self.router.manager.new_flow(flow);
            }
            self.rounds[n].fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Blocks until every call that was running has ended.
    fn wait_for_running_calls(&self) {
        for rounds in &self.rounds {
            let before = rounds.load(Ordering::SeqCst);
            // The round that was running has ended when the next one has.
            while rounds.load(Ordering::SeqCst) < before + 2 && !self.done.load(Ordering::SeqCst) {
                thread::yield_now();
            }
        }
    }
}

/// Deregisters 2,000 times, or as many as `MGM_DEREGISTRATIONS` says.
#[test]
fn no_callback_runs_after_deregister() {
    let deregistrations: u64 =
        std::env::var("MGM_DEREGISTRATIONS").map_or(2_000, |text| text.parse().unwrap());
    let rounds = [const { AtomicU64::new(0) }; 4];
    let callers = Callers { router: Router::new(), rounds, done: AtomicBool::new(false) };
    let manager = &callers.router.manager;
    let (mut met, mut called, mut guests) = (0, 0, Vec::new());
    thread::scope(|scope| {
        let _done = SetOnDrop(&callers.done);
        for n in 0..4 {
            let callers = &callers;
            scope.spawn(move || callers.run(n));
        }
        for deregistration in 0..deregistrations {
            let watch = Arc::new(Watch::default());
            let own = watch.clone();
            let guest =
                manager.register(Protocol::new(1, 0), callback_client(move |_| own.called())).unwrap();
            manager.take(guest, v4(1)).unwrap();
            manager.take(guest, v4(2)).unwrap();
            callers.router.join(guest, 2, GROUP);
            // Waits a bounded time for a running callback, so that many deregistrations meet one.
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
            if deregistration % 8 == 0 {
                manager.deregister_now(guest).unwrap();
            } else {
                manager.deregister(guest).unwrap();
                watch.set_gone();
            }
            guests.push(watch);
            if deregistration % 128 == 127 || deregistration == deregistrations - 1 {
                // The calls that were running at a `deregister_now` end here.
                callers.wait_for_running_calls();
                guests.iter().for_each(|watch| watch.set_gone());
                callers.wait_for_running_calls();
                for watch in guests.drain(..) {
                    assert_eq!(
                        watch.late.load(Ordering::SeqCst),
                        0,
                        "called after deregister, at most {deregistration}"
                    );
                    called += watch.calls.load(Ordering::SeqCst);
                }
            }
        }
    });
    assert_eq!(manager.client_panics(), 0);
    assert!(called >= deregistrations / 4, "{called} calls are too few");
    assert!(met >= deregistrations / 50, "only {met} of {deregistrations} deregistrations met a callback");
    println!("{deregistrations} deregistrations, {met} of them during a callback; {called} callbacks");
}

/// A client with callbacks that wait for permission to return.
struct Blocking {
    called: Receiver<Callback>,
    let_return: Sender<()>,
    ended: Arc<AtomicU32>,
}

fn blocking_client() -> (Blocking, Arc<dyn mgm::manager::Client>) {
    let ((call, called), (let_return, go), ended) = (channel(), channel(), Arc::<AtomicU32>::default());
    let (both, count) = (Mutex::new((call, go)), ended.clone());
    let client = callback_client(move |callback| {
        let both = both.lock().unwrap();
        both.0.send(callback).unwrap();
        both.1.recv_timeout(TIMEOUT).unwrap();
        count.fetch_add(1, Ordering::SeqCst);
    });
    (Blocking { called, let_return, ended }, client)
}

fn is_registered(manager: &GroupManager, client: Handle) -> bool {
    manager.clients().iter().any(|record| record.handle == client)
}

#[test]
fn deregister_waits_for_the_running_callback_and_drops_the_rest() {
    for waits in [true, false] {
        let router = Router::new();
        let (blocking, client) = blocking_client();
        let (guest, q) = (router.client_with(1, &[], client), router.client(3, &[3]));
        thread::scope(|scope| {
            scope.spawn(|| router.join(q, 3, GROUP));
            blocking.called.recv_timeout(TIMEOUT).unwrap();
            router.join(q, 3, "* 239.1.1.2");
            let deregistration = scope.spawn(|| {
                if waits {
                    router.manager.deregister(guest).unwrap();
                } else {
                    router.manager.deregister_now(guest).unwrap();
                }
                blocking.ended.load(Ordering::SeqCst)
            });
            // The deregistration takes effect while the callback runs.
            while is_registered(&router.manager, guest) {
                thread::yield_now();
            }
            assert!(router.manager.deregister_now(guest).is_err(), "a client cannot deregister twice");
            if !waits {
                assert_eq!(deregistration.join().unwrap(), 0);
                blocking.let_return.send(()).unwrap();
            } else {
                assert!(!deregistration.is_finished());
                blocking.let_return.send(()).unwrap();
                assert_eq!(deregistration.join().unwrap(), 1, "not before the callback has ended");
            }
        });
        router.join(q, 3, "* 239.1.1.3");
        assert!(blocking.called.try_recv().is_err(), "neither queued nor later notices are delivered");
        assert_eq!(router.manager.client_panics(), 0);
    }
}

/// Two callbacks on two threads deregister each other's client. Neither may wait, or both would wait for
/// ever.
#[test]
fn two_callbacks_that_deregister_each_other_both_return() {
    for round in 0..200_u32 {
        let (done, is_done) = channel();
        let thread = thread::spawn(move || {
            deregister_each_other(round);
            done.send(()).unwrap();
        });
        match is_done.recv_timeout(TIMEOUT) {
            Ok(()) => thread.join().unwrap(),
            Err(RecvTimeoutError::Timeout) => panic!("they wait for each other, in round {round}"),
            Err(RecvTimeoutError::Disconnected) => panic!("round {round} failed"),
        }
    }
}

fn deregister_each_other(round: u32) {
    let router = Router::new();
    let both_inside = Arc::new(Barrier::new(2));
    let handles: Arc<Mutex<Vec<Handle>>> = Arc::default();
    let calls: [Arc<AtomicU32>; 2] = Default::default();
    let clients: Vec<Handle> = (0..2_usize)
        .map(|index| {
            let (manager, handles) = (Arc::downgrade(&router.manager), handles.clone());
            let (calls, both_inside) = (calls[index].clone(), both_inside.clone());
            let client = callback_client(move |callback| {
                if !matches!(callback, Callback::ReversePath(_)) {
                    return;
                }
                calls.fetch_add(1, Ordering::SeqCst);
                both_inside.wait();
                let manager = manager.upgrade().unwrap();
                let other = handles.lock().unwrap()[1 - index];
                manager.release(other, v4(2 - index as u32)).unwrap();
                if round.is_multiple_of(2) {
                    manager.deregister(other).unwrap();
                } else {
                    manager.deregister_now(other).unwrap();
                }
                assert!(!is_registered(&manager, other));
            });
            router.client_with(1 + index as u32, &[1 + index as u32], client)
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
