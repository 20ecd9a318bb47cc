//! [`ForwardingTable`]: the public face. (First cut: one lock; the wait-free table replaces what is behind the face.)

use super::{Counters, Entry, Flow, FlowNumber};
use crate::handle::Owners;
use crate::sync::Arc;
use parking_lot::RwLock;
use std::collections::HashMap;

/// Why an entry was not published. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// The table holds as many entries as it may.
    #[error("the forwarding table is full ({0} entries): withdraw some, or make it with a larger capacity")]
    Full(u32),
    /// The flow has an entry already.
    #[error("the flow {0} has an entry already: replace it")]
    Exists(Flow),
    /// The flow has no entry.
    #[error("the flow {0} has no entry: publish one")]
    Missing(Flow),
}

/// (source, group) → entry, for both families. Readers are wait-free; writers may block one another, never a reader.
pub struct ForwardingTable {
    map: RwLock<HashMap<Flow, Arc<Entry>>>,
    capacity: u32,
    owners: Arc<Owners>,
    counters: Counters,
}

impl ForwardingTable {
    /// A table of at most `capacity` entries whose stamps are checked against `owners`.
    #[must_use]
    pub fn new(capacity: u32, owners: Arc<Owners>) -> ForwardingTable {
        ForwardingTable { map: RwLock::default(), capacity, owners, counters: Counters::new(capacity) }
    }

    /// The owner words that stamps are checked against.
    #[must_use]
    pub fn owners(&self) -> &Arc<Owners> {
        &self.owners
    }

    /// The counters of the flows.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// A number to count a new flow under, its counters at zero. To be given back with [`Self::close_number`].
    ///
    /// # Errors
    /// [`PublishError::Full`] when as many flows have a number as the table may hold entries.
    pub fn open_number(&self) -> Result<FlowNumber, PublishError> {
        self.counters.open()
    }

    /// Gives a flow's number back once its entry is withdrawn; whether it was open. It is used again, with its counters
    /// at zero: what a worker still counts under the old one is not counted under the new one.
    pub fn close_number(&self, number: FlowNumber) -> bool {
        self.counters.close(number)
    }

    /// Makes a flow's first entry visible.
    ///
    /// # Errors
    /// [`PublishError::Full`], [`PublishError::Exists`].
    pub fn publish(&self, entry: Entry) -> Result<(), PublishError> {
        let mut map = self.map.write();
        if map.contains_key(&entry.flow()) {
            return Err(PublishError::Exists(entry.flow()));
        }
        if map.len() >= self.capacity as usize {
            return Err(PublishError::Full(self.capacity));
        }
        map.insert(entry.flow(), Arc::new(entry));
        Ok(())
    }

    /// Puts a new entry in the place of a flow's present one, in one step: no reader sees the flow without an entry.
    ///
    /// # Errors
    /// [`PublishError::Missing`]; [`PublishError::Full`] when no room is left beside the entry that is replaced.
    pub fn replace(&self, entry: Entry) -> Result<(), PublishError> {
        let mut map = self.map.write();
        match map.get_mut(&entry.flow()) {
            None => Err(PublishError::Missing(entry.flow())),
            Some(present) => {
                *present = Arc::new(entry);
                Ok(())
            }
        }
    }

    /// Takes a flow's entry away; whether there was one.
    pub fn withdraw(&self, flow: &Flow) -> bool {
        self.map.write().remove(flow).is_some()
    }

    /// How many entries there are, about.
    #[must_use]
    pub fn len(&self) -> usize {
        self.map.read().len()
    }

    /// Whether there is about no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A reader for this thread. It is not `Send`.
    #[must_use]
    pub fn reader(&self) -> ForwardingReader<'_> {
        ForwardingReader { table: self, kept: Vec::new() }
    }
}

/// Reads the table from one thread.
pub struct ForwardingReader<'t> {
    table: &'t ForwardingTable,
    kept: Vec<Option<Arc<Entry>>>,
}

impl ForwardingReader<'_> {
    /// The entry of a flow. Wait-free.
    pub fn lookup(&mut self, flow: &Flow) -> Option<&Entry> {
        self.kept = vec![self.table.map.read().get(flow).cloned()];
        self.kept[0].as_deref()
    }

    /// The entries of many flows, in their order. All stay readable until the reader is used again, so a burst should
    /// be no longer than what a worker has in its hands at once. Wait-free, a bounded number of steps for each flow.
    ///
    /// ```
    /// # use mgm::forwarding::{Flow, ForwardingReader};
    /// fn hits(reader: &mut ForwardingReader<'_>, flows: &[Flow]) -> usize {
    ///     reader.lookup_burst(flows).filter(Option::is_some).count()
    /// }
    /// ```
    pub fn lookup_burst<'r>(&'r mut self, flows: &[Flow]) -> Found<'r> {
        self.kept = flows.iter().map(|flow| self.table.map.read().get(flow).cloned()).collect();
        Found { entries: self.kept.iter() }
    }

    /// Lets reclamation go on without this reader until its next call.
    pub fn park(&mut self) {
        self.kept.clear();
    }
}

/// The entries that [`ForwardingReader::lookup_burst`] found: for each flow in turn, its entry or `None`.
pub struct Found<'r> {
    entries: std::slice::Iter<'r, Option<Arc<Entry>>>,
}

impl<'r> Iterator for Found<'r> {
    type Item = Option<&'r Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        self.entries.next().map(Option::as_deref)
    }
}
