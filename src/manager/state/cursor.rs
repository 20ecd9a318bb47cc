//! [`Cursor`]: the position up to which a sequence was handed out, each part to one caller.

use crate::sync::{AtomicUsize, Ordering};
use std::ops::Range;

/// A shared position in a sequence. Each part of the sequence goes to one caller.
#[derive(Debug, Default)]
pub struct Cursor {
    position: AtomicUsize,
}

impl Cursor {
    /// Returns the number of items of `len` that are left. It only shrinks.
    pub fn left(&self, len: usize) -> usize {
        // Relaxed: a later value is only smaller.
        len.saturating_sub(self.position.load(Ordering::Relaxed))
    }

    /// Takes the next part of a sequence of `len` items, at most `max` of them. No other caller gets that part. Lock-free.
    pub fn take(&self, max: usize, len: usize) -> Range<usize> {
        let after = |position: usize| position.saturating_add(max).min(len);
        if planted!("page-twice") {
            let position = self.position.load(Ordering::Relaxed);
            self.position.store(after(position), Ordering::Relaxed);
            return position..after(position);
        }
        // Relaxed: the modification order of this word alone decides which caller has which part.
        let taken = self.position.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |p| Some(after(p)));
        let position = taken.unwrap_or_else(|position| position);
        position..after(position)
    }
}
