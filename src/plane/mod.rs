//! Where packets come from and go to.
//!
//! A plane moves packets between interfaces by the entries of the [forwarding table](crate::forwarding); it knows
//! nothing of protocols but which messages are theirs. The capture plane (feature `capture`) forwards what a capture
//! file holds and loses nothing.

mod mac;
mod packet;
mod rewrite;

#[cfg(feature = "capture")]
pub mod capture;

pub use mac::{MacAddress, ParseMacError};
pub use packet::{Class, Control, Data, Defect, Link, classify};
pub use rewrite::{CannotForward, ETHERNET_HEADER, ethernet_header, lower_hop_limit};
