//! Writing records into a buffer of the caller's.

use super::codes::Code;
use super::windows::{DWORD, ERROR_INSUFFICIENT_BUFFER, PBYTE, PDWORD};

/// A buffer of the caller's, filled from its beginning.
pub(super) struct Buffer {
    size: PDWORD,
    free: PBYTE,
    room: usize,
}

impl Buffer {
    /// The buffer that a function was given. It may be null if its size is 0, which asks how large it has to be.
    ///
    /// # Safety
    /// `size` is null or may be read and written until the buffer goes; and `bytes`, if not null, may be written as far as
    /// `size` says.
    pub(super) unsafe fn new(size: PDWORD, bytes: PBYTE) -> Result<Buffer, Code> {
        if size.is_null() {
            return Err(Code::INVALID);
        }
        // SAFETY: not null, and the caller's promise; it may be unaligned.
        let room = unsafe { size.read_unaligned() } as usize;
        if bytes.is_null() && room > 0 {
            return Err(Code::INVALID);
        }
        Ok(Buffer { size, free: bytes, room })
    }

    /// How many bytes are left.
    pub(super) fn room(&self) -> usize {
        self.room
    }

    /// Adds a record; whether it fitted.
    pub(super) fn put(&mut self, record: &[u8]) -> bool {
        if record.len() > self.room {
            return false;
        }
        // SAFETY: so many bytes are left, by the promise given to `new`; the record is the callee's own.
        unsafe { std::ptr::copy_nonoverlapping(record.as_ptr(), self.free, record.len()) };
        self.free = self.free.wrapping_add(record.len());
        self.room -= record.len();
        true
    }

    /// The answer when not even one record fits: tells the caller how many bytes that takes.
    pub(super) fn too_small(self, need: usize) -> Code {
        let need = DWORD::try_from(need).unwrap_or(DWORD::MAX);
        // SAFETY: not null, and by the promise given to `new`; it may be unaligned.
        unsafe { self.size.write_unaligned(need) };
        Code(ERROR_INSUFFICIENT_BUFFER)
    }
}

/// Where a function says how many records it has written.
pub(super) struct Count(PDWORD);

impl Count {
    /// # Safety
    /// `at` is null or may be written to until the count goes.
    pub(super) unsafe fn new(at: PDWORD) -> Result<Count, Code> {
        if at.is_null() { Err(Code::INVALID) } else { Ok(Count(at)) }
    }

    pub(super) fn set(&self, count: DWORD) {
        // SAFETY: not null, and by the promise given to `new`; it may be unaligned.
        unsafe { self.0.write_unaligned(count) };
    }
}
