//! [`ForwardingView`]: the manager's forwarding table, for readers.

use crate::forwarding::{Counters, ForwardingReader, ForwardingTable};
use crate::handle::OwnerWords;
use crate::sync::Arc;

/// A read-only view of the manager's forwarding table. Only the manager publishes there.
#[derive(Clone, Copy)]
pub struct ForwardingView<'m>(&'m ForwardingTable);

impl<'m> ForwardingView<'m> {
    pub(in crate::manager) const fn new(table: &'m ForwardingTable) -> ForwardingView<'m> {
        ForwardingView(table)
    }

    /// Returns a reader for this thread. It is not `Send`.
    #[must_use]
    pub fn reader(self) -> ForwardingReader<'m> {
        self.0.reader()
    }

    /// Returns the counters of the flows. A plane counts its packets in a
    /// [worker's share](Counters::worker) of them.
    #[must_use]
    pub fn counters(self) -> &'m Counters {
        self.0.counters()
    }

    /// Returns the owner words that the entries' stamps are compared with.
    #[must_use]
    pub fn owners(self) -> &'m Arc<OwnerWords> {
        self.0.owners()
    }

    /// Returns the approximate number of entries. Wait-free.
    #[must_use]
    pub fn len(self) -> usize {
        self.0.len()
    }

    /// Returns whether the table is approximately empty. Wait-free.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// Returns the approximate number of replaced and withdrawn entries that still wait for readers.
    #[must_use]
    pub fn pending(self) -> usize {
        self.0.pending()
    }
}

impl std::fmt::Debug for ForwardingView<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ForwardingView").field("len", &self.len()).finish_non_exhaustive()
    }
}
