//! `mgm soak`: forwards a capture for a long time under churn, and checks that nothing grows and that every count is right.

mod control_load;
mod counts;
mod gauges;
mod report;
mod trend;

pub use gauges::Gauges;
pub use report::SoakReport;
pub use trend::Finding;

use crate::churn::{CaptureInterfaces, Churn, ChurnCounts, WrongAnswer};
use crate::report::Samples;
use anyhow::anyhow;
use control_load::ControlLoad;
use mgm::forwarding::{Flow, ForwardingTable, NewEntry};
use mgm::plane::capture::{CaptureRouter, Recording, Run, Totals};
use serde::Serialize;
use serde_json::Value;
use std::net::Ipv4Addr;
use std::num::{NonZeroU64, NonZeroUsize};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// The configuration of a soak run.
#[derive(Clone, Debug)]
pub struct SoakConfig {
    /// The length of the run. The last pass is finished after it.
    pub seconds: u64,
    /// The number of churn threads.
    pub churn: u16,
    /// The number of workers that forward.
    pub workers: NonZeroUsize,
}

/// The router and the capture of a soak run.
pub struct SoakInput<'a> {
    /// The capture. It must hold a packet.
    pub recording: &'a Recording,
    /// The router. Its manager has room for the interfaces of one more churn thread than the configuration names.
    pub router: &'a CaptureRouter,
    /// The interfaces that the router's protocols own.
    pub capture: &'a CaptureInterfaces,
    /// The counts of one pass without churn.
    pub one_pass: Value,
    /// Returns the counts of the router in the form of `one_pass`.
    pub counts: &'a dyn Fn(&Totals) -> Value,
}

/// The reason why a soak run has no report.
#[derive(Debug, thiserror::Error)]
pub enum SoakError {
    /// A call was answered wrongly.
    #[error(transparent)]
    WrongAnswer(#[from] WrongAnswer),
    /// The system refused something.
    #[error(transparent)]
    System(#[from] anyhow::Error),
}

/// The gauges at one instant.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Sample {
    /// The time since the start.
    pub seconds: f64,
    /// Resident memory in octets.
    pub resident: u64,
    /// Removed objects that wait for readers.
    pub garbage: u64,
    /// Open descriptors.
    pub descriptors: u64,
    /// Packets forwarded so far.
    pub packets: u64,
    /// Operations of the churn and of the control load so far.
    pub operations: u64,
}

impl crate::report::Sample for Sample {
    fn merge(&mut self, earlier: &Self) {
        self.resident = self.resident.max(earlier.resident);
        self.garbage = self.garbage.max(earlier.garbage);
        self.descriptors = self.descriptors.max(earlier.descriptors);
    }
}

/// The longest time of a manager's clock in a run. Passes of a small capture over a long time reach it: the clock lasts for
/// 584 years, and such a capture is passed a thousand times a second.
const MAX_CLOCK: Duration = Duration::from_nanos(u64::MAX / 2);

/// The number of slots that the forwarding table uses once before the run. The churn withdraws fewer entries in half a
/// second.
const WARM_SLOTS: u32 = 1 << 17;

/// Everything that a run measured.
struct Measured {
    totals: Totals,
    samples: Vec<Sample>,
    churn: ChurnCounts,
    load: control_load::Done,
    seconds: f64,
    /// Whether the run ended early at [`MAX_CLOCK`].
    cut_short: bool,
}

/// Runs a soak. `progress` is called after each sample.
///
/// # Errors
/// If a call was answered wrongly, or if the system refused something.
pub fn run(
    config: &SoakConfig,
    input: &SoakInput<'_>,
    gauges: &Gauges,
    progress: &(dyn Fn(&Sample) + Sync),
) -> Result<SoakReport, SoakError> {
    warm_up(input.router.manager().forwarding_table())?;
    let measured = measure(config, input, gauges, progress)?;
    let passes = measured.totals.packets / input.recording.frames().max(1);
    // One worker forwards on the coordinating thread. The others are that thread, the sampler and the control load.
    let workers = if config.workers.get() > 1 { config.workers.get() as u64 } else { 0 };
    let threads = 3 + workers + u64::from(config.churn);
    let mut findings = trend::check(&measured.samples, threads);
    findings.push(counts::check(
        &input.one_pass,
        &(input.counts)(&measured.totals),
        measured.totals.packets,
        passes,
    ));
    Ok(SoakReport::new(measured, passes, threads, findings))
}

/// Lets the forwarding table use many slots once. It never frees slots, so its memory no longer grows when the system stops
/// a reader for longer than before.
fn warm_up(table: &ForwardingTable) -> anyhow::Result<()> {
    let counter = table.alloc_counter()?;
    // No packet has these sources (RFC 1112 section 4). The group is reserved for documentation (RFC 6676).
    let flow =
        |n: u32| Flow::new(Ipv4Addr::from_bits(0xF100_0000 + n).into(), Ipv4Addr::new(233, 252, 0, 2).into());
    for n in 0..WARM_SLOTS {
        table.publish(NewEntry::new(flow(n)?, counter, None, &[]))?;
    }
    for n in 0..WARM_SLOTS {
        table.withdraw(&flow(n)?);
    }
    table.free_counter(counter);
    Ok(())
}

fn measure(
    config: &SoakConfig,
    input: &SoakInput<'_>,
    gauges: &Gauges,
    progress: &(dyn Fn(&Sample) + Sync),
) -> Result<Measured, SoakError> {
    let manager = input.router.manager();
    let churn = Churn::start(manager, input.capture, config.churn);
    let load = ControlLoad::start(manager, config.churn);
    let length = Duration::from_secs(config.seconds);
    let started = Instant::now();
    let (packets, over) = (AtomicU64::new(0), AtomicBool::new(false));
    let mut cut_short = false;
    let sample_now = || -> anyhow::Result<Sample> {
        let sample = Sample {
            seconds: started.elapsed().as_secs_f64(),
            resident: gauges.resident()?,
            garbage: manager.garbage_pending() as u64,
            descriptors: gauges.descriptors()?,
            // Relaxed: a count.
            packets: packets.load(Ordering::Relaxed),
            operations: churn.operations() + load.calls(),
        };
        progress(&sample);
        Ok(sample)
    };
    let (totals, sampled) = thread::scope(|scope| {
        let sampler = scope.spawn(|| sample_until_over(length, started, &over, sample_now));
        let ending = EndSampler { over: &over, sampler: sampler.thread().clone() };
        let mut continues = |clock: Duration| {
            cut_short = clock > MAX_CLOCK;
            started.elapsed() < length
                && !churn.has_failed()
                && !load.has_failed()
                && !sampler.is_finished()
                && !cut_short
        };
        let run = Run {
            passes: NonZeroU64::MAX,
            threads: config.workers,
            transmit: None,
            // Relaxed: a count.
            progress: &mut |frames| packets.store(frames, Ordering::Relaxed),
        };
        let totals = input.router.run_while(input.recording, run, &mut continues);
        drop(ending);
        (totals, sampler.join())
    });
    let seconds = started.elapsed().as_secs_f64();
    let churn = churn.stop()?;
    let load = load.stop()?;
    let totals = totals.map_err(|error| anyhow!(error))?;
    let samples = match sampled {
        Ok(samples) => samples?,
        Err(panic) => std::panic::resume_unwind(panic),
    };
    Ok(Measured { totals, samples: samples.all().to_vec(), churn, load, seconds, cut_short })
}

/// Ends the sampler when it is dropped, also after a panic.
struct EndSampler<'a> {
    over: &'a AtomicBool,
    sampler: Thread,
}

impl Drop for EndSampler<'_> {
    fn drop(&mut self) {
        // Relaxed: the flag orders nothing.
        self.over.store(true, Ordering::Relaxed);
        self.sampler.unpark();
    }
}

fn sample_until_over(
    length: Duration,
    started: Instant,
    over: &AtomicBool,
    sample_now: impl Fn() -> anyhow::Result<Sample>,
) -> anyhow::Result<Samples<Sample>> {
    let mut samples = Samples::for_run(length);
    // Relaxed: the flag orders nothing.
    while !over.load(Ordering::Relaxed) {
        let elapsed = started.elapsed();
        let wait = samples.wait(elapsed);
        if wait.is_zero() {
            samples.push(elapsed, sample_now()?);
        } else {
            thread::park_timeout(wait);
        }
    }
    Ok(samples)
}
