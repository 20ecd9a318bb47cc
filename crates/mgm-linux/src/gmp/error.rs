//! [`GmpIoError`]: why IGMP or MLD cannot run on a socket or an interface.

use mgm::manager::{Interface, ReleaseError};
use mgm::protocol::gmp::GmpTakeError;
use std::io;

/// The reason why a [`GmpService`](super::GmpService) refused a call.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GmpIoError {
    /// A system call failed.
    #[error("IGMP and MLD need CAP_NET_RAW for their socket; {call}: {error}")]
    System {
        /// What failed.
        call: &'static str,
        /// The system's error.
        #[source]
        error: io::Error,
    },
    /// The groups of routers cannot be joined on the interface.
    #[error(
        "{interface} has index {ifindex}, and the groups of routers cannot be joined there: {error}; is it up?"
    )]
    Join {
        /// The interface.
        interface: Interface,
        /// The kernel's index.
        ifindex: u32,
        /// The system's error.
        #[source]
        error: io::Error,
    },
    /// The interface cannot be taken.
    #[error(transparent)]
    Take(#[from] GmpTakeError),
    /// The interface cannot be released.
    #[error(transparent)]
    Release(#[from] ReleaseError),
    /// Another interface of the service has the index.
    #[error("index {ifindex} is that of {other}: remove it first")]
    IndexInUse {
        /// The kernel's index.
        ifindex: u32,
        /// The interface that has it.
        other: Interface,
    },
    /// The service does not have the interface.
    #[error("the service does not have {0}: add it first")]
    NotAdded(Interface),
}

impl GmpIoError {
    /// Returns a function that names the failed call.
    pub(super) fn at(call: &'static str) -> impl FnOnce(io::Error) -> GmpIoError {
        move |error| GmpIoError::System { call, error }
    }
}
