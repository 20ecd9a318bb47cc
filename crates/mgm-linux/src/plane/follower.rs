//! The thread that follows the manager's entries, and advances the manager's clock.

use super::entries::{Occasion, Shared};
use crate::clock;
use crate::sys::wait_readable;
use mgm::manager::{ChangeSubscription, EntryChange};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The longest time between two looks at the clock. What the manager keeps for a while is bounded by its clock, too.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// Follows the entries until the plane stops.
pub(super) fn run(shared: &Arc<Shared>, changes: &ChangeSubscription) {
    let mut reader = shared.manager.forwarding().reader();
    // Acquire: pairs with the store of `stop`.
    while !shared.stop.load(Ordering::Acquire) {
        // In this order: a thread that finds `woken` set does not wake, and what it queued before is seen below.
        shared.follower.clear();
        // AcqRel pairs with the swap of `wake_follower`.
        shared.woken.swap(false, Ordering::AcqRel);
        // Relaxed: the swap above orders it.
        let compare = shared.compare.swap(false, Ordering::Relaxed);
        shared.number_interfaces(&mut reader, compare);
        shared.sweep(&mut reader);
        if compare {
            shared.compare_all(&mut reader);
        }
        while let Some(change) = changes.try_next() {
            match change {
                EntryChange::Flow(flow) => shared.update(&mut reader, flow, Occasion::Changed),
                EntryChange::Overflow => shared.compare_all(&mut reader),
            }
            // An interface without a number forwards nothing: it does not wait for a long queue.
            if shared.woken.load(Ordering::Relaxed) && shared.state.lock().vifs.has_retired() {
                break;
            }
        }
        shared.manager.advance(clock::now());
        let deadline = shared.manager.next_deadline();
        let until = deadline.map_or(LONGEST_WAIT, |deadline| deadline.saturating_sub(clock::now()));
        // A parked reader holds no removed entry back.
        reader.park();
        if let Err(error) = wait_readable([shared.follower.as_fd()], Some(until.min(LONGEST_WAIT))) {
            tracing::error!(%error, "poll");
            std::thread::sleep(LONGEST_WAIT);
        }
    }
}
