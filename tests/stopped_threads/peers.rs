//! The operations of the other threads while one is stopped, counted and timed.

use crate::counting_allocator::allocations;
use crate::fixture::{Fixture, Own};
use mgm::fault_points::handle::SLOT_RETIRED;
use mgm::fault_points::manager::DEREGISTER_EFFECTIVE;
use mgm::faults;
use mgm::forwarding::{FlowCounter, FlowCounterId, ForwardingReader, WorkerCounters};
use mgm::handle::{Handle, OwnershipTable, Reader, ReleaseError, RetireError};
use mgm::manager::GroupManager;
use std::cell::Cell;
use std::hint::black_box;
use std::time::{Duration, Instant};

const ROUNDS: usize = 2000;

thread_local! {
    /// The number of allocations when a handle of this thread was retired.
    static RETIRED: Cell<Option<u64>> = const { Cell::new(None) };
}

/// The operations of a thread, their allocations and the longest of them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Done {
    pub(crate) operations: u64,
    pub(crate) allocations: u64,
    pub(crate) longest: Duration,
    pub(crate) longest_of: &'static str,
}

impl Done {
    pub(crate) fn and(self, other: Done) -> Done {
        let longest = if self.longest < other.longest { other } else { self };
        Done {
            operations: self.operations + other.operations,
            allocations: self.allocations + other.allocations,
            ..longest
        }
    }

    /// Runs one operation to its end.
    fn whole<R>(&mut self, name: &'static str, f: impl FnOnce() -> R) -> R {
        let (before, began) = (allocations(), Instant::now());
        let result = black_box(f());
        self.note(name, began.elapsed());
        self.allocations += allocations() - before;
        result
    }

    /// Runs one operation that may retire a handle. Allocations count up to that effect, time to the end.
    fn up_to_the_effect<R>(&mut self, name: &'static str, f: impl FnOnce() -> R) -> R {
        RETIRED.set(None);
        let (before, began) = (allocations(), Instant::now());
        let result = black_box(f());
        self.note(name, began.elapsed());
        self.allocations += RETIRED.get().unwrap_or_else(allocations) - before;
        result
    }

    fn note(&mut self, name: &'static str, time: Duration) {
        self.operations += 1;
        if time > self.longest {
            (self.longest, self.longest_of) = (time, name);
        }
    }
}

/// The readers and counters of one thread, made before any thread is stopped.
pub(crate) struct Peer<'s> {
    fixture: &'s Fixture,
    own: &'s Own,
    objects: Reader<&'s OwnershipTable<u64>>,
    entries: ForwardingReader<'s>,
    counts: WorkerCounters,
    number: FlowCounterId,
    pub(crate) done: Done,
}

impl<'s> Peer<'s> {
    pub(crate) fn new(fixture: &'s Fixture, own: &'s Own) -> Peer<'s> {
        let forwarding = fixture.manager.forwarding_table();
        faults::set(|at| {
            if matches!(at, SLOT_RETIRED | DEREGISTER_EFFECTIVE) && RETIRED.get().is_none() {
                RETIRED.set(Some(allocations()));
            }
        });
        // The first pin and the identity of a thread need memory.
        assert!(fixture.table.get(own.object).is_some());
        Peer {
            fixture,
            own,
            objects: fixture.table.reader(),
            entries: forwarding.reader(),
            counts: forwarding.counters().worker(),
            number: forwarding.alloc_counter().unwrap(),
            done: Done::default(),
        }
    }

    /// Runs all operations many times; with `insert`, objects are inserted, and with `leave`, clients deregister too.
    pub(crate) fn work(&mut self, insert: bool, leave: bool) -> Done {
        let mut leaving = self.own.leaving.iter().copied().filter(|_| leave);
        for round in 0..ROUNDS {
            self.own_object();
            self.victims_object(round);
            if insert {
                self.object_that_comes_and_goes();
            }
            self.interfaces();
            self.packets();
            if let Some(client) = leaving.next() {
                self.leave(client);
            }
        }
        faults::clear();
        self.done
    }

    fn own_object(&mut self) {
        let (table, object, owner) = (&self.fixture.table, self.own.object, self.own.owners[0]);
        let done = &mut self.done;
        assert!(done.whole("validate", || table.contains(object)));
        assert!(done.whole("claim", || table.claim(object, owner)).is_ok());
        assert_eq!(done.whole("owner_of", || table.owner_of(owner)), Some(object));
        let refused = done.whole("check_and_retire", || table.check_and_retire(object));
        assert!(matches!(refused, Err(RetireError::StillOwns(_))));
        assert!(done.whole("resolve", || self.objects.get(object).is_some()));
        assert!(done.whole("get", || table.get(object).is_some()));
        assert!(done.whole("release", || table.release(object, owner)).is_ok());
        let again = done.whole("release", || table.release(object, owner));
        assert_eq!(again, Err(ReleaseError::NotOwner));
    }

    /// Operates on the objects that the stopped thread is working with.
    fn victims_object(&mut self, round: usize) {
        let (table, victim, contested) = (&self.fixture.table, self.fixture.victim, self.fixture.contested);
        let done = &mut self.done;
        done.whole("validate", || table.contains(victim));
        done.whole("owner_of", || table.owner_of(contested));
        if done.whole("claim", || table.claim(self.own.object, contested)).is_ok() {
            assert!(done.whole("release", || table.release(self.own.object, contested)).is_ok());
        }
        _ = done.whole("release", || table.release(victim, contested));
        if done.whole("claim", || table.claim(victim, self.own.owners[1])).is_ok() {
            assert!(done.whole("release", || table.release(victim, self.own.owners[1])).is_ok());
        }
        done.whole("resolve", || self.objects.get(victim).is_some());
        if round >= ROUNDS / 2 {
            _ = done.up_to_the_effect("check_and_retire", || table.check_and_retire(victim));
        }
    }

    fn object_that_comes_and_goes(&mut self) {
        let (table, owner, done) = (&self.fixture.table, self.own.owners[2], &mut self.done);
        // The insertion may need memory, and may find the table full: the stopped thread may hold back slots.
        let Ok(object) = table.insert(0) else { return };
        assert!(done.whole("claim", || table.claim(object, owner)).is_ok());
        assert!(done.whole("release", || table.release(object, owner)).is_ok());
        assert!(done.up_to_the_effect("check_and_retire", || table.check_and_retire(object)).is_ok());
        assert!(!done.whole("validate", || table.contains(object)));
    }

    fn interfaces(&mut self) {
        let (manager, client, done) = (&self.fixture.manager, self.own.client, &mut self.done);
        let own = self.own.interface;
        done.whole("take an interface", || manager.take(client, own)).unwrap();
        let owner = done.whole("owner of an interface", || manager.owner_of(own)).unwrap();
        assert_eq!(done.whole("protocol of a handle", || manager.protocol_of(client)), Some(owner));
        let number = done.whole("interface by name", || manager.vif_index(own)).unwrap();
        assert_eq!(done.whole("interface by number", || manager.interface(number)), Some(own));
        done.whole("release an interface", || manager.release(client, own)).unwrap();
        if done.whole("take an interface", || manager.take(client, self.fixture.shared)).is_ok() {
            done.whole("release an interface", || manager.release(client, self.fixture.shared)).unwrap();
        }
        _ = done.whole("owner of an interface", || manager.owner_of(self.fixture.referenced));
    }

    fn packets(&mut self) {
        let forwarding = self.fixture.manager.forwarding_table();
        let (flows, done) = (&self.fixture.flows, &mut self.done);
        let arrival = self.fixture.manager.vif_index(mgm::manager::Interface::v4(1)).unwrap();
        let hit = done.whole("look-up", || {
            self.entries.lookup(&flows[0]).map(|entry| {
                entry.live_outgoing().for_each(|out| _ = black_box(out));
                entry.check(arrival)
            })
        });
        assert!(hit.is_some());
        assert!(!done.whole("look-up", || self.entries.lookup(&flows[1]).is_some()));
        let hits = done.whole("burst of look-ups", || self.entries.lookup_burst(flows).flatten().count());
        assert_eq!(hits, flows.len() / 2);
        done.whole("count", || self.counts.add(self.number, FlowCounter::Packets, 1));
        assert!(done.whole("totals", || forwarding.counters().totals(self.number)).packets > 0);
    }

    fn leave(&mut self, client: Handle) {
        let (manager, interface): (&GroupManager, _) = (&self.fixture.manager, self.own.interface);
        let done = &mut self.done;
        done.whole("take an interface", || manager.take(client, interface)).unwrap();
        assert!(done.whole("deregister", || manager.deregister(client)).is_err());
        done.whole("release an interface", || manager.release(client, interface)).unwrap();
        done.up_to_the_effect("deregister", || manager.deregister(client)).unwrap();
        assert_eq!(done.whole("protocol of a handle", || manager.protocol_of(client)), None);
    }
}
