//! `mgm soak`: forwards a capture again and again for hours while others do their worst, and looks whether anything grows.

mod busy;
mod counts;
mod gauges;
mod judge;
mod report;

use crate::Failure;
use crate::churn::{Churn, Counts};
use crate::config::Config;
use crate::html::Destination;
use crate::report::Report as ForwardReport;
use crate::samples::{self, Samples};
use crate::setup::{self, Setup};
use crate::tables::grouped;
use crate::{forward, soak::busy::Busy};
use anyhow::{Context, anyhow};
use gauges::Gauges;
use indicatif::{ProgressBar, ProgressStyle};
use mgm::forwarding::{Flow, ForwardingTable, NewEntry};
use mgm::plane::capture::{Recording, Run};
use report::Report;
use serde::Serialize;
use std::io::{self, ErrorKind, IsTerminal, Write, stderr};
use std::net::Ipv4Addr;
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// Forward a capture again and again while others do their worst, and see whether anything grows
///
/// As `mgm forward --repeat --churn` does, for a given time; besides, one more thread joins and leaves groups, enumerates
/// and walks. Memory, garbage, descriptors, packets and operations are measured once a second (in long runs more seldom, in
/// short ones more often), and judged at the end: memory and garbage must be flat, the median of the last tenth of the samples
/// against that of the second tenth; no descriptor may be left open; and the packets must be counted exactly so often as the
/// passes say. The report says how far each may differ.
#[derive(clap::Args)]
#[command(after_long_help = EXIT_CODES)]
pub(crate) struct Arguments {
    /// The capture: a pcap or pcapng file, as `mgm forward` takes it
    capture: PathBuf,

    /// Interfaces, protocols, static joins and routes from a TOML file, as `mgm forward` takes it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// For how long; the pass that is under way then is brought to its end
    #[arg(long, value_name = "N", default_value = "3600", value_parser = clap::value_parser!(u64).range(1..=31_536_000))]
    seconds: u64,

    /// Let N threads of other protocols do their worst meanwhile, as `mgm forward --churn` does
    #[arg(long, value_name = "N", default_value = "2", value_parser = clap::value_parser!(u16).range(..=256))]
    churn: u16,

    /// Spread the flows over N workers
    #[arg(long, value_name = "N", default_value = "1", value_parser = forward::at_most_256)]
    threads: NonZeroUsize,

    /// Write a report with plots to FILE, one page of HTML that needs nothing else
    ///
    /// Whether it can be written is seen before the run; a file of that name is overwritten after it.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,

    /// Print one JSON object instead of tables
    #[arg(long)]
    json: bool,
}

const EXIT_CODES: &str = "Exit codes:
  0  nothing grew, and every count is right
  1  the capture could not be opened or not be read to its end, or the report could not be written
  2  wrong usage, a configuration or a report file that cannot work included
  3  something grew, a count is wrong, or an operation of the churn was answered wrongly: a bug, please report it";

/// What was measured at one instant.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Sample {
    seconds: f64,
    /// Octets.
    resident: u64,
    /// Removed objects that wait for readers.
    garbage: u64,
    descriptors: u64,
    /// So far.
    packets: u64,
    /// Of the churn and the busy control plane, so far.
    operations: u64,
}

impl samples::Sample for Sample {
    fn join(&mut self, earlier: &Self) {
        self.resident = self.resident.max(earlier.resident);
        self.garbage = self.garbage.max(earlier.garbage);
        self.descriptors = self.descriptors.max(earlier.descriptors);
    }
}

/// The clock of a manager goes for 584 years, and a small capture of a long time comes by a thousand times a second.
const LONGEST: Duration = Duration::from_nanos(u64::MAX / 2);

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let name = || arguments.capture.display().to_string();
    let config = arguments.config.as_deref().map(Config::read).transpose().map_err(Failure::usage)?;
    let destination =
        arguments.report.as_deref().map(Destination::open).transpose().map_err(Failure::usage)?;
    let gauges = Gauges::new().map_err(Failure::usage)?;
    let recording = forward::read(&arguments.capture).map_err(Failure::capture)?;
    if recording.end().is_err() {
        return recording.into_end().with_context(name).map_err(Failure::capture);
    }
    if recording.frames() == 0 {
        return Err(Failure::capture(anyhow!("{}: there is no packet in it", name())));
    }
    let quiet = quiet(&recording, config.as_ref()).map_err(Failure::usage)?;
    // One more, whose interfaces are the busy control plane's.
    let setup = setup::set_up(&recording, config.as_ref(), arguments.churn + 1).map_err(Failure::usage)?;

    grow(setup.router.manager().forwarding_table()).map_err(Failure::capture)?;

    let soaked = soak(arguments, &recording, &setup, &gauges)?;
    let passes = soaked.forwarded.packets / recording.frames();
    // Workers beside the coordinating thread, the sampler, the busy thread.
    let workers = if arguments.threads.get() > 1 { arguments.threads.get() as u64 } else { 0 };
    let threads = 3 + workers + u64::from(arguments.churn);
    let mut verdicts = judge::judge(&soaked.samples, threads);
    verdicts.push(counts::judge(&quiet, &soaked.forwarded, passes));
    let report = Report::new(arguments, soaked, passes, threads, verdicts);
    print(&if arguments.json { report.json() } else { report.table() }).map_err(Failure::capture)?;
    if let Some(destination) = destination {
        report.page().and_then(|page| destination.write(&page)).map_err(Failure::capture)?;
    }
    match report.broken() {
        None => Ok(()),
        Some(verdict) => {
            Err(Failure::promise(anyhow!("it does not hold that {}: {}", verdict.what, verdict.found)))
        }
    }
}

/// What one pass counts with nobody else about.
fn quiet(recording: &Recording, config: Option<&Config>) -> anyhow::Result<ForwardReport> {
    let setup = setup::set_up(recording, config, 0)?;
    let run =
        Run { passes: NonZeroU64::MIN, threads: NonZeroUsize::MIN, transmit: None, progress: &mut |_| () };
    let totals = setup.router.run(recording, run)?;
    Ok(ForwardReport::new(&setup.router, &totals, &Counts::default(), Duration::ZERO))
}

/// So many entries may wait for readers before the forwarding table takes slots that were never used: more than the churn takes
/// out in half a second.
const GROWN: u32 = 1 << 17;

/// Has the forwarding table use many slots once. Its slots never go away, so that memory does not grow any more whenever the
/// system stops a reader for longer than any before.
fn grow(table: &ForwardingTable) -> anyhow::Result<()> {
    let number = table.alloc_counter()?;
    // From sources that no packet is from (RFC 1112 section 4), to a group of documentation (RFC 6676).
    let flow =
        |n: u32| Flow::new(Ipv4Addr::from_bits(0xF100_0000 + n).into(), Ipv4Addr::new(233, 252, 0, 2).into());
    for n in 0..GROWN {
        table.publish(NewEntry::new(flow(n)?, number, None, &[]))?;
    }
    for n in 0..GROWN {
        table.withdraw(&flow(n)?);
    }
    table.free_counter(number);
    Ok(())
}

/// What a run leaves behind.
pub(crate) struct Soaked {
    forwarded: ForwardReport,
    samples: Vec<Sample>,
    churned: Counts,
    busy: busy::Done,
    seconds: f64,
    /// It was ended before its time, because the manager's clock had come too far.
    cut_short: bool,
}

fn soak(
    arguments: &Arguments,
    recording: &Recording,
    setup: &Setup,
    gauges: &Gauges,
) -> Result<Soaked, Failure> {
    let manager = setup.router.manager();
    let churn = Churn::start(manager, &setup.live, arguments.churn);
    let busy = Busy::start(manager, arguments.churn);
    let length = Duration::from_secs(arguments.seconds);
    let started = Instant::now();
    let (packets, over) = (AtomicU64::new(0), AtomicBool::new(false));
    let mut cut_short = false;
    let measure = || -> anyhow::Result<Sample> {
        Ok(Sample {
            seconds: started.elapsed().as_secs_f64(),
            resident: gauges.resident()?,
            garbage: manager.garbage_pending() as u64,
            descriptors: gauges.descriptors()?,
            packets: packets.load(Ordering::Relaxed),
            operations: churn.operations() + busy.calls(),
        })
    };
    let (totals, measured) = thread::scope(|scope| {
        let sampler = scope.spawn(|| sample(length, started, &over, measure));
        let ending = Ending { over: &over, sampler: sampler.thread().clone() };
        let mut go_on = |clock: Duration| {
            cut_short = clock > LONGEST;
            started.elapsed() < length
                && !churn.has_failed()
                && !busy.has_failed()
                && !sampler.is_finished()
                && !cut_short
        };
        let run = Run {
            passes: NonZeroU64::MAX,
            threads: arguments.threads,
            transmit: None,
            // Relaxed: a count.
            progress: &mut |frames| packets.store(frames, Ordering::Relaxed),
        };
        let totals = setup.router.run_while(recording, run, &mut go_on);
        drop(ending);
        (totals, sampler.join())
    });
    let elapsed = started.elapsed();
    let churned = churn.stop().map_err(Failure::promise)?;
    let busy = busy.stop().map_err(Failure::promise)?;
    let totals = totals.map_err(Failure::capture)?;
    let samples = match measured {
        Ok(samples) => samples.map_err(Failure::capture)?,
        Err(panic) => std::panic::resume_unwind(panic),
    };
    Ok(Soaked {
        forwarded: ForwardReport::new(&setup.router, &totals, &churned, elapsed),
        samples: samples.all().to_vec(),
        churned,
        busy,
        seconds: elapsed.as_secs_f64(),
        cut_short,
    })
}

/// Tells the sampler that the run is over, however it ended.
struct Ending<'a> {
    over: &'a AtomicBool,
    sampler: Thread,
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        // Relaxed: it says nothing but "enough".
        self.over.store(true, Ordering::Relaxed);
        self.sampler.unpark();
    }
}

/// Measures until the run is over.
fn sample(
    length: Duration,
    started: Instant,
    over: &AtomicBool,
    measure: impl Fn() -> anyhow::Result<Sample>,
) -> anyhow::Result<Samples<Sample>> {
    let mut samples = Samples::of(length);
    let line = progress(length);
    while !over.load(Ordering::Relaxed) {
        let elapsed = started.elapsed();
        let wait = samples.wait(elapsed);
        if wait.is_zero() {
            let sample = measure()?;
            samples.push(elapsed, sample);
            if let Some(line) = &line {
                line.set_position(elapsed.as_secs().min(length.as_secs()));
                line.set_message(format!(
                    "{} packets, {} operations, {} KiB, {} objects of garbage",
                    grouped(sample.packets),
                    grouped(sample.operations),
                    grouped(sample.resident >> 10),
                    grouped(sample.garbage)
                ));
            }
        } else {
            thread::park_timeout(wait);
        }
    }
    if let Some(line) = line {
        line.finish_and_clear();
    }
    Ok(samples)
}

fn progress(length: Duration) -> Option<ProgressBar> {
    // The template is a constant that is known to be one.
    let style = ProgressStyle::with_template("{bar:20} {elapsed} gone, {eta} left: {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    stderr().is_terminal().then(|| ProgressBar::new(length.as_secs()).with_style(style))
}

/// Output that nobody reads to its end is no failure.
fn print(text: &str) -> anyhow::Result<()> {
    match writeln!(io::stdout().lock(), "{text}") {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context("standard output"),
        _ => Ok(()),
    }
}
