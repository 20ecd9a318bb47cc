//! [`ring`]: a bounded queue with one thread at either end, whose slots are written and read where they are.
//!
//! ```text
//!            freed             sent
//!              v                v
//!   slots   [ ][x][x][x][x][x][ ][ ]     [x] holds something: the receiver's
//!                              ^ written  [ ] free: the sender's
//! ```
//!
//! Both counts only grow; what they count is at the place of their low bits. Each end keeps its own count by itself and reads
//! the other's only when that one, as it last saw it, leaves nothing to do. The sender writes any number of slots and then
//! [publishes](Sender::publish) them together: who receives meanwhile does not have the line of `sent` taken away for each.
//!
//! Why not a crate: `rtrb` does the same, also with slots in place, and was tried first. It publishes each slot by itself, and cannot
//! tell where the next one will lie, so that it can be asked for ahead. A copy took 179 instructions with it and 155 when
//! this took its place (callgrind, the whole packet path between 1 and 4 copies), of which a part was the whole-word stores of
//! frames.rs that came at the same time; the two were not timed beside each other.

use crate::prefetch::prefetch;
use crate::sync::{Arc, MutPtr, Ordering, UnsafeCell, Word};
use crossbeam_utils::CachePadded;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

/// What both ends share.
struct Ring<S> {
    /// A power of two of them.
    slots: Box<[UnsafeCell<MaybeUninit<S>>]>,
    /// So many slots have been handed to the receiver so far: written by the sender only.
    sent: CachePadded<Word>,
    /// So many of those have been handed back: written by the receiver only.
    freed: CachePadded<Word>,
}

// SAFETY: a slot is accessed by the sender while it is free, and by the receiver while it is not; each is handed over by a
// releasing store to a count that the other end acquires. The values themselves change threads, so they have to be `Send`.
unsafe impl<S: Send> Sync for Ring<S> {}
// SAFETY: as above.
unsafe impl<S: Send> Send for Ring<S> {}

/// A ring of at least so many slots, and at least one. Values in it are never dropped: they have nothing to drop.
pub fn ring<S: Copy + Send>(slots: usize) -> (Sender<S>, Receiver<S>) {
    // More than half of what there is of memory cannot be had anyway.
    let slots = slots.clamp(1, 1 << (usize::BITS - 2)).next_power_of_two();
    let ring = Arc::new(Ring {
        slots: (0..slots).map(|_| UnsafeCell::new(MaybeUninit::uninit())).collect(),
        sent: CachePadded::new(Word::new(0)),
        freed: CachePadded::new(Word::new(0)),
    });
    let first = NonNull::from(&*ring.slots).cast();
    // SAFETY: it has so many slots.
    let last = unsafe { first.add(slots - 1) };
    let full_at = slots as u64;
    (
        Sender { ring: ring.clone(), first, last, next: first, written: 0, published: 0, full_at },
        Receiver { ring, received: 0, sent: 0 },
    )
}

/// The end that slots are written at.
pub struct Sender<S> {
    ring: Arc<Ring<S>>,
    /// The first slot of `ring`, and its last, to be had in fewer steps.
    first: NonNull<UnsafeCell<MaybeUninit<S>>>,
    last: NonNull<UnsafeCell<MaybeUninit<S>>>,
    /// The slot at `written`.
    next: NonNull<UnsafeCell<MaybeUninit<S>>>,
    written: u64,
    published: u64,
    /// What `written` is when no slot is free any more, as `freed` was last seen.
    full_at: u64,
}

// SAFETY: `first`, `last` and `next` lead to slots of `ring`, which may change threads.
unsafe impl<S: Send> Send for Sender<S> {}

/// The end that they are read at.
pub struct Receiver<S> {
    ring: Arc<Ring<S>>,
    received: u64,
    /// As it was last seen.
    sent: u64,
}

impl<S> Ring<S> {
    #[inline]
    fn slot(&self, count: u64) -> &UnsafeCell<MaybeUninit<S>> {
        &self.slots[count as usize & (self.slots.len() - 1)]
    }
}

impl<S: Copy + Send> Sender<S> {
    /// A slot to write, if one is free.
    #[inline(always)]
    pub fn free(&mut self) -> Option<FreeSlot<'_, S>> {
        if self.written == self.full_at && !self.is_one_freed() {
            return None;
        }
        // SAFETY: a slot of `self.ring`.
        let slot = unsafe { self.next.as_ref() }.get_mut();
        Some(FreeSlot { sender: self, slot })
    }

    /// Whether a slot is free, by what the receiver has freed by now.
    #[cold]
    fn is_one_freed(&mut self) -> bool {
        // Acquire, paired with the store in `receive`: the receiver is done with what it has freed.
        self.full_at = self.ring.freed.load(Ordering::Acquire) + self.ring.slots.len() as u64;
        self.written != self.full_at
    }

    /// Hands what was written to the receiver.
    #[inline]
    pub fn publish(&mut self) {
        if self.published != self.written {
            self.published = self.written;
            // Release, paired with the load in `receive`: who sees the count sees what was written.
            let order = if planted!("ring-relaxed") { Ordering::Relaxed } else { Ordering::Release };
            self.ring.sent.store(self.written, order);
        }
    }

    /// How many were ever written.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// How many slots are free, at least.
    pub fn room(&self) -> usize {
        // Relaxed: nothing is done with those slots before `free` has looked itself.
        let freed = self.ring.freed.load(Ordering::Relaxed);
        self.ring.slots.len() - (self.written - freed) as usize
    }
}

/// A slot that is free, which only its sender has.
// No closure that initializes it: those of a packet path would be calls.
pub struct FreeSlot<'s, S> {
    sender: &'s mut Sender<S>,
    slot: MutPtr<MaybeUninit<S>>,
}

impl<S: Copy + Send> FreeSlot<'_, S> {
    /// What is to be initialized.
    #[inline(always)]
    pub fn slot(&mut self) -> &mut MaybeUninit<S> {
        // SAFETY: the slot was freed, or never used, and was not handed over since: nobody else accesses it; nor does the
        // sender, which is borrowed.
        unsafe { self.slot.deref() }
    }

    /// The slot is written, but not published.
    ///
    /// # Safety
    /// As much of it is initialized as whoever reads it takes for initialized.
    #[inline(always)]
    pub unsafe fn written(self) {
        let sender = self.sender;
        sender.written += 1;
        sender.next = if sender.next == sender.last {
            sender.first
        } else {
            // SAFETY: it is a slot of the ring and not the last one.
            unsafe { sender.next.add(1) }
        };
        // SAFETY: a slot of the sender's ring.
        prefetch(unsafe { sender.next.as_ref() });
    }
}

impl<S: Copy + Send> Receiver<S> {
    /// Has `read` look at the slots that were sent, at most `most`, as an iterator in their order; then they are free again. How
    /// many there were.
    #[inline]
    pub fn receive(&mut self, most: usize, read: impl FnOnce(&mut Slots<'_, S>)) -> usize {
        if self.sent - self.received < most as u64 {
            // Acquire, paired with the store in `publish`: what was written in the slots.
            self.sent = self.ring.sent.load(Ordering::Acquire);
        }
        let count = (self.sent - self.received).min(most as u64);
        if count > 0 {
            read(&mut Slots { ring: &self.ring, next: self.received, end: self.received + count });
            self.received += count;
            // Release, paired with the load in `is_one_freed`: the slots are not read any more.
            self.ring.freed.store(self.received, Ordering::Release);
        }
        count as usize
    }

    /// How many slots were sent and not received yet, at least.
    pub fn waiting(&self) -> usize {
        // Relaxed: nothing is done with those slots before `receive` has looked itself.
        (self.ring.sent.load(Ordering::Relaxed) - self.received) as usize
    }
}

/// Slots that were received.
pub struct Slots<'r, S> {
    ring: &'r Ring<S>,
    next: u64,
    end: u64,
}

impl<'r, S> Iterator for Slots<'r, S> {
    type Item = &'r MaybeUninit<S>;

    #[inline]
    fn next(&mut self) -> Option<&'r MaybeUninit<S>> {
        if self.next == self.end {
            return None;
        }
        let slot = self.ring.slot(self.next);
        self.next += 1;
        // SAFETY: it was sent, and is not freed before `receive` ends, which the reference does not outlive.
        Some(slot.with(|slot| unsafe { &*slot }))
    }
}
