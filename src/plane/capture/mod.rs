//! The capture plane: packets come from a capture file, and what the router transmits goes to others.

mod read;
mod time;
mod write;

pub use read::{CaptureInterface, CaptureReader, Frame, ReadError};
pub use write::CaptureWriter;
