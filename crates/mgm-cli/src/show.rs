//! `mgm show`: what a running router does at present.

pub(crate) mod tables;

use crate::control::client::ControlClient;
use crate::control::protocol::{Answer, What};
use crate::router::config::DEFAULT_CONTROL;
use crate::terminal::plain::plain_json;
use crate::terminal::{print, table};
use crate::{Failure, request_failure};
use anyhow::Context;
use std::io::{IsTerminal, stdout};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

/// Show what a running router does: its clients, interfaces, groups, entries, counters or events
#[derive(clap::Args)]
#[command(after_long_help = EXIT_CODES)]
pub(crate) struct Arguments {
    /// The list
    #[arg(value_enum)]
    what: What,

    /// Print one JSON object, as docs/control-socket.md describes it; with --watch one in each line
    #[arg(long)]
    json: bool,

    /// Show it again each second, until Ctrl-C; events are followed
    #[arg(long)]
    watch: bool,

    #[command(flatten)]
    socket: Socket,
}

/// The router to ask.
#[derive(clap::Args)]
pub(crate) struct Socket {
    /// The control socket of the router: its [router] control
    #[arg(long, value_name = "PATH", default_value = DEFAULT_CONTROL)]
    pub(crate) socket: PathBuf,
}

const EXIT_CODES: &str = "Exit codes:
  0  the list was shown
  1  no router answers, or its answer cannot be shown
  2  wrong usage
  4  the router refused the request";

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut client = ControlClient::connect(&arguments.socket.socket).map_err(Failure::input)?;
    let mut after = None;
    loop {
        let answer = client.show(arguments.what, after.clone()).map_err(request_failure)?;
        let follows = arguments.watch && arguments.what == What::Events;
        if let Answer::Events(page) = &answer
            && let Some(last) = page.rows.last()
            && follows
        {
            after = Some(last.number.to_string());
        }
        if arguments.json {
            let json = serde_json::to_string(&answer).context("the answer").map_err(Failure::input)?;
            print(&plain_json(json)).map_err(Failure::input)?;
        } else if follows {
            let lines = tables::event_lines(&answer);
            if !lines.is_empty() {
                print(&lines).map_err(Failure::input)?;
            }
        } else {
            let text = tables::all(&answer, table::terminal_width());
            let screen = if arguments.watch && stdout().is_terminal() {
                // Home, then what was below the text is erased: no flicker.
                format!("\x1b[H{}\x1b[J", text.replace('\n', "\x1b[K\n"))
            } else {
                text
            };
            print(&screen).map_err(Failure::input)?;
        }
        if !arguments.watch {
            return Ok(());
        }
        thread::sleep(Duration::from_secs(1));
    }
}
