//! A global allocator that counts the allocations of each thread, and the live allocations of the process.
//!
//! A binary that includes this file counts everything that its process allocates, so it holds only tests that
//! need the counts.
#![allow(dead_code, reason = "each test file uses its part")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicI64, Ordering};

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

thread_local! {
    /// Has no destructor, so that allocations count until the end of the thread.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

static LIVE: AtomicI64 = AtomicI64::new(0);

/// Returns how often the calling thread has allocated or resized memory so far.
pub(crate) fn allocations() -> u64 {
    ALLOCATIONS.get()
}

/// Returns how many allocations of the process are live.
pub(crate) fn live() -> i64 {
    LIVE.load(Ordering::SeqCst)
}

fn count(live: i64) {
    ALLOCATIONS.set(ALLOCATIONS.get() + 1);
    LIVE.fetch_add(live, Ordering::SeqCst);
}

// SAFETY: every call is passed on unchanged to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1);
        // SAFETY: the caller keeps the contract of `GlobalAlloc`, which is that of the call.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(1);
        // SAFETY: the caller keeps the contract of `GlobalAlloc`, which is that of the call.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(0);
        // SAFETY: the caller keeps the contract of `GlobalAlloc`, which is that of the call.
        unsafe { System.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        LIVE.fetch_sub(1, Ordering::SeqCst);
        // SAFETY: the caller keeps the contract of `GlobalAlloc`, which is that of the call.
        unsafe { System.dealloc(memory, layout) };
    }
}
