//! Runs the comparison and writes its results. `benches/report` calls it; BENCHMARKS.md explains it.

mod machine;
mod page;
mod plots;
mod results;
#[path = "../rows/mod.rs"]
mod rows;

use anyhow::{Context, Result, bail};
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use results::{Figure, Measured, Report};
use rows::{Contestant, Row, Work};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

#[global_allocator]
static MEMORY: rows::memory::Counting = rows::memory::Counting;

/// The comparison of the handle table and the forwarding table with their peers, in interleaved rounds.
#[derive(Debug, Parser)]
#[command(name = "benches/report")]
struct Arguments {
    /// Runs fewer rounds, and shortens the rows that measure by themselves: seconds instead of minutes. Writes nothing
    /// to BENCHMARKS.md.
    #[arg(long)]
    quick: bool,
    /// Runs one round of each row, compares the results of the contestants, and writes nothing.
    #[arg(long, alias = "test")]
    check: bool,
    /// Runs only rows with this text in their id, such as "lookup" or "pairs/1k". Writes nothing to BENCHMARKS.md.
    #[arg(long, value_name = "PATTERN")]
    rows: Option<String>,
    /// Prints the ids and titles of the rows.
    #[arg(long)]
    list: bool,
    /// The numbers of threads for the rows with several threads.
    #[arg(long, value_name = "N,N,...", value_delimiter = ',', default_value = "2")]
    threads: Vec<usize>,
    /// Writes the figures to this file as JSON too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Prints only, and leaves BENCHMARKS.md and docs/benchmarks as they are.
    #[arg(long)]
    no_write: bool,
    /// Prints the memory of the counters of this number of flows. The memory row starts a process of its own for it.
    #[arg(long, hide = true)]
    counters: Option<usize>,
    /// The date, the compiler and the commit for the page.
    #[arg(long, default_value = "", hide = true)]
    date: String,
    #[arg(long, default_value = "", hide = true)]
    rustc: String,
    #[arg(long, default_value = "", hide = true)]
    commit: String,
    /// Accepted because cargo adds it.
    #[arg(long, hide = true)]
    bench: bool,
}

/// The limits of a row: it ends after the rounds, or after the time if that is earlier.
#[derive(Clone, Copy)]
struct Budget {
    rounds: usize,
    time: Duration,
    quick: bool,
}

impl Arguments {
    fn budget(&self) -> Budget {
        let (rounds, seconds) = match self {
            Arguments { check: true, .. } => (1, 0),
            Arguments { quick: true, .. } => (21, 2),
            _ => (201, 8),
        };
        Budget { rounds, time: Duration::from_secs(seconds), quick: self.quick || self.check }
    }
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if arguments.threads.contains(&0) {
        bail!("--threads 0: give numbers of at least one thread");
    }
    if let Some(flows) = arguments.counters {
        println!("{}", rows::lookup::counters_memory(flows));
        return Ok(());
    }
    let pattern = arguments.rows.as_deref().unwrap_or("");
    let mut rows = rows::all(&arguments.threads);
    rows.retain(|row| row.id.contains(pattern));
    if rows.is_empty() {
        bail!("no row's id contains \"{pattern}\": --list prints the ids");
    }
    if arguments.list {
        rows.iter().for_each(|row| println!("{:<20} {}", row.id, row.title));
        return Ok(());
    }
    let machine = machine::Machine::describe(&arguments.date, &arguments.rustc, &arguments.commit)?;
    let measured = measure(&rows, arguments.budget())?;
    if arguments.check {
        println!("{} rows: contestants with the same work got the same results", measured.len());
        return Ok(());
    }
    let report = Report { machine, rows: measured };
    println!("{}", page::table(&report, true));
    println!("{}", report.summary());
    if let Some(file) = &arguments.json {
        write_json(&report, file)?;
    }
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    if pattern.is_empty() && !arguments.quick && !arguments.no_write {
        let folder = home.join("docs/benchmarks");
        write_json(&report, &folder.join("figures.json"))?;
        plots::draw(&report, &folder)?;
        page::write(&report, &home.join("BENCHMARKS.md"), &folder)?;
        println!("written: BENCHMARKS.md and docs/benchmarks");
    }
    Ok(())
}

fn write_json(report: &Report, file: &Path) -> Result<()> {
    let json = serde_json::to_string_pretty(report)? + "\n";
    std::fs::write(file, json).with_context(|| format!("cannot write {}", file.display()))
}

fn measure(rows: &[Row], budget: Budget) -> Result<Vec<Measured>> {
    rows::threads::pin(0);
    let bar = ProgressBar::new(rows.len() as u64);
    bar.set_style(ProgressStyle::with_template("{bar:30} {pos}/{len} {msg} ({elapsed})")?);
    bar.enable_steady_tick(Duration::from_secs(1));
    let mut measured = Vec::new();
    for row in rows {
        bar.set_message(row.id.clone());
        let (rounds, figures) = match &row.work {
            Work::Once(measure) => {
                let figures = measure(budget.quick).into_iter();
                (1, figures.map(|(name, value)| Figure::exactly(name, value)).collect())
            }
            Work::Rounds(contestants) => in_turns(row, contestants(), budget)?,
        };
        measured.push(Measured::of(row, rounds, figures));
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(measured)
}

/// Lets the contestants take turns, beginning with another one each round. Returns the number of rounds, and the
/// figures.
fn in_turns(row: &Row, mut contestants: Vec<Contestant>, budget: Budget) -> Result<(usize, Vec<Figure>)> {
    // Two rounds to warm up. Their results are compared too.
    let warm_up = if budget.rounds > 1 { 2 } else { 0 };
    let mut times = vec![Vec::new(); contestants.len()];
    let begun = Instant::now();
    let mut rounds = 0;
    for round in 0..warm_up + budget.rounds {
        let mut sums = vec![0; contestants.len()];
        for turn in 0..contestants.len() {
            let n = (round + turn) % contestants.len();
            let (sum, time) = contestants[n].round(row.clock);
            sums[n] = sum;
            if round >= warm_up {
                let operations = row.operations.unwrap_or(sum).max(1);
                times[n].push(time.as_nanos() as f64 / operations as f64);
            }
        }
        agree(row, &contestants, &sums)?;
        rounds += usize::from(round >= warm_up);
        if rounds >= 15 && begun.elapsed() > budget.time {
            break;
        }
    }
    let figures = contestants.iter().zip(times).map(|(c, times)| Figure::of(c.name, times)).collect();
    Ok((rounds, figures))
}

/// Fails if contestants with the same work got different results.
fn agree(row: &Row, contestants: &[Contestant], sums: &[u64]) -> Result<()> {
    let mut compared = contestants.iter().zip(sums).filter(|(contestant, _)| contestant.compared);
    let Some((first, expected)) = compared.next() else { return Ok(()) };
    match compared.find(|(_, sum)| *sum != expected) {
        Some((other, sum)) => {
            bail!("{}: {} got {expected} and {} got {sum} of the same work", row.id, first.name, other.name)
        }
        None => Ok(()),
    }
}
