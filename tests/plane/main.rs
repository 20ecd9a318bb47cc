//! Forwarding planes: release as a packet path sees it, planes that refuse or stall, and the frames of captures.

#[cfg(feature = "capture")]
mod capture_frames;
mod misbehaving;
mod release;
#[path = "../support/mod.rs"]
mod support;
