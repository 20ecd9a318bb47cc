//! The capture plane: packets come from a capture file, and what the router transmits goes to others.
//!
//! - [`CaptureReader`] and [`CaptureWriter`]: frame by frame, pcap and pcapng in, pcapng out.
//! - [`Recording`]: a whole capture in memory.
//! - [`Router`]: forwards a recording in capture time, loses nothing, and counts everything.

mod copy;
mod crew;
mod forwarder;
mod learned;
mod read;
mod recording;
mod router;
mod time;
mod totals;
mod write;

pub use super::{DropCounters, Port};
pub use learned::LearnedRoutes;
pub use read::{CaptureInterface, CaptureReader, Frame, ReadError};
pub use recording::Recording;
pub use router::{Router, Run, Transmit};
pub use totals::Totals;
pub use write::CaptureWriter;
