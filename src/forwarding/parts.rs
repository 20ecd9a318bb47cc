//! Parts of the table, for loom models of their own.

use super::lanes::Lanes;

/// The lanes without the entries they lead to. One thread at a time may change them.
#[derive(Default)]
pub struct Array {
    first: Lanes,
}

impl Array {
    /// Makes an entry visible.
    pub fn put(&self, hash: u64, index: u32) {
        assert!(self.first.newest().put(hash, index));
    }

    /// Puts an entry in the place of another.
    pub fn replace(&self, hash: u64, old: u32, new: u32) {
        assert!(self.first.newest().replace(hash, old, new));
    }

    /// Takes an entry away.
    pub fn remove(&self, hash: u64, index: u32) {
        assert!(self.first.newest().remove(hash, index));
    }

    /// Twice the size.
    pub fn grow(&self) {
        assert!(self.first.newest().grow().is_ok());
    }

    /// The first thing that `is` makes of an entry whose fingerprint fits.
    pub fn find<R>(&self, hash: u64, is: impl FnMut(u32) -> Option<R>) -> Option<R> {
        self.first.newest().find(hash, is)
    }
}
