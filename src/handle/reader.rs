//! [`Reader`]: a worker's way to read a table.

use super::{Handle, HandleTable, Layout, Plain};
use std::sync::Arc as StdArc;

/// Reads a table from one thread, staying pinned between calls.
pub struct Reader<'t, T, L: Layout = Plain> {
    pub(super) table: &'t HandleTable<T, L>,
    pub(super) last: Option<StdArc<T>>,
}

impl<'t, T, L: Layout> Reader<'t, T, L> {
    /// The object, if the handle is live. The reference lasts until the next call.
    pub fn get(&mut self, handle: Handle) -> Option<&T> {
        self.last = self.table.arc(handle);
        self.last.as_deref()
    }

    /// Many look-ups under one check.
    pub fn burst(&mut self) -> Burst<'_, T, L> {
        Burst { table: self.table, kept: Default::default() }
    }

    /// Lets reclamation go on without this reader until its next call.
    pub fn park(&mut self) {
        self.last = None;
    }
}

/// Look-ups whose results all stay valid until the burst ends.
pub struct Burst<'r, T, L: Layout = Plain> {
    table: &'r HandleTable<T, L>,
    kept: std::cell::RefCell<Vec<StdArc<T>>>,
}

impl<T, L: Layout> Burst<'_, T, L> {
    /// The object, if the handle is live.
    pub fn get(&self, handle: Handle) -> Option<&T> {
        let arc = self.table.arc(handle)?;
        let p: *const T = StdArc::as_ptr(&arc);
        self.kept.borrow_mut().push(arc);
        // SAFETY: the arc is kept in `kept` for as long as the burst lives, and is never mutated.
        Some(unsafe { &*p })
    }
}
