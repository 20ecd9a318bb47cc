//! [`ForwardingView`]: read access to a forwarding table, for planes.

use super::counters::Counters;
use super::owned_reader::OwnedForwardingReader;
use super::reader::ForwardingReader;
use super::table::ForwardingTable;
use crate::handle::OwnerWords;
use std::sync::Arc;

/// Read access to a [`ForwardingTable`]. Planes look flows up and count packets through it, but cannot publish entries.
///
/// A clone is another view of the same table, and keeps the table alive.
#[derive(Clone, Debug)]
pub struct ForwardingView {
    table: Arc<ForwardingTable>,
}

impl ForwardingView {
    /// Makes a view of a table. Code that publishes keeps the table itself.
    #[must_use]
    pub fn new(table: Arc<ForwardingTable>) -> ForwardingView {
        ForwardingView { table }
    }

    /// Makes a reader for the calling thread, which borrows the view. It is not `Send`.
    #[must_use]
    pub fn reader(&self) -> ForwardingReader<'_> {
        self.table.reader()
    }

    /// Makes a reader for the calling thread, which keeps the table alive by itself. It is not `Send`.
    #[must_use]
    pub fn owned_reader(&self) -> OwnedForwardingReader {
        OwnedForwardingReader::new(Arc::clone(&self.table))
    }

    /// Returns the counters of the flows.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        self.table.counters()
    }

    /// Returns the owner words that stamps are checked against.
    #[must_use]
    pub fn owners(&self) -> &crate::sync::Arc<OwnerWords> {
        self.table.owners()
    }

    /// Returns the number of entries, which may have changed by the time it returns. Wait-free.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Returns whether the number of entries is 0, as [`len`](Self::len).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Returns the approximate number of replaced or withdrawn entries that still wait for readers.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.table.pending()
    }

    /// Returns the table, for the room that publishes into it.
    pub(crate) fn table(&self) -> &ForwardingTable {
        &self.table
    }
}
