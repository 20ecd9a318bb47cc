//! The clients of a run: [`Recorder`] records its callbacks and their times, [`AlternatingClient`] only checks that its
//! alerts alternate.
//!
//! Each client has a list of its own. A client receives one callback after the other, so its list orders nothing that was
//! not ordered before.

use super::world::World;
use crate::alternation::{NotAlternating, Told};
use crate::history::{Callback, Delivery};
use crate::spec::NoticeKind;
use mgm::handle::Handle;
use mgm::manager::{Client, Interface, JoinAlert, Membership, PruneAlert};
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock, Weak};

/// A client that records its callbacks. It is not told of present joins.
pub(super) struct Recorder {
    world: Weak<World>,
    /// The number of its protocol in the run.
    number: usize,
    handle: OnceLock<Handle>,
    deliveries: Mutex<Vec<(usize, Delivery)>>,
    told: Mutex<Told>,
}

impl Recorder {
    pub(super) fn new(world: Weak<World>, number: usize) -> Arc<Recorder> {
        Arc::new(Recorder {
            world,
            number,
            handle: OnceLock::new(),
            deliveries: Mutex::default(),
            told: Mutex::new(Told::new(false)),
        })
    }

    /// Returns the handle if the registration succeeded.
    pub(super) fn handle(&self) -> Option<Handle> {
        self.handle.get().copied()
    }

    /// Removes and returns the callbacks since the last call, each with its window.
    pub(super) fn take(&self) -> Vec<(usize, Delivery)> {
        std::mem::take(&mut self.deliveries.lock())
    }

    fn record(&self, callback: Callback) {
        let Some(world) = self.world.upgrade() else { return };
        let delivery = world.delivery(callback);
        self.deliveries.lock().push(delivery);
        world.inside_callback();
    }
}

/// Notes an alert that does not alternate.
fn check(world: &Weak<World>, alert: Result<(), NotAlternating>) {
    if let (Err(wrong), Some(world)) = (alert, world.upgrade()) {
        world.note_fault(wrong.to_string());
    }
}

impl Client for Recorder {
    fn registered(&self, handle: Handle) {
        _ = self.handle.set(handle);
        if let Some(world) = self.world.upgrade() {
            world.store_handle(self.number, handle);
            world.inside_callback();
        }
    }

    fn wants_present_joins(&self) -> bool {
        false
    }

    fn join_alert(&self, alert: &JoinAlert) {
        check(&self.world, self.told.lock().join(alert));
        self.record(Callback::Notice(NoticeKind::Join(alert.membership(), alert.cause())));
    }

    fn prune_alert(&self, alert: &mut PruneAlert) {
        check(&self.world, self.told.lock().prune(alert));
        let kind = NoticeKind::Prune(alert.membership(), alert.interface(), alert.cause());
        self.record(Callback::Notice(kind));
    }

    fn local_join(&self, interface: Interface, membership: Membership) {
        self.record(Callback::Notice(NoticeKind::LocalJoin(interface, membership)));
    }

    fn local_leave(&self, interface: Interface, membership: Membership) {
        self.record(Callback::Notice(NoticeKind::LocalLeave(interface, membership)));
    }

    fn disable_igmp(&self, interface: Interface) {
        self.record(Callback::DisableIgmp(interface));
    }

    fn enable_igmp(&self, interface: Interface) {
        self.record(Callback::EnableIgmp(interface));
    }

    fn notices_lost(&self, count: u64) {
        self.record(Callback::NoticesLost(count));
    }
}

/// A client that is told of present joins, and checks that its alerts alternate from its registration on.
pub(super) struct AlternatingClient {
    world: Weak<World>,
    told: Mutex<Told>,
}

impl AlternatingClient {
    pub(super) fn new(world: Weak<World>) -> AlternatingClient {
        AlternatingClient { world, told: Mutex::new(Told::new(true)) }
    }

    /// Returns the keys of which the client was told a join last.
    pub(super) fn joined(&self) -> BTreeSet<Membership> {
        self.told.lock().joined()
    }

    fn called(&self) {
        if let Some(world) = self.world.upgrade() {
            world.inside_callback();
        }
    }
}

impl Client for AlternatingClient {
    fn wants_present_joins(&self) -> bool {
        true
    }

    fn join_alert(&self, alert: &JoinAlert) {
        check(&self.world, self.told.lock().join(alert));
        self.called();
    }

    fn prune_alert(&self, alert: &mut PruneAlert) {
        check(&self.world, self.told.lock().prune(alert));
        self.called();
    }

    fn enable_igmp(&self, _: Interface) {
        self.called();
    }

    fn notices_lost(&self, count: u64) {
        if let Some(world) = self.world.upgrade() {
            world.note_fault(format!("{count} notices of a client of the neighbour were lost"));
        }
    }
}
