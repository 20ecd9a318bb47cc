//! `libmgm`, the C interface of the multicast group manager: one [`GroupManager`](mgm::manager::GroupManager) a
//! process.
//!
//! C programs include `mgm.h`, which has the functions, structures and constants of the Multicast Group Manager API of
//! the Windows SDK under their names there. `mgm_ext.h` has this project's own functions, which give the manager
//! packets and routes; their names begin with `MgmExt`. cbindgen makes both headers from this crate. The crate's README
//! lists, for each function, the Rust call it makes and the codes it returns.
//!
//! Rust programs use [`mgm`] directly and make a manager of their own. The items here are public so that tests can call
//! and check them from Rust.
//!
//! # Rules of every function
//!
//! - It may be called from any thread, and from inside any callback.
//! - It returns a code. When the code is an error, the call has changed nothing. `codes.rs` alone maps errors of the
//!   manager to codes. A null pointer is `ERROR_INVALID_PARAMETER`.
//! - No panic leaves it. A panic is counted, reported through `tracing`, and returned as `ERROR_CAN_NOT_COMPLETE`.
//! - Pointers may be unaligned. After the function has returned, the library reads nothing of the caller's memory; it
//!   calls only the callbacks and hooks that were registered.

#![allow(non_camel_case_types, non_snake_case, clippy::upper_case_acronyms)]

#[cfg(not(target_pointer_width = "64"))]
compile_error!("a HANDLE of C holds the 64 bits of a handle: libmgm needs 64-bit pointers");

mod arguments;
mod boundary;
mod buffer;
mod callbacks;
mod clients;
mod codes;
mod convert;
mod entries;
mod ext;
mod ext_clients;
mod ext_plane;
mod ext_types;
mod forward;
mod groups;
mod hooks;
mod incarnation;
mod instance;
mod lifecycle;
mod mib;
mod mib_types;
mod process;
mod protocol_config;
mod service;
mod waker;
mod windows;

pub use clients::*;
pub use entries::*;
pub use ext::*;
pub use ext_clients::*;
pub use ext_plane::*;
pub use ext_types::*;
pub use forward::*;
pub use groups::*;
pub use lifecycle::{MgmDeInitialize, MgmInitialize};
pub use mib_types::*;
pub use protocol_config::*;
pub use windows::*;
