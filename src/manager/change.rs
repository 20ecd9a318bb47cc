//! [`Change`]: the membership lock, and whom to tell once it is given back.

use super::client_code;
use super::outlet::{Notice, Outlet};
use super::switches::Switch;
use super::{GroupManager, State};
use crate::forwarding::Stamp;
use crate::handle::Handle;
use parking_lot::MutexGuard;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The membership lock. Dropping it gives the lock back, and then delivers what was queued meanwhile.
pub(super) struct Change<'m> {
    // In this order: fields are dropped as they are declared.
    pub(super) state: MutexGuard<'m, State>,
    pub(super) tell: Tell<'m>,
}

/// Those whom this change has something to tell, in the order in which it came to them.
pub(super) struct Tell<'m> {
    manager: &'m GroupManager,
    outlets: Vec<Arc<Outlet>>,
    known: BTreeSet<Handle>,
    /// How many ways to clients were listed at the instant of what is told.
    pub(super) listed: u64,
}

impl Tell<'_> {
    pub(super) fn queue(&mut self, outlet: Arc<Outlet>, notice: Notice, needs: Option<Stamp>) {
        outlet.queue(notice, needs);
        self.deliver_to(outlet);
    }

    /// Queues a switch; whether it is a notice of its own.
    pub(super) fn queue_switch(&mut self, outlet: Arc<Outlet>, switch: Switch, needs: Stamp) -> bool {
        let merged = outlet.queue_switch(switch, needs);
        self.deliver_to(outlet);
        !merged
    }

    fn deliver_to(&mut self, outlet: Arc<Outlet>) {
        if self.known.insert(outlet.handle) {
            self.outlets.push(outlet);
        }
    }
}

impl Drop for Tell<'_> {
    fn drop(&mut self) {
        let code = &self.manager.clients.code;
        for outlet in self.outlets.drain(..) {
            // Clients that answer each other's notices by causing more must not fill the stack: too far in, the delivery is
            // put off. A call like this one further out comes by here and has room.
            if client_code::has_room() {
                outlet.deliver(self.manager);
            } else {
                code.put_off(outlet);
            }
        }
        while client_code::has_room()
            && let Some(outlet) = code.take_up()
        {
            outlet.deliver(self.manager);
        }
        code.run_destructors();
    }
}

impl GroupManager {
    pub(super) fn change_state(&self) -> Change<'_> {
        Change {
            state: self.state.lock(),
            tell: Tell {
                manager: self,
                outlets: Vec::new(),
                known: BTreeSet::new(),
                listed: self.clients.listed(),
            },
        }
    }
}
