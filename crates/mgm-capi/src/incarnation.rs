//! An incarnation of the manager: the time between one start and the following stop, and the calls that belong to it.

use mgm::manager::rundown::{Rundown, RundownGuard};
use std::sync::atomic::{AtomicBool, Ordering};

/// The time between one start and the following stop.
///
/// A stop ends the incarnation first. From then on no callback and no hook of it starts. The stop then looks for what
/// exists and ends that. A function that makes something, and was running when the incarnation ended, undoes its work:
/// see [`is_over`](Incarnation::is_over).
#[derive(Default)]
pub(crate) struct Incarnation {
    over: AtomicBool,
    /// The callbacks, the hooks, and the functions that make something.
    calls: Rundown,
}

impl Incarnation {
    /// Enters for one call. Returns `None` once the incarnation has ended: the call must not be made.
    pub(crate) fn enter(&self) -> Option<RundownGuard<'_>> {
        self.calls.enter(|| true)
    }

    /// Returns whether a stop has begun. A function asks after it has made something, and undoes that if so.
    ///
    /// Both this and [`end`](Self::end) are read-modify-writes of one word, so that one comes first. Either the function
    /// sees the end, or the stop sees what the function has made.
    pub(crate) fn is_over(&self) -> bool {
        // Acquire and release: pairs with the swap in `end`, in both directions.
        self.over.fetch_or(false, Ordering::AcqRel)
    }

    /// Ends the incarnation. From now on no call enters.
    pub(crate) fn end(&self) {
        // Acquire: what functions made before the swap is seen by this thread from now on. Release: pairs with `is_over`.
        self.over.swap(true, Ordering::AcqRel);
        self.calls.close();
    }

    /// Blocks until every call that entered has returned. The incarnation must have ended, and the calling thread must
    /// not be inside foreign code.
    pub(crate) fn wait(&self) {
        self.calls.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_call_enters_an_ended_incarnation() {
        let incarnation = Incarnation::default();
        let call = incarnation.enter();
        assert!(call.is_some() && !incarnation.is_over());
        incarnation.end();
        assert!(incarnation.is_over() && incarnation.enter().is_none());
        drop(call);
        incarnation.wait();
    }
}
