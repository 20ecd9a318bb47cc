//! The program `mgm`: one file a subcommand, and what they share.

mod churn;
mod config;
mod forward;
mod html;
mod output;
mod progress;
mod report;
mod samples;
mod setup;
mod soak;
mod stress;
mod tables;

use clap::{Parser, Subcommand};
use std::io::{IsTerminal, stderr};
use std::process::ExitCode;

/// Multicast group manager: several multicast routing protocols on one router.
#[derive(Parser)]
#[command(name = "mgm", version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Forward(forward::Arguments),
    Soak(soak::Arguments),
    Stress(stress::Arguments),
}

/// What ends the program with an exit code other than 0.
struct Failure {
    code: u8,
    error: anyhow::Error,
}

impl Failure {
    /// The capture could not be read to its end.
    fn capture(error: impl Into<anyhow::Error>) -> Failure {
        Failure { code: 1, error: error.into() }
    }

    /// What was seen cannot be explained.
    fn violation(error: impl Into<anyhow::Error>) -> Failure {
        Failure { code: 1, error: error.into() }
    }

    /// It was called in a way that cannot work.
    fn usage(error: impl Into<anyhow::Error>) -> Failure {
        Failure { code: 2, error: error.into() }
    }

    /// The library did something it promises never to do.
    fn promise(error: impl Into<anyhow::Error>) -> Failure {
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
        Command::Soak(arguments) => soak::run(&arguments),
        Command::Stress(arguments) => stress::run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { code, error }) => {
            eprintln!("mgm: {error:#}");
            ExitCode::from(code)
        }
    }
}
