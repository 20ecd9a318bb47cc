//! Code that several test binaries share. Each binary includes this folder with
//! `#[path = "../support/mod.rs"] mod support;` (`counting_allocator` apart, because it installs a global allocator).

#![allow(dead_code, reason = "each binary uses its part")]

pub(crate) mod callback_client;
pub(crate) mod igmp_messages;
pub(crate) mod igmp_octets;
pub(crate) mod router;
pub(crate) mod scenario;

use std::sync::atomic::{AtomicBool, Ordering};

/// Sets a flag when it is dropped, by a panic too, so that no other thread waits for one that failed.
pub(crate) struct SetOnDrop<'a>(pub(crate) &'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}
