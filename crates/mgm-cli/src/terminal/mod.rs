//! Output: tables that fit the terminal, and progress bars.

pub(crate) mod plain;
pub(crate) mod progress;
pub(crate) mod table;

use anyhow::Context;
use std::io::{self, ErrorKind, Write};

/// Prints text and a newline. A reader that closes the pipe early is no failure, as in `mgm forward ... | head -1`.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    match writeln!(io::stdout().lock(), "{text}") {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context("standard output"),
        _ => Ok(()),
    }
}
