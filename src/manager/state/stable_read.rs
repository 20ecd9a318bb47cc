//! [`read_stable`]: reads what other threads may end meanwhile, as it is at one instant.

use std::convert::Infallible;

/// Reads under the membership lock until two reads agree, and returns what they read.
///
/// Under the lock nothing comes to life, but what exists can die at any moment, because ownership changes without the lock.
/// When two reads agree, nothing that they read died between them.
pub(in crate::manager) fn read_stable<T: PartialEq>(read: impl Fn() -> T) -> T {
    let Ok(value) = try_read_stable(|| Ok::<_, Infallible>(read()));
    value
}

/// As [`read_stable`], unless a read fails.
///
/// # Errors
/// The error of the first read that fails.
pub(in crate::manager) fn try_read_stable<T: PartialEq, E>(read: impl Fn() -> Result<T, E>) -> Result<T, E> {
    let mut before = read()?;
    loop {
        let after = read()?;
        if after == before {
            return Ok(after);
        }
        before = after;
    }
}
