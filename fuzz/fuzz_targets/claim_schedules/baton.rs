//! [`Baton`]: real threads of which exactly one moves at a time, in the order of a schedule.
//!
//! There is no scheduler thread: the moving thread reads the schedule before each access, and only if another thread is next
//! does it wake that thread and sleep. So an execution costs as many switches as its schedule has, not two for each access.

use std::sync::{Mutex, MutexGuard};
use std::thread::{self, Thread};

/// Bounds the accesses that a thread needs for one operation while no other thread moves. The largest number seen is 39; a thread
/// that waits for another one would exceed any bound.
const ALONE: u32 = 100;

/// The order in which the threads move.
pub struct Schedule {
    /// Each octet selects a thread and a number of accesses.
    pub turns: Vec<u8>,
    /// After the octets: whether each thread in turn runs to its end while the others stand still, or makes one access.
    pub alone_at_the_end: bool,
}

struct State<J> {
    schedule: Schedule,
    at: usize,
    /// The accesses that are left of the current turn.
    left: u32,
    jobs: Vec<Option<J>>,
    running: Vec<bool>,
    current: Option<usize>,
    /// The accesses of the current thread in its operation since another thread moved.
    alone: u32,
    clock: u32,
    threads: Vec<Option<Thread>>,
    master: Option<Thread>,
}

/// See the top of this file.
pub struct Baton<J> {
    state: Mutex<State<J>>,
}

impl<J> Baton<J> {
    pub fn new(threads: usize) -> Baton<J> {
        Baton {
            state: Mutex::new(State {
                schedule: Schedule { turns: Vec::new(), alone_at_the_end: true },
                at: 0,
                left: 0,
                jobs: (0..threads).map(|_| None).collect(),
                running: vec![false; threads],
                current: None,
                alone: 0,
                clock: 0,
                threads: vec![None; threads],
                master: None,
            }),
        }
    }

    /// Locks the state. A panic ends the process, so the lock is never poisoned.
    fn lock(&self) -> MutexGuard<'_, State<J>> {
        self.state.lock().unwrap()
    }

    /// Runs each job on a thread of its own. Returns when all are done.
    pub fn run(&self, schedule: Schedule, jobs: Vec<J>) {
        let mut state = self.lock();
        while state.threads.iter().any(Option::is_none) {
            drop(state);
            thread::yield_now();
            state = self.lock();
        }
        state.schedule = schedule;
        (state.at, state.left, state.alone, state.clock) = (0, 0, 0, 0);
        state.master = Some(thread::current());
        for (thread, job) in jobs.into_iter().enumerate() {
            state.jobs[thread] = Some(job);
            state.running[thread] = true;
        }
        state.turn(0);
        state.wake();
        while state.running.contains(&true) {
            drop(state);
            thread::park();
            state = self.lock();
        }
    }

    /// Blocks a thread until it has a job and its turn has come.
    pub fn next_job(&self, me: usize) -> J {
        let mut state = self.lock();
        state.threads[me].get_or_insert_with(thread::current);
        loop {
            if state.current == Some(me)
                && let Some(job) = state.jobs[me].take()
            {
                return job;
            }
            drop(state);
            thread::park();
            state = self.lock();
        }
    }

    /// Records that the thread has finished its job.
    pub fn done(&self, me: usize) {
        let mut state = self.lock();
        state.running[me] = false;
        state.left = 0;
        if state.running.contains(&true) {
            state.turn(me);
            state.wake();
        } else {
            state.current = None;
            state.master.as_ref().unwrap().unpark();
        }
    }

    /// Blocks until it is this thread's turn, before an access.
    pub fn step(&self, me: usize) {
        let mut state = self.lock();
        state.alone += 1;
        assert!(state.alone <= ALONE, "thread {me} does not finish while the others stand still");
        state.turn(me);
        if state.current == Some(me) {
            return;
        }
        state.wake();
        while state.current != Some(me) {
            drop(state);
            thread::park();
            state = self.lock();
        }
    }

    /// Records that an operation begins. Returns the time.
    pub fn call_begins(&self, _me: usize) -> u32 {
        let mut state = self.lock();
        state.alone = 0;
        state.tick()
    }

    /// Records that the operation has returned. Returns the time.
    pub fn call_ends(&self, _me: usize) -> u32 {
        let mut state = self.lock();
        state.alone = 0;
        state.tick()
    }
}

impl<J> State<J> {
    fn tick(&mut self) -> u32 {
        self.clock += 1;
        self.clock
    }

    /// Selects the next thread, after an access of `last`.
    fn turn(&mut self, last: usize) {
        let next = if self.left > 0 && self.running[last] {
            self.left -= 1;
            last
        } else {
            let threads = self.running.len();
            let from = match self.schedule.turns.get(self.at) {
                Some(octet) => {
                    self.at += 1;
                    // Short turns are more frequent.
                    self.left = [0, 0, 1, 2, 4, 8, 16, 40][usize::from(octet >> 2 & 7)];
                    usize::from(octet & 3)
                }
                None if self.schedule.alone_at_the_end && self.running[last] => last,
                None => last + 1,
            };
            let turn = (from..from + threads).map(|thread| thread % threads);
            turn.into_iter().find(|thread| self.running[*thread]).expect("called while a thread runs")
        };
        if self.current != Some(next) {
            self.alone = 0;
        }
        self.current = Some(next);
    }

    fn wake(&self) {
        if let Some(thread) = self.current.and_then(|current| self.threads[current].as_ref()) {
            thread.unpark();
        }
    }
}
