//! The label of an object: 64 bits beside the state word that are read without a pin.

use crate::sync::{Ordering, Word};

/// The label in a slot, or its absence. Zeros are a valid value.
pub trait LabelField: Default + Send + Sync {
    /// Sets the label of a new object. Only the thread that opens the slot calls this.
    fn set(&self, label: u64);
}

/// A table without ownership has no labels.
impl LabelField for () {
    #[inline(always)]
    fn set(&self, _label: u64) {}
}

/// The label of an object that can own resources.
#[derive(Debug, Default)]
#[repr(transparent)]
pub struct LabelWord(Word);

impl LabelField for LabelWord {
    #[inline]
    fn set(&self, label: u64) {
        // Release, paired with `get`: a thread that reads this label reads a state word that is at least as new as the
        // retirement of the slot's last object, which the free list has ordered before this store. The store of the new
        // handle, which comes next, publishes the label.
        self.0.store(label, Ordering::Release);
    }
}

impl LabelWord {
    #[inline]
    pub(super) fn get(&self) -> u64 {
        // Acquire, paired with `set`.
        self.0.load(Ordering::Acquire)
    }
}
