//! `mgm check`: names every mistake of a configuration.

use crate::Failure;
use crate::router::config::{DEFAULT_PATH, Mistake, RouterConfig};
use crate::terminal::plain::{plain, plain_json};
use crate::terminal::print;
use anyhow::Context;
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};

/// Name every mistake of a configuration for `mgm run`
///
/// Each line has the file, the line, the column, what is wrong and what would be right. examples/mgm.toml shows every key.
#[derive(clap::Args)]
#[command(after_long_help = EXIT_CODES)]
pub(crate) struct Arguments {
    /// The configuration
    #[arg(default_value = DEFAULT_PATH)]
    file: PathBuf,

    /// Print one JSON object: {"file": ..., "mistakes": [{"line": ..., "column": ..., "message": ...}]}
    #[arg(long)]
    json: bool,
}

const EXIT_CODES: &str = "Exit codes:
  0  the configuration has no mistake
  1  it has mistakes, or it cannot be read
  2  wrong usage";

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let text = read(&arguments.file).map_err(Failure::input)?;
    let mistakes = RouterConfig::parse(&text).err().unwrap_or_default();
    let file = arguments.file.display().to_string();
    if arguments.json {
        let report = json!({ "file": file, "mistakes": mistakes });
        print(&plain_json(report.to_string())).map_err(Failure::input)?;
    } else if mistakes.is_empty() {
        print(&format!("{}: no mistakes", plain(&file))).map_err(Failure::input)?;
    } else {
        print(&lines(&arguments.file, &mistakes)).map_err(Failure::input)?;
    }
    match mistakes.len() {
        0 => Ok(()),
        1 => Err(Failure::input(anyhow::anyhow!("{file} has a mistake"))),
        count => Err(Failure::input(anyhow::anyhow!("{file} has {count} mistakes"))),
    }
}

/// Reads the text of a configuration.
pub(crate) fn read(file: &Path) -> anyhow::Result<String> {
    fs::read_to_string(file).with_context(|| {
        format!("{}: the configuration cannot be read; examples/mgm.toml is one to copy", file.display())
    })
}

/// Returns mistakes as lines: file, line, column, message.
pub(crate) fn lines(file: &Path, mistakes: &[Mistake]) -> String {
    let file = file.display().to_string();
    let lines = mistakes.iter().map(|mistake| format!("{}:{}", plain(&file), plain(&mistake.to_string())));
    lines.collect::<Vec<_>>().join("\n")
}
