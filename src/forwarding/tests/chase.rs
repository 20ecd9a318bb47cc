//! Readers that chase the flows which writers replace, publish, withdraw and make room for, and know what they may see.

use super::*;
use std::sync::Barrier;

/// Always there, replaced again and again: never to be missed.
const STANDING: u32 = 8;
/// Come and go.
const PASSING: u32 = 16;
/// Published once each, so that the table grows under everybody.
const FILLING: u32 = 300;
const ALL: u32 = STANDING + PASSING + FILLING;

/// What writers have said of one flow: the version it had at last, and whether it is there. Odd while it changes.
///
/// A reader loads it before and after a look-up. Writers store it before and after a change.
#[derive(Default)]
struct Said(AtomicU64);

impl Said {
    fn now(&self) -> u64 {
        // Acquire: pairs with the stores in `change`; a look-up that begins after a change was over sees it.
        self.0.load(Ordering::Acquire)
    }

    /// Makes a change and says so. One that is given up is said to be under way for ever, and nothing follows it: a reader
    /// in the middle of its last look-ups must not be told that it was made.
    fn change(&self, change: impl FnOnce(u32) -> bool) {
        let said = self.0.load(Ordering::Relaxed);
        if said % 2 == 1 {
            return;
        }
        self.0.store(said + 1, Ordering::SeqCst);
        if change(said as u32 / 2 + 1) {
            self.0.store(said + 2, Ordering::Release);
        }
    }
}

struct Chase {
    owning: Owning,
    table: ForwardingTable,
    number: FlowCounterId,
    said: Vec<Said>,
    started: Barrier,
    over: AtomicBool,
}

impl Chase {
    fn new(kept: u64) -> Chase {
        let owning = Owning::new();
        let table = owning.forwarding(ALL, FlowHash::keeping(kept));
        let number = table.alloc_counter().unwrap();
        let said = (0..ALL).map(|_| Said::default()).collect();
        Chase { owning, table, number, said, started: Barrier::new(3), over: AtomicBool::new(false) }
    }

    /// Full means that a reader rests in the middle of a look-up; it goes on. Whether the change was made: when all is
    /// over it is given up.
    fn insist(&self, write: impl Fn() -> Result<(), PublishError>) -> bool {
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
        self.said[n as usize].change(|v| {
            self.insist(|| self.table.publish(self.owning.entry(self.number, n, v).to_be_made()))
        });
    }

    fn replace(&self, n: u32) {
        self.said[n as usize].change(|v| {
            self.insist(|| self.table.replace(self.owning.entry(self.number, n, v).to_be_made()))
        });
    }

    fn withdraw(&self, n: u32) {
        self.said[n as usize].change(|_| {
            assert!(self.table.withdraw(&flow(n)));
            true
        });
    }

    /// Whether what was found may have been found between `before` and `after`.
    fn check(&self, n: u32, before: u64, found: Option<u32>, after: u64) {
        // Versions of what may have been there: the last one said before, up to the one under way afterwards.
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

    fn chase(&self, turn: u32, search: Search) -> u32 {
        let (mut reader, mut checked) = (self.table.reader().with_search(search), 0);
        let all: Vec<_> =
            (0..STANDING + PASSING).chain((0..8).map(|i| STANDING + PASSING + i * 37)).collect();
        let flows: Vec<_> = all.iter().map(|n| flow(*n)).collect();
        self.started.wait();
        while !self.over.load(Ordering::Relaxed) {
            for n in &all {
                let said = &self.said[*n as usize];
                let before = said.now();
                let found = reader.lookup(&flow(*n)).map(|entry| version(entry, *n));
                // Not before the look-up: its loads are acquiring ones.
                self.check(*n, before, found, said.now());
                checked += 1;
            }
            let before: Vec<_> = all.iter().map(|n| self.said[*n as usize].now()).collect();
            let found: Vec<_> = reader.lookup_burst(&flows).collect();
            let after: Vec<_> = all.iter().map(|n| self.said[*n as usize].now()).collect();
            // All of the burst is read only now: nothing of it may be gone.
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
fn readers_see_what_was_there_while_writers_change_it() {
    let mut checked = 0;
    // The hash as it is, all in one bucket's chain, and look-alikes spread over the buckets.
    for kept in [!0, !0, !0, !0 << 48, 0x1F << 32] {
        let chase = Chase::new(kept);
        (0..STANDING).for_each(|n| chase.publish(n));
        std::thread::scope(|scope| {
            let readers = [(0, Search::Portable), (4, Search::fastest())].map(|(turn, search)| {
                let chase = &chase;
                scope.spawn(move || {
                    let _over = Over(&chase.over);
                    chase.chase(turn, search)
                })
            });
            // So many for each that is published, lest it do nothing but wait for readers to let go of what it replaced.
            let (tell, told) = std::sync::mpsc::channel();
            let replacing = scope.spawn({
                let chase = &chase;
                move || told.iter().for_each(|n: u32| (0..6).for_each(|i| chase.replace((n + i) % STANDING)))
            });
            let over = Over(&chase.over);
            chase.started.wait();
            for n in STANDING + PASSING..ALL {
                tell.send(n).unwrap();
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
            drop(tell);
            checked += readers.into_iter().map(|r| r.join().unwrap()).sum::<u32>();
            replacing.join().unwrap();
        });
    }
    assert!(checked > 1000, "only {checked} look-ups: the readers did not run beside the writers");
}

#[test]
fn two_writers_of_the_same_flow_never_both_succeed() {
    let owning = Owning::new();
    let table = owning.forwarding(64, FlowHash::keeping(1 << 32));
    let number = table.alloc_counter().unwrap();
    let (published, withdrawn) = (AtomicU32::new(0), AtomicU32::new(0));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for round in 0..2000 {
                    let n = round % 7;
                    if table.publish(owning.entry(number, n, round).to_be_made()).is_ok() {
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
