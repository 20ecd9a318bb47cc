//! The boundary to C, which no panic crosses.

use crate::codes::Code;
use crate::windows::DWORD;
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};

static PANICS: AtomicU32 = AtomicU32::new(0);

/// Runs the body of a C function and returns its code. A panic becomes `ERROR_CAN_NOT_COMPLETE`.
pub(crate) fn catch_panic(function: &str, body: impl FnOnce() -> Result<Code, Code>) -> DWORD {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(Code(code)) | Err(Code(code))) => code,
        Err(panic) => {
            // Leaks the payload: its destructor may panic again.
            std::mem::forget(panic);
            count_panic(function, &"see the message of the panic");
            Code::CAN_NOT_COMPLETE.0
        }
    }
}

/// Counts and reports a panic that was caught.
pub(crate) fn count_panic(place: &str, what: &dyn Display) {
    // Relaxed: a statistic; no other memory is read because of it.
    PANICS.fetch_add(1, Ordering::Relaxed);
    tracing::error!("{place} panicked: {what}");
}

/// Returns how many panics were counted.
pub(crate) fn panics() -> u32 {
    // Relaxed: as in `count_panic`.
    PANICS.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_code_and_is_counted() {
        let before = panics();
        assert_eq!(catch_panic("a test", || panic!("planted")), Code::CAN_NOT_COMPLETE.0);
        assert_eq!(catch_panic("a test", || Ok(Code::SUCCESS)), 0);
        assert!(panics() > before);
    }
}
