//! What stopped threads and others meet on, and how each point is come to.

use crate::common::{flow, membership};
use mgm::fault_points::{forwarding::*, handle::*, manager::*};
use mgm::faults::Point;
use mgm::forwarding::{Counter, Flow, NewEntry};
use mgm::handle::{Claims, Handle, HandleTable, ResourceId};
use mgm::manager::{GroupManager, Interface, ManagerConfig, Protocol, ReversePath, StateChange};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// How many threads go on while one is stopped.
pub(crate) const OTHERS: usize = 2;

/// How many clients each of these has leave.
pub(crate) const LEAVING: usize = 12;

/// What one of the others works with, beside what all share.
pub(crate) struct Own {
    pub(crate) object: Handle,
    /// Claimed by the object, by the victim, and by objects that come and go.
    pub(crate) owners: [ResourceId; 3],
    pub(crate) client: Handle,
    pub(crate) interface: Interface,
    pub(crate) leaving: Vec<Handle>,
}

pub(crate) struct Stage {
    pub(crate) table: HandleTable<u64, Claims>,
    /// The object that the thread to be stopped works with, and what it claims.
    pub(crate) victim: Handle,
    pub(crate) contested: ResourceId,
    elsewhere: ResourceId,
    pub(crate) manager: GroupManager,
    pub(crate) client: Handle,
    pub(crate) shared: Interface,
    igmp: Handle,
    /// Has receivers, an entry, and an owner; and who takes it next.
    pub(crate) mentioned: Interface,
    pub(crate) owner: Handle,
    pub(crate) heir: Handle,
    pub(crate) own: Vec<Own>,
    pub(crate) flows: Vec<Flow>,
    fresh: AtomicU32,
}

pub(crate) const HEIR: Protocol = Protocol::new(900, 0);

fn routing(number: u32) -> Protocol {
    Protocol::new(number, 0)
}

impl Stage {
    pub(crate) fn new() -> Stage {
        // More than a segment holds, so that one more can be made.
        let table = HandleTable::with_claims(1 << 14).unwrap();
        let routes = |_| Some(ReversePath::through(Interface::v4(1)));
        let manager = GroupManager::new(ManagerConfig::default(), Arc::new(routes)).unwrap();
        let register = |number| manager.register(routing(number), Arc::new(())).unwrap();
        let (owner, heir) = (register(1), manager.register(HEIR, Arc::new(())).unwrap());
        let (shared, mentioned) = (Interface::v4(2), Interface::v4(3));
        manager.take(owner, Interface::v4(1)).unwrap();
        manager.take(owner, mentioned).unwrap();
        manager.add_membership(owner, mentioned, membership("* 239.1.1.1"), StateChange::Join).unwrap();
        let client = register(2);
        let igmp = manager.register(Protocol::new(Protocol::IGMP, 0), Arc::new(())).unwrap();
        for taker in [client, igmp] {
            manager.take(taker, Interface::v4(4)).unwrap();
        }
        let flows: Vec<Flow> = (1..=40).map(|n| flow(&format!("192.0.2.{n} 239.1.1.1"))).collect();
        flows.iter().step_by(2).for_each(|flow| _ = manager.new_flow(*flow).unwrap());
        // The first to take an interface sweeps: then nothing mentions it any more.
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
        Stage {
            own: own.collect(),
            victim: table.insert(77).unwrap(),
            contested: new_resource(),
            elsewhere: new_resource(),
            client,
            shared,
            igmp,
            mentioned,
            owner,
            heir,
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

    /// Claims and gives up again.
    fn hold(&self) {
        if self.table.claim(self.victim, self.contested).is_ok() {
            _ = self.table.release(self.victim, self.contested);
        }
    }

    /// An object comes, goes, and is forgotten.
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

    /// IGMP joins where a routing protocol is told of it, and nobody else.
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

/// What a thread does to come to a point; done again until it has.
pub(crate) type Way = fn(&Stage);

/// The threads to be stopped, in this order, and the way of each; the last is stopped at `point`.
pub(crate) fn ways(point: Point) -> Vec<(Point, Way)> {
    let way: Way = match point {
        DESCRIPTOR_HALF_WRITTEN
        | CLAIM_ANNOUNCED
        | CLAIM_CONFIRMED
        | CLAIM_SEEN
        | CLAIM_ACTED
        | CLAIM_UNSETTLED
        | CLAIM_SETTLED => Stage::hold,
        HELPER_BEGUN | HELPER_CONFIRMED | HELPER_SEEN | HELPER_ACTED | HELPER_UNSETTLED => {
            let help: Way = |stage| _ = stage.table.claim(stage.victim, stage.elsewhere);
            return vec![(CLAIM_ANNOUNCED, Stage::hold), (point, help)];
        }
        RETIRE_CLOSED => |stage| _ = stage.table.check_and_retire(stage.victim),
        SEGMENT_ALLOCATED | CHUNK_TAKEN => |stage| _ = stage.table.insert(1),
        FREE_LIST_POPPING | SLOT_TAKEN | SLOT_HALF_OPENED | SLOT_RETIRED | LIMBO_PUSHING | BATCH_FILLING
        | BATCH_TAKEN | BATCH_UNDEFERRED | EPOCH_ADVANCING | BATCH_MARKING | BATCH_RECLAIMING
        | BATCH_RECLAIMED | SLOTS_DROPPED | FREE_LIST_PUSHING => Stage::churn,
        OWNERS_ALLOCATED | OWNERS_UNSET => |stage| _ = stage.table.new_resource().unwrap(),
        REF_PINNED => |stage| _ = stage.table.get(stage.victim),
        READER_UNPINNED | READER_PINNED => |stage| _ = stage.table.reader().get(stage.victim),
        ENTRY_UNPUBLISHED | ENTRY_UNCOUNTED | BUCKET_OVERFLOWING | BUCKETS_FILLING | BUCKETS_UNPUBLISHED
        | BUCKETS_PUBLISHED => |stage| _ = stage.publish(),
        ENTRY_REPLACED => |stage| {
            let flow = stage.publish();
            let forwarding = stage.manager.forwarding_table();
            let number = forwarding.alloc_counter().unwrap();
            forwarding.replace(NewEntry::new(flow, number, None, &[])).unwrap();
        },
        BUCKET_SLOT_EMPTIED | ENTRY_WITHDRAWN => |stage| {
            let flow = stage.publish();
            assert!(stage.manager.forwarding_table().withdraw(&flow));
        },
        COUNTER_UNALLOCATED => |stage| _ = stage.manager.forwarding_table().alloc_counter().unwrap(),
        COUNTS_HALF_CLEARED => |stage| {
            let forwarding = stage.manager.forwarding_table();
            let number = forwarding.alloc_counter().unwrap();
            forwarding.counters().worker().add(number, Counter::Packets, 1);
        },
        CLIENT_UNINDEXED | CLIENT_WITHOUT_CHANNEL | DEREGISTER_EFFECTIVE => Stage::register_and_leave,
        INTERFACE_UNLISTED => |stage| {
            let interface = Interface::v4(stage.fresh());
            stage.manager.take(stage.client, interface).unwrap();
        },
        TAKE_EFFECTIVE | RELEASE_EFFECTIVE => Stage::take_and_release,
        MEMBERSHIP_LOCKED | MEMBERSHIP_HALF_ADDED | NOTICE_DEQUEUED | RUNDOWN_ENTERED => Stage::join,
        FLOW_UNLISTED | FLOW_BUILDING => |stage| _ = stage.manager.new_flow(stage.fresh_flow()).unwrap(),
        UPCALL_UNQUEUED | UPCALL_DEQUEUED => |stage| {
            stage.manager.upcall(stage.fresh_flow(), Interface::v4(1), &[]);
            stage.manager.process_upcalls(1);
        },
        _ => panic!("no call reaches {point:?}"),
    };
    vec![(point, way)]
}

/// Whether a thread that is stopped there has the membership lock.
pub(crate) fn has_the_membership_lock(point: Point) -> bool {
    matches!(point, MEMBERSHIP_LOCKED | MEMBERSHIP_HALF_ADDED | FLOW_UNLISTED)
}

/// Whether a thread that is stopped there has locked a name, and with it others, not known which: those who have them may
/// have to wait to be rid of theirs.
pub(crate) fn has_locked_names(point: Point) -> bool {
    matches!(point, CLIENT_UNINDEXED | CLIENT_WITHOUT_CHANNEL)
}
