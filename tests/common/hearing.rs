//! A client that does something whenever it is called.

use mgm::forwarding::Flow;
use mgm::manager::{
    Client, CreationAlert, Interface, JoinAlert, Membership, PruneAlert, ReversePathQuestion,
    WrongInterfaceAlert,
};
use std::sync::Arc;

/// How a client was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    ReversePath(Flow),
    Creation(Flow),
    Join(JoinAlert),
    Prune(PruneAlert),
    LocalJoin(Interface, Membership),
    LocalLeave(Interface, Membership),
    Disable(Interface),
    Enable(Interface),
    WrongInterface(Flow),
    Lost(u64),
}

/// A client that hands every call to a function.
pub(crate) struct Hearing<F>(F);

pub(crate) fn hearing(f: impl Fn(Heard) + Send + Sync + 'static) -> Arc<dyn Client> {
    Arc::new(Hearing(f))
}

impl<F: Fn(Heard) + Send + Sync> Client for Hearing<F> {
    fn reverse_path(&self, question: &mut ReversePathQuestion<'_>) {
        self.0(Heard::ReversePath(question.flow()));
    }

    fn creation_alert(&self, alert: &mut CreationAlert<'_>) {
        self.0(Heard::Creation(alert.flow()));
    }

    fn join_alert(&self, alert: &JoinAlert) {
        self.0(Heard::Join(*alert));
    }

    fn prune_alert(&self, alert: &mut PruneAlert) {
        self.0(Heard::Prune(*alert));
    }

    fn local_join(&self, interface: Interface, membership: Membership) {
        self.0(Heard::LocalJoin(interface, membership));
    }

    fn local_leave(&self, interface: Interface, membership: Membership) {
        self.0(Heard::LocalLeave(interface, membership));
    }

    fn disable_igmp(&self, interface: Interface) {
        self.0(Heard::Disable(interface));
    }

    fn enable_igmp(&self, interface: Interface) {
        self.0(Heard::Enable(interface));
    }

    fn wants_wrong_interface(&self) -> bool {
        true
    }

    fn wrong_interface(&self, alert: &WrongInterfaceAlert) {
        self.0(Heard::WrongInterface(alert.flow()));
    }

    fn notices_lost(&self, count: u64) {
        self.0(Heard::Lost(count));
    }
}
