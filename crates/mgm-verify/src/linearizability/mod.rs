//! The linearizability checker.
//!
//! A window is linearizable if there is an order of its calls in which
//!
//! - each call is answered as the sequential specification answers it,
//! - no call precedes one that had returned before it began, and
//! - every client receives its callbacks in the order that was recorded.
//!
//! The search tries one step after the other, each time a step that no other step has to precede. It remembers which steps
//! were done and which state they led to, so that it continues from no such pair twice (Wing and Gong's search with Lowe's
//! memory). It finds all states in which the window can end, and the next window may begin in any of them. Cutting a
//! history where no call is under way therefore loses nothing.
//!
//! ```text
//!   take, release   |----- effect ----------- follow-up -----------|     two steps, in this order, both within the call
//!   other calls     |---------------- the whole call --------------|     one step
//! ```
//!
//! The notices of a step are matched at once with the client's next callbacks. A notice may be missing if its version
//! ceased to be current before the delivery. Then that version must not be current at the window's end.

mod search;
#[cfg(test)]
mod tests;
mod violation;

pub use violation::Violation;

use crate::history::Window;
use crate::spec::Spec;
use search::{Node, Search};
use std::collections::HashSet;
use std::rc::Rc;

/// The largest number of calls in a window: each is a bit of a word.
pub const MAX_EVENTS: usize = 32;

/// A set of states.
pub type States = HashSet<Spec, foldhash::fast::RandomState>;

/// Returns the states in which a window can end that begins in one of `starts`. There are none if the window is not
/// linearizable.
///
/// # Panics
/// If the window has more than [`MAX_EVENTS`] calls.
#[must_use]
pub fn end_states(window: &Window, starts: &States) -> States {
    let search = Search::new(window);
    let mut ends = States::default();
    if search.has_callback_after_deregister() {
        return ends;
    }
    let mut seen: HashSet<Node, foldhash::fast::RandomState> =
        starts.iter().map(|start| search.first_node(start)).collect();
    let mut open: Vec<Node> = seen.iter().cloned().collect();
    while let Some(node) = open.pop() {
        if search.is_end(&node) {
            let mut spec = Rc::unwrap_or_clone(node.spec);
            spec.canonicalize();
            ends.insert(spec);
            continue;
        }
        for next in search.steps(&node) {
            if !seen.contains(&next) {
                seen.insert(next.clone());
                open.push(next);
            }
        }
    }
    ends
}
