//! `mgm litmus`: pairs of a store and a load on two threads of this machine.

use crate::Failure;
use crate::arguments::whole;
use crate::terminal::print;
use anyhow::anyhow;
use clap::Args;
use mgm_verify::litmus::{Litmus, Size};
use std::time::Duration;

/// Run pairs "store mine, then load yours" on two threads, and check that never both miss the other's store
#[derive(Args)]
pub(crate) struct Arguments {
    /// The tests to run, all by default
    names: Vec<String>,

    /// The rounds of each test
    #[arg(long, value_name = "N", default_value = "1000000", value_parser = whole::<u64>(1, 1_000_000_000_000))]
    rounds: u64,

    /// The time for each test in seconds, after which it ends before all rounds
    #[arg(long, value_name = "N", default_value = "3600", value_parser = whole::<u64>(1, 31_536_000))]
    seconds: u64,
}

/// Fewer rounds show nothing.
const FEWEST: u64 = 1_000;

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let known: Vec<&str> = Litmus::ALL.iter().map(|litmus| litmus.name).collect();
    if let Some(unknown) = arguments.names.iter().find(|name| !known.contains(&name.as_str())) {
        return Err(Failure::usage(anyhow!(
            "there is no test {unknown:?}: the tests are {}",
            known.join(", ")
        )));
    }
    let is_chosen = |name| arguments.names.is_empty() || arguments.names.iter().any(|chosen| chosen == name);
    let size = Size { rounds: arguments.rounds, limit: Duration::from_secs(arguments.seconds) };
    let mut broken = Vec::new();
    for litmus in Litmus::ALL.iter().filter(|litmus| is_chosen(litmus.name)) {
        let counts = litmus.run(size);
        let [both, one, _] = counts.seen_by;
        print(&format!(
            "{:12} {} rounds in {:.1} s: {both} with both seen, {one} with one, {} broken",
            litmus.name,
            counts.rounds,
            counts.took.as_secs_f32(),
            counts.broken(),
        ))
        .map_err(Failure::violation)?;
        if counts.broken() > 0 {
            broken.push(format!("{}: {}", litmus.name, litmus.never));
        } else if counts.rounds < (arguments.rounds / 2).min(FEWEST) {
            broken.push(format!("{}: only {} rounds count", litmus.name, counts.rounds));
        }
    }
    if broken.is_empty() {
        Ok(())
    } else {
        Err(Failure::violation(anyhow!("it came out: {}", broken.join("; "))))
    }
}
