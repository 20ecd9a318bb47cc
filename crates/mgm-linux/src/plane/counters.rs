//! [`PlaneCounters`]: what a kernel plane did so far.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        /// What a kernel plane did since it was started.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct PlaneCounters {
            $($(#[doc = $doc])+ pub $name: u64,)+
        }

        /// The same, counted by several threads.
        #[derive(Debug, Default)]
        pub(super) struct SharedCounters {
            $(pub(super) $name: AtomicU64,)+
        }

        impl SharedCounters {
            pub(super) fn read(&self) -> PlaneCounters {
                // Relaxed: each count stands for itself.
                PlaneCounters { $($name: self.$name.load(Ordering::Relaxed),)+ }
            }
        }
    };
}

counters! {
    /// Reports of the kernel about flows without an entry.
    no_entry,
    /// Those of them that the manager refused, because its queue was full or the quota of the interface was used up.
    refused,
    /// Reports of the kernel about packets on the wrong interface.
    wrong_interface,
    /// IGMP packets that were handed on.
    igmp,
    /// Messages of the kernel that could not be parsed.
    malformed,
    /// Times that the kernel lost reports because the socket's buffer was full, or that reading failed.
    receive_errors,
    /// Entries added to the kernel, or replaced there.
    entries_set,
    /// Entries deleted from the kernel.
    entries_deleted,
    /// Entries that the kernel refused.
    entries_failed,
    /// Times that every entry was compared, because the queue of changes had overflowed or an interface was added.
    comparisons,
    /// Times that an interface was taken out of use because its ownership changed.
    interfaces_cut,
}

/// Adds one to a counter.
pub(super) fn count(counter: &AtomicU64) {
    // Relaxed: see `read`.
    counter.fetch_add(1, Ordering::Relaxed);
}
