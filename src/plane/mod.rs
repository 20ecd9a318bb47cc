//! Where packets come from and go to.
//!
//! A plane moves packets between interfaces by the entries of the [forwarding table](crate::forwarding); it knows
//! nothing of protocols but which messages are theirs. The capture plane (feature `capture`) forwards what a capture
//! file holds and loses nothing. The [ring plane](ring) forwards from memory to memory, as planes of network cards do,
//! and drops what finds no room.

mod ledger;
mod mac;
mod packet;
mod port;
mod rewrite;

#[cfg(feature = "capture")]
pub mod capture;

pub mod ring;

pub use ledger::DropCounters;
pub use mac::{MacAddress, ParseMacError};
pub use packet::{Class, Control, Data, Defect, Link, classify};
pub use port::Port;
pub use rewrite::{CannotForward, ETHERNET_HEADER, decrement_ttl, ethernet_header};
