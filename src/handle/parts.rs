//! Parts of the tables that have loom models of their own.

use super::free_list::{FreeList, Links};
use crate::sync::{Ordering, Word};

/// A free list over slots that consist of a link.
pub struct Stack {
    list: FreeList,
    links: Chain,
}

struct Chain(Vec<Word>);

impl Links for Chain {
    fn link(&self, index: u32) -> u32 {
        self.0[index as usize].load(Ordering::Relaxed) as u32
    }
    fn set_link(&self, index: u32, link: u32) {
        self.0[index as usize].store(u64::from(link), Ordering::Relaxed);
    }
}

impl Stack {
    /// Makes an empty list and this many slots.
    pub fn new(slots: u32) -> Self {
        Stack { list: FreeList::default(), links: Chain((0..slots).map(|_| Word::new(0)).collect()) }
    }

    /// Pushes a slot.
    pub fn push(&self, slot: u32) {
        self.list.push(&self.links, slot, slot);
    }

    /// Pops a slot.
    pub fn pop(&self) -> Option<u32> {
        self.list.pop(&self.links)
    }
}
