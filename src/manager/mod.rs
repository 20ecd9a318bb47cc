//! Who is registered, who owns which interface, who wants which group; and the entries that follow from it.

mod client;
mod error;
mod interface;
mod membership;

pub use client::{Client, CreationAlert, OfferedInterface, Protocol};
pub use error::{
    ConfigError, DeregisterError, MembershipError, NewFlowError, NoOwner, RegisterError, ReleaseError,
    TakeError,
};
pub use interface::Interface;
pub use membership::{Effect, Group, Membership};
