//! Parts of the tables that have loom models of their own.

use super::free_list::{FreeList, Links};
use super::state_word::NIL;
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

    /// Pushes two slots, `first` on `last`: as a whole if the list is empty.
    pub fn push_pair(&self, first: u32, last: u32) {
        self.links.set_link(first, last);
        self.links.set_link(last, NIL);
        if !self.list.push_to_empty(first) {
            self.list.push(&self.links, first, last);
        }
    }

    /// Pops a slot.
    pub fn pop(&self) -> Option<u32> {
        self.list.pop(&self.links)
    }
}
