//! The capture plane: packets come from a capture file, and the router's copies can go to other files.
//!
//! - [`CaptureReader`] and [`CaptureWriter`] read pcap and pcapng files and write pcapng files, frame by frame.
//! - [`Recording`] holds a whole capture in memory.
//! - [`CaptureRouter`] forwards a recording in the time of the capture. It loses no packet, and counts every one.

mod blocks;
mod copy_buffer;
mod flows;
mod forwarder;
mod interfaces;
mod read;
mod recording;
mod router;
mod run;
mod time;
mod time_order;
mod totals;
mod worker_pool;
mod write;

pub use flows::FlowAccount;
pub use interfaces::CaptureInterface;
pub use read::{CaptureReader, Frame, ReadError};
pub use recording::Recording;
pub use router::{CaptureRouter, Run, Transmit};
pub use time_order::Times;
pub use totals::Totals;
pub use write::CaptureWriter;
