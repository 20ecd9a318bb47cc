//! [`Retired`]: an object that was removed, with a slot that has not entered limbo.

use super::Handle;
use super::layout::Layout;
use super::raw_table::RawTable;
use std::fmt;
use std::ops::Deref;

/// An object that the calling thread has removed, readable until dropped.
///
/// Its handle is stale already. No pin is needed and none is held: the object's slot enters limbo only when the `Retired`
/// is dropped, so no grace period of the object begins before. The value is dropped some time after that, as the values of
/// all removed objects are.
///
/// A `Retired` that is forgotten leaks the value and the slot: neither is reclaimed, not even with the table.
pub struct Retired<'t, T> {
    value: &'t T,
    handle: Handle,
    table: &'t (dyn IntoLimbo + 't),
}

/// A table that puts the slot of a retired object into limbo.
pub(super) trait IntoLimbo {
    /// Puts the slot of a handle into limbo. The caller retired the handle and calls this once for it.
    fn enter_limbo(&self, handle: Handle);
}

impl<'t, T> Retired<'t, T> {
    /// The caller retired the handle of `value`, and has not put its slot into limbo.
    pub(super) fn new<L: Layout>(table: &'t RawTable<T, L>, handle: Handle, value: &'t T) -> Self {
        Retired { value, handle, table }
    }

    /// Returns the handle that the object had.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle
    }
}

impl<T> Deref for Retired<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.value
    }
}

impl<T> Drop for Retired<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.table.enter_limbo(self.handle);
    }
}

impl<T: fmt::Debug> fmt::Debug for Retired<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Retired").field(&self.value).finish()
    }
}

impl<T: fmt::Display> fmt::Display for Retired<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}
