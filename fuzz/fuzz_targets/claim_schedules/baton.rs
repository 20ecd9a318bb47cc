//! [`Baton`]: real threads of which exactly one moves at a time, as a schedule says.
//!
//! The threads decide among themselves: whoever has the baton looks up whose turn is next before each access, and only if
//! that is another does it wake that one and sleep. So an execution costs as many switches as its schedule has, not two for
//! each access.

use std::sync::{Mutex, MutexGuard};
use std::thread::{self, Thread};

/// So many accesses of its own a thread needs at most for one operation while nobody else moves. The most that was seen is
/// 39; a thread that waits for another would need any number.
const ALONE: u32 = 100;

/// Whose turn it is.
pub struct Schedule {
    /// Each octet: a thread, and for how many accesses.
    pub turns: Vec<u8>,
    /// When the octets are used up: each thread in turn to its end while the others stand still, or one access each.
    pub alone_at_the_end: bool,
}

struct State<J> {
    schedule: Schedule,
    at: usize,
    /// Accesses that are left of the present turn.
    left: u32,
    jobs: Vec<Option<J>>,
    running: Vec<bool>,
    current: Option<usize>,
    /// Accesses the current thread has made in its present operation since anybody else moved.
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

    /// A panic ends the process, so nobody finds the lock poisoned.
    fn lock(&self) -> MutexGuard<'_, State<J>> {
        self.state.lock().unwrap()
    }

    /// Has one thread each do a job, and returns when all have.
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

    /// For the threads: the next job, once it is its turn.
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

    /// The thread's job is done.
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

    /// Before an access: waits until it is this thread's turn.
    pub fn step(&self, me: usize) {
        let mut state = self.lock();
        state.alone += 1;
        assert!(state.alone <= ALONE, "thread {me} does not get through while the others stand still");
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

    /// An operation of the thread's begins: when.
    pub fn call_begins(&self, _me: usize) -> u32 {
        let mut state = self.lock();
        state.alone = 0;
        state.tick()
    }

    /// It has returned: when.
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

    /// Settles whose turn it is, after an access of `last`.
    fn turn(&mut self, last: usize) {
        let next = if self.left > 0 && self.running[last] {
            self.left -= 1;
            last
        } else {
            let threads = self.running.len();
            let from = match self.schedule.turns.get(self.at) {
                Some(octet) => {
                    self.at += 1;
                    // Short turns are the more frequent ones.
                    self.left = [0, 0, 1, 2, 4, 8, 16, 40][usize::from(octet >> 2 & 7)];
                    usize::from(octet & 3)
                }
                None if self.schedule.alone_at_the_end && self.running[last] => last,
                None => last + 1,
            };
            let turn = (from..from + threads).map(|thread| thread % threads);
            turn.into_iter().find(|thread| self.running[*thread]).expect("called while somebody runs")
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
