//! Parts of the table that have loom models of their own.

use super::buckets::BucketArray;

/// A bucket array without the entries that it leads to. Only one thread at a time may change it.
#[derive(Default)]
pub struct Array {
    first: BucketArray,
}

impl Array {
    /// Makes an entry visible.
    pub fn insert(&self, hash: u64, index: u32) {
        assert!(self.first.current().insert(hash, index));
    }

    /// Replaces one entry with another.
    pub fn replace(&self, hash: u64, old: u32, new: u32) {
        assert!(self.first.current().replace(hash, old, new));
    }

    /// Removes an entry.
    pub fn remove(&self, hash: u64, index: u32) {
        assert!(self.first.current().remove(hash, index));
    }

    /// Doubles the size.
    pub fn grow(&self) {
        assert!(self.first.current().grow().is_ok());
    }

    /// Calls `is` with the entries with a matching fingerprint until it returns a value.
    pub fn find<R>(&self, hash: u64, is: impl FnMut(u32) -> Option<R>) -> Option<R> {
        self.first.current().find(hash, is)
    }
}
