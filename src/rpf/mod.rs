//! Routes for reverse path forwarding: the interface towards a source.
//!
//! A manager asks its [`RpfLookup`](crate::manager::RpfLookup) for the interface towards each source. This room has two:
//!
//! - [`LearnedRoutes`]: a source is reached through the interface on which its first packet arrived.
//! - [`RouteTable`]: configured routes; the longest matching prefix decides.

mod learned;
mod prefix;
mod table;

pub use learned::LearnedRoutes;
pub use prefix::{Prefix, PrefixError};
pub use table::RouteTable;
