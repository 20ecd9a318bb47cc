//! `mgm soak`: forwards a capture for hours under load and checks that nothing grows.

use crate::arguments::whole;
use crate::config::Config;
use crate::forward::report::{Report, RunResult};
use crate::forward::{read, workers};
use crate::terminal::plain::plain_json;
use crate::terminal::progress::time_bar;
use crate::terminal::{print, table};
use crate::{Failure, setup};
use anyhow::{Context, anyhow};
use mgm::plane::capture::{CaptureRouter, Recording, Run, Times, Totals};
use mgm_verify::churn::ChurnCounts;
use mgm_verify::report::{Destination, Provenance, grouped};
use mgm_verify::soak::{self, Gauges, Sample, SoakConfig, SoakError, SoakInput, SoakReport};
use serde_json::Value;
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

/// Forward a capture for a long time under load and check that nothing grows
///
/// It forwards as `mgm forward --repeat --churn` does, until the time is up. One more thread joins and leaves groups,
/// enumerates and walks. Memory, garbage, descriptors, packets and operations are sampled once a second, more often in
/// short runs and less often in long ones.
///
/// At the end three properties are checked. Memory and garbage must be flat: the median of the last tenth of the samples
/// is compared with that of the second tenth. No descriptor may be left open. Every count must be the number of passes
/// times the count of one pass. The report names the bounds.
#[derive(clap::Args)]
#[command(after_long_help = EXIT_CODES)]
pub(crate) struct Arguments {
    /// The capture: a pcap or pcapng file, as for `mgm forward`
    capture: PathBuf,

    /// Read interfaces, protocols, static joins and routes from a TOML file, as for `mgm forward`
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// The length of the run in seconds; the last pass is finished after it
    #[arg(long, value_name = "N", default_value = "3600", value_parser = whole::<u64>(1, 31_536_000))]
    seconds: u64,

    /// Let N threads of other protocols load the manager at the same time, as for `mgm forward`
    #[arg(long, value_name = "N", default_value = "2", value_parser = whole::<u16>(0, 256))]
    churn: u16,

    /// Spread the flows over N workers
    #[arg(long, value_name = "N", default_value = "1", value_parser = whole::<u16>(1, 256))]
    threads: u16,

    /// Write a report with plots to FILE, one HTML page without external parts
    ///
    /// The file is opened before the run. An existing file is overwritten after it.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,

    /// Print one JSON object instead of tables
    #[arg(long)]
    json: bool,
}

const EXIT_CODES: &str = "Exit codes:
  0  nothing grew, and every count is right
  1  the capture could not be opened or not be read to its end, or the report could not be written
  2  wrong usage, including a configuration or a report file that cannot work
  3  something grew, a count is wrong, or a call was answered wrongly: a bug, please report it";

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let name = || arguments.capture.display().to_string();
    let config = arguments.config.as_deref().map(Config::read).transpose().map_err(Failure::usage)?;
    let destination =
        arguments.report.as_deref().map(Destination::open).transpose().map_err(Failure::usage)?;
    let provenance = Provenance::now(env!("CARGO_PKG_VERSION"));
    let gauges = Gauges::new().map_err(Failure::usage)?;
    let recording = read(&arguments.capture, config.as_ref()).map_err(Failure::input)?;
    if recording.end().is_err() {
        return recording.into_end().with_context(name).map_err(Failure::input);
    }
    if recording.frames() == 0 {
        return Err(Failure::input(anyhow!("{}: the capture has no packets", name())));
    }
    let one_pass = one_pass(&recording, config.as_ref()).map_err(Failure::usage)?;
    // One thread more: the control load has its interfaces.
    let setup =
        setup::set_up(&recording, config.as_ref(), arguments.churn + 1, None).map_err(Failure::usage)?;
    let counts = |totals: &_| counts(&setup.router, totals);
    let input = SoakInput {
        recording: &recording,
        router: &setup.router,
        capture: &setup.capture,
        one_pass,
        counts: &counts,
    };
    let soak = SoakConfig {
        seconds: arguments.seconds,
        churn: arguments.churn,
        workers: workers(arguments.threads),
    };
    let mut report = soak_with_progress(&soak, &input, &gauges)?;
    report.command = command(arguments);
    print(&if arguments.json { plain_json(report.json()) } else { tables(&report) })
        .map_err(Failure::input)?;
    if let Some(destination) = destination {
        report.page(&provenance).and_then(|page| destination.write(&page)).map_err(Failure::input)?;
    }
    match report.broken() {
        None => Ok(()),
        Some(finding) => {
            Err(Failure::library_bug(anyhow!("it does not hold that {}: {}", finding.what, finding.found)))
        }
    }
}

fn soak_with_progress(
    config: &SoakConfig,
    input: &SoakInput<'_>,
    gauges: &Gauges,
) -> Result<SoakReport, Failure> {
    let line = time_bar(Duration::from_secs(config.seconds));
    let progress = |sample: &Sample| {
        if let Some(line) = &line {
            line.set_position((sample.seconds as u64).min(config.seconds));
            line.set_message(format!(
                "{} packets, {} operations, {} KiB, {} objects of garbage",
                grouped(sample.packets),
                grouped(sample.operations),
                grouped(sample.resident >> 10),
                grouped(sample.garbage)
            ));
        }
    };
    let report = soak::run(config, input, gauges, &progress);
    if let Some(line) = &line {
        line.finish_and_clear();
    }
    report.map_err(|error| match error {
        SoakError::WrongAnswer(wrong) => Failure::library_bug(wrong),
        SoakError::System(error) => Failure::input(error),
    })
}

/// Returns the counts of one pass without churn.
fn one_pass(recording: &Recording, config: Option<&Config>) -> anyhow::Result<Value> {
    let setup = setup::set_up(recording, config, 0, None)?;
    let run =
        Run { passes: NonZeroU64::MIN, threads: NonZeroUsize::MIN, transmit: None, progress: &mut |_| () };
    let totals = setup.router.run(recording, run)?;
    Ok(counts(&setup.router, &totals))
}

/// Returns the counts of a run as a JSON value, or a text that equals no report.
fn counts(router: &CaptureRouter, totals: &Totals) -> Value {
    let (times, churn) = (Times::default(), &ChurnCounts::default());
    let run = RunResult { times, totals, churn, elapsed: Duration::ZERO, passes: 1, timeline: None };
    let report = Report::new(router, &run);
    serde_json::to_value(report).unwrap_or_else(|error| Value::String(error.to_string()))
}

fn tables(report: &SoakReport) -> String {
    let width = table::terminal_width();
    let note = report.note().map_or_else(String::new, |note| format!("\n{note}"));
    format!(
        "{}\n\n{}\n\n{}{note}",
        report.summary(),
        table::render(&report.totals(), width, &[]),
        table::render(&report.findings(), width, &[])
    )
}

fn command(arguments: &Arguments) -> String {
    let Arguments { capture, config, seconds, churn, threads, .. } = arguments;
    let config = config.as_ref().map_or_else(String::new, |file| format!(" --config {}", file.display()));
    format!("mgm soak {}{config} --seconds {seconds} --churn {churn} --threads {threads}", capture.display())
}
