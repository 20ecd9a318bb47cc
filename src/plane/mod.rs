//! Planes: where packets come from and where they go.
//!
//! A plane moves packets between ports by the entries of the [forwarding table](crate::forwarding). It knows no protocol;
//! it only recognises the messages of IGMP and MLD. Every plane is built of the same parts:
//!
//! - [`classify`] decides what a frame is to a multicast router.
//! - [`PacketProcessor`] applies a flow's entry to a packet and counts; an [`Egress`] makes the copies.
//! - [`Port`] and [`PortMap`] translate between a plane's ports and the interfaces that protocols name.
//! - [`ForwardingView::owned_reader`](crate::forwarding::ForwardingView::owned_reader) makes a reader of the entries that a
//!   worker can store beside the manager.
//!
//! Two planes come with the crate. The capture plane (feature `capture`) forwards the packets of a capture file and loses
//! none. The [ring plane](ring) forwards from memory to memory, as planes of network cards do, and drops a copy that finds
//! its ring full.

#[cfg(feature = "capture")]
pub mod capture;
pub mod ring;

mod classify;
mod drop_counters;
mod port;
mod port_map;
mod processor;

pub use crate::wire::{CannotForward, Defect, Link, MacAddress};
pub use classify::{Class, Control, Data, classify};
pub use drop_counters::DropCounters;
pub use port::Port;
pub use port_map::PortMap;
pub use processor::{CopyOutcome, Egress, FastEgress, NoFastPath, PacketProcessor};
