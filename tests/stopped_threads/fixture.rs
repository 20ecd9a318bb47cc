//! The objects that stopped threads and the others share, and the steps that lead to each fault point.

use crate::support::router::{flow, membership};
use mgm::fault_points::{forwarding::*, handle::*, manager::*};
use mgm::faults::Point;
use mgm::forwarding::{Flow, FlowCounter, NewEntry};
use mgm::handle::{Handle, OwnershipTable, ResourceId};
use mgm::manager::{GroupManager, Interface, ManagerConfig, Protocol, ReversePath, StateChange};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// The number of threads that continue while one is stopped.
pub(crate) const OTHERS: usize = 2;

/// The number of clients that each of them deregisters.
pub(crate) const LEAVING: usize = 12;

/// The objects that belong to one of the other threads.
pub(crate) struct Own {
    pub(crate) object: Handle,
    /// Claimed by the object, by the victim, and by objects that come and go.
    pub(crate) owners: [ResourceId; 3],
    pub(crate) client: Handle,
    pub(crate) interface: Interface,
    pub(crate) leaving: Vec<Handle>,
}

pub(crate) struct Fixture {
    pub(crate) table: OwnershipTable<u64>,
    /// The object that the stopped thread works with, and the resource that it claims.
    pub(crate) victim: Handle,
    pub(crate) contested: ResourceId,
    elsewhere: ResourceId,
    pub(crate) manager: GroupManager,
    pub(crate) client: Handle,
    pub(crate) shared: Interface,
    igmp: Handle,
    /// An interface with receivers, an entry, and an owner; and the client that takes it next.
    pub(crate) referenced: Interface,
    pub(crate) owner: Handle,
    pub(crate) next_owner: Handle,
    pub(crate) own: Vec<Own>,
    pub(crate) flows: Vec<Flow>,
    fresh: AtomicU32,
}

pub(crate) const NEXT_OWNER: Protocol = Protocol::new(900, 0);

fn routing(number: u32) -> Protocol {
    Protocol::new(number, 0)
}

impl Fixture {
    pub(crate) fn new() -> Fixture {
        // More than a segment holds, so that another one can be made.
        let table = OwnershipTable::with_limit(1 << 14).unwrap();
        let routes = |_| Some(ReversePath::through(Interface::v4(1)));
        let manager = GroupManager::new(ManagerConfig::default(), Arc::new(routes)).unwrap();
        let register = |number| manager.register(routing(number), Arc::new(())).unwrap();
        let (owner, next_owner) = (register(1), manager.register(NEXT_OWNER, Arc::new(())).unwrap());
        let (shared, referenced) = (Interface::v4(2), Interface::v4(3));
        manager.take(owner, Interface::v4(1)).unwrap();
        manager.take(owner, referenced).unwrap();
        manager.add_membership(owner, referenced, membership("* 239.1.1.1"), StateChange::Join).unwrap();
        let client = register(2);
        let igmp = manager.register(Protocol::new(Protocol::IGMP, 0), Arc::new(())).unwrap();
        for taker in [client, igmp] {
            manager.take(taker, Interface::v4(4)).unwrap();
        }
        let flows: Vec<Flow> = (1..=40).map(|n| flow(&format!("192.0.2.{n} 239.1.1.1"))).collect();
        flows.iter().step_by(2).for_each(|flow| _ = manager.new_flow(*flow).unwrap());
        // The first take of an interface sweeps it; afterwards no record refers to it.
        let known = |interface| {
            manager.take(client, interface).unwrap();
            manager.release(client, interface).unwrap();
        };
        known(shared);
        let new_resource = || table.new_resource().unwrap();
        let own = (0..OTHERS as u32).map(|n| {
            let interface = Interface::v4(100 + n);
            known(interface);
            Own {
                object: table.insert(n.into()).unwrap(),
                owners: [new_resource(), new_resource(), new_resource()],
                client: register(100 + n),
                interface,
                leaving: (0..LEAVING as u32).map(|of| register(1000 * (n + 1) + of)).collect(),
            }
        });
        Fixture {
            own: own.collect(),
            victim: table.insert(77).unwrap(),
            contested: new_resource(),
            elsewhere: new_resource(),
            client,
            shared,
            igmp,
            referenced,
            owner,
            next_owner,
            flows,
            fresh: AtomicU32::new(1 << 16),
            manager,
            table,
        }
    }

    fn fresh(&self) -> u32 {
        self.fresh.fetch_add(1, Ordering::Relaxed)
    }

    fn fresh_flow(&self) -> Flow {
        let [_, a, b, c] = self.fresh().to_be_bytes();
        flow(&format!("10.{a}.{b}.{c} 239.2.2.2"))
    }

    /// Claims the contested resource and releases it.
    fn hold(&self) {
        if self.table.claim(self.victim, self.contested).is_ok() {
            _ = self.table.release(self.victim, self.contested);
        }
    }

    /// Inserts an object, retires it and reclaims its slot.
    fn churn(&self) {
        if let Ok(handle) = self.table.insert(1) {
            self.table.check_and_retire(handle).unwrap();
        }
        self.table.reclaim();
    }

    fn publish(&self) -> Flow {
        let forwarding = self.manager.forwarding_table();
        let (flow, number) = (self.fresh_flow(), forwarding.alloc_counter().unwrap());
        forwarding.publish(NewEntry::new(flow, number, None, &[])).unwrap();
        flow
    }

    fn take_and_release(&self) {
        self.manager.take(self.client, self.shared).unwrap();
        self.manager.release(self.client, self.shared).unwrap();
    }

    /// IGMP joins where only a routing protocol is notified of it.
    fn join(&self) {
        let group = membership(&format!("* 239.9.{}.1", self.fresh() & 0xFF));
        self.manager.add_membership(self.igmp, Interface::v4(4), group, StateChange::Join).unwrap();
        self.manager.delete_membership(self.igmp, Interface::v4(4), group, StateChange::Join).unwrap();
    }

    fn register_and_leave(&self) {
        let handle = self.manager.register(routing(self.fresh()), Arc::new(())).unwrap();
        self.manager.deregister(handle).unwrap();
    }
}

/// The operation that leads a thread to a point; repeated until it has reached it.
pub(crate) type Step = fn(&Fixture);

/// Returns the threads to be stopped, in this order, each with its point and its step; the last one stops at
/// `point`.
pub(crate) fn steps_to(point: Point) -> Vec<(Point, Step)> {
    let step: Step = match point {
        DESCRIPTOR_HALF_WRITTEN
        | CLAIM_ANNOUNCED
        | CLAIM_CONFIRMED
        | CLAIM_SEEN
        | CLAIM_ACTED
        | CLAIM_UNSETTLED
        | CLAIM_SETTLED => Fixture::hold,
        HELPER_BEGUN | HELPER_CONFIRMED | HELPER_SEEN | HELPER_ACTED | HELPER_UNSETTLED => {
            let help: Step = |fixture| _ = fixture.table.claim(fixture.victim, fixture.elsewhere);
            return vec![(CLAIM_ANNOUNCED, Fixture::hold), (point, help)];
        }
        RETIRE_CLOSED => |fixture| _ = fixture.table.check_and_retire(fixture.victim),
        SEGMENT_ALLOCATED | CHUNK_TAKEN => |fixture| _ = fixture.table.insert(1),
        FREE_LIST_POPPING | SLOT_TAKEN | SLOT_HALF_OPENED | SLOT_RETIRED | LIMBO_PUSHING | BATCH_FILLING
        | BATCH_TAKEN | BATCH_UNDEFERRED | EPOCH_ADVANCING | BATCH_MARKING | BATCH_RECLAIMING
        | BATCH_RECLAIMED | SLOTS_DROPPED | FREE_LIST_PUSHING => Fixture::churn,
        OWNERS_ALLOCATED | OWNERS_UNSET => |fixture| _ = fixture.table.new_resource().unwrap(),
        REF_PINNED => |fixture| _ = fixture.table.get(fixture.victim),
        READER_UNPINNED | READER_PINNED => |fixture| _ = fixture.table.reader().get(fixture.victim),
        ENTRY_UNPUBLISHED | ENTRY_UNCOUNTED | BUCKET_OVERFLOWING | BUCKETS_FILLING | BUCKETS_UNPUBLISHED
        | BUCKETS_PUBLISHED => |fixture| _ = fixture.publish(),
        ENTRY_REPLACED => |fixture| {
            let flow = fixture.publish();
            let forwarding = fixture.manager.forwarding_table();
            let number = forwarding.alloc_counter().unwrap();
            forwarding.replace(NewEntry::new(flow, number, None, &[])).unwrap();
        },
        LANE_EMPTIED | ENTRY_WITHDRAWN => |fixture| {
            let flow = fixture.publish();
            assert!(fixture.manager.forwarding_table().withdraw(&flow));
        },
        COUNTER_UNALLOCATED => |fixture| _ = fixture.manager.forwarding_table().alloc_counter().unwrap(),
        COUNTS_HALF_CLEARED => |fixture| {
            let forwarding = fixture.manager.forwarding_table();
            let number = forwarding.alloc_counter().unwrap();
            forwarding.counters().worker().add(number, FlowCounter::Packets, 1);
        },
        CLIENT_NAMED | CLIENT_VISIBLE | DEREGISTER_EFFECTIVE | DEREGISTER_UNNAMED | DEREGISTER_CLOSED => {
            Fixture::register_and_leave
        }
        INTERFACE_UNLISTED => |fixture| {
            let interface = Interface::v4(fixture.fresh());
            fixture.manager.take(fixture.client, interface).unwrap();
        },
        INTERFACE_LEAVING => |fixture| {
            // Reaches the limit of interfaces, and then gives places away.
            let interface = Interface::v4(fixture.fresh());
            fixture.manager.take(fixture.client, interface).unwrap();
            fixture.manager.release(fixture.client, interface).unwrap();
        },
        TAKE_READ | TAKE_EFFECTIVE | RELEASE_EFFECTIVE => Fixture::take_and_release,
        MEMBERSHIP_LOCKED | MEMBERSHIP_HALF_ADDED | NOTICE_DEQUEUED | RUNDOWN_ENTERED => Fixture::join,
        FLOW_UNLISTED | FLOW_BUILDING => {
            |fixture| _ = fixture.manager.new_flow(fixture.fresh_flow()).unwrap()
        }
        UPCALL_UNQUEUED | UPCALL_DEQUEUED => |fixture| {
            fixture.manager.upcall(fixture.fresh_flow(), Interface::v4(1), &[]);
            fixture.manager.process_upcalls(1);
        },
        _ => panic!("no call reaches {point:?}"),
    };
    vec![(point, step)]
}

/// Returns whether a thread that is stopped there holds the membership lock.
pub(crate) fn holds_the_membership_lock(point: Point) -> bool {
    matches!(point, INTERFACE_LEAVING | MEMBERSHIP_LOCKED | MEMBERSHIP_HALF_ADDED | FLOW_UNLISTED)
}

/// Returns whether a thread that is stopped there holds a lock for which deregistrations wait after their effect: the
/// membership lock, or a lock of the map of protocols, which covers other protocols too.
pub(crate) fn delays_deregistrations(point: Point) -> bool {
    point == CLIENT_NAMED || holds_the_membership_lock(point)
}

/// Returns whether a thread that is stopped there has the turn to insert into the table with ownership.
pub(crate) fn holds_the_turn_to_insert(point: Point) -> bool {
    point == SLOT_HALF_OPENED
}
