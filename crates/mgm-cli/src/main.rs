//! The program `mgm`: one file for each subcommand, and shared rooms.

mod arguments;
mod check;
mod config;
mod control;
mod demo;
mod forward;
mod join;
mod litmus;
mod reload;
mod route;
mod router;
mod run;
mod setup;
mod show;
mod soak;
mod stress;
mod terminal;

use clap::{Parser, Subcommand};
use control::client::{ControlClient, RequestError};
use control::protocol::{Answer, Request};
use std::io::{IsTerminal, stderr};
use std::process::ExitCode;
use terminal::plain::{plain, plain_lines};

/// Multicast group manager: several multicast routing protocols on one router
#[derive(Parser)]
#[command(name = "mgm", version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Check(check::Arguments),
    Demo(demo::Arguments),
    Forward(forward::Arguments),
    Join(join::Join),
    Leave(join::Leave),
    #[command(hide = true)]
    Litmus(litmus::Arguments),
    Reload(reload::Arguments),
    Route(route::Arguments),
    Run(run::Arguments),
    Show(show::Arguments),
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

    /// A request that a running router refused.
    fn refused(error: impl Into<anyhow::Error>) -> Failure {
        Failure { code: 4, error: error.into() }
    }

    /// A bug of the library.
    fn library_bug(error: impl Into<anyhow::Error>) -> Failure {
        Failure { code: 3, error: error.into() }
    }
}

/// Returns the failure of a request to a running router. Mistakes of a configuration are listed.
fn request_failure(error: RequestError) -> Failure {
    match error {
        RequestError::Connection(error) => Failure::input(error),
        RequestError::Refused(refusal) => {
            let mistakes = refusal.mistakes.iter().map(|mistake| format!("\n{mistake}")).collect::<String>();
            Failure::refused(anyhow::anyhow!("{refusal}{mistakes}"))
        }
    }
}

/// Asks a running router for a change, and prints what it did.
fn change(socket: &show::Socket, request: Request) -> Result<(), Failure> {
    let mut client = ControlClient::connect(&socket.socket).map_err(Failure::input)?;
    match client.request(request).map_err(request_failure)? {
        Answer::Changed(lines) => {
            let lines: Vec<_> = lines.iter().map(|line| plain(line)).collect();
            terminal::print(&lines.join("\n")).map_err(Failure::input)
        }
        _ => Err(Failure::input(anyhow::anyhow!("the router has answered another question"))),
    }
}

fn main() -> ExitCode {
    let command = Arguments::parse().command;
    // A router logs as its configuration says.
    if !matches!(command, Command::Run(_)) {
        tracing_subscriber::fmt()
            .with_max_level(tracing::Level::WARN)
            .without_time()
            .with_target(false)
            .with_writer(stderr)
            .with_ansi(stderr().is_terminal())
            .init();
    }
    let result = match command {
        Command::Check(arguments) => check::run(&arguments),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Forward(arguments) => forward::run(&arguments),
        Command::Join(arguments) => join::join(&arguments),
        Command::Leave(arguments) => join::leave(&arguments),
        Command::Litmus(arguments) => litmus::run(&arguments),
        Command::Reload(arguments) => reload::run(&arguments),
        Command::Route(arguments) => route::run(&arguments),
        Command::Run(arguments) => run::run(&arguments),
        Command::Show(arguments) => show::run(&arguments),
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
