//! Free lists: stacks of free slots, linked through their dead state words.
//!
//! ```text
//!        63                                      24 23                     0
//!       +------------------------------------------+------------------------+
//! head  |          slots ever popped (tag)         |   top slot, or none    |
//!       +------------------------------------------+------------------------+
//! ```
//!
//! A popper reads the top's link and then swings the head from the top to that link. The link is right if the stack below
//! the top is unchanged. The stack below a slot changes only after that slot was popped, and every pop adds one to the tag.
//! So a head that reads the same means that nothing was popped, let alone pushed back. (A thread would have to sleep
//! through exactly 2^40 pops of this one stack: more than half a day of nothing else.) Pushes leave the tag alone, so it
//! also counts the slots that were taken into use.

use super::handle::{INDEX_BITS, INDEX_MASK};
use super::points;
use super::state_word::NIL;
use crate::faults;
use crate::sync::{Ordering, Word};

/// The links of a list, which lie in the slots.
pub(super) trait Links {
    /// Returns the link of a slot.
    fn link(&self, index: u32) -> u32;
    /// Sets the link of a slot, which belongs to the caller.
    fn set_link(&self, index: u32, link: u32);
}

const TAG_ONE: u64 = 1 << INDEX_BITS;

/// A stack of free slots. Every operation is lock-free.
#[derive(Debug)]
pub(super) struct FreeList {
    pub(super) head: Word,
}

impl Default for FreeList {
    fn default() -> Self {
        FreeList { head: Word::new(u64::from(NIL)) }
    }
}

impl FreeList {
    /// Pops a slot, which then belongs to the caller.
    #[inline]
    pub(super) fn pop(&self, slots: &impl Links) -> Option<u32> {
        // Acquire, here and on failure below, paired with `push`: the links.
        let mut head = self.head.load(Ordering::Acquire);
        loop {
            let top = (head & INDEX_MASK) as u32;
            if top == NIL {
                return None;
            }
            let tag = if planted!("untagged-free-list") { 0 } else { TAG_ONE };
            let below = (head & !INDEX_MASK).wrapping_add(tag) | u64::from(slots.link(top));
            faults::point(points::FREE_LIST_POPPING);
            // Acquire on success, paired with `push`: everything that the thread which pushed the slot did to it. (It is
            // a read-modify-write, so it stays in the release sequence of every push below it.)
            match self.head.compare_exchange(head, below, Ordering::Acquire, Ordering::Acquire) {
                Ok(_) => return Some(top),
                Err(now) => head = now,
            }
        }
    }

    /// Pushes a chain of slots that belong to the caller: `first` is linked to the next one and so on to `last`.
    pub(super) fn push(&self, slots: &impl Links, first: u32, last: u32) {
        // Relaxed: nothing is read through it.
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            slots.set_link(last, (head & INDEX_MASK) as u32);
            let pushed = head & !INDEX_MASK | u64::from(first);
            faults::point(points::FREE_LIST_PUSHING);
            // Release, paired with `pop`: the links, and everything that was done to the slots.
            match self.head.compare_exchange(head, pushed, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => head = now,
            }
        }
    }

    /// Pushes a chain of slots that belong to the caller and of which the last is linked to none, if the list is empty.
    /// Returns whether it was. The caller need not know the last slot.
    pub(super) fn push_to_empty(&self, first: u32) -> bool {
        // Relaxed: nothing is read through it.
        let head = self.head.load(Ordering::Relaxed);
        if head & INDEX_MASK != u64::from(NIL) && !planted!("push-over-list") {
            return false;
        }
        let pushed = head & !INDEX_MASK | u64::from(first);
        faults::point(points::FREE_LIST_PUSHING);
        // Release, paired with `pop`: as in `push`. A list that was popped empty again meanwhile has another tag.
        self.head.compare_exchange(head, pushed, Ordering::Release, Ordering::Relaxed).is_ok()
    }

    /// Returns how many slots have ever been popped.
    pub(super) fn popped(&self) -> u64 {
        // Relaxed: a count.
        self.head.load(Ordering::Relaxed) >> INDEX_BITS
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Links without slots.
    struct Chain(Vec<Word>);

    impl Chain {
        fn new(length: u32) -> Self {
            Chain((0..length).map(|_| Word::default()).collect())
        }
    }

    impl Links for Chain {
        fn link(&self, index: u32) -> u32 {
            self.0[index as usize].load(Ordering::Relaxed) as u32
        }
        fn set_link(&self, index: u32, link: u32) {
            self.0[index as usize].store(u64::from(link), Ordering::Relaxed);
        }
    }

    #[test]
    fn the_slot_pushed_last_is_popped_first() {
        let (chain, list) = (Chain::new(4), FreeList::default());
        assert_eq!(list.pop(&chain), None);
        chain.set_link(2, 3);
        list.push(&chain, 2, 3);
        list.push(&chain, 0, 0);
        let order: Vec<_> = std::iter::from_fn(|| list.pop(&chain)).collect();
        assert_eq!(order, [0, 2, 3]);
        assert_eq!(list.popped(), 3);
    }

    #[test]
    fn a_whole_chain_is_pushed_to_an_empty_list_only() {
        let (chain, list) = (Chain::new(4), FreeList::default());
        chain.set_link(2, 3);
        chain.set_link(3, NIL);
        assert!(list.push_to_empty(2));
        assert!(!list.push_to_empty(0));
        let order: Vec<_> = std::iter::from_fn(|| list.pop(&chain)).collect();
        assert_eq!(order, [2, 3]);
        chain.set_link(0, NIL);
        assert!(list.push_to_empty(0));
        assert_eq!((list.pop(&chain), list.popped()), (Some(0), 3));
    }

    #[test]
    fn threads_never_hold_the_same_slot() {
        const SLOTS: u32 = 8;
        let (chain, list) = (Chain::new(SLOTS), FreeList::default());
        let held: Vec<Word> = (0..SLOTS).map(|_| Word::default()).collect();
        for index in 0..SLOTS {
            list.push(&chain, index, index);
        }
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..20_000 {
                        let mine: Vec<u32> = std::iter::from_fn(|| list.pop(&chain)).take(2).collect();
                        for &index in &mine {
                            assert_eq!(held[index as usize].swap(1, Ordering::Relaxed), 0);
                        }
                        for &index in &mine {
                            held[index as usize].store(0, Ordering::Relaxed);
                            list.push(&chain, index, index);
                        }
                    }
                });
            }
        });
        let all: BTreeSet<_> = std::iter::from_fn(|| list.pop(&chain)).collect();
        assert_eq!(all.len(), SLOTS as usize);
    }
}
