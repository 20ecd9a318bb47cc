//! [`PlaneError`]: why a kernel plane refused a call.

use crate::mroute::MrouteError;
use mgm::manager::Interface;
use std::io;

/// The reason why a [`KernelPlane`](super::KernelPlane) refused a call.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlaneError {
    /// The kernel refused.
    #[error(transparent)]
    Mroute(#[from] MrouteError),
    /// The interface is of the other address family.
    #[error("{0} is of the other address family: give it to the plane of that family")]
    OtherFamily(Interface),
    /// The plane has the interface already.
    #[error("the plane has {0} already: remove it first")]
    AlreadyGiven(Interface),
    /// The plane does not have the interface.
    #[error("the plane does not have {0}: add it first")]
    NotGiven(Interface),
    /// The threshold of an interface is out of range.
    #[error("the threshold {0} is out of range: set it from 1, which restricts nothing, to 254")]
    Threshold(u8),
    /// A thread or its wake could not be made.
    #[error("the plane's threads cannot be started: {0}")]
    Start(#[source] io::Error),
}
