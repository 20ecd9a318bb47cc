//! System calls that no crate offers, and the loop parts that every room shares: options, control messages, wakes.

mod control;
mod options;
mod receive;
mod wake;

pub(crate) use control::{ControlMessages, push_control};
pub(crate) use options::{ioctl, set_int, set_option};
pub(crate) use receive::{Datagram, Receiver};
pub(crate) use wake::{Wake, wait_readable};
