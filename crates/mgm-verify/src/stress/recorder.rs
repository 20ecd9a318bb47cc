//! Clients that record their callbacks and the times of these.
//!
//! Each client has a list of its own. A client receives one callback after the other, so its list orders nothing that was
//! not ordered before.

use crate::history::{Callback, Delivery};
use crate::spec::NoticeKind;
use mgm::handle::Handle;
use mgm::manager::{Client, Interface, JoinAlert, Membership, PruneAlert};
use parking_lot::Mutex;
use std::cell::Cell;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

thread_local! {
    /// The window that the current thread runs. A thread delivers callbacks only inside its own calls.
    static WINDOW: Cell<usize> = const { Cell::new(0) };
}

/// Records that the current thread begins a window.
pub(super) fn enter_window(window: usize) {
    WINDOW.set(window);
}

/// A client that records its callbacks.
pub(super) struct Recorder {
    began: Instant,
    handle: OnceLock<Handle>,
    deliveries: Mutex<Vec<(usize, Delivery)>>,
}

impl Recorder {
    /// Returns a recorder that counts time from `began`.
    pub(super) fn new(began: Instant) -> Arc<Recorder> {
        Arc::new(Recorder { began, handle: OnceLock::new(), deliveries: Mutex::default() })
    }

    /// Stores the handle of the registration. Callbacks may have come before.
    pub(super) fn set_handle(&self, handle: Handle) {
        _ = self.handle.set(handle);
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
        let at = u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let mut deliveries = self.deliveries.lock();
        deliveries.push((WINDOW.get(), Delivery { at, callback }));
    }
}

impl Client for Recorder {
    fn join_alert(&self, alert: &JoinAlert) {
        self.record(Callback::Notice(NoticeKind::Join(alert.membership(), alert.cause())));
    }

    fn prune_alert(&self, alert: &mut PruneAlert) {
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
