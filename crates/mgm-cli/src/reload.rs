//! `mgm reload`: a running router reads its configuration again.

use crate::Failure;
use crate::control::protocol::Request;
use crate::join::EXIT_CODES;
use crate::show::Socket;

/// Let a running router read its configuration again, and apply what changed
///
/// What did not change goes on without a gap. A configuration with mistakes changes nothing: each mistake is named, and the router
/// goes on with the old one. The signal SIGHUP does the same, with the mistakes in the log.
#[derive(clap::Args)]
#[command(after_long_help = EXIT_CODES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    socket: Socket,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    super::change(&arguments.socket, Request::Reload)
}
