//! [`OwnedForwardingReader`]: a reader that keeps its table alive.

use super::entry::Entry;
use super::flow_key::FlowKey;
use super::lookup::LookupBurst;
use super::reader::ForwardingReader;
use super::table::ForwardingTable;
use std::fmt;
use std::mem::MaybeUninit;
use std::sync::Arc;

/// A [`ForwardingReader`] that holds an `Arc` of its table instead of a borrow.
///
/// It has no lifetime parameter, so that it can be stored in a structure beside the table, or moved into a closure of
/// the thread that uses it. It is not `Send`, for the reason given at [`ForwardingReader`]: make it on the thread that
/// uses it.
///
/// ```
/// use mgm::forwarding::{ForwardingTable, OwnedForwardingReader};
/// use std::sync::Arc;
///
/// struct Plane {
///     table: Arc<ForwardingTable>,
///     reader: OwnedForwardingReader,
/// }
///
/// fn plane(table: Arc<ForwardingTable>) -> Plane {
///     Plane { reader: OwnedForwardingReader::new(Arc::clone(&table)), table }
/// }
/// ```
pub struct OwnedForwardingReader {
    /// Borrows `*table`, with the lifetime erased. Initialized until `drop`. The `MaybeUninit` keeps the compiler from
    /// assuming that the references inside stay valid while a call that takes this structure by value drops it.
    reader: MaybeUninit<ForwardingReader<'static>>,
    _table: Arc<ForwardingTable>,
}

impl OwnedForwardingReader {
    /// Makes a reader for the calling thread.
    #[must_use]
    pub fn new(table: Arc<ForwardingTable>) -> OwnedForwardingReader {
        // SAFETY: the table is in the allocation of the `Arc`, so it does not move, and the `Arc` lives until the
        // reader has been dropped. The reference is used for the reader only, and no method of this type returns a
        // lifetime longer than that of its own borrow.
        let borrowed: &'static ForwardingTable = unsafe { &*Arc::as_ptr(&table) };
        OwnedForwardingReader { reader: MaybeUninit::new(borrowed.reader()), _table: table }
    }

    #[inline(always)]
    fn reader(&mut self) -> &mut ForwardingReader<'static> {
        // SAFETY: `new` initialized it, and only `drop` ends that.
        unsafe { self.reader.assume_init_mut() }
    }

    /// Returns the entry of a flow, as [`ForwardingReader::lookup`]. Wait-free.
    #[inline]
    pub fn lookup<K: FlowKey>(&mut self, flow: &K) -> Option<&Entry> {
        self.reader().lookup(flow)
    }

    /// Returns the entries of many flows in their order, as [`ForwardingReader::lookup_burst`]. Wait-free.
    #[inline]
    pub fn lookup_burst<'r, K: FlowKey>(&'r mut self, flows: &'r [K]) -> LookupBurst<'r, K> {
        self.reader().lookup_burst(flows)
    }

    /// Unpins the reader until its next call, so that it holds no removed entries back.
    pub fn park(&mut self) {
        self.reader().park();
    }
}

impl Drop for OwnedForwardingReader {
    fn drop(&mut self) {
        // SAFETY: initialized by `new` and dropped only here, before the `Arc` of the table.
        unsafe { self.reader.assume_init_drop() };
    }
}

impl fmt::Debug for OwnedForwardingReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedForwardingReader").finish_non_exhaustive()
    }
}
