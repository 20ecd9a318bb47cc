//! The (source, group) table that a packet path reads. Knows interfaces, not protocols.

mod counters;
mod entry;
mod flow;
mod growing;
mod hash;
mod lanes;
mod reader;
mod search;
mod shares;
mod table;
#[cfg(test)]
mod tests;
mod ways;

pub use crate::memory::NoMemory;
pub use counters::{
    Counter, Counters, FlowNumber, FlowTotals, OutgoingCounter, OutgoingNumber, OutgoingTotals,
    WorkerCounters,
};
pub use entry::{Entry, Incoming, InterfaceNumber, NewEntry, Outgoing, Stamp, Verdict};
pub use flow::{Family, Flow, FlowError};
pub use reader::{ForwardingReader, Found};
pub use search::Search;
pub use table::{ForwardingTable, PublishError};

/// Parts that have loom models of their own.
#[cfg(loom)]
#[doc(hidden)]
pub mod parts;
