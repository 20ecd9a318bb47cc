//! Writes records into a buffer of the caller.

use crate::codes::Code;
use crate::windows::{DWORD, ERROR_INSUFFICIENT_BUFFER, PBYTE, PDWORD};

/// A buffer of the caller, filled from its start.
pub(crate) struct Buffer {
    size: PDWORD,
    free: PBYTE,
    room: usize,
}

impl Buffer {
    /// Wraps the buffer that a function was given. The buffer may be null if its size is 0: such a call asks for the
    /// size.
    ///
    /// # Safety
    /// `size` is null, or can be read and written as long as the buffer lives. `octets` is null, or can be written for
    /// as many octets as `size` says.
    pub(crate) unsafe fn new(size: PDWORD, octets: PBYTE) -> Result<Buffer, Code> {
        if size.is_null() {
            return Err(Code::INVALID_PARAMETER);
        }
        // SAFETY: not null, and the caller's promise; the read may be unaligned.
        let room = unsafe { size.read_unaligned() } as usize;
        if octets.is_null() && room > 0 {
            return Err(Code::INVALID_PARAMETER);
        }
        Ok(Buffer { size, free: octets, room })
    }

    /// Returns how many octets are free.
    pub(crate) fn room(&self) -> usize {
        self.room
    }

    /// Appends a record. Returns `false`, and writes nothing, if the record does not fit.
    pub(crate) fn append(&mut self, record: &[u8]) -> bool {
        if record.len() > self.room {
            return false;
        }
        // SAFETY: the buffer has this much room, by the promise given to `new`; the record is memory of the library.
        unsafe { std::ptr::copy_nonoverlapping(record.as_ptr(), self.free, record.len()) };
        self.free = self.free.wrapping_add(record.len());
        self.room -= record.len();
        true
    }

    /// Stores the size that one record needs, and returns `ERROR_INSUFFICIENT_BUFFER`.
    pub(crate) fn insufficient(self, needed: usize) -> Code {
        let needed = DWORD::try_from(needed).unwrap_or(DWORD::MAX);
        // SAFETY: not null, and the promise given to `new`; the write may be unaligned.
        unsafe { self.size.write_unaligned(needed) };
        Code(ERROR_INSUFFICIENT_BUFFER)
    }
}

/// The variable of the caller that receives the number of records.
pub(crate) struct RecordCount(PDWORD);

impl RecordCount {
    /// # Safety
    /// `at` is null, or can be written as long as the count lives.
    pub(crate) unsafe fn new(at: PDWORD) -> Result<RecordCount, Code> {
        if at.is_null() { Err(Code::INVALID_PARAMETER) } else { Ok(RecordCount(at)) }
    }

    pub(crate) fn set(&self, count: DWORD) {
        // SAFETY: not null, and the promise given to `new`; the write may be unaligned.
        unsafe { self.0.write_unaligned(count) };
    }
}
