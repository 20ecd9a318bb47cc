//! The (source, group) table that a packet path reads. Knows interfaces, not protocols.

mod counters;
mod entry;
mod flow;
mod shares;
mod table;

pub use counters::{Counter, Counters, FlowNumber, FlowTotals, WorkerCounters};
pub use entry::{Entry, Incoming, InterfaceNumber, Outgoing, Stamp, Verdict};
pub use flow::{Family, Flow, FlowError};
pub use table::{ForwardingReader, ForwardingTable, Found, PublishError};
