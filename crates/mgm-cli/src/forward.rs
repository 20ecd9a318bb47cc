//! `mgm forward`: forwards the packets of a capture and reports the fate of each.

mod advice;
mod output;
pub(crate) mod report;
mod tables;
mod timeline;

use crate::arguments::whole;
use crate::config::Config;
use crate::terminal::plain::plain;
use crate::terminal::progress::Progress;
use crate::terminal::{print, table};
use crate::{Failure, setup};
use anyhow::Context;
use mgm::plane::capture::{CaptureRouter, Recording, Run, Transmit};
use mgm::wire::Link;
use mgm_verify::churn::Churn;
use output::Output;
use report::{Report, RunResult};
use std::fs::File;
use std::io::{self, Read};
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;
use timeline::Timeline;

/// Forward the multicast packets of a capture and report the fate of every packet
///
/// Every interface of the capture becomes a router interface. The IGMP and MLD messages in the capture become memberships,
/// the memberships become forwarding entries, and the entries name the interfaces to which each packet is copied. Time is
/// the capture's time: memberships lapse after 260 seconds without a report, entries after 900 seconds.
///
/// Record what the router receives, on all its interfaces at once, in one file. On the router:
///
/// tcpdump -i any -y LINUX_SLL2 -Q in -w router.pcap
///
/// Each interface index of such a file is a router interface: any:2, any:3. With names instead, and also what the router sends:
///
/// dumpcap -i eth0 -i eth1 -w router.pcapng
///
/// What the router sent is counted as "own" and never as received. It is known by the direction in the file, by the packet type
/// of cooked headers (-i any), and by a source address that is one of the router's: name those of a capture of both directions
/// as "mac" in a file for --config.
///
/// Packets are handled in the order of their times, over all interfaces. VLAN 5 of eth0 is the interface eth0.5. Packets that
/// were cut off (-s 96) are forwarded as long as --out does not ask for whole copies.
#[derive(clap::Args)]
#[command(after_long_help = EXIT_CODES)]
pub(crate) struct Arguments {
    /// The capture: a pcap or pcapng file, or - for standard input
    ///
    /// Its frames must begin with Ethernet, Linux cooked (v1, v2), BSD loopback or IP headers. It is held in memory.
    capture: PathBuf,

    /// Read interfaces, protocols, static joins and routes from a TOML file
    ///
    /// Without it, IGMP and MLD run on every interface, and a source is reached through the interface on which it was
    /// first seen. examples/forward.toml shows every setting.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Write the packets that each interface transmits to DIR/NAME.pcapng
    ///
    /// Copies have a lower hop limit, a correct checksum and the router's link-layer addresses. Their time is that of the
    /// original packet. With --repeat, only the first pass is written: the others are equal. Existing files of the same
    /// names are overwritten.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Print one JSON object instead of tables
    #[arg(long)]
    json: bool,

    /// Print when hosts joined and left, and when memberships lapsed
    ///
    /// --json always has these events. At most 65536 are kept; with --repeat, those of the first pass.
    #[arg(long)]
    timeline: bool,

    /// Forward the capture N times from memory
    ///
    /// Each pass begins with a router without memberships and entries, so N passes count exactly N times one pass.
    #[arg(long, value_name = "N", default_value = "1", value_parser = whole::<NonZeroU64>(1, u64::MAX))]
    repeat: NonZeroU64,

    /// Spread the flows over N workers
    ///
    /// Control messages take effect at their place among the packets, so the counts do not depend on N.
    #[arg(long, value_name = "N", default_value = "1", value_parser = whole::<u16>(1, 256))]
    threads: u16,

    /// Let N threads of other protocols load the manager at the same time
    ///
    /// They register, take and release interfaces of their own, and deregister. They try to take and to release the
    /// interfaces of the capture, which must fail. They publish and withdraw flows of their own in the same forwarding
    /// table (from 240.0.0.0/4 and 100::/64, which no packet has as its source). The counts do not change.
    #[arg(long, value_name = "N", default_value = "0", value_parser = whole::<u16>(0, 256))]
    churn: u16,
}

const EXIT_CODES: &str = "Exit codes:
  0  every packet was forwarded, or counted with the reason why not
  1  the capture could not be opened or not be read to its end (the part before is still reported), or
     a file could not be written
  2  wrong usage, including a configuration that cannot work
  3  a call of --churn was answered wrongly: a bug, please report it";

/// Returns the number of workers. The parser of the option excludes 0.
pub(crate) fn workers(threads: u16) -> NonZeroUsize {
    NonZeroUsize::new(threads.into()).unwrap_or(NonZeroUsize::MIN)
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let config = arguments.config.as_deref().map(Config::read).transpose().map_err(Failure::usage)?;
    let recording = read(&arguments.capture, config.as_ref()).map_err(Failure::input)?;
    let name = || plain(&arguments.capture.display().to_string()).into_owned();
    let timeline = Arc::new(Timeline::default());
    let setup = match setup::set_up(&recording, config.as_ref(), arguments.churn, Some(timeline.clone())) {
        Ok(setup) => setup,
        Err(error) => {
            // An interface may be missing because the capture is cut short.
            let end = recording.into_end().err();
            return Err(Failure::usage(match end {
                Some(end) => error.context(format!("{}: {end}", name())),
                None => error,
            }));
        }
    };
    let router = &setup.router;
    warn(router, &recording);
    let mut output = arguments
        .out
        .as_deref()
        .map(|directory| Output::create(directory, router.ports(), &arguments.capture))
        .transpose()
        .map_err(Failure::usage)?;

    let churn = Churn::start(router.manager(), &setup.capture, arguments.churn);
    let frames = recording.frames().saturating_mul(arguments.repeat.get());
    let mut progress = Progress::new("packets forwarded", frames);
    let started = Instant::now();
    let mut transmit = |port: usize, time, packet: &[u8]| match &mut output {
        Some(output) => output.write(port, time, packet),
        None => Ok(()),
    };
    let transmit = arguments.out.is_some().then_some(&mut transmit as &mut Transmit<'_>);
    let run = Run {
        passes: arguments.repeat,
        threads: workers(arguments.threads),
        transmit,
        progress: &mut |frames| {
            if frames >= recording.frames() {
                timeline.close();
            }
            progress.set_position(frames);
        },
    };
    let totals = router.run(&recording, run);
    let elapsed = started.elapsed();
    progress.finish();
    let churn = churn.stop();

    let not_written = "--out: the transmitted packets could not be written";
    let totals = totals.context(not_written).map_err(Failure::input)?;
    if let Some(output) = output {
        output.finish().context(not_written).map_err(Failure::input)?;
    }
    let churn = churn.map_err(Failure::library_bug)?;
    // Without a readable frame, empty tables would add nothing to the error.
    if arguments.json || recording.end().is_ok() || recording.frames() > 0 {
        let report = Report::new(
            router,
            &RunResult {
                times: recording.times(),
                totals: &totals,
                churn: &churn,
                elapsed,
                passes: arguments.repeat.get(),
                timeline: Some(&timeline),
            },
        );
        let advice = advice::advice(&report, router.ports());
        if arguments.json {
            if let Some(advice) = &advice {
                eprintln!("mgm: {advice}");
            }
            print(&report.json()).map_err(Failure::input)?;
        } else {
            let width = table::terminal_width();
            let shown =
                tables::Shown { churn: &churn, advice: advice.as_deref(), timeline: arguments.timeline };
            print(&tables::all(&report, &name(), &shown, width)).map_err(Failure::input)?;
        }
    }
    recording.into_end().with_context(name).map_err(Failure::input)
}

/// Warns of what the router cannot use.
fn warn(router: &CaptureRouter, recording: &Recording) {
    for port in router.ports() {
        if let Link::Unknown(linktype) = port.link {
            let name = plain(&port.name);
            tracing::warn!("interface \"{name}\" has frames of link type {linktype}, which mgm cannot read");
        }
    }
    let outside = recording.times().outside;
    if outside > 0 {
        tracing::warn!(
            "{outside} packets have a time far outside all others ([capture] max_time_gap in a file for --config); each is \
             handled at the time of the packet before it in the file"
        );
    }
}

/// Reads a capture into memory.
pub(crate) fn read(path: &Path, config: Option<&Config>) -> anyhow::Result<Recording> {
    let max_gap = config.map_or(Recording::MAX_GAP, |config| config.max_time_gap);
    let (input, length): (Box<dyn Read>, _) = if path.as_os_str() == "-" {
        (Box::new(io::stdin().lock()), 0)
    } else {
        let file = File::open(path).with_context(|| path.display().to_string())?;
        let length = file.metadata().map_or(0, |metadata| metadata.len());
        (Box::new(file), length)
    };
    let mut progress = Progress::new("octets read", length);
    let recording = Recording::read_with(input, max_gap, |octets| progress.set_position(octets));
    progress.finish();
    Ok(recording)
}
