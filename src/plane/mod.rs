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
//!
//! # Writing a plane
//!
//! `examples/own_plane.rs` is a whole plane in one file. Each turn of its loop makes these calls, in this order:
//!
//! 1. Take a burst of packets, and look their flows up: [`OwnedForwardingReader::lookup`], or
//!    [`lookup_burst`](crate::forwarding::OwnedForwardingReader::lookup_burst) for all of them together.
//! 2. Check each packet's entry: [`Entry::check`]. Make a copy for each interface of [`Entry::live_outgoing`], and count:
//!    [`WorkerCounters`]. A [`PacketProcessor`] does all of this step.
//! 3. For a packet without a usable entry call [`upcall`](crate::manager::GroupManager::upcall), which does not wait. Keep
//!    the packet, or drop it.
//! 4. Call [`process_upcalls`](crate::manager::GroupManager::process_upcalls). It makes the entries and runs callbacks of
//!    clients. Another thread may do this.
//! 5. Look the kept packets up again. Drop and count a packet that still has no usable entry: there may be no room for one.
//! 6. Call [`advance`](crate::manager::GroupManager::advance) with the time, so that entries end with their lifetime.
//! 7. If nothing arrived, [`park`](crate::forwarding::OwnedForwardingReader::park) the reader before the thread idles. A
//!    reader that is not parked holds removed entries back.
//!
//! [`ring::RingRouter`] runs such a loop. The verdicts mean:
//!
//! | verdict | the packet | counted by the plane | also call |
//! |---|---|---|---|
//! | [`Accept`](crate::forwarding::Verdict::Accept) | copy it to each live outgoing interface | [`forwarded`](crate::forwarding::WorkerCounters::forwarded) and, for each copy, [`add_oif`](crate::forwarding::WorkerCounters::add_oif); without a live interface [`NoReceivers`](crate::forwarding::FlowCounter::NoReceivers) | |
//! | [`WrongInterface`](crate::forwarding::Verdict::WrongInterface) | drop it | [`WrongInterface`](crate::forwarding::FlowCounter::WrongInterface) | [`wrong_interface`](crate::manager::GroupManager::wrong_interface), which alerts the owner and counts nothing |
//! | [`NoReceivers`](crate::forwarding::Verdict::NoReceivers) | drop it | [`NoReceivers`](crate::forwarding::FlowCounter::NoReceivers) | |
//! | [`Stale`](crate::forwarding::Verdict::Stale), or no entry | keep or drop it | nothing | [`upcall`](crate::manager::GroupManager::upcall), which may count it ([`Uninitialized`](crate::forwarding::FlowCounter::Uninitialized), [`QueueOverflow`](crate::forwarding::FlowCounter::QueueOverflow)) |
//!
//! [`PacketProcessor::process`] makes the counts of the first three rows. The plane makes the calls of the last column.
//!
//! [`vif_index`](crate::manager::GroupManager::vif_index) returns `None` for an interface that no protocol has taken yet. The
//! plane treats the packet as any other, with a number that no entry contains, `VifIndex::NONE`. So no entry
//! accepts the packet. [`PortMap::arrival`] returns such a number. An interface may be taken later, so the plane asks again.
//! When there is no room for another interface, one that nothing depends on loses its number, and has another one when it is
//! taken again: [`PortMap::refresh_arrivals`] follows that, [`VifIndex`](crate::forwarding::VifIndex) says how.
//!
//! [`OwnedForwardingReader::lookup`]: crate::forwarding::OwnedForwardingReader::lookup
//! [`Entry::check`]: crate::forwarding::Entry::check
//! [`Entry::live_outgoing`]: crate::forwarding::Entry::live_outgoing
//! [`WorkerCounters`]: crate::forwarding::WorkerCounters

#[cfg(feature = "capture")]
pub mod capture;
pub mod ring;

mod classify;
mod drop_counters;
mod port;
mod port_map;
mod processor;

pub use crate::wire::{CannotForward, Defect, Link, MacAddress, VlanTags};
pub use classify::{Class, Control, Data, Truncated, classify, classify_cut};
pub use drop_counters::DropCounters;
pub use port::Port;
pub use port_map::PortMap;
pub use processor::{CopyOutcome, Egress, FastEgress, NoFastPath, PacketProcessor};
