//! [`DeferredDeliveries`]: channels that a thread could not deliver for want of stack.

use super::ClientChannel;
use parking_lot::Mutex;
use std::sync::Arc;

/// Channels with notices that a call further out on the stack is to deliver.
#[derive(Default)]
pub(in crate::manager) struct DeferredDeliveries(Mutex<Vec<Arc<ClientChannel>>>);

impl DeferredDeliveries {
    /// Leaves the delivery of a channel to a call further out on this thread's stack.
    pub(in crate::manager) fn defer(&self, channel: Arc<ClientChannel>) {
        self.0.lock().push(channel);
    }

    /// Returns the next deferred channel.
    pub(in crate::manager) fn next_deferred(&self) -> Option<Arc<ClientChannel>> {
        self.0.lock().pop()
    }
}
