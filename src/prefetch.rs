//! Requests of cache lines before they are needed.

/// Requests the first cache line of a value. A hint that changes nothing but time; empty on targets without a stable way
/// to prefetch.
#[inline(always)]
pub(crate) fn prefetch<T>(value: &T) {
    prefetch_line(std::ptr::from_ref(value).cast());
}

/// Requests all cache lines of a slice.
#[cfg(feature = "manager")]
#[inline(always)]
pub(crate) fn prefetch_lines<T>(slice: &[T]) {
    const LINE: usize = 64;
    let range = slice.as_ptr_range();
    let mut line: *const u8 = range.start.cast();
    while line < range.end.cast() {
        prefetch_line(line);
        line = line.map_addr(|address| (address & !(LINE - 1)).wrapping_add(LINE));
    }
}

#[inline(always)]
fn prefetch_line(line: *const u8) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch reads nothing and faults at no address, and SSE is part of every x86-64.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.cast()) };
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = line;
}
