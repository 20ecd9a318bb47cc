//! [`Outlet`]: the way from the manager to one client. Questions go through its gate directly, notices through its outbox.
//!
//! A notice is queued under the membership lock, at the instant of what it tells of: so the queue is in the order in which
//! things happened. It is delivered after the lock is given back, by whoever finds nobody delivering to that client;
//! everybody else leaves it to that thread. So a client is told one thing after the other, a notice raised from inside a
//! callback comes after that callback, and a slow client delays its own notices and the one call that delivers them.
//!
//! The outbox is bounded. What does not fit is counted, and the client is told to look again once it has worked off what
//! did fit. The IGMP switches always fit, because they must stay in pairs; but in a full outbox the changes of one
//! interface share a pair.

use super::client_code::ClientCode;
use super::gate::Gate;
use super::switches::Switch;
use super::{
    Client, GroupManager, Interface, JoinAlert, Membership, Protocol, PruneAlert, WrongInterfaceAlert,
};
use crate::forwarding::{Flow, Stamp};
use crate::handle::Handle;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;

/// Something to tell a client.
pub(super) enum Notice {
    Join(JoinAlert),
    /// With the entry whose time-out the client may change: the flow, and which of its lives.
    Prune(PruneAlert, Option<(Flow, u64)>),
    LocalJoin(Interface, Membership),
    LocalLeave(Interface, Membership),
    Switch(Switch),
    WrongInterface(WrongInterfaceAlert),
}

/// A notice, and the ownership without which it has nothing to say any more.
struct Queued {
    notice: Notice,
    needs: Option<Stamp>,
}

#[derive(Default)]
struct Outbox {
    queue: VecDeque<Queued>,
    lost: u64,
    delivering: bool,
}

impl Outbox {
    /// Whether nothing is queued, and nobody is about to look again.
    fn is_idle(&self) -> bool {
        !self.delivering && self.queue.is_empty() && self.lost == 0
    }
}

/// What became of a switch.
pub(super) struct Switched {
    /// Whether the caller has to see to the delivery.
    pub(super) ours: bool,
    /// Whether it goes together with an earlier one.
    pub(super) merged: bool,
}

/// What the one who delivers finds next.
enum Next {
    Notice(Queued),
    Lost(u64),
    Nothing,
}

/// See the top of this file.
pub(super) struct Outlet {
    pub(super) handle: Handle,
    pub(super) protocol: Protocol,
    pub(super) wants_wrong_interface: bool,
    callbacks: Option<Arc<dyn Client>>,
    gate: Gate,
    outbox: Mutex<Outbox>,
    room: usize,
    code: Arc<ClientCode>,
}

impl Outlet {
    pub(super) fn new(
        handle: Handle,
        protocol: Protocol,
        callbacks: Arc<dyn Client>,
        wants_wrong_interface: bool,
        room: usize,
        code: Arc<ClientCode>,
    ) -> Outlet {
        Outlet {
            handle,
            protocol,
            wants_wrong_interface,
            callbacks: Some(callbacks),
            gate: Gate::default(),
            outbox: Mutex::default(),
            room,
            code,
        }
    }

    /// Asks the client something; `None` when it has left, or panics. To be called with no lock held.
    pub(super) fn ask<R>(
        &self,
        manager: &GroupManager,
        what: &str,
        question: impl FnOnce(&dyn Client) -> R,
    ) -> Option<R> {
        let _inside = self.gate.enter(|| manager.clients.validate(self.handle))?;
        self.call(what, question)
    }

    fn call<R>(&self, what: &str, call: impl FnOnce(&dyn Client) -> R) -> Option<R> {
        let callbacks = self.callbacks.as_deref()?;
        self.code.run(what, || call(callbacks))
    }

    /// Queues a notice, which is worth telling only while the stamp holds. To be called under the membership lock. Whether
    /// the caller has to see to the delivery: otherwise somebody else does.
    #[must_use]
    pub(super) fn queue(&self, notice: Notice, needs: Option<Stamp>) -> bool {
        let mut outbox = self.outbox.lock();
        let ours = outbox.is_idle();
        if outbox.queue.len() < self.room {
            outbox.queue.push_back(Queued { notice, needs });
        } else {
            outbox.lost += 1;
        }
        ours
    }

    /// Queues a switch, room or no room. When there is none, the switch goes together with one of the same interface that
    /// is queued already, so that there are no more beyond the room than interfaces.
    #[must_use]
    pub(super) fn queue_switch(&self, switch: Switch, needs: Stamp) -> Switched {
        let mut outbox = self.outbox.lock();
        let ours = outbox.is_idle();
        if outbox.queue.len() >= self.room {
            for queued in &mut outbox.queue {
                if let Notice::Switch(other) = &mut queued.notice
                    && (other.number, other.tenure) == (switch.number, switch.tenure)
                {
                    other.word = switch.word;
                    return Switched { ours, merged: true };
                }
            }
        }
        outbox.queue.push_back(Queued { notice: Notice::Switch(switch), needs: Some(needs) });
        Switched { ours, merged: false }
    }

    /// Delivers what is queued, unless another thread is at it. To be called with no lock held.
    pub(super) fn deliver(&self, manager: &GroupManager) {
        {
            let mut outbox = self.outbox.lock();
            if outbox.delivering {
                return;
            }
            outbox.delivering = true;
        }
        loop {
            match self.next() {
                Next::Notice(queued) => self.tell(manager, queued),
                Next::Lost(count) => {
                    _ = self.ask(manager, "notices_lost", |client| client.notices_lost(count));
                }
                Next::Nothing => return,
            }
        }
    }

    /// What is next, and if nothing is, that nobody is delivering any more: what is queued later finds that.
    fn next(&self) -> Next {
        let mut outbox = self.outbox.lock();
        if let Some(queued) = outbox.queue.pop_front() {
            return Next::Notice(queued);
        }
        match std::mem::take(&mut outbox.lost) {
            0 => {
                outbox.delivering = false;
                Next::Nothing
            }
            lost => Next::Lost(lost),
        }
    }

    fn tell(&self, manager: &GroupManager, Queued { notice, needs }: Queued) {
        let inside = self.gate.enter(|| manager.clients.validate(self.handle));
        let owners = manager.clients.table.owners();
        let worth_telling = inside.is_some() && needs.is_none_or(|stamp| stamp.holds(owners));
        match notice {
            Notice::Switch(switch) => {
                if worth_telling {
                    self.call("disable_igmp", |client| client.disable_igmp(switch.interface));
                }
                manager.switched(&switch);
                if worth_telling {
                    self.call("enable_igmp", |client| client.enable_igmp(switch.interface));
                }
            }
            _ if !worth_telling => {}
            Notice::Join(alert) => {
                self.call("join_alert", |client| client.join_alert(&alert));
            }
            Notice::Prune(mut alert, entry) => {
                let answered = self.call("prune_alert", |client| client.prune_alert(&mut alert));
                if let (Some((flow, life)), Some(()), Some(timeout)) = (entry, answered, alert.answer()) {
                    manager.set_timeout(flow, life, timeout);
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

    /// The client has left: no callback starts any more, and what is queued for it is dropped. If asked to, waits for the
    /// callbacks that are running.
    pub(super) fn close(&self, manager: &GroupManager, wait: bool) {
        self.gate.close();
        self.deliver(manager);
        if wait {
            self.gate.wait();
        }
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        if let Some(callbacks) = self.callbacks.take() {
            self.code.let_go(callbacks);
        }
    }
}
