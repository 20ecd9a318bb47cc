//! Real threads on one manager, in short windows between which all of them rest.
//!
//! A batch is a number of windows that some of the threads run together, as many as there are processors, so that they do
//! overlap; which threads, changes from batch to batch. Each thread keeps what it called and when in a list of its own: a log
//! that threads share would order them, and hide what goes wrong between them.

use super::Universe;
use super::calls::{Answer, Call, world};
use super::check::{Event, Window};
use super::listener::{self, Listener};
use mgm::forwarding::Flow;
use mgm::manager::{GroupManager, Interface, Membership};
use parking_lot::{Condvar, Mutex, MutexGuard};
use rand::distr::{Distribution, weighted::WeightedIndex};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

/// How many calls each thread makes in a window.
const CALLS: usize = 6;
/// How many windows a batch has.
const WINDOWS: usize = 64;

/// What the threads share.
pub(crate) struct Arena<'u> {
    universe: &'u Universe,
    manager: GroupManager,
    /// The handle registered last under each name, IGMP's at the end.
    handles: Vec<AtomicU64>,
    /// Who is registered, or was in this batch. Only between batches.
    listeners: Mutex<Vec<Arc<Listener>>>,
    began: Instant,
    /// How many threads run a batch together.
    together: usize,
    turn: Mutex<Turn>,
    changed: Condvar,
    /// How often a thread of the batch has come to the start of a window.
    arrived: AtomicUsize,
    /// A thread has panicked: nobody waits for it.
    failed: AtomicBool,
}

/// Tells the others when a thread ends, however it does.
struct Leave<'a, 'u>(&'a Arena<'u>);

impl Drop for Leave<'_, '_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.failed.store(true, Ordering::SeqCst);
            self.0.end();
        }
    }
}

#[derive(Default)]
struct Turn {
    batch: u64,
    /// How many threads have not ended the batch.
    at_work: usize,
    events: Vec<(usize, Event)>,
    registered: Vec<Arc<Listener>>,
    over: bool,
}

/// A call that a thread is about to make, but for the handle, which is whatever the name has by then.
struct Plan {
    kind: usize,
    /// Whose: the number of a routing protocol, or of IGMP behind them.
    who: u32,
    interface: Interface,
    what: Membership,
    flow: Flow,
    /// How many looks later.
    pause: u32,
}

impl<'u> Arena<'u> {
    pub(crate) fn new(universe: &'u Universe, manager: GroupManager) -> Arena<'u> {
        let processors = thread::available_parallelism().map_or(2, usize::from);
        Arena {
            universe,
            manager,
            handles: (0..=universe.clients).map(|_| AtomicU64::new(0)).collect(),
            listeners: Mutex::default(),
            began: Instant::now(),
            together: universe.threads.min(processors.clamp(2, 4)),
            turn: Mutex::default(),
            changed: Condvar::new(),
            arrived: AtomicUsize::new(0),
            failed: AtomicBool::new(false),
        }
    }

    pub(crate) fn manager(&self) -> &GroupManager {
        &self.manager
    }

    fn turn(&self) -> MutexGuard<'_, Turn> {
        self.turn.lock()
    }

    /// Has the next threads run a batch: the windows it had.
    pub(crate) fn batch(&self) -> Vec<Window> {
        self.arrived.store(0, Ordering::Relaxed);
        let mut turn = self.turn();
        turn.batch += 1;
        turn.at_work = self.together;
        self.changed.notify_all();
        while turn.at_work > 0 && !self.failed() {
            self.changed.wait(&mut turn);
        }
        let heard = self.universe.listen.then(BTreeMap::new);
        let empty = || Window { events: Vec::with_capacity(CALLS * self.together), heard: heard.clone() };
        let mut windows: Vec<Window> = (0..WINDOWS).map(|_| empty()).collect();
        for (window, event) in turn.events.drain(..) {
            windows[window].events.push(event);
        }
        if self.universe.listen {
            self.collect(&mut turn.registered, &mut windows);
        }
        turn.registered.clear();
        windows
    }

    /// What clients were told in the batch goes to its windows.
    fn collect(&self, registered: &mut Vec<Arc<Listener>>, windows: &mut [Window]) {
        let mut listeners = self.listeners.lock();
        listeners.append(registered);
        listeners.retain(|listener| {
            let Some(handle) = listener.handle() else { return false };
            for (window, heard) in listener.take() {
                let all = windows[window].heard.get_or_insert_default();
                all.entry(handle.bits()).or_default().push(heard);
            }
            self.manager.protocol_of(handle).is_some()
        });
    }

    /// Whether a thread has panicked.
    pub(crate) fn failed(&self) -> bool {
        self.failed.load(Ordering::SeqCst)
    }

    /// Sends the threads home.
    pub(crate) fn end(&self) {
        self.turn().over = true;
        self.changed.notify_all();
    }

    /// Whether it is this thread's turn.
    fn chosen(&self, thread: usize, batch: u64) -> bool {
        let threads = self.universe.threads;
        let first = (batch as usize * self.together) % threads;
        (thread + threads - first) % threads < self.together
    }

    /// What thread number `thread` begins with.
    pub(crate) fn seed(&self, thread: usize) -> u64 {
        self.universe.seed.wrapping_add((thread as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    /// What thread number `thread` does.
    pub(crate) fn work(&self, thread: usize) {
        let mut dice = SmallRng::seed_from_u64(self.seed(thread));
        let _leave = Leave(self);
        // Each on a processor of its own: two that are woken together would else often be put on one, and no batch is long
        // enough for that to be noticed. Where it cannot be, they run as they are put.
        let processors = core_affinity::get_core_ids().unwrap_or_default();
        if !processors.is_empty() {
            core_affinity::set_for_current(processors[thread % processors.len()]);
        }
        let mut done = 0;
        loop {
            let batch = {
                let mut turn = self.turn();
                while !turn.over && (turn.batch == done || !self.chosen(thread, turn.batch)) {
                    done = turn.batch;
                    self.changed.wait(&mut turn);
                }
                if turn.over {
                    return;
                }
                turn.batch
            };
            done = batch;
            let mut events = Vec::with_capacity(WINDOWS * CALLS);
            let mut registered = Vec::new();
            for window in 0..WINDOWS {
                // Drawn before the window begins, so that in it there is nothing but calls.
                let plans: [Plan; CALLS] = std::array::from_fn(|_| self.draw(&mut dice));
                listener::enter(window);
                self.meet(window);
                events.extend(plans.map(|plan| (window, self.call(thread, &plan, &mut registered))));
            }
            let mut turn = self.turn();
            turn.events.append(&mut events);
            turn.registered.append(&mut registered);
            turn.at_work -= 1;
            if turn.at_work == 0 {
                self.changed.notify_all();
            }
        }
    }

    /// Waits until every thread of the batch has ended the window before.
    fn meet(&self, window: usize) {
        // Both SeqCst: what one did before it arrived comes before what the others do after.
        self.arrived.fetch_add(1, Ordering::SeqCst);
        let mut looks = 0_u32;
        while self.arrived.load(Ordering::SeqCst) < (window + 1) * self.together && !self.failed() {
            looks = looks.wrapping_add(1);
            // Not at once, or the threads would set out one after the other.
            if looks.is_multiple_of(5_000) {
                thread::yield_now();
            } else {
                std::hint::spin_loop();
            }
        }
    }

    fn call(&self, thread: usize, plan: &Plan, registered: &mut Vec<Arc<Listener>>) -> Event {
        (0..plan.pause).for_each(|_| std::hint::spin_loop());
        let place = &self.handles[plan.who as usize];
        let call = plan.call(place.load(Ordering::Relaxed), self.universe.clients);
        let new = || Listener::new(self.began);
        // Made outside the call's time.
        let listener = matches!(call, Call::Register(_)).then(new);
        let began = self.now();
        let answer = call.make(&self.manager, || listener.clone().unwrap_or_else(new));
        let ended = self.now();
        if let Answer::Handle(bits) = answer {
            place.store(bits, Ordering::Relaxed);
            registered.extend(listener);
        }
        Event { thread, call, answer, began, ended }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn draw(&self, dice: &mut SmallRng) -> Plan {
        let universe = self.universe;
        let flow = world::flow(dice.random_range(0..universe.groups), dice.random_range(0..2));
        let any_source = Membership::any_source(flow.group()).unwrap_or(Membership::OneSource(flow));
        Plan {
            kind: universe.weights.sample(dice),
            who: dice.random_range(0..=universe.clients),
            interface: world::interface(dice.random_range(0..universe.interfaces)),
            what: match dice.random_range(0..8) {
                0 => Membership::everything(flow.family()),
                1 | 2 => Membership::OneSource(flow),
                _ => any_source,
            },
            flow,
            // Now and then a little later, so that windows do not always meet in the same way.
            pause: if dice.random_ratio(1, 8) { dice.random_range(0..10) } else { 0 },
        }
    }
}

impl Plan {
    fn call(&self, handle: u64, clients: u32) -> Call {
        let Plan { interface, what, flow, .. } = *self;
        match self.kind {
            0 => Call::Register(world::protocol((self.who < clients).then_some(self.who))),
            1 => Call::Deregister(handle),
            2 => Call::Take(handle, interface),
            3 => Call::Release(handle, interface),
            4 => Call::OwnerOf(interface),
            5 => Call::Resolve(handle),
            6 => Call::Add(handle, interface, what),
            7 => Call::Delete(handle, interface, what),
            8 => Call::NewFlow(flow),
            9 => Call::Memberships,
            _ => Call::Entries,
        }
    }
}

/// How often each kind of call is made, as [`Call::KINDS`] has them.
pub(crate) type Weights = WeightedIndex<u32>;
