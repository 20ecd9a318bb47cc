//! [`ring`]: a bounded queue with one thread at either end. Slots are written and read in place.
//!
//! ```text
//!            freed             sent
//!              v                v
//!   slots   [ ][x][x][x][x][x][ ][ ]     [x] full: the receiver's
//!                              ^ written  [ ] free: the sender's
//! ```
//!
//! Both counts only grow; their low bits are the position of a slot. Each end keeps a private copy of its own count, and loads
//! the other end's count only if the count it saw last leaves nothing to do. The sender writes any number of slots and then
//! [publishes](Sender::publish) them together, so that the receiver does not lose the cache line of `sent` for each slot.
//!
//! Why not a crate: `rtrb` does the same, also in place, and was tried first. It publishes each slot by itself, and cannot
//! tell the address of the next slot, which this ring prefetches. A copy took 179 instructions with it and 155 with this
//! ring (callgrind, the whole packet path between 1 and 4 copies). Part of that were the whole-word stores of rewritten.rs,
//! which came at the same time; the two were not timed beside each other.

use crate::memory::{self, NoMemory};
use crate::prefetch::prefetch;
use crate::sync::{Arc, MutPtr, Ordering, UnsafeCell, Word};
use crossbeam_utils::CachePadded;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

/// The memory that both ends share.
struct Ring<S> {
    /// A power of two of slots.
    slots: Box<[UnsafeCell<MaybeUninit<S>>]>,
    /// The number of slots published to the receiver. Only the sender stores it.
    sent: CachePadded<Word>,
    /// The number of slots freed since. Only the receiver stores it.
    freed: CachePadded<Word>,
}

// SAFETY: the sender accesses a slot only while it is free, and the receiver only while it is full. A release store of a
// count transfers the slot, and the other end acquires the count. The values change threads, so they have to be `Send`.
unsafe impl<S: Send> Sync for Ring<S> {}
// SAFETY: as above.
unsafe impl<S: Send> Send for Ring<S> {}

/// Makes a ring of at least `slots` slots, and at least one. Values in it are never dropped; `Copy` types need no drop.
///
/// # Errors
/// [`NoMemory`], also for a number of slots that no memory holds.
pub fn ring<S: Copy + Send>(slots: usize) -> Result<(Sender<S>, Receiver<S>), NoMemory> {
    let slots = slots.max(1).checked_next_power_of_two().ok_or(NoMemory)?;
    let empty = std::iter::repeat_with(|| UnsafeCell::new(MaybeUninit::uninit()));
    let ring = Arc::new(Ring {
        slots: memory::slice(slots, empty)?,
        sent: CachePadded::new(Word::new(0)),
        freed: CachePadded::new(Word::new(0)),
    });
    let first = NonNull::from(&*ring.slots).cast();
    // SAFETY: the ring has that many slots.
    let last = unsafe { first.add(slots - 1) };
    let full_at = slots as u64;
    Ok((
        Sender { ring: ring.clone(), first, last, next: first, written: 0, published: 0, full_at },
        Receiver { ring, received: 0, sent: 0 },
    ))
}

/// The sending end.
pub struct Sender<S> {
    ring: Arc<Ring<S>>,
    /// The first and the last slot of `ring`, kept here to be reached in fewer steps.
    first: NonNull<UnsafeCell<MaybeUninit<S>>>,
    last: NonNull<UnsafeCell<MaybeUninit<S>>>,
    /// The slot at `written`.
    next: NonNull<UnsafeCell<MaybeUninit<S>>>,
    written: u64,
    published: u64,
    /// The value of `written` at which no slot is free, by the value of `freed` that was loaded last.
    full_at: u64,
}

// SAFETY: `first`, `last` and `next` point to slots of `ring`, which may change threads.
unsafe impl<S: Send> Send for Sender<S> {}

/// The receiving end.
pub struct Receiver<S> {
    ring: Arc<Ring<S>>,
    received: u64,
    /// The value of the shared `sent` that was loaded last.
    sent: u64,
}

impl<S> Ring<S> {
    #[inline]
    fn slot(&self, count: u64) -> &UnsafeCell<MaybeUninit<S>> {
        &self.slots[count as usize & (self.slots.len() - 1)]
    }
}

impl<S: Copy + Send> Sender<S> {
    /// Returns a slot to write, if one is free. Wait-free.
    #[inline(always)]
    pub fn free(&mut self) -> Option<FreeSlot<'_, S>> {
        if self.written == self.full_at && !self.is_one_freed() {
            return None;
        }
        // SAFETY: `next` points to a slot of `self.ring`, which is alive.
        let slot = unsafe { self.next.as_ref() }.get_mut();
        Some(FreeSlot { sender: self, slot })
    }

    /// Returns whether a slot is free, by the current value of `freed`.
    #[cold]
    fn is_one_freed(&mut self) -> bool {
        // Acquire, paired with the release store in `receive`: the receiver does not read freed slots any more.
        self.full_at = self.ring.freed.load(Ordering::Acquire) + self.ring.slots.len() as u64;
        self.written != self.full_at
    }

    /// Publishes the written slots to the receiver. Wait-free.
    #[inline]
    pub fn publish(&mut self) {
        if self.published != self.written {
            self.published = self.written;
            // Release, paired with the acquire load in `receive`: the receiver sees the written slots.
            let order = if planted!("ring-relaxed") { Ordering::Relaxed } else { Ordering::Release };
            self.ring.sent.store(self.written, order);
        }
    }

    /// Returns the number of slots ever written.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Returns the number of free slots, at least.
    pub fn room(&self) -> usize {
        // Relaxed: `free` loads the count with acquire before it gives out any of these slots.
        let freed = self.ring.freed.load(Ordering::Relaxed);
        self.ring.slots.len() - (self.written - freed) as usize
    }
}

/// A free slot, for its sender to write.
// Not a closure that initializes it: on a packet path, closures would become calls.
pub struct FreeSlot<'s, S> {
    sender: &'s mut Sender<S>,
    slot: MutPtr<MaybeUninit<S>>,
}

impl<S: Copy + Send> FreeSlot<'_, S> {
    /// Returns the memory to initialize.
    #[inline(always)]
    pub fn slot(&mut self) -> &mut MaybeUninit<S> {
        // SAFETY: the slot was freed, or never used, and was not published since, so the receiver does not access it. The
        // sender does not either: it is borrowed.
        unsafe { self.slot.deref() }
    }

    /// Marks the slot as written, to be published later.
    ///
    /// # Safety
    /// The slot is initialized as far as the receiver assumes it to be.
    #[inline(always)]
    pub unsafe fn written(self) {
        let sender = self.sender;
        sender.written += 1;
        sender.next = if sender.next == sender.last {
            sender.first
        } else {
            // SAFETY: it points to a slot of the ring, and not to the last one.
            unsafe { sender.next.add(1) }
        };
        // SAFETY: it points to a slot of the sender's ring, which is alive.
        prefetch(unsafe { sender.next.as_ref() });
    }
}

impl<S: Copy + Send> Receiver<S> {
    /// Receives at most `max` slots in their order, passes them to `read` as an iterator, and then frees them.
    ///
    /// Returns the number of slots. Wait-free, if `read` is. Slots are freed also when `read` unwinds: none is received twice.
    #[inline]
    pub fn receive(&mut self, max: usize, read: impl FnOnce(&mut Slots<'_, S>)) -> usize {
        if self.sent - self.received < max as u64 {
            // Acquire, paired with the release store in `publish`: the contents of the slots are visible.
            self.sent = self.ring.sent.load(Ordering::Acquire);
        }
        let count = (self.sent - self.received).min(max as u64);
        if count > 0 {
            let next = self.received;
            self.received += count;
            let reading = Reading { ring: &self.ring, end: self.received };
            read(&mut Slots { ring: reading.ring, next, end: reading.end });
        }
        count as usize
    }

    /// Returns the number of slots that were sent and not received yet, at least.
    pub fn waiting(&self) -> usize {
        // Relaxed: `receive` loads the count with acquire before it reads any of these slots.
        (self.ring.sent.load(Ordering::Relaxed) - self.received) as usize
    }
}

/// Frees the received slots when it is dropped, by unwinding too.
struct Reading<'r, S> {
    ring: &'r Ring<S>,
    end: u64,
}

impl<S> Drop for Reading<'_, S> {
    #[inline]
    fn drop(&mut self) {
        // Release, paired with the acquire load in `is_one_freed`: this thread does not read the slots any more.
        self.ring.freed.store(self.end, Ordering::Release);
    }
}

/// An iterator over received slots.
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
        // SAFETY: the slot was published, and is not freed before `receive` ends. The reference does not outlive that call.
        Some(slot.with(|slot| unsafe { &*slot }))
    }
}
