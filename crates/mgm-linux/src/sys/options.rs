//! Socket options and ioctls by number (setsockopt(2), ioctl(2)).

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use zerocopy::{FromBytes, IntoBytes};

/// Sets a socket option to the octets of a kernel structure.
pub(crate) fn set_option(fd: BorrowedFd<'_>, level: i32, name: i32, value: &[u8]) -> io::Result<()> {
    let length = libc::socklen_t::try_from(value.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: `value` is readable for `length` octets, and the kernel keeps no pointer to it.
    let result = unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, value.as_ptr().cast(), length) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Sets a socket option to an `int`.
pub(crate) fn set_int(fd: BorrowedFd<'_>, level: i32, name: i32, value: i32) -> io::Result<()> {
    set_option(fd, level, name, value.as_bytes())
}

/// Makes an ioctl that reads and writes `value`.
///
/// # Safety
/// `T` has the layout that the request has on sockets of this descriptor's family. The kernel writes as many octets as that
/// structure has.
pub(crate) unsafe fn ioctl<T: FromBytes + IntoBytes>(
    fd: BorrowedFd<'_>,
    request: libc::Ioctl,
    value: &mut T,
) -> io::Result<()> {
    // SAFETY: the caller states that `value` is as large as what the kernel reads and writes.
    let result = unsafe { libc::ioctl(fd.as_raw_fd(), request, std::ptr::from_mut(value)) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
