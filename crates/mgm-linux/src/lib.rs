//! x
pub mod clock;
pub mod mroute;
pub mod plane;
mod sys;
