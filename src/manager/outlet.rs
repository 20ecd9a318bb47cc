//! [`Outlet`]: the way from the manager to one client. Questions go through its gate directly, notices through its outbox.
//!
//! A notice is queued under the membership lock, at the instant of what it tells of: so the outbox is in the order in which
//! things happened. It is delivered after the lock is given back.

use super::client_code::ClientCode;
use super::gate::Gate;
use super::outbox::{Next, Outbox};
use super::switches::Switch;
use super::{
    Client, GroupManager, Interface, JoinAlert, Membership, Protocol, PruneAlert, WrongInterfaceAlert,
};
use crate::forwarding::{Flow, Stamp};
use crate::handle::Handle;
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

/// See the top of this file.
pub(super) struct Outlet {
    pub(super) handle: Handle,
    pub(super) protocol: Protocol,
    pub(super) wants_wrong_interface: bool,
    /// The how many-th way to be listed it is.
    pub(super) number: u64,
    callbacks: Option<Arc<dyn Client>>,
    gate: Gate,
    outbox: Outbox<Queued>,
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
        number: u64,
    ) -> Outlet {
        Outlet {
            handle,
            protocol,
            wants_wrong_interface,
            number,
            callbacks: Some(callbacks),
            gate: Gate::default(),
            outbox: Outbox::default(),
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

    /// Queues a notice, which is worth telling only while the stamp holds. To be called under the membership lock; the caller
    /// has to deliver after it.
    pub(super) fn queue(&self, notice: Notice, needs: Option<Stamp>) {
        self.outbox.push(Queued { notice, needs }, self.room);
    }

    /// Queues a switch, room or no room. When there is none, the switch goes together with one of the same interface that
    /// is queued already, so that there are no more beyond the room than interfaces: whether it does.
    pub(super) fn queue_switch(&self, switch: Switch, needs: Stamp) -> bool {
        let (number, tenure, word) = (switch.number, switch.tenure, switch.word);
        let same = |queued: &mut Queued| match &mut queued.notice {
            Notice::Switch(other) if (other.number, other.tenure) == (number, tenure) => {
                other.word = word;
                true
            }
            _ => false,
        };
        self.outbox.push_or_merge(
            Queued { notice: Notice::Switch(switch), needs: Some(needs) },
            self.room,
            same,
        )
    }

    /// Delivers what is queued, unless another thread is at it. To be called with no lock held.
    pub(super) fn deliver(&self, manager: &GroupManager) {
        self.outbox.deliver(|next| match next {
            Next::Item(queued) => self.tell(manager, queued),
            Next::Lost(count) => {
                _ = self.ask(manager, "notices_lost", |client| client.notices_lost(count));
            }
        });
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
                drop(inside);
                manager.switched(&switch);
                // It may have given the interface up meanwhile, or have left: then it is not switched on again.
                let inside = self.gate.enter(|| manager.clients.validate(self.handle));
                if worth_telling && inside.is_some() && needs.is_none_or(|stamp| stamp.holds(owners)) {
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
