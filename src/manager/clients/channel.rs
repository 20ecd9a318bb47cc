//! [`ClientChannel`]: the path from the manager to one client. Questions pass its run-down protection directly, notices wait
//! in its outbox.
//!
//! A notice is queued under the membership lock, at the instant of the change that it reports. So the outbox holds the
//! notices in the order of the changes. Notices are delivered after the lock is released.
//!
//! A new channel is held: its notices wait, and its questions are unanswered, until the client has received its handle.

use super::callback_runner::CallbackRunner;
use super::outbox::{Next, Outbox};
use super::registry::{ClientRegistry, ClientTable};
use super::rundown::{Rundown, RundownGuard};
use crate::foreign_code::{self, PutOff};
use crate::forwarding::{Flow, Stamp};
use crate::handle::Handle;
use crate::manager::ops::State;
use crate::manager::state::Handover;
use crate::manager::{Client, Interface, JoinAlert, Membership, Protocol, PruneAlert, WrongInterfaceAlert};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// A notice to a client.
pub(in crate::manager) enum Notice {
    Join(JoinAlert),
    /// With the flow and the id of the entry that has the timeout; the client may change it.
    Prune(PruneAlert, Option<(Flow, u64)>),
    LocalJoin(Interface, Membership),
    LocalLeave(Interface, Membership),
    Handover(Handover),
    WrongInterface(WrongInterfaceAlert),
}

/// What the delivery of a notice has to change in the manager's state.
pub(in crate::manager) enum Reply<'n> {
    /// A handover was delivered as far as `enable_igmp`, or dropped.
    HandoverDelivered(&'n Handover),
    /// The client set the timeout of a negative entry.
    PruneTimeout { flow: Flow, entry_id: u64, timeout: Duration },
}

/// A notice, and the ownership without which it is not delivered.
struct Queued {
    notice: Notice,
    requires: Option<Stamp>,
}

/// The path to one client. See the top of this file.
pub(in crate::manager) struct ClientChannel {
    pub(in crate::manager) handle: Handle,
    pub(in crate::manager) protocol: Protocol,
    pub(in crate::manager) wishes: Wishes,
    /// Empty once the client has left. A callback that is running keeps them.
    callbacks: Mutex<Option<Arc<Callbacks>>>,
    home: Home,
    /// Whether the client has received its handle.
    started: AtomicBool,
    rundown: Rundown,
    outbox: Outbox<Queued>,
    /// The maximum number of queued notices.
    limit: usize,
    runner: Arc<CallbackRunner>,
}

/// What a client asked for when it registered.
#[derive(Clone, Copy)]
pub(in crate::manager) struct Wishes {
    pub(in crate::manager) wrong_interface: bool,
    pub(in crate::manager) present_joins: bool,
}

/// The parts of a manager that a delivery needs. A put-off delivery may outlive its manager; then it is dropped.
#[derive(Clone)]
pub(in crate::manager) struct Home {
    pub(in crate::manager) clients: Weak<ClientRegistry>,
    pub(in crate::manager) state: Weak<Mutex<State>>,
}

/// The constant parts of a channel.
pub(super) struct ChannelParts {
    pub(super) handle: Handle,
    pub(super) protocol: Protocol,
    pub(super) wishes: Wishes,
    pub(super) callbacks: Arc<dyn Client>,
    pub(super) home: Home,
    pub(super) limit: usize,
    pub(super) runner: Arc<CallbackRunner>,
}

impl ClientChannel {
    /// Returns a channel that is held until [`start`](Self::start).
    pub(super) fn new(parts: ChannelParts) -> ClientChannel {
        ClientChannel {
            handle: parts.handle,
            protocol: parts.protocol,
            wishes: parts.wishes,
            callbacks: Mutex::new(Some(Arc::new(Callbacks {
                client: Some(parts.callbacks),
                runner: parts.runner.clone(),
            }))),
            home: parts.home,
            started: AtomicBool::new(false),
            rundown: Rundown::default(),
            outbox: Outbox::held(),
            limit: parts.limit,
            runner: parts.runner,
        }
    }

    /// Gives the client its handle and ends the hold. The caller has to deliver afterwards. Must be called once, with no
    /// lock held.
    pub(in crate::manager) fn start(&self, table: &ClientTable) {
        if let Some(guard) = self.rundown.enter(|| table.contains(self.handle)) {
            self.call(guard, "registered", |client| client.registered(self.handle));
        }
        // Release, paired with `is_started`: the callback comes before every question.
        self.started.store(true, Ordering::Release);
        self.outbox.release();
    }

    /// Returns whether the client has received its handle.
    pub(in crate::manager) fn is_started(&self) -> bool {
        // Acquire, paired with `start`.
        self.started.load(Ordering::Acquire)
    }

    /// Asks the client a question. Returns `None` when the client has left, has not received its handle yet, or panics.
    /// Must be called with no lock held.
    pub(in crate::manager) fn ask<R>(
        &self,
        table: &ClientTable,
        what: &str,
        question: impl FnOnce(&dyn Client) -> R,
    ) -> Option<R> {
        if !self.is_started() {
            return None;
        }
        let guard = self.rundown.enter(|| table.contains(self.handle))?;
        self.call(guard, what, question)
    }

    /// Runs a callback, then leaves the run-down, then does what the callback put off: no thread has to wait for that.
    fn call<R>(&self, guard: RundownGuard<'_>, what: &str, call: impl FnOnce(&dyn Client) -> R) -> Option<R> {
        let callbacks = self.callbacks.lock().clone();
        let client = callbacks.as_ref().and_then(|callbacks| callbacks.client.as_deref())?;
        let answer = self.runner.contain(what, || call(client));
        drop(callbacks);
        drop(guard);
        foreign_code::run_put_off();
        answer
    }

    /// Queues a notice, which is delivered only while the stamp is current. Must be called under the membership lock. The
    /// caller has to deliver after releasing the lock.
    pub(in crate::manager) fn queue(&self, notice: Notice, requires: Option<Stamp>) {
        self.outbox.push(Queued { notice, requires }, self.limit);
    }

    /// Queues a handover, even beyond the limit. At the limit it is merged into a queued handover of the same interface, so
    /// that at most one notice an interface exceeds the limit. Returns whether it was merged.
    pub(in crate::manager) fn queue_handover(&self, handover: Handover, requires: Stamp) -> bool {
        let (vif, tenure, word) = (handover.vif, handover.tenure, handover.word);
        let merge = |queued: &mut Queued| match &mut queued.notice {
            Notice::Handover(other) if (other.vif, other.tenure) == (vif, tenure) => {
                other.word = word;
                true
            }
            _ => false,
        };
        let queued = Queued { notice: Notice::Handover(handover), requires: Some(requires) };
        self.outbox.push_or_merge(queued, self.limit, merge)
    }

    /// Delivers the queued notices, unless another thread is delivering or the channel is held. When callbacks are nested too
    /// deeply, leaves the delivery to a call further out on this thread's stack: clients that cause each other's notices must
    /// not overflow it. Must be called with no lock held.
    pub(in crate::manager) fn deliver(self: &Arc<Self>) {
        foreign_code::put_off_without_room(self.clone());
    }

    fn deliver_now(&self, clients: &ClientRegistry, state: &Mutex<State>) {
        let table = &clients.table;
        self.outbox.deliver(|next| match next {
            Next::Item(queued) => self.notify(table, queued, &|reply| state.lock().apply(&reply)),
            Next::Lost(count) => {
                _ = self.ask(table, "notices_lost", |client| client.notices_lost(count));
            }
        });
    }

    fn notify(&self, table: &ClientTable, queued: Queued, reply: &dyn Fn(Reply<'_>)) {
        let Queued { notice, requires } = queued;
        let enter = || {
            let guard = self.rundown.enter(|| table.contains(self.handle))?;
            requires.is_none_or(|stamp| stamp.is_current(table.owners())).then_some(guard)
        };
        let guard = enter();
        if let Notice::Handover(handover) = notice {
            let wanted = guard.is_some();
            if let Some(guard) = guard {
                self.call(guard, "disable_igmp", |client| client.disable_igmp(handover.interface));
            }
            reply(Reply::HandoverDelivered(&handover));
            // The client may have released the interface meanwhile, or have left: then IGMP is not enabled again.
            if wanted && let Some(guard) = enter() {
                self.call(guard, "enable_igmp", |client| client.enable_igmp(handover.interface));
            }
            return;
        }
        let Some(guard) = guard else { return };
        match notice {
            Notice::Handover(_) => {}
            Notice::Join(alert) => {
                self.call(guard, "join_alert", |client| client.join_alert(&alert));
            }
            Notice::Prune(mut alert, entry) => {
                let answered = self.call(guard, "prune_alert", |client| client.prune_alert(&mut alert));
                if let (Some((flow, entry_id)), Some(()), Some(timeout)) = (entry, answered, alert.answer()) {
                    reply(Reply::PruneTimeout { flow, entry_id, timeout });
                }
            }
            Notice::LocalJoin(interface, membership) => {
                self.call(guard, "local_join", |client| client.local_join(interface, membership));
            }
            Notice::LocalLeave(interface, membership) => {
                self.call(guard, "local_leave", |client| client.local_leave(interface, membership));
            }
            Notice::WrongInterface(alert) => {
                self.call(guard, "wrong_interface", |client| client.wrong_interface(&alert));
            }
        }
    }

    /// Closes the channel of a client that has left: no callback starts any more, and queued notices are dropped by the next
    /// delivery. The client's destructor runs when its last callback has returned, not when the slot is used again.
    pub(in crate::manager) fn close(&self) {
        self.rundown.close();
        if planted!("rundown-late-entry") {
            // A client without callbacks is not called late: the bug needs them.
            return;
        }
        let callbacks = self.callbacks.lock().take();
        drop(callbacks);
    }

    /// Blocks until the client's running callbacks have returned. The channel must be closed.
    pub(in crate::manager) fn wait(&self) {
        self.rundown.wait();
    }
}

impl PutOff for ClientChannel {
    fn run(&self) {
        if let (Some(clients), Some(state)) = (self.home.clients.upgrade(), self.home.state.upgrade()) {
            self.deliver_now(&clients, &state);
        }
    }
}

/// The client, for as long as it is registered or one of its callbacks runs.
struct Callbacks {
    /// `Some` until dropped.
    client: Option<Arc<dyn Client>>,
    runner: Arc<CallbackRunner>,
}

impl Drop for Callbacks {
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            self.runner.defer_destructor(client);
        }
    }
}
