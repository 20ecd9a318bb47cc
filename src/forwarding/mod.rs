//! The (source, group) table that a packet path reads. Knows interfaces, not protocols.

mod copies;
mod counters;
mod entry;
mod flow;
mod growing;
mod hash;
mod lanes;
mod numbers;
pub(crate) mod points;
mod reader;
mod search;
mod shares;
mod table;
#[cfg(test)]
mod tests;
mod ways;

pub use crate::memory::NoMemory;
pub(crate) use counters::PacketCounts;
pub use counters::{Counter, Counters, FlowTotals, OutgoingCounter, OutgoingTotals, WorkerCounters};
pub(crate) use entry::WaysOut;
pub use entry::{Entry, Incoming, NewEntry, Outgoing, Stamp, Verdict, VifIndex};
pub use flow::{Family, Flow, FlowError};
pub use numbers::{FlowCounterId, OifCounterId};
pub use reader::{ForwardingReader, Found};
pub use search::Search;
pub use table::{ForwardingTable, PublishError};

/// Parts that have loom models of their own.
#[cfg(loom)]
#[doc(hidden)]
pub mod parts;
