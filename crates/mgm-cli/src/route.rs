//! `mgm route`: routes for multicast alone, of a running router.

use crate::Failure;
use crate::control::protocol::{Network, Request};
use crate::join::EXIT_CODES;
use crate::show::Socket;
use clap::Subcommand;
use mgm::rpf::Prefix;

/// Add or remove a route for multicast alone, in a running router
///
/// Packets of these sources have to arrive on the interface of the route, whatever the kernel's routes say. Entries that exist
/// move at once. To have the route at every start, write a [[route]].
#[derive(clap::Args)]
#[command(after_long_help = EXIT_CODES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    change: Change,
}

#[derive(Subcommand)]
enum Change {
    /// Add a route, until the router ends
    Add {
        /// The sources: an address and the length of its prefix
        prefix: Prefix,

        /// The interface on which their packets arrive
        #[arg(long, value_name = "IF")]
        interface: String,

        #[command(flatten)]
        socket: Socket,
    },
    /// Remove a route that mgm route add added
    Remove {
        /// The sources: an address and the length of its prefix
        prefix: Prefix,

        #[command(flatten)]
        socket: Socket,
    },
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    match &arguments.change {
        Change::Add { prefix, interface, socket } => {
            let request = Request::RouteAdd { prefix: Network(*prefix), interface: interface.clone() };
            super::change(socket, request)
        }
        Change::Remove { prefix, socket } => {
            super::change(socket, Request::RouteRemove { prefix: Network(*prefix) })
        }
    }
}
