//! Enumerating what is joined.

use super::buffer::{Buffer, Count};
use super::clients::{give, handle};
use super::codes::Code;
use super::convert::source_group;
use super::process::{guard, with_handle};
use super::windows::{
    ALL_SOURCES, ANY_SOURCE, DWORD, ERROR_MORE_DATA, ERROR_NO_MORE_ITEMS, HANDLE, MGM_ENUM_TYPES, PBYTE,
    PDWORD, SOURCE_GROUP_ENTRY,
};
use mgm::forwarding::Family;
use mgm::manager::{EnumerationError, EnumerationKind};
use zerocopy::IntoBytes;

/// Starts to enumerate what is joined on the router, by anybody, as it is now. The enumeration lasts until
/// MgmGroupEnumerationEnd, but no longer than the registration.
///
/// ERROR_INVALID_PARAMETER: a stale handle, another type, or a null pointer. ERROR_NOT_ENOUGH_MEMORY: too many are open, or
/// there is no memory.
///
/// # Safety
/// phEnumHandle is null or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn MgmGroupEnumerationStart(
    hProtocol: HANDLE,
    metEnumType: MGM_ENUM_TYPES,
    phEnumHandle: *mut HANDLE,
) -> DWORD {
    guard("MgmGroupEnumerationStart", || {
        let kind = match metEnumType {
            ANY_SOURCE => EnumerationKind::AnySource,
            ALL_SOURCES => EnumerationKind::AllSources,
            _ => return Err(Code::INVALID),
        };
        if phEnumHandle.is_null() {
            return Err(Code::INVALID);
        }
        let enumeration = with_handle()?.manager().enumerate_groups(handle(hProtocol), kind)?;
        // SAFETY: not null, and the caller's promise.
        unsafe { give(enumeration, phEnumHandle) };
        Ok(Code::DONE)
    })
}

/// The next records, as many as fit, in no particular order; *pdwNumEntries says how many.
///
/// ERROR_MORE_DATA: there are more. ERROR_NO_MORE_ITEMS: that was all, which may be none. ERROR_INSUFFICIENT_BUFFER: not
/// even one fits; *pdwBufferSize, which is not changed otherwise, says how many bytes it takes.
/// ERROR_INVALID_PARAMETER: a stale handle, or a null pointer; but pbBuffer may be null when its size is 0.
/// ERROR_NOT_ENOUGH_MEMORY: no record was given out, for want of memory.
///
/// # Safety
/// Each pointer is null or leads to what its type says; pbBuffer to *pdwBufferSize bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn MgmGroupEnumerationGetNext(
    hEnum: HANDLE,
    pdwBufferSize: PDWORD,
    pbBuffer: PBYTE,
    pdwNumEntries: PDWORD,
) -> DWORD {
    const RECORD: usize = size_of::<SOURCE_GROUP_ENTRY>();
    guard("MgmGroupEnumerationGetNext", || {
        // SAFETY: the caller's promise.
        let mut into = unsafe { Buffer::new(pdwBufferSize, pbBuffer) }?;
        // SAFETY: as above.
        let count = unsafe { Count::new(pdwNumEntries) }?;
        let manager = with_handle()?.manager();
        let mut written = 0;
        loop {
            let page = match manager.next_groups(handle(hEnum), into.room() / RECORD) {
                // What was given out must get there.
                Err(EnumerationError::NoMemory) if written > 0 => return Ok(Code(ERROR_MORE_DATA)),
                page => page?,
            };
            for membership in page.groups.iter().filter(|membership| membership.family() == Family::V4) {
                into.put(source_group(*membership).as_bytes());
                written += 1;
            }
            count.set(written);
            match page.more {
                false => return Ok(Code(ERROR_NO_MORE_ITEMS)),
                true if into.room() >= RECORD => {}
                true if written == 0 => return Ok(into.too_small(RECORD)),
                true => return Ok(Code(ERROR_MORE_DATA)),
            }
        }
    })
}

/// Ends an enumeration; its handle is stale from then on.
///
/// ERROR_INVALID_PARAMETER: a stale handle.
#[unsafe(no_mangle)]
pub extern "C" fn MgmGroupEnumerationEnd(hEnum: HANDLE) -> DWORD {
    guard("MgmGroupEnumerationEnd", || {
        with_handle()?.manager().end_enumeration(handle(hEnum))?;
        Ok(Code::DONE)
    })
}
