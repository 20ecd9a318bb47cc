//! An allocator that counts what each thread allocates, and what lives.
#![allow(dead_code, reason = "each test file uses its part")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicI64, Ordering};

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

thread_local! {
    /// Has no destructor, so that it can be counted to the thread's very end.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

static LIVE: AtomicI64 = AtomicI64::new(0);

/// How often the calling thread has allocated memory so far, or had some made larger or smaller.
pub(crate) fn allocations() -> u64 {
    ALLOCATIONS.get()
}

/// How many allocations of the process are live.
pub(crate) fn live() -> i64 {
    LIVE.load(Ordering::SeqCst)
}

fn count(live: i64) {
    ALLOCATIONS.set(ALLOCATIONS.get() + 1);
    LIVE.fetch_add(live, Ordering::SeqCst);
}

// SAFETY: everything is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1);
        // SAFETY: the caller's word.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(1);
        // SAFETY: the caller's word.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(0);
        // SAFETY: the caller's word.
        unsafe { System.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        LIVE.fetch_sub(1, Ordering::SeqCst);
        // SAFETY: the caller's word.
        unsafe { System.dealloc(memory, layout) };
    }
}
