//! Asking for a cache line before it is needed.

/// Asks for the line at `place`; a hint that changes nothing but time. Does nothing where there is no stable way to ask.
#[inline(always)]
pub(crate) fn prefetch<T>(place: &T) {
    prefetch_line(std::ptr::from_ref(place).cast());
}

/// Asks for all lines of what lies there.
#[inline(always)]
pub(crate) fn prefetch_lines<T>(places: &[T]) {
    const LINE: usize = 64;
    let range = places.as_ptr_range();
    let mut line: *const u8 = range.start.cast();
    while line < range.end.cast() {
        prefetch_line(line);
        line = line.map_addr(|address| (address & !(LINE - 1)).wrapping_add(LINE));
    }
}

#[inline(always)]
fn prefetch_line(place: *const u8) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch reads nothing and faults at no address, and SSE is part of every x86-64.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(place.cast()) };
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = place;
}
