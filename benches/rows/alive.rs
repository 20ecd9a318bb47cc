//! The rows that insert and remove while each thread keeps a number of objects alive, beside 1,024 others in the table.
//!
//! Threads are old, which means that they run from the first round to the last, or new in each round. Each replaces its
//! oldest object or a random one. The time is the processor time of a thread, so that other processes matter less; a thread
//! that waits for a lock is therefore not measured while it sleeps.

use super::handle::Mgm;
use super::peers::{LockedSlotMap, MGM, SHARDED_SLAB, Table};
use super::threads::{StartGate, pin, together};
use super::{Clock, Contestant, Row, SEED, Target, random};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

type Slab = sharded_slab::Slab<u64>;
type ConcurrentSlotMap = concurrent_slotmap::SlotMap<concurrent_slotmap::SlotId, u64>;

/// The objects that are in the table all the time.
const OTHERS: usize = 1024;
/// The pairs of a thread in a round.
const PAIRS: u64 = 1 << 13;

/// Which object is replaced next.
#[derive(Clone, Copy, PartialEq)]
enum Order {
    Fifo,
    Random,
}

/// The age of the threads.
#[derive(Clone, Copy, PartialEq)]
enum Threads {
    Old,
    New,
}

/// The objects that one thread keeps alive.
struct Alive<T: Table> {
    keys: Vec<T::Key>,
    order: Order,
    random: Box<dyn FnMut() -> u64 + Send>,
    next: usize,
}

impl<T: Table> Alive<T> {
    fn new(table: &T, alive: usize, order: Order) -> Alive<T> {
        let keys = (0..alive as u64).map(|value| table.insert(value)).collect();
        Alive { keys, order, random: Box::new(random(SEED)), next: 0 }
    }

    /// Inserts and removes, and returns the number of removed objects.
    fn replace(&mut self, table: &T) -> u64 {
        let len = self.keys.len();
        (0..PAIRS)
            .map(|value| {
                let at = match self.order {
                    Order::Fifo => self.next,
                    Order::Random => (self.random)() as usize % len,
                };
                self.next = if self.next + 1 == len { 0 } else { self.next + 1 };
                let old = std::mem::replace(&mut self.keys[at], table.insert(value));
                u64::from(table.remove(old))
            })
            .sum()
    }
}

/// A thread that runs from the first round to the last.
struct OldThread {
    start: Sender<Arc<StartGate>>,
    result: Receiver<(u64, Duration)>,
}

impl OldThread {
    fn start<T: Table + Send + 'static>(
        number: usize,
        table: Arc<T>,
        alive: usize,
        order: Order,
    ) -> OldThread {
        let (start, started) = channel::<Arc<StartGate>>();
        let (finished, result) = channel();
        std::thread::spawn(move || {
            pin(number);
            let mut objects = Alive::new(&*table, alive, order);
            for gate in started {
                if finished.send(gate.time(|| objects.replace(&table))).is_err() {
                    return;
                }
            }
        });
        OldThread { start, result }
    }
}

fn contestant<T: Table + Send + 'static>(
    alive: usize,
    order: Order,
    (number, age): (usize, Threads),
) -> Contestant {
    let table = Arc::new(T::filled(OTHERS).0);
    if age == Threads::New {
        let kept = Vec::from_iter((0..number).map(|_| Mutex::new(Alive::new(&*table, alive, order))));
        return Contestant::timed(T::NAME, move || {
            together(number, Clock::Thread, |thread, gate| {
                let mut objects = kept[thread].lock().expect("no thread panicked");
                gate.time(|| objects.replace(&table))
            })
        });
    }
    let threads = Vec::from_iter((0..number).map(|n| OldThread::start(n, Arc::clone(&table), alive, order)));
    Contestant::timed(T::NAME, move || {
        let gate = Arc::new(StartGate::new(Clock::Thread, number));
        threads.iter().for_each(|thread| thread.start.send(Arc::clone(&gate)).expect("the thread runs"));
        let results = threads.iter().map(|thread| thread.result.recv().expect("the thread runs"));
        let (sum, time) = results.fold((0, Duration::ZERO), |(sum, time), r| (sum + r.0, time + r.1));
        (sum, time / number as u32)
    })
}

/// Returns the rows.
pub(crate) fn rows(threads: &[usize]) -> Vec<Row> {
    let mut rows = Vec::new();
    let numbers: std::collections::BTreeSet<usize> = threads.iter().copied().chain([1]).collect();
    for threads in numbers {
        for (age, age_name) in [(Threads::Old, "old"), (Threads::New, "new")] {
            for (alive, order, case) in [
                (1, Order::Fifo, "1"),
                (64, Order::Fifo, "64 in FIFO order"),
                (64, Order::Random, "64 in random order"),
                (1000, Order::Fifo, "1,000 in FIFO order"),
                (1000, Order::Random, "1,000 in random order"),
            ] {
                let order_name = if order == Order::Fifo { "fifo" } else { "random" };
                let max = if threads == 1 { 0.7 } else { 1.3 };
                rows.push(Row::rounds(
                    format!("alive-{threads}-{age_name}/{alive}-{order_name}"),
                    format!(
                        "insert + remove beside 1,024 others, {threads} {age_name} threads, alive: {case}"
                    ),
                    (PAIRS, Clock::Thread),
                    if threads <= 2 { vec![Target::ratio(MGM, SHARDED_SLAB, max)] } else { Vec::new() },
                    move || {
                        vec![
                            contestant::<Mgm>(alive, order, (threads, age)),
                            contestant::<Slab>(alive, order, (threads, age)),
                            contestant::<LockedSlotMap>(alive, order, (threads, age)),
                            contestant::<ConcurrentSlotMap>(alive, order, (threads, age)),
                        ]
                    },
                ));
            }
        }
    }
    rows
}
