//! A client that passes every callback to one function.

use mgm::forwarding::Flow;
use mgm::manager::{
    Client, CreationAlert, Interface, JoinAlert, Membership, PruneAlert, ReversePathQuestion,
    WrongInterfaceAlert,
};
use std::sync::Arc;

/// A callback with its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Callback {
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

/// A client that passes every callback to a function.
pub(crate) struct CallbackClient<F>(F);

pub(crate) fn callback_client(f: impl Fn(Callback) + Send + Sync + 'static) -> Arc<dyn Client> {
    Arc::new(CallbackClient(f))
}

impl<F: Fn(Callback) + Send + Sync> Client for CallbackClient<F> {
    /// Its first callback is caused by a change, so that a test knows which.
    fn wants_present_joins(&self) -> bool {
        false
    }

    fn reverse_path(&self, question: &mut ReversePathQuestion<'_>) {
        self.0(Callback::ReversePath(question.flow()));
    }

    fn creation_alert(&self, alert: &mut CreationAlert<'_>) {
        self.0(Callback::Creation(alert.flow()));
    }

    fn join_alert(&self, alert: &JoinAlert) {
        self.0(Callback::Join(*alert));
    }

    fn prune_alert(&self, alert: &mut PruneAlert) {
        self.0(Callback::Prune(*alert));
    }

    fn local_join(&self, interface: Interface, membership: Membership) {
        self.0(Callback::LocalJoin(interface, membership));
    }

    fn local_leave(&self, interface: Interface, membership: Membership) {
        self.0(Callback::LocalLeave(interface, membership));
    }

    fn disable_igmp(&self, interface: Interface) {
        self.0(Callback::Disable(interface));
    }

    fn enable_igmp(&self, interface: Interface) {
        self.0(Callback::Enable(interface));
    }

    fn wants_wrong_interface(&self) -> bool {
        true
    }

    fn wrong_interface(&self, alert: &WrongInterfaceAlert) {
        self.0(Callback::WrongInterface(alert.flow()));
    }

    fn notices_lost(&self, count: u64) {
        self.0(Callback::Lost(count));
    }
}
