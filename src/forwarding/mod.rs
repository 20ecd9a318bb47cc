//! The (source, group) table that a packet path reads. It knows interfaces, but no protocols.
//!
//! - [`ForwardingTable`]: maps a [`Flow`] to an [`Entry`]. Writers publish, replace and withdraw entries.
//! - [`ForwardingView`]: read access to a table, which a manager gives to planes.
//! - [`ForwardingReader`], [`OwnedForwardingReader`]: wait-free look-ups from one thread, one flow at a time or in bursts.
//! - [`Stamp`]: ties each interface of an entry to the ownership that it was derived from.
//! - [`Counters`], [`WorkerCounters`]: packets counted for each flow and each of its outgoing interfaces.

mod buckets;
mod counters;
mod entry;
mod error;
mod flow;
mod flow_key;
mod hash;
mod lookup;
mod new_entry;
mod owned_reader;
mod packet_counts;
mod paths;
pub(crate) mod points;
mod reader;
mod search;
mod stamp;
mod table;
#[cfg(test)]
mod tests;
mod view;

pub use crate::memory::NoMemory;
pub use counters::counter_id::{FlowCounterId, OifCounterId};
pub use counters::{Counters, FlowCounter, FlowTotals, OifCounter, OifTotals, WorkerCounters};
pub(crate) use entry::OutgoingPaths;
pub use entry::{Entry, Verdict};
pub use error::PublishError;
pub use flow::{Family, Flow, FlowError};
pub use flow_key::{FlowKey, Ipv4Flow};
pub use lookup::LookupBurst;
pub use new_entry::{Incoming, NewEntry, Outgoing, VifIndex};
pub use owned_reader::OwnedForwardingReader;
pub(crate) use packet_counts::PacketCounts;
pub(crate) use paths::SharedPaths;
pub use reader::ForwardingReader;
pub use stamp::Stamp;
pub use table::ForwardingTable;
pub(crate) use table::MAX_CAPACITY;
pub use view::ForwardingView;

/// Parts that have loom models of their own.
#[cfg(loom)]
#[doc(hidden)]
pub mod parts;
