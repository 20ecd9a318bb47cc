//! `mgm forward`: forwards what a capture holds, and tells what became of it.

use crate::Failure;
use crate::churn::Churn;
use crate::config::Config;
use crate::output::Output;
use crate::progress::Progress;
use crate::report::Report;
use crate::{setup, tables};
use anyhow::Context;
use mgm::plane::Link;
use mgm::plane::capture::{Recording, Run, Transmit};
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Forward the multicast packets of a capture, and tell what became of every packet
///
/// Every interface of the capture becomes a router interface. Hosts are heard through the IGMP and MLD messages that the
/// capture holds; their reports become memberships, the memberships become forwarding entries, and the entries say
/// where each packet is copied to. Time is the capture's: reports lapse after 260 seconds, entries after 900.
#[derive(clap::Args)]
#[command(after_long_help = EXIT_CODES)]
pub(crate) struct Arguments {
    /// The capture: a pcap or pcapng file, or - for standard input
    ///
    /// Its frames have to begin with Ethernet, Linux cooked (v1, v2), BSD loopback or IP headers. It is held in memory.
    capture: PathBuf,

    /// Interfaces, protocols, static joins and routes from a TOML file
    ///
    /// Without it every interface takes part with IGMP and MLD, and a source is reached through the interface where it
    /// was first seen. examples/forward.toml shows what can be said.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Write what each interface transmitted to DIR/NAME.pcapng
    ///
    /// Copies have their hop limit lowered, a right checksum, and the addresses they would leave with; the time is that
    /// of the packet that was copied. With --repeat, the first pass is written: the others are the same. Files of the
    /// same names are overwritten.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Print one JSON object instead of tables
    #[arg(long)]
    json: bool,

    /// Forward the capture N times, from memory
    ///
    /// Each pass begins with a router without memberships and entries, so N passes count exactly N times one.
    #[arg(long, value_name = "N", default_value = "1")]
    repeat: NonZeroU64,

    /// Spread the flows over N workers
    ///
    /// Control messages take effect in their place among the packets, so the counts do not depend on N.
    #[arg(long, value_name = "N", default_value = "1", value_parser = at_most_256)]
    threads: NonZeroUsize,

    /// Let N threads of other protocols do their worst meanwhile
    ///
    /// They register, take and release interfaces of their own and deregister; they try to take and to release the
    /// capture's interfaces, which must fail; and they publish and withdraw flows of their own in the same forwarding
    /// table (from 240.0.0.0/4 and 100::/64, which no packet is from). The counts stay what they are.
    #[arg(long, value_name = "N", default_value = "0", value_parser = clap::value_parser!(u16).range(..=256))]
    churn: u16,
}

const EXIT_CODES: &str = "Exit codes:
  0  everything was forwarded, or counted with the reason why not
  1  the capture could not be opened, or not be read to its end (what was read is still reported), or
     a file could not be written
  2  wrong usage, a configuration that cannot work included
  3  an operation of --churn that must fail succeeded, or the other way round: a bug, please report it";

pub(crate) fn at_most_256(text: &str) -> Result<NonZeroUsize, String> {
    let number: NonZeroUsize = text.parse().map_err(|error| format!("{error}"))?;
    if number.get() <= 256 { Ok(number) } else { Err("more than 256".to_owned()) }
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let config = arguments.config.as_deref().map(Config::read).transpose().map_err(Failure::usage)?;
    let recording = read(&arguments.capture).map_err(Failure::capture)?;
    let name = || arguments.capture.display().to_string();
    let setup = match setup::set_up(&recording, config.as_ref(), arguments.churn) {
        Ok(setup) => setup,
        Err(error) => {
            let missed = recording.into_end().err();
            // An interface may be missing because the capture ends too early.
            return Err(Failure::usage(match missed {
                Some(end) => error.context(format!("{}: {end}", name())),
                None => error,
            }));
        }
    };
    let router = &setup.router;
    for port in router.ports() {
        if let Link::Unknown(linktype) = port.link {
            tracing::warn!(
                "interface \"{}\" has frames of link type {linktype}, which are not understood",
                port.name
            );
        }
    }
    let mut output = arguments
        .out
        .as_deref()
        .map(|directory| Output::create(directory, router.ports(), &arguments.capture))
        .transpose()
        .map_err(Failure::usage)?;

    let churn = Churn::start(router.manager(), &setup.live, arguments.churn);
    let mut progress = Progress::new("forwarded", recording.frames().saturating_mul(arguments.repeat.get()));
    let started = Instant::now();
    let mut transmit = |port: usize, time, packet: &[u8]| match &mut output {
        Some(output) => output.write(port, time, packet),
        None => Ok(()),
    };
    let wanted = arguments.out.is_some().then_some(&mut transmit as &mut Transmit<'_>);
    let run = Run {
        passes: arguments.repeat,
        threads: arguments.threads,
        transmit: wanted,
        progress: &mut |frames| progress.at(frames),
    };
    let totals = router.run(&recording, run);
    let elapsed = started.elapsed();
    progress.done();
    let churned = churn.stop();

    let totals = totals.context("what was transmitted could not be written").map_err(Failure::capture)?;
    if let Some(output) = output {
        output.finish().context("what was transmitted could not be written").map_err(Failure::capture)?;
    }
    let churned = churned.map_err(Failure::promise)?;
    // Of a capture of which nothing could be read, empty tables would tell no more than the error does.
    if arguments.json || recording.end().is_ok() || recording.frames() > 0 {
        let report = Report::new(router, &totals, &churned, elapsed);
        print(arguments, &report, &churned).map_err(Failure::capture)?;
    }
    recording.into_end().with_context(name).map_err(Failure::capture)
}

pub(crate) fn read(path: &Path) -> anyhow::Result<Recording> {
    let (input, length): (Box<dyn Read>, _) = if path.as_os_str() == "-" {
        (Box::new(io::stdin().lock()), 0)
    } else {
        let file = File::open(path).with_context(|| path.display().to_string())?;
        let length = file.metadata().map_or(0, |metadata| metadata.len());
        (Box::new(file), length)
    };
    let mut progress = Progress::new("octets read", length);
    let recording = Recording::read_with(input, |octets| progress.at(octets));
    progress.done();
    Ok(recording)
}

/// Output that nobody reads to its end is no failure.
fn print(arguments: &Arguments, report: &Report, churned: &crate::churn::Counts) -> anyhow::Result<()> {
    let mut text = if arguments.json {
        serde_json::to_string_pretty(report)?
    } else {
        tables::all(report, churned, &arguments.capture.display().to_string())
    };
    text.push('\n');
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context("standard output"),
        _ => Ok(()),
    }
}
