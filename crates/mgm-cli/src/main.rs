//! The program `mgm`: one file for each subcommand, and shared rooms.

mod arguments;
mod config;
mod forward;
mod litmus;
mod setup;
mod soak;
mod stress;
mod terminal;

use clap::{Parser, Subcommand};
use std::io::{IsTerminal, stderr};
use std::process::ExitCode;
use terminal::plain::plain_lines;

/// Multicast group manager: several multicast routing protocols on one router
#[derive(Parser)]
#[command(name = "mgm", version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Forward(forward::Arguments),
    #[command(hide = true)]
    Litmus(litmus::Arguments),
    Soak(soak::Arguments),
    Stress(stress::Arguments),
}

/// An error with the exit code that it ends the program with.
struct Failure {
    code: u8,
    error: anyhow::Error,
}

impl Failure {
    /// A capture that cannot be read to its end, or a file that cannot be written.
    fn input(error: impl Into<anyhow::Error>) -> Failure {
        Failure { code: 1, error: error.into() }
    }

    /// A history that is not linearizable.
    fn violation(error: impl Into<anyhow::Error>) -> Failure {
        Failure { code: 1, error: error.into() }
    }

    /// Arguments or a configuration that cannot work.
    fn usage(error: impl Into<anyhow::Error>) -> Failure {
        Failure { code: 2, error: error.into() }
    }

    /// A bug of the library.
    fn library_bug(error: impl Into<anyhow::Error>) -> Failure {
        Failure { code: 3, error: error.into() }
    }
}

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::WARN)
        .without_time()
        .with_target(false)
        .with_writer(stderr)
        .with_ansi(stderr().is_terminal())
        .init();
    let result = match Arguments::parse().command {
        Command::Forward(arguments) => forward::run(&arguments),
        Command::Litmus(arguments) => litmus::run(&arguments),
        Command::Soak(arguments) => soak::run(&arguments),
        Command::Stress(arguments) => stress::run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { code, error }) => {
            // Messages may quote a configuration or a capture.
            eprintln!("mgm: {}", plain_lines(&format!("{error:#}")));
            ExitCode::from(code)
        }
    }
}
