//! Walks over the objects of a table.

use super::{Handle, Ref, Table};
use std::fmt;
use std::iter::FusedIterator;

/// The live handles of a table: every one that is live throughout the walk, and perhaps some that are not. Made by
/// [`HandleTable::keys`](super::HandleTable::keys) and [`OwnershipTable::keys`](super::OwnershipTable::keys).
pub struct Keys<'t, B> {
    table: &'t B,
    next: u32,
}

impl<'t, B: Table> Keys<'t, B> {
    pub(super) fn new(table: &'t B) -> Self {
        Keys { table, next: 0 }
    }
}

impl<B: Table> Iterator for Keys<'_, B> {
    type Item = Handle;

    fn next(&mut self) -> Option<Handle> {
        self.table.raw().next_live(&mut self.next)
    }
}

impl<B: Table> FusedIterator for Keys<'_, B> {}

impl<B> Clone for Keys<'_, B> {
    fn clone(&self) -> Self {
        Keys { table: self.table, next: self.next }
    }
}

impl<B> fmt::Debug for Keys<'_, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("next", &self.next).finish_non_exhaustive()
    }
}

/// The objects of a table with their handles: every one that is live throughout the walk, and perhaps some that are not.
/// Made by [`HandleTable::iter`](super::HandleTable::iter) and [`OwnershipTable::iter`](super::OwnershipTable::iter).
pub struct Iter<'t, B> {
    keys: Keys<'t, B>,
}

impl<'t, B: Table> Iter<'t, B> {
    pub(super) fn new(table: &'t B) -> Self {
        Iter { keys: Keys::new(table) }
    }
}

impl<'t, B: Table> Iterator for Iter<'t, B> {
    type Item = (Handle, Ref<'t, B::Value>);

    fn next(&mut self) -> Option<Self::Item> {
        let table = self.keys.table;
        self.keys.find_map(|handle| table.raw().get(handle).map(|value| (handle, value)))
    }
}

impl<B: Table> FusedIterator for Iter<'_, B> {}

impl<B> Clone for Iter<'_, B> {
    fn clone(&self) -> Self {
        Iter { keys: self.keys.clone() }
    }
}

impl<B> fmt::Debug for Iter<'_, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Iter").field("next", &self.keys.next).finish_non_exhaustive()
    }
}
