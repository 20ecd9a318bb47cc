//! Enumeration of memberships.

use crate::boundary::catch_panic;
use crate::buffer::{Buffer, RecordCount};
use crate::codes::Code;
use crate::convert::from_membership;
use crate::instance::Instance;
use crate::mib_types::SOURCE_GROUP_ENTRY;
use crate::process::running_or;
use crate::windows::{
    ALL_SOURCES, ANY_SOURCE, DWORD, ERROR_MORE_DATA, ERROR_NO_MORE_ITEMS, HANDLE, MGM_ENUM_TYPES, PBYTE,
    PDWORD,
};
use mgm::forwarding::Family;
use mgm::manager::{EnumerationError, EnumerationKind};
use zerocopy::IntoBytes;

/// Starts an enumeration of the memberships of all clients, as they are now.
///
/// The enumeration lasts until MgmGroupEnumerationEnd, but no longer than the client's registration.
///
/// - ERROR_INVALID_PARAMETER: a stale handle, an unknown type, or a null pointer.
/// - ERROR_NOT_ENOUGH_MEMORY: too many open enumerations, or no memory.
///
/// # Safety
/// phEnumHandle is null or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn MgmGroupEnumerationStart(
    hProtocol: HANDLE,
    metEnumType: MGM_ENUM_TYPES,
    phEnumHandle: *mut HANDLE,
) -> DWORD {
    catch_panic("MgmGroupEnumerationStart", || {
        let kind = match metEnumType {
            ANY_SOURCE => EnumerationKind::AnySource,
            ALL_SOURCES => EnumerationKind::AllSources,
            _ => return Err(Code::INVALID_PARAMETER),
        };
        if phEnumHandle.is_null() {
            return Err(Code::INVALID_PARAMETER);
        }
        let instance = running_or(Code::INVALID_PARAMETER)?;
        let enumeration = instance.manager().enumerate_groups(instance.resolve(hProtocol), kind)?;
        // SAFETY: not null, and the caller's promise; the write may be unaligned.
        unsafe { phEnumHandle.write_unaligned(instance.to_handle(enumeration)) };
        Ok(Code::SUCCESS)
    })
}

/// Returns the next SOURCE_GROUP_ENTRY records, as many as fit, in no particular order. *pdwNumEntries says how many.
///
/// pbBuffer may be null when its size is 0.
///
/// - ERROR_MORE_DATA: there are more records.
/// - ERROR_NO_MORE_ITEMS: these records, perhaps none, were the last.
/// - ERROR_INSUFFICIENT_BUFFER: no record fits; *pdwBufferSize says how many octets one needs. No other code changes
///   it.
/// - ERROR_INVALID_PARAMETER: a stale handle, or a null pointer.
/// - ERROR_NOT_ENOUGH_MEMORY: no memory; no record was returned.
///
/// # Safety
/// Each pointer is null or points to a value of its type, and pbBuffer to *pdwBufferSize octets.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn MgmGroupEnumerationGetNext(
    hEnum: HANDLE,
    pdwBufferSize: PDWORD,
    pbBuffer: PBYTE,
    pdwNumEntries: PDWORD,
) -> DWORD {
    const RECORD: usize = size_of::<SOURCE_GROUP_ENTRY>();
    catch_panic("MgmGroupEnumerationGetNext", || {
        // SAFETY: the caller's promise.
        let mut buffer = unsafe { Buffer::new(pdwBufferSize, pbBuffer) }?;
        // SAFETY: as above.
        let count = unsafe { RecordCount::new(pdwNumEntries) }?;
        let (manager, enumeration) = Instance::of_handle(hEnum)?;
        let mut written = 0;
        loop {
            let page = match manager.next_groups(enumeration, buffer.room() / RECORD) {
                // The records that are in the buffer must reach the caller.
                Err(EnumerationError::NoMemory) if written > 0 => return Ok(Code(ERROR_MORE_DATA)),
                page => page?,
            };
            for membership in page.groups.iter().filter(|membership| membership.family() == Family::V4) {
                buffer.append(from_membership(*membership).as_bytes());
                written += 1;
            }
            count.set(written);
            match page.more {
                false => return Ok(Code(ERROR_NO_MORE_ITEMS)),
                true if buffer.room() >= RECORD => {}
                true if written == 0 => return Ok(buffer.insufficient(RECORD)),
                true => return Ok(Code(ERROR_MORE_DATA)),
            }
        }
    })
}

/// Ends an enumeration. Its handle is stale from then on.
///
/// - ERROR_INVALID_PARAMETER: a stale handle.
#[unsafe(no_mangle)]
pub extern "C" fn MgmGroupEnumerationEnd(hEnum: HANDLE) -> DWORD {
    catch_panic("MgmGroupEnumerationEnd", || {
        let (manager, enumeration) = Instance::of_handle(hEnum)?;
        manager.end_enumeration(enumeration)?;
        Ok(Code::SUCCESS)
    })
}
