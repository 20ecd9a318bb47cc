//! Readers look up flows that writers replace, publish and withdraw while the table grows, and check each result
//! against what the writers had announced.

use super::*;
use std::sync::Barrier;

/// Flows that always have an entry, which is replaced again and again. A look-up must never miss them.
const STANDING: u32 = 8;
/// Flows that are published and withdrawn again and again.
const PASSING: u32 = 16;
/// Flows that are published once each, so that the table grows.
const FILLING: u32 = 300;
const ALL: u32 = STANDING + PASSING + FILLING;

/// The progress of one flow's changes: twice its version, plus 1 while the next change is under way.
///
/// A reader loads it before and after a look-up. The flow's writer stores it before and after a change.
#[derive(Default)]
struct Progress(AtomicU64);

impl Progress {
    fn load(&self) -> u64 {
        // Acquire: pairs with the stores in `change`; a look-up that begins after a change ended sees it.
        self.0.load(Ordering::Acquire)
    }

    /// Makes a change and announces it. A change that is given up stays under way for ever, and no change follows it: a
    /// reader in its last look-ups must not see it announced.
    fn change(&self, change: impl FnOnce(u32) -> bool) {
        let progress = self.0.load(Ordering::Relaxed);
        if progress % 2 == 1 {
            return;
        }
        self.0.store(progress + 1, Ordering::SeqCst);
        if change(progress as u32 / 2 + 1) {
            self.0.store(progress + 2, Ordering::Release);
        }
    }
}

struct Chase {
    owner: Owner,
    table: ForwardingTable,
    counter: FlowCounterId,
    progress: Vec<Progress>,
    started: Barrier,
    over: AtomicBool,
}

impl Chase {
    fn new(kept_bits: u64) -> Chase {
        let owner = Owner::new();
        let table = owner.forwarding(ALL, FlowHash::keeping(kept_bits));
        let counter = table.alloc_counter().unwrap();
        let progress = (0..ALL).map(|_| Progress::default()).collect();
        Chase { owner, table, counter, progress, started: Barrier::new(3), over: AtomicBool::new(false) }
    }

    /// Repeats a change while the table is full, that is, while a reader rests in a look-up. Returns `false` if the
    /// test ended before the change was made.
    fn retry(&self, write: impl Fn() -> Result<(), PublishError>) -> bool {
        while let Err(error) = write() {
            assert!(matches!(error, PublishError::Full(_)), "{error}");
            if self.over.load(Ordering::Relaxed) {
                return false;
            }
            std::thread::yield_now();
        }
        true
    }

    fn publish(&self, n: u32) {
        self.progress[n as usize]
            .change(|v| self.retry(|| self.table.publish(self.owner.entry(self.counter, n, v).new_entry())));
    }

    fn replace(&self, n: u32) {
        self.progress[n as usize]
            .change(|v| self.retry(|| self.table.replace(self.owner.entry(self.counter, n, v).new_entry())));
    }

    fn withdraw(&self, n: u32) {
        self.progress[n as usize].change(|_| {
            assert!(self.table.withdraw(&flow(n)));
            true
        });
    }

    /// Checks that a result is possible for a look-up between the progress `before` and `after`.
    fn check(&self, n: u32, before: u64, found: Option<u32>, after: u64) {
        // The possible versions: from the last one announced before, up to the one under way afterwards.
        let (first, last) = (before / 2, after.div_ceil(2));
        // An odd version of a passing flow is a publication, an even one a withdrawal.
        let there = |v: u64| if n < STANDING { v > 0 } else { v % 2 == 1 };
        match found {
            Some(v) => {
                let v = u64::from(v);
                assert!(first <= v && v <= last && there(v), "flow {n}: {v} is not in {first}..={last}");
            }
            None => assert!((first..=last).any(|v| !there(v)), "flow {n}: missed between {first} and {last}"),
        }
    }

    fn run_reader(&self, turn: u32, search: Search) -> u32 {
        let (mut reader, mut checked) = (self.table.reader().with_search(search), 0);
        let all: Vec<_> =
            (0..STANDING + PASSING).chain((0..8).map(|i| STANDING + PASSING + i * 37)).collect();
        let flows: Vec<_> = all.iter().map(|n| flow(*n)).collect();
        self.started.wait();
        while !self.over.load(Ordering::Relaxed) {
            for n in &all {
                let progress = &self.progress[*n as usize];
                let before = progress.load();
                let found = reader.lookup(&flow(*n)).map(|entry| version(entry, *n));
                // The second load cannot move before the look-up, which makes acquire loads.
                self.check(*n, before, found, progress.load());
                checked += 1;
            }
            let before: Vec<_> = all.iter().map(|n| self.progress[*n as usize].load()).collect();
            let found: Vec<_> = reader.lookup_burst(&flows).collect();
            let after: Vec<_> = all.iter().map(|n| self.progress[*n as usize].load()).collect();
            // Reads the entries of the burst only now: none of them may have been freed.
            for (at, n) in all.iter().enumerate() {
                self.check(*n, before[at], found[at].map(|entry| version(entry, *n)), after[at]);
                checked += 1;
            }
            match checked / all.len() as u32 % 8 {
                r if r == turn => reader.park(),
                r if r == turn + 1 => reader = self.table.reader().with_search(search),
                _ => {}
            }
        }
        checked
    }
}

#[test]
fn readers_beside_writers_find_what_was_there() {
    let mut checked = 0;
    // The whole hash; hashes with one home bucket; equal fingerprints spread over the buckets.
    for kept_bits in [!0, !0, !0, !0 << 48, 0x1F << 32] {
        let chase = Chase::new(kept_bits);
        (0..STANDING).for_each(|n| chase.publish(n));
        std::thread::scope(|scope| {
            let readers = [(0, Search::Portable), (4, Search::fastest())].map(|(turn, search)| {
                let chase = &chase;
                scope.spawn(move || {
                    let _over = SetOnDrop(&chase.over);
                    chase.run_reader(turn, search)
                })
            });
            // Six replacements for each publication: with more, the thread only waits for readers to release replaced
            // entries.
            let (sender, receiver) = std::sync::mpsc::channel();
            let replacing = scope.spawn({
                let chase = &chase;
                move || {
                    receiver.iter().for_each(|n: u32| (0..6).for_each(|i| chase.replace((n + i) % STANDING)))
                }
            });
            let over = SetOnDrop(&chase.over);
            chase.started.wait();
            for n in STANDING + PASSING..ALL {
                sender.send(n).unwrap();
                chase.publish(n);
                let passing = STANDING + n % PASSING;
                for _ in 0..4 {
                    chase.publish(passing);
                    chase.withdraw(passing);
                }
                if n % 32 == 0 {
                    std::thread::yield_now();
                }
            }
            drop(over);
            drop(sender);
            checked += readers.into_iter().map(|r| r.join().unwrap()).sum::<u32>();
            replacing.join().unwrap();
        });
    }
    assert!(checked > 1000, "only {checked} look-ups: the readers did not run beside the writers");
}

#[test]
fn two_writers_of_the_same_flow_never_both_succeed() {
    let owner = Owner::new();
    let table = owner.forwarding(64, FlowHash::keeping(1 << 32));
    let counter = table.alloc_counter().unwrap();
    let (published, withdrawn) = (AtomicU32::new(0), AtomicU32::new(0));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for round in 0..2000 {
                    let n = round % 7;
                    if table.publish(owner.entry(counter, n, round).new_entry()).is_ok() {
                        published.fetch_add(1, Ordering::Relaxed);
                    }
                    if table.withdraw(&flow(n)) {
                        withdrawn.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    assert_eq!(published.into_inner(), withdrawn.into_inner() + table.len() as u32);
}
