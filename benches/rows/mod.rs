//! The rows of the comparison, each defined once: what is done, by whom, by which clock, and what is to be reached.
//!
//! The criterion benches and the report (`comparison.rs`) both run them. A row's contestants are made when it is run, own
//! what they work on, and are dropped before the next row. They make their Readers anew each round: a Reader that stays
//! pinned while others are measured would hold back reclamation in every table of the process.
//!
//! A contestant makes one round of the row's operations a call and answers with a checksum. Contestants that do the same
//! work have to answer the same, round by round. Contestants of one thread are timed by the runner; those that need
//! several time themselves, see [`threads`].

#![allow(dead_code, reason = "each front end runs its part of the rows")]

pub(crate) mod floors;
pub(crate) mod forward;
pub(crate) mod handle;
pub(crate) mod lookup;
pub(crate) mod memory;
pub(crate) mod ownership;
pub(crate) mod peers;
mod scene;
pub(crate) mod threads;

use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a time is taken by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clock {
    /// What passes on the wall: where threads may wait for one another.
    Wall,
    /// The time the thread was on a processor: everywhere else, so that others on the machine count less.
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

/// How long this thread was on a processor so far.
pub(crate) fn thread_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// A round of a contestant.
pub(crate) enum Round {
    /// Timed by the runner, with the row's clock.
    Plain(Box<dyn FnMut() -> u64>),
    /// Times itself: of several threads, the mean of what each took for its operations.
    Timed(Box<dyn FnMut() -> (u64, Duration)>),
}

/// Whoever does a row's work.
pub(crate) struct Contestant {
    pub(crate) name: &'static str,
    round: Round,
    /// Whether the checksum has to be the others'.
    pub(crate) compared: bool,
}

impl Contestant {
    pub(crate) fn new(name: &'static str, round: impl FnMut() -> u64 + 'static) -> Contestant {
        Contestant { name, round: Round::Plain(Box::new(round)), compared: true }
    }

    pub(crate) fn timed(name: &'static str, round: impl FnMut() -> (u64, Duration) + 'static) -> Contestant {
        Contestant { name, round: Round::Timed(Box::new(round)), compared: true }
    }

    /// Does other work than the rest, so that its checksum says nothing about theirs.
    pub(crate) fn apart(self) -> Contestant {
        Contestant { compared: false, ..self }
    }

    /// One round: its checksum, and how long it took.
    pub(crate) fn round(&mut self, clock: Clock) -> (u64, Duration) {
        match &mut self.round {
            Round::Plain(round) => clock.time(round),
            Round::Timed(round) => round(),
        }
    }
}

/// What is to be reached: by the contestant `of`, either in itself or as a multiple of another's figure.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) of: &'static str,
    pub(crate) than: Option<&'static str>,
    pub(crate) most: f64,
}

impl Target {
    /// At most so many times what `than` has.
    pub(crate) fn ratio(of: &'static str, than: &'static str, most: f64) -> Target {
        Target { of, than: Some(than), most }
    }

    /// At most so much, in the row's unit.
    pub(crate) fn figure(of: &'static str, most: f64) -> Target {
        Target { of, than: None, most }
    }
}

/// What [`Row::batches`] takes: a name, and a call that handles one batch and returns how many operations that were.
pub(crate) type Batches = Vec<(&'static str, Box<dyn FnMut() -> u64>)>;

/// How a row comes to its figures.
pub(crate) enum Work {
    /// Contestants that take turns.
    Rounds(Box<dyn Fn() -> Vec<Contestant>>),
    /// It measures by itself, once; `true` asks for a short run.
    Once(Box<dyn Fn(bool) -> Vec<(&'static str, f64)>>),
}

/// One row.
pub(crate) struct Row {
    /// `line/case`: rows of one line belong together.
    pub(crate) id: String,
    pub(crate) title: String,
    /// How many operations a round has; `None` where the checksum says it.
    pub(crate) operations: Option<u64>,
    pub(crate) clock: Clock,
    pub(crate) unit: &'static str,
    pub(crate) targets: Vec<Target>,
    pub(crate) work: Work,
}

impl Row {
    /// A row of contestants that take turns; a figure is nanoseconds an operation.
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

    /// A row that measures by itself.
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

    /// A row of contestants made elsewhere, each call of which handles one batch and returns how many operations that
    /// were.
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

    /// What comes before the first `/` of its id.
    pub(crate) fn line(&self) -> &str {
        self.id.split('/').next().unwrap_or_default()
    }
}

/// Every row, in the order of the table; those with several threads once for each number of them.
pub(crate) fn all(threads: &[usize]) -> Vec<Row> {
    let mut rows = handle::reading(threads);
    rows.extend(handle::writing(threads));
    rows.extend(memory::handles());
    rows.extend(ownership::rows(threads));
    rows.extend(lookup::rows());
    rows.extend(memory::forwarding());
    rows.extend(forward::rows());
    rows
}

/// A fixed sequence of numbers that look random.
pub(crate) fn random(mut seed: u64) -> impl FnMut() -> u64 {
    move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed >> 11
    }
}

pub(crate) const SEED: u64 = 0x9E37_79B9_7F4A_7C15;

/// Keys in an order that looks random to a prefetcher, the same for the same number of keys; from which each round goes
/// on where the last one ended.
pub(crate) struct Walk<K> {
    /// Shared, so that contestants do not push each other's tables out of the caches more than they must.
    keys: Arc<[K]>,
    at: usize,
}

impl<K: Copy> Walk<K> {
    /// Few keys are repeated until there are 1024, so that a round is not the walk's overhead.
    pub(crate) fn over(keys: &[K]) -> Walk<K> {
        let mut random = random(SEED);
        let mut keys = keys.repeat(1024_usize.div_ceil(keys.len()));
        for i in (1..keys.len()).rev() {
            keys.swap(i, random() as usize % (i + 1));
        }
        Walk { keys: keys.into(), at: 0 }
    }

    /// As they come.
    pub(crate) fn along(keys: Vec<K>) -> Walk<K> {
        Walk { keys: keys.into(), at: 0 }
    }

    /// The same walk from its beginning.
    pub(crate) fn again(&self) -> Walk<K> {
        Walk { keys: Arc::clone(&self.keys), at: 0 }
    }

    /// Slices of `n` keys altogether. Either `n` or the number of keys has to be a multiple of the other.
    pub(crate) fn next(&mut self, n: usize) -> impl Iterator<Item = &[K]> {
        let piece = n.min(self.keys.len());
        let begin = self.at;
        self.at = (begin + piece) % self.keys.len();
        std::iter::repeat_n(&self.keys[begin..begin + piece], n / piece).map(std::hint::black_box)
    }

    /// What `each` comes to over `n` keys, each call by itself: no two are merged.
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

    /// The same, in bursts of `B`; what a burst does is its own.
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
