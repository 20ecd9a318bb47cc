//! Vacant slots: a stack linked through their dead state words, one for each of a few threads.
//!
//! ```text
//!        63                                      24 23                     0
//!       +------------------------------------------+------------------------+
//! head  |          slots ever popped (tag)         |   top slot, or none    |
//!       +------------------------------------------+------------------------+
//! ```
//!
//! A popper reads the top's link and then swings the head from the top to that link. The link is right if the stack
//! below the top is still what it was: the stack below a slot changes only after that slot was popped, and every pop
//! adds one to the tag. So a head that reads the same means that nothing was popped, let alone put back (a sleeper
//! would have to miss exactly 2^40 pops of this one stack: more than half a day of nothing else). Pushes leave the tag
//! alone, which makes it a count of slots taken into use, for free.

use super::handle::{INDEX_BITS, INDEX_MASK};
use super::slot::NIL;
use crate::faults;
use crate::handle::points;
use crate::sync::{Ordering, Word};

/// How lists are linked: through the slots.
pub(super) trait Links {
    fn link(&self, index: u32) -> u32;
    /// The slot is the caller's alone.
    fn set_link(&self, index: u32, link: u32);
}

const TAG_ONE: u64 = 1 << INDEX_BITS;

/// A stack of vacant slots. Every operation is lock-free.
#[derive(Debug)]
pub(super) struct FreeList {
    head: Word,
}

impl Default for FreeList {
    fn default() -> Self {
        FreeList { head: Word::new(u64::from(NIL)) }
    }
}

impl FreeList {
    /// Takes a slot: it is the caller's alone then.
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
            // Acquire on success, paired with `push`: all that the slot's last owner did to it. (It is a
            // read-modify-write, so it stands in the release sequence of every push below it.)
            match self.head.compare_exchange(head, below, Ordering::Acquire, Ordering::Acquire) {
                Ok(_) => return Some(top),
                Err(now) => head = now,
            }
        }
    }

    /// Gives back a chain of slots that are the caller's alone: `first` is linked to the next and so on to `last`.
    pub(super) fn push(&self, slots: &impl Links, first: u32, last: u32) {
        // Relaxed: nothing is read through it.
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            slots.set_link(last, (head & INDEX_MASK) as u32);
            let pushed = head & !INDEX_MASK | u64::from(first);
            faults::point(points::FREE_LIST_PUSHING);
            // Release, paired with `pop`: the links, and all that was done to the slots.
            match self.head.compare_exchange(head, pushed, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => head = now,
            }
        }
    }

    /// How many slots have ever been popped.
    pub(super) fn popped(&self) -> u64 {
        // Relaxed: a count.
        self.head.load(Ordering::Relaxed) >> INDEX_BITS
    }
}

#[cfg(all(test, not(loom)))]
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
    fn gives_back_what_was_given_last_first() {
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
