//! `mgm join` and `mgm leave`: permanent receivers of a running router.

use crate::Failure;
use crate::control::protocol::{Receiver, Request};
use crate::show::Socket;
use std::net::IpAddr;

/// Add a permanent receiver of a group on an interface of a running router, until the router ends
///
/// A static instance of the configuration has to own the interface. To have the receiver at every start, write a [[join]].
#[derive(clap::Args)]
#[command(after_long_help = EXIT_CODES)]
pub(crate) struct Join {
    #[command(flatten)]
    receiver: ReceiverArguments,
}

/// Take away a receiver that mgm join added
#[derive(clap::Args)]
#[command(after_long_help = EXIT_CODES)]
pub(crate) struct Leave {
    #[command(flatten)]
    receiver: ReceiverArguments,
}

#[derive(clap::Args)]
struct ReceiverArguments {
    /// The group
    group: IpAddr,

    /// The interface of the receiver
    #[arg(long, value_name = "IF")]
    interface: String,

    /// Only packets of this source
    #[arg(long, value_name = "S")]
    source: Option<IpAddr>,

    #[command(flatten)]
    socket: Socket,
}

pub(crate) const EXIT_CODES: &str = "Exit codes:
  0  the router has done it
  1  no router answers
  2  wrong usage
  4  the router refused it; the message says why";

impl ReceiverArguments {
    fn receiver(&self) -> Receiver {
        Receiver { interface: self.interface.clone(), group: self.group, source: self.source }
    }
}

pub(crate) fn join(arguments: &Join) -> Result<(), Failure> {
    let receiver = &arguments.receiver;
    super::change(&receiver.socket, Request::Join(receiver.receiver()))
}

pub(crate) fn leave(arguments: &Leave) -> Result<(), Failure> {
    let receiver = &arguments.receiver;
    super::change(&receiver.socket, Request::Leave(receiver.receiver()))
}
