//! What checks the multicast group manager: its sequential specification.

pub mod spec;
