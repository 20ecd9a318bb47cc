//! Clients that write down what they are told, and when.
//!
//! Each has a list of its own. A client is told one thing after the other, so its list orders nothing that was not ordered.

use mgm::handle::Handle;
use mgm::manager::{Client, Interface, JoinAlert, Membership, PruneAlert};
use mgm_verify::spec::Told;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

/// What a client was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Sound {
    /// A notice, but for switches.
    Told(Told),
    /// IGMP is switched off on an interface.
    Off(Interface),
    /// And on again.
    On(Interface),
    /// So many notices did not fit, which no run here should come to.
    Lost(u64),
}

/// What a client was told, and when that began, in nanoseconds of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Heard {
    pub(crate) at: u64,
    pub(crate) sound: Sound,
}

thread_local! {
    /// The window that this thread is in. What it tells clients, it tells in the course of its own calls.
    static WINDOW: Cell<usize> = const { Cell::new(0) };
}

/// From here on this thread is in that window.
pub(crate) fn enter(window: usize) {
    WINDOW.set(window);
}

/// See the top of this file.
pub(crate) struct Listener {
    began: Instant,
    handle: OnceLock<Handle>,
    heard: Mutex<Vec<(usize, Heard)>>,
}

impl Listener {
    /// One that counts its time from `began`.
    pub(crate) fn new(began: Instant) -> Arc<Listener> {
        Arc::new(Listener { began, handle: OnceLock::new(), heard: Mutex::default() })
    }

    /// It is registered, and may have been told things already.
    pub(crate) fn registered(&self, handle: Handle) {
        _ = self.handle.set(handle);
    }

    /// As whom it is registered, if it is.
    pub(crate) fn handle(&self) -> Option<Handle> {
        self.handle.get().copied()
    }

    /// What it was told since the last call of this, each with the window in which it was.
    pub(crate) fn take(&self) -> Vec<(usize, Heard)> {
        std::mem::take(&mut self.heard.lock())
    }

    fn hear(&self, sound: Sound) {
        let at = u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let mut heard = self.heard.lock();
        heard.push((WINDOW.get(), Heard { at, sound }));
    }
}

impl Client for Listener {
    fn join_alert(&self, alert: &JoinAlert) {
        self.hear(Sound::Told(Told::Join(alert.membership(), alert.cause())));
    }

    fn prune_alert(&self, alert: &mut PruneAlert) {
        self.hear(Sound::Told(Told::Prune(alert.membership(), alert.interface(), alert.cause())));
    }

    fn local_join(&self, interface: Interface, membership: Membership) {
        self.hear(Sound::Told(Told::LocalJoin(interface, membership)));
    }

    fn local_leave(&self, interface: Interface, membership: Membership) {
        self.hear(Sound::Told(Told::LocalLeave(interface, membership)));
    }

    fn disable_igmp(&self, interface: Interface) {
        self.hear(Sound::Off(interface));
    }

    fn enable_igmp(&self, interface: Interface) {
        self.hear(Sound::On(interface));
    }

    fn notices_lost(&self, count: u64) {
        self.hear(Sound::Lost(count));
    }
}
