//! [`ClientChannel`]: the path from the manager to one client. Questions pass its run-down protection directly, notices wait
//! in its outbox.
//!
//! A notice is queued under the membership lock, at the instant of the change that it reports. So the outbox holds the
//! notices in the order of the changes. Notices are delivered after the lock is released.
//!
//! A new channel is held: its notices wait, and its questions are unanswered, until the client has received its handle.

use super::ClientTable;
use super::callback_runner::CallbackRunner;
use super::outbox::{Next, Outbox};
use super::rundown::Rundown;
use crate::forwarding::{Flow, Stamp};
use crate::handle::Handle;
use crate::manager::state::Handover;
use crate::manager::{Client, Interface, JoinAlert, Membership, Protocol, PruneAlert, WrongInterfaceAlert};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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
    pub(in crate::manager) wants_wrong_interface: bool,
    /// The sequence number of the registration.
    pub(in crate::manager) registration: u64,
    callbacks: Option<Arc<dyn Client>>,
    /// Whether the client has received its handle.
    started: AtomicBool,
    rundown: Rundown,
    outbox: Outbox<Queued>,
    /// The maximum number of queued notices.
    limit: usize,
    runner: Arc<CallbackRunner>,
}

/// The constant parts of a channel.
pub(super) struct ChannelParts {
    pub(super) handle: Handle,
    pub(super) protocol: Protocol,
    pub(super) wants_wrong_interface: bool,
    pub(super) registration: u64,
    pub(super) callbacks: Arc<dyn Client>,
    pub(super) limit: usize,
    pub(super) runner: Arc<CallbackRunner>,
}

impl ClientChannel {
    /// Returns a channel that is held until [`start`](Self::start).
    pub(super) fn new(parts: ChannelParts) -> ClientChannel {
        ClientChannel {
            handle: parts.handle,
            protocol: parts.protocol,
            wants_wrong_interface: parts.wants_wrong_interface,
            registration: parts.registration,
            callbacks: Some(parts.callbacks),
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
        {
            let guard = self.rundown.enter(|| table.contains(self.handle));
            if guard.is_some() {
                self.call("registered", |client| client.registered(self.handle));
            }
        }
        // Release, paired with `ask`: the callback comes before every question.
        self.started.store(true, Ordering::Release);
        self.outbox.release();
    }

    /// Asks the client a question. Returns `None` when the client has left, has not received its handle yet, or panics.
    /// Must be called with no lock held.
    pub(in crate::manager) fn ask<R>(
        &self,
        table: &ClientTable,
        what: &str,
        question: impl FnOnce(&dyn Client) -> R,
    ) -> Option<R> {
        // Acquire, paired with `start`.
        if !self.started.load(Ordering::Acquire) {
            return None;
        }
        let _guard = self.rundown.enter(|| table.contains(self.handle))?;
        self.call(what, question)
    }

    fn call<R>(&self, what: &str, call: impl FnOnce(&dyn Client) -> R) -> Option<R> {
        let callbacks = self.callbacks.as_deref()?;
        self.runner.run(what, || call(callbacks))
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

    /// Delivers the queued notices, unless another thread is delivering or the channel is held. Must be called with no lock
    /// held; `reply` may take locks.
    pub(in crate::manager) fn deliver(&self, table: &ClientTable, reply: &dyn Fn(Reply<'_>)) {
        self.outbox.deliver(|next| match next {
            Next::Item(queued) => self.notify(table, queued, reply),
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
        match notice {
            Notice::Handover(handover) => {
                let wanted = guard.is_some();
                if wanted {
                    self.call("disable_igmp", |client| client.disable_igmp(handover.interface));
                }
                drop(guard);
                reply(Reply::HandoverDelivered(&handover));
                // The client may have released the interface meanwhile, or have left: then IGMP is not enabled again.
                if wanted && let Some(_guard) = enter() {
                    self.call("enable_igmp", |client| client.enable_igmp(handover.interface));
                }
            }
            _ if guard.is_none() => {}
            Notice::Join(alert) => {
                self.call("join_alert", |client| client.join_alert(&alert));
            }
            Notice::Prune(mut alert, entry) => {
                let answered = self.call("prune_alert", |client| client.prune_alert(&mut alert));
                if let (Some((flow, entry_id)), Some(()), Some(timeout)) = (entry, answered, alert.answer()) {
                    reply(Reply::PruneTimeout { flow, entry_id, timeout });
                }
            }
            Notice::LocalJoin(interface, membership) => {
                self.call("local_join", |client| client.local_join(interface, membership));
            }
            Notice::LocalLeave(interface, membership) => {
                self.call("local_leave", |client| client.local_leave(interface, membership));
            }
            Notice::WrongInterface(alert) => {
                self.call("wrong_interface", |client| client.wrong_interface(&alert));
            }
        }
    }

    /// Closes the channel of a client that has left: no callback starts any more, and queued notices are dropped.
    pub(in crate::manager) fn close(&self, table: &ClientTable, reply: &dyn Fn(Reply<'_>)) {
        self.rundown.close();
        self.deliver(table, reply);
    }

    /// Blocks until the client's running callbacks have returned. The channel must be closed.
    pub(in crate::manager) fn wait(&self) {
        self.rundown.wait();
    }
}

impl Drop for ClientChannel {
    fn drop(&mut self) {
        if let Some(callbacks) = self.callbacks.take() {
            self.runner.defer_destructor(callbacks);
        }
    }
}
