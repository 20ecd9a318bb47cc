//! The C interface, `libmgm`: a thin shell over one [`GroupManager`](mgm::manager::GroupManager) of the process.
//!
//! C programs include `mgm.h`, which has the functions, structures and constants of the Multicast Group Manager API of the
//! Windows SDK under their names there; what feeds the manager packets and routes is our own, in `mgm_ext.h`, under names
//! that begin with `MgmExt`. Both headers are made from this room by cbindgen. docs/c-interface.md says which function is
//! which Rust call, and with what errors.
//!
//! Rust programs have no use for this room: they make a manager of their own. It is public so that its functions and
//! types can be called and checked from Rust.
//!
//! # What every function keeps to
//!
//! - It may be called from any thread, and from inside any callback.
//! - It returns a code, and nothing else happens when that is an error: see `codes.rs`, the only place where errors of
//!   the manager become codes. A null pointer is `ERROR_INVALID_PARAMETER`.
//! - No panic leaves it: one would be counted, reported through `tracing`, and returned as `ERROR_CAN_NOT_COMPLETE`.
//! - What pointers lead to may be unaligned. Nothing is read from the caller's memory after the function has returned,
//!   except code: callbacks and hooks.

#![allow(non_camel_case_types, non_snake_case, clippy::upper_case_acronyms)]

mod buffer;
mod callbacks;
mod changes;
mod clients;
mod codes;
mod convert;
mod entries;
mod ext;
mod ext_types;
mod families;
mod forward;
mod groups;
mod hooks;
mod mib;
mod process;
mod service;
mod windows;

pub use clients::*;
pub use entries::*;
pub use ext::*;
pub use ext_types::*;
pub use families::*;
pub use forward::*;
pub use groups::*;
pub use process::{MgmDeInitialize, MgmInitialize};
pub use windows::*;
