//! The rows of the comparison, each defined once: the work, the contestants, the clock and the targets.
//!
//! The criterion benches and the report (`comparison/`) both run them. A row's contestants are made when the row runs,
//! own the data that they work on, and are dropped before the next row. They make their Readers anew each round: a
//! Reader that stays pinned while others are measured would hold back reclamation in every table of the process.
//!
//! Each call of a contestant makes one round of the row's operations and returns a checksum. Contestants with the same
//! work must return the same checksum, round by round. The runner times contestants of one thread; those with several
//! threads time themselves ([`threads`]).

#![allow(dead_code, reason = "each front end runs its part of the rows")]

mod alive;
pub(crate) mod floors;
pub(crate) mod forward;
pub(crate) mod handle;
pub(crate) mod lookup;
mod lookup_key;
pub(crate) mod memory;
pub(crate) mod ownership;
pub(crate) mod peers;
mod scene;
pub(crate) mod threads;

use std::sync::Arc;
use std::time::{Duration, Instant};

/// The clock of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clock {
    /// Wall-clock time, for rows with threads that may wait for one another.
    Wall,
    /// The thread's processor time, for all other rows, so that other processes matter less.
    Thread,
}

impl Clock {
    pub(crate) fn time<R>(self, work: impl FnOnce() -> R) -> (R, Duration) {
        match self {
            Clock::Wall => {
                let begun = Instant::now();
                let result = work();
                (result, begun.elapsed())
            }
            Clock::Thread => {
                let begun = thread_time();
                let result = work();
                (result, thread_time() - begun)
            }
        }
    }
}

/// Returns the processor time of this thread so far.
pub(crate) fn thread_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// How a contestant makes a round.
pub(crate) enum Round {
    /// The runner times it with the row's clock.
    Plain(Box<dyn FnMut() -> u64>),
    /// It times itself: with several threads, it returns the mean of their times.
    Timed(Box<dyn FnMut() -> (u64, Duration)>),
}

/// One implementation of a row's work.
pub(crate) struct Contestant {
    pub(crate) name: &'static str,
    round: Round,
    /// Whether the checksum must equal those of the others.
    pub(crate) compared: bool,
}

impl Contestant {
    pub(crate) fn new(name: &'static str, round: impl FnMut() -> u64 + 'static) -> Contestant {
        Contestant { name, round: Round::Plain(Box::new(round)), compared: true }
    }

    pub(crate) fn timed(name: &'static str, round: impl FnMut() -> (u64, Duration) + 'static) -> Contestant {
        Contestant { name, round: Round::Timed(Box::new(round)), compared: true }
    }

    /// Excludes the checksum from the comparison, because the work differs from that of the others.
    pub(crate) fn apart(self) -> Contestant {
        Contestant { compared: false, ..self }
    }

    /// Makes one round, and returns its checksum and its time.
    pub(crate) fn round(&mut self, clock: Clock) -> (u64, Duration) {
        match &mut self.round {
            Round::Plain(round) => clock.time(round),
            Round::Timed(round) => round(),
        }
    }
}

/// A target for the contestant `of`: a maximum of its figure, or of the ratio to the figure of `than`.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) of: &'static str,
    pub(crate) than: Option<&'static str>,
    pub(crate) most: f64,
}

impl Target {
    /// Makes a target for a ratio.
    pub(crate) fn ratio(of: &'static str, than: &'static str, most: f64) -> Target {
        Target { of, than: Some(than), most }
    }

    /// Makes a target for the figure itself, in the row's unit.
    pub(crate) fn figure(of: &'static str, most: f64) -> Target {
        Target { of, than: None, most }
    }
}

/// The contestants of [`Row::batches`]: a name, and a function that handles one batch and returns its number of
/// operations.
pub(crate) type Batches = Vec<(&'static str, Box<dyn FnMut() -> u64>)>;

/// How a row is measured.
pub(crate) enum Work {
    /// By contestants that take turns.
    Rounds(Box<dyn Fn() -> Vec<Contestant>>),
    /// By a function that runs once; the argument `true` requests a short run.
    Once(Box<dyn Fn(bool) -> Vec<(&'static str, f64)>>),
}

/// One row.
pub(crate) struct Row {
    /// `line/case`. Rows of one line share a plot.
    pub(crate) id: String,
    pub(crate) title: String,
    /// The number of operations of a round; `None` where it is the checksum.
    pub(crate) operations: Option<u64>,
    pub(crate) clock: Clock,
    pub(crate) unit: &'static str,
    pub(crate) targets: Vec<Target>,
    pub(crate) work: Work,
}

impl Row {
    /// Makes a row with contestants that take turns. A figure is in nanoseconds per operation.
    pub(crate) fn rounds(
        id: impl Into<String>,
        title: impl Into<String>,
        (operations, clock): (u64, Clock),
        targets: Vec<Target>,
        contestants: impl Fn() -> Vec<Contestant> + 'static,
    ) -> Row {
        Row {
            id: id.into(),
            title: title.into(),
            operations: Some(operations),
            clock,
            unit: "ns",
            targets,
            work: Work::Rounds(Box::new(contestants)),
        }
    }

    /// Makes a row that measures by itself.
    pub(crate) fn once(
        id: impl Into<String>,
        title: impl Into<String>,
        unit: &'static str,
        targets: Vec<Target>,
        measure: impl Fn(bool) -> Vec<(&'static str, f64)> + 'static,
    ) -> Row {
        Row {
            id: id.into(),
            title: title.into(),
            operations: None,
            clock: Clock::Thread,
            unit,
            targets,
            work: Work::Once(Box::new(measure)),
        }
    }

    /// Makes a row from functions that each handle one batch and return its number of operations.
    pub(crate) fn batches(
        id: impl Into<String>,
        title: impl Into<String>,
        targets: Vec<Target>,
        batches: impl Fn() -> Batches + 'static,
    ) -> Row {
        let contestants =
            move || batches().into_iter().map(|(name, batch)| Contestant::new(name, batch)).collect();
        Row { operations: None, ..Row::rounds(id, title, (0, Clock::Thread), targets, contestants) }
    }

    /// Returns the part of the id before the first `/`.
    pub(crate) fn line(&self) -> &str {
        self.id.split('/').next().unwrap_or_default()
    }
}

/// Returns every row, in the order of the table. Rows with several threads come once for each number of threads.
pub(crate) fn all(threads: &[usize]) -> Vec<Row> {
    let mut rows = handle::reading(threads);
    rows.extend(handle::writing(threads));
    rows.extend(alive::rows(threads));
    rows.extend(memory::handles());
    rows.extend(ownership::rows(threads));
    rows.extend(lookup::rows());
    rows.extend(lookup_key::rows());
    rows.extend(memory::forwarding());
    rows.extend(forward::rows());
    rows
}

/// Returns a fixed sequence of numbers that look random.
pub(crate) fn random(mut seed: u64) -> impl FnMut() -> u64 {
    move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed >> 11
    }
}

pub(crate) const SEED: u64 = 0x9E37_79B9_7F4A_7C15;

/// Keys in an order that looks random to a prefetcher and depends only on the number of keys. Each round continues
/// where the last one ended.
pub(crate) struct Walk<K> {
    /// Shared, so that contestants do not push each other's tables out of the caches more than they must.
    keys: Arc<[K]>,
    at: usize,
}

impl<K: Copy> Walk<K> {
    /// Shuffles the keys, repeated up to at least 1024, so that the overhead of the walk stays small.
    pub(crate) fn over(keys: &[K]) -> Walk<K> {
        let mut random = random(SEED);
        let mut keys = keys.repeat(1024_usize.div_ceil(keys.len()));
        for i in (1..keys.len()).rev() {
            keys.swap(i, random() as usize % (i + 1));
        }
        Walk { keys: keys.into(), at: 0 }
    }

    /// Keeps the order of the keys.
    pub(crate) fn along(keys: Vec<K>) -> Walk<K> {
        Walk { keys: keys.into(), at: 0 }
    }

    /// Returns the same walk from its beginning.
    pub(crate) fn again(&self) -> Walk<K> {
        Walk { keys: Arc::clone(&self.keys), at: 0 }
    }

    /// Returns the walk along what `each` makes of the keys, from its beginning.
    pub(crate) fn map<M>(&self, each: impl FnMut(K) -> M) -> Walk<M> {
        Walk { keys: self.keys.iter().copied().map(each).collect(), at: 0 }
    }

    /// Returns slices of `n` keys in total. One of `n` and the number of keys must be a multiple of the other.
    pub(crate) fn next(&mut self, n: usize) -> impl Iterator<Item = &[K]> {
        let piece = n.min(self.keys.len());
        let begin = self.at;
        self.at = (begin + piece) % self.keys.len();
        std::iter::repeat_n(&self.keys[begin..begin + piece], n / piece).map(std::hint::black_box)
    }

    /// Returns the sum of `each` over `n` keys. The compiler cannot merge two calls.
    #[inline(always)]
    pub(crate) fn sum(&mut self, n: usize, mut each: impl FnMut(K) -> u64) -> u64 {
        let mut sum = 0_u64;
        for keys in self.next(n) {
            for key in keys {
                sum = sum.wrapping_add(std::hint::black_box(each(*key)));
            }
        }
        sum
    }

    /// Returns the sum of `each` over `n` keys in bursts of `B`. The compiler may merge the work of one burst.
    #[inline(always)]
    pub(crate) fn bursts<const B: usize>(&mut self, n: usize, mut each: impl FnMut(&[K; B]) -> u64) -> u64 {
        let mut sum = 0_u64;
        for keys in self.next(n) {
            for burst in keys.as_chunks().0 {
                sum = sum.wrapping_add(std::hint::black_box(each(burst)));
            }
        }
        sum
    }
}
