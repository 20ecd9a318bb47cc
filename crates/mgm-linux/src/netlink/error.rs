//! [`NetlinkError`]: why a netlink call failed.

use std::io;

/// The reason why a netlink call failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetlinkError {
    /// A system call failed.
    #[error("netlink, {call}: {error}")]
    System {
        /// What failed.
        call: &'static str,
        /// The system's error.
        #[source]
        error: io::Error,
    },
    /// The kernel refused a request.
    #[error("netlink, the kernel refused a request: {0}")]
    Refused(#[source] io::Error),
    /// The kernel dropped events, because the buffer was full: what was followed has to be read anew.
    #[error("netlink, events were lost: read the state anew")]
    Overrun,
    /// A dump was interrupted by changes again and again.
    #[error("netlink, a dump was interrupted by changes each time: try again when less changes")]
    Interrupted,
}

impl NetlinkError {
    /// Returns a function that names the failed call.
    pub(crate) fn at<E: Into<io::Error>>(call: &'static str) -> impl FnOnce(E) -> NetlinkError {
        move |error| NetlinkError::System { call, error: error.into() }
    }
}
