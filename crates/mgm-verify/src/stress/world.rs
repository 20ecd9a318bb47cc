//! The two managers of a run, and the calls on them: from threads, and from inside callbacks.
//!
//! The calls on the first manager are recorded and checked. Its neighbour is a second manager in the same process. Its
//! clients want to be told of present joins, and check that their alerts alternate. Callbacks of either manager's clients
//! call both managers.
//!
//! A call uses its client's last handle. Some calls use a handle that has not been issued yet, or one that the thread's last
//! walk showed. A client stores its handle inside its first callback, so that other threads use it before the registration
//! has returned.

use super::Weights;
use super::recorder::{AlternatingClient, Recorder};
use crate::alternation;
use crate::history::{Answer, Call, Delivery, Event, THREADS, scenario};
use crate::linearizability::MAX_EVENTS;
use mgm::forwarding::Flow;
use mgm::handle::Handle;
use mgm::manager::{Client, GroupManager, Interface, Membership};
use parking_lot::Mutex;
use rand::distr::Distribution;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Instant;

/// The calls that each thread makes in a window, without those inside callbacks.
pub(super) const CALLS: usize = 6;

/// The calls inside callbacks at most, of each thread in a window.
const NESTED: usize = 3;

/// The depth of calls inside callbacks.
const MAX_DEPTH: usize = 2;

/// The number of spins of a client that has just stored its handle.
const AFTER_REGISTERED: u32 = 300;

/// The state of the current thread. A thread delivers callbacks only inside its own calls.
struct Local {
    thread: usize,
    window: usize,
    random: SmallRng,
    /// The number of callbacks that the thread is inside of, as far as they call.
    depth: usize,
    /// The calls inside callbacks that the thread may still make in this window.
    nested: usize,
    /// The handles that the thread's last walk showed.
    shown: Vec<u64>,
    events: Vec<(usize, Event)>,
    registered: Vec<Arc<Recorder>>,
}

thread_local! {
    static LOCAL: RefCell<Option<Local>> = const { RefCell::new(None) };
}

/// Calls `f` with the current thread's state, if it has one.
fn with_local<R>(f: impl FnOnce(&mut Local) -> R) -> Option<R> {
    LOCAL.with_borrow_mut(|local| local.as_mut().map(f))
}

/// Returns the window that the current thread runs.
pub(super) fn current_window() -> usize {
    with_local(|local| local.window).unwrap_or(0)
}

/// The choice of a handle for a call.
#[derive(Clone, Copy)]
enum Source {
    /// The client's last handle.
    Last,
    /// A handle of a later generation of its slot.
    Guessed(u32),
    /// A handle that the thread's last walk showed.
    Shown(usize),
}

/// A call that a thread is about to make, without the handle.
struct PlannedCall {
    kind: usize,
    /// The number of a routing protocol; IGMP's number comes after them.
    client: u32,
    source: Source,
    interface: Interface,
    membership: Membership,
    flow: Flow,
    /// Whether the neighbour is called.
    neighbour: bool,
    /// The number of spins before the call.
    pause: u32,
}

/// One window's calls of a thread.
pub(super) struct Plan([PlannedCall; CALLS]);

/// The numbers that calls are drawn from.
pub(super) struct Ranges {
    pub(super) interfaces: u32,
    pub(super) clients: u32,
    pub(super) groups: u32,
    pub(super) weights: Weights,
}

/// The two managers. See the top of this file.
pub(super) struct World {
    me: Weak<World>,
    ranges: Ranges,
    pub(super) manager: GroupManager,
    neighbour: GroupManager,
    /// The last handle of each protocol; IGMP's comes last.
    handles: Vec<AtomicU64>,
    /// The same of the neighbour.
    neighbour_handles: Vec<AtomicU64>,
    neighbour_clients: Mutex<HashMap<u64, Arc<AlternatingClient>>>,
    /// What clients found wrong.
    faults: Mutex<Vec<String>>,
    began: Instant,
}

impl World {
    pub(super) fn new(ranges: Ranges, manager: GroupManager, neighbour: GroupManager) -> Arc<World> {
        let handles = || (0..=ranges.clients).map(|_| AtomicU64::new(0)).collect();
        let (main, other) = (handles(), handles());
        Arc::new_cyclic(|me| World {
            me: me.clone(),
            ranges,
            manager,
            neighbour,
            handles: main,
            neighbour_handles: other,
            neighbour_clients: Mutex::default(),
            faults: Mutex::default(),
            began: Instant::now(),
        })
    }

    /// Prepares the current thread.
    pub(super) fn enter_thread(&self, thread: usize, seed: u64) {
        LOCAL.set(Some(Local {
            thread,
            window: 0,
            random: SmallRng::seed_from_u64(seed),
            depth: 0,
            nested: 0,
            shown: Vec::new(),
            events: Vec::new(),
            registered: Vec::new(),
        }));
    }

    /// Begins a window of the current thread, which runs it together with others. Returns the calls to make.
    pub(super) fn enter_window(&self, window: usize, together: usize) -> Option<Plan> {
        with_local(|local| {
            local.window = window;
            local.nested = NESTED.min(MAX_EVENTS / together - CALLS);
            Plan(std::array::from_fn(|_| self.plan(&mut local.random)))
        })
    }

    /// Makes the calls of a window.
    pub(super) fn make(&self, plan: &Plan) {
        plan.0.iter().for_each(|planned| self.call(planned));
    }

    /// Removes and returns the calls of the current thread with their windows, and the clients that it registered.
    pub(super) fn take_recorded(&self) -> (Vec<(usize, Event)>, Vec<Arc<Recorder>>) {
        let take =
            |local: &mut Local| (std::mem::take(&mut local.events), std::mem::take(&mut local.registered));
        with_local(take).unwrap_or_default()
    }

    /// Makes a call inside a callback now and then.
    pub(super) fn inside_callback(&self) {
        let planned = with_local(|local| {
            let calls = local.depth < MAX_DEPTH && local.nested > 0 && local.random.random_ratio(1, 4);
            calls.then(|| {
                local.nested -= 1;
                local.depth += 1;
                self.plan(&mut local.random)
            })
        });
        if let Some(Some(planned)) = planned {
            self.call(&planned);
            with_local(|local| local.depth -= 1);
        }
    }

    /// Stores the handle of a client that is being registered, as the last one of its protocol.
    pub(super) fn store_handle(&self, number: usize, handle: Handle) {
        // Relaxed, here and where it is loaded: any handle may be used, also a stale one.
        self.handles[number].store(handle.to_bits(), Ordering::Relaxed);
        (0..AFTER_REGISTERED).for_each(|_| std::hint::spin_loop());
    }

    /// Notes what a client found wrong.
    pub(super) fn note_fault(&self, fault: String) {
        self.faults.lock().push(fault);
    }

    /// Returns what was found wrong so far.
    pub(super) fn faults(&self) -> Vec<String> {
        self.faults.lock().clone()
    }

    /// Notes each client of the neighbour that was not told last what holds. Must be called when no call is under way.
    pub(super) fn check_neighbour(&self) {
        self.neighbour.routes_changed(|_| true);
        let rpf = |membership: Membership| membership.source().map(|_| scenario::upstream());
        for (handle, protocol, expected) in alternation::expected(&self.neighbour, rpf) {
            let client = self.neighbour_clients.lock().get(&handle.to_bits()).cloned();
            let told: BTreeSet<Membership> = client.map(|client| client.joined()).unwrap_or_default();
            if told != expected {
                self.note_fault(format!(
                    "{protocol} of the neighbour was told last that others count for {told:?}; they count for {expected:?}"
                ));
            }
        }
    }

    /// Returns the nanoseconds since the run began.
    pub(super) fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Returns a callback that begins now, with the window of the current thread.
    pub(super) fn delivery(&self, callback: crate::history::Callback) -> (usize, Delivery) {
        (current_window(), Delivery { at: self.now(), callback })
    }

    fn plan(&self, random: &mut SmallRng) -> PlannedCall {
        let Ranges { interfaces, clients, groups, weights } = &self.ranges;
        let flow = scenario::flow(random.random_range(0..*groups), random.random_range(0..2));
        let any_source = Membership::any_source(flow.group()).unwrap_or(Membership::OneSource(flow));
        PlannedCall {
            kind: weights.sample(random),
            client: random.random_range(0..=*clients),
            source: match random.random_range(0..8) {
                0 => Source::Guessed(random.random_range(1..3)),
                1 => Source::Shown(random.random_range(0..64)),
                _ => Source::Last,
            },
            interface: scenario::interface(random.random_range(0..*interfaces)),
            membership: match random.random_range(0..8) {
                0 => Membership::everything(flow.family()),
                1 | 2 => Membership::OneSource(flow),
                _ => any_source,
            },
            flow,
            neighbour: random.random_ratio(1, 16),
            // Varies how the calls of a window overlap.
            pause: if random.random_ratio(1, 8) { random.random_range(0..10) } else { 0 },
        }
    }

    fn call(&self, planned: &PlannedCall) {
        (0..planned.pause).for_each(|_| std::hint::spin_loop());
        if planned.neighbour {
            return self.call_neighbour(planned);
        }
        let number = planned.client as usize;
        let last = self.handles[number].load(Ordering::Relaxed);
        let chosen = with_local(|local| {
            let handle = planned.handle(last, &local.shown);
            (local.thread + THREADS * local.depth, handle)
        });
        let Some((thread, handle)) = chosen else { return };
        let call = planned.call(handle, self.ranges.clients);
        let new = || Recorder::new(self.me.clone(), number);
        // Made outside the call's time.
        let recorder = matches!(call, Call::Register(_)).then(new);
        let began = self.now();
        let answer = call.execute(&self.manager, |protocol| {
            self.manager.register(protocol, recorder.clone().unwrap_or_else(new))
        });
        let ended = self.now();
        with_local(|local| {
            match &answer {
                Answer::Handle(_) => local.registered.extend(recorder),
                Answer::Clients(all) => local.shown = all.iter().map(|(handle, _)| *handle).collect(),
                _ => {}
            }
            local.events.push((local.window, Event { thread, call, answer, began, ended }));
        });
    }

    /// Makes a call on the neighbour. It is not recorded.
    fn call_neighbour(&self, planned: &PlannedCall) {
        let handle = &self.neighbour_handles[planned.client as usize];
        let call = planned.call(handle.load(Ordering::Relaxed), self.ranges.clients);
        let client = Arc::new(AlternatingClient::new(self.me.clone()));
        let answer = call.execute(&self.neighbour, |protocol| {
            self.neighbour.register(protocol, client.clone() as Arc<dyn Client>)
        });
        if let Answer::Handle(bits) = answer {
            handle.store(bits, Ordering::Relaxed);
            let mut clients = self.neighbour_clients.lock();
            if clients.len() > 256 {
                let live =
                    |bits| Handle::from_bits(bits).and_then(|handle| self.neighbour.protocol_of(handle));
                clients.retain(|bits, _| live(*bits).is_some());
            }
            clients.insert(bits, client);
        }
    }
}

impl PlannedCall {
    fn handle(&self, last: u64, shown: &[u64]) -> u64 {
        match self.source {
            Source::Guessed(later) => last.wrapping_add(u64::from(later) << 32),
            Source::Shown(at) if !shown.is_empty() => shown[at % shown.len()],
            Source::Last | Source::Shown(_) => last,
        }
    }

    fn call(&self, handle: u64, clients: u32) -> Call {
        let PlannedCall { interface, membership, flow, .. } = *self;
        match self.kind {
            0 => Call::Register(scenario::protocol((self.client < clients).then_some(self.client))),
            1 => Call::Deregister(handle),
            2 => Call::Take(handle, interface),
            3 => Call::Release(handle, interface),
            4 => Call::OwnerOf(interface),
            5 => Call::Resolve(handle),
            6 => Call::Add(handle, interface, membership),
            7 => Call::Delete(handle, interface, membership),
            8 => Call::NewFlow(flow),
            9 => Call::Memberships,
            10 => Call::Entries,
            _ => Call::Clients,
        }
    }
}
