//! [`PublishError`]: the reasons why an entry was not published.

use super::flow::Flow;
use crate::memory::NoMemory;

/// The reason why an entry was not published or a counter not allocated. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The table holds as many entries as its capacity, or a stalled reader holds back too many removed entries.
    #[error(
        "the forwarding table is full ({0} entries): withdraw some, let stalled readers go on, or make it with a \
         larger capacity"
    )]
    Full(u32),
    /// Too many flows collide with this one, and one more would make look-ups slow. The collisions depend on the
    /// table's random seed, which is secret: they do not occur by chance, and a sender cannot cause them.
    #[error("too many flows collide with {0} in the forwarding table: withdraw some, or make the table anew")]
    Crowded(Flow),
    /// The flow already has an entry.
    #[error("the flow {0} has an entry already: replace it")]
    Exists(Flow),
    /// The flow has no entry.
    #[error("the flow {0} has no entry: publish one")]
    Missing(Flow),
    /// The allocator refused memory for the entry, its bucket or its counters. (Where it refuses memory for more slots,
    /// the table is [`Full`](PublishError::Full).)
    #[error("there is no memory for the entry: try again when there is some")]
    NoMemory,
}

impl From<NoMemory> for PublishError {
    fn from(NoMemory: NoMemory) -> PublishError {
        PublishError::NoMemory
    }
}
