//! [`Cursor`]: how far something has been given out, of which each part goes to one.

use crate::sync::{AtomicUsize, Ordering};
use std::ops::Range;

/// See the top of this file.
#[derive(Default)]
pub struct Cursor {
    given: AtomicUsize,
}

impl Cursor {
    /// How many places were not given out, of `all`: later there are no more.
    pub fn left(&self, all: usize) -> usize {
        // Relaxed: it only shrinks.
        all.saturating_sub(self.given.load(Ordering::Relaxed))
    }

    /// The next part of `all` places, at most `most` of them: the caller's alone. Lock-free.
    pub fn take(&self, most: usize, all: usize) -> Range<usize> {
        let after = |given: usize| given.saturating_add(most).min(all);
        if planted!("page-twice") {
            let given = self.given.load(Ordering::Relaxed);
            self.given.store(after(given), Ordering::Relaxed);
            return given..after(given);
        }
        // Relaxed: who has which part is decided by this word alone.
        let took = self.given.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |given| Some(after(given)));
        let given = took.unwrap_or_else(|given| given);
        given..after(given)
    }
}
