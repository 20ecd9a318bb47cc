//! Churn: threads of other protocols that load a manager while packets are forwarded.
//!
//! Each thread runs cycle after cycle. It registers a routing protocol and a client in the IGMP role, takes interfaces of
//! its own, and tries calls that must be refused. It publishes, replaces and withdraws flows of its own, releases,
//! deregisters, and uses its stale handles. A wrong answer ends the thread and is reported as a [`WrongAnswer`].

mod counts;
mod thread;

pub use counts::ChurnCounts;

use mgm::manager::{GroupManager, Interface};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use thread::ChurnThread;

/// The interfaces of the capture, which stay owned during the run.
#[derive(Clone, Debug, Default)]
pub struct CaptureInterfaces {
    /// Those owned in the routing role.
    pub routing: Vec<Interface>,
    /// Those owned in the IGMP role.
    pub igmp: Vec<Interface>,
}

/// The number of interfaces that each thread has of its own.
pub const INTERFACES_OF_THREAD: u32 = 8;

/// The index of the first interface of the threads. No capture has that many.
const FIRST_INTERFACE: u32 = 0x4000_0000;

/// Returns the index of the first interface of a thread.
pub(crate) fn first_interface(thread: u16) -> u32 {
    FIRST_INTERFACE + u32::from(thread) * INTERFACES_OF_THREAD
}

/// A call that was answered wrongly: a bug of the library.
#[derive(Debug, thiserror::Error)]
#[error("wrong answer: {call} returned {answer}")]
pub struct WrongAnswer {
    call: String,
    answer: String,
}

impl WrongAnswer {
    pub(crate) fn new(call: impl Into<String>, answer: impl Into<String>) -> WrongAnswer {
        WrongAnswer { call: call.into(), answer: answer.into() }
    }
}

/// The running threads.
pub struct Churn {
    stop: Arc<AtomicBool>,
    operations: Arc<AtomicU64>,
    threads: Vec<JoinHandle<Result<ChurnCounts, WrongAnswer>>>,
}

impl Churn {
    /// Starts the threads.
    #[must_use]
    pub fn start(manager: &Arc<GroupManager>, capture: &CaptureInterfaces, threads: u16) -> Churn {
        let (stop, operations) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let start = |number| {
            let (manager, capture) = (manager.clone(), capture.clone());
            let (stop, operations) = (stop.clone(), operations.clone());
            std::thread::spawn(move || {
                let mut thread = ChurnThread::new(&manager, capture, number)?;
                loop {
                    let before = thread.counts().total();
                    thread.cycle()?;
                    // Relaxed: a count.
                    operations.fetch_add(thread.counts().total() - before, Ordering::Relaxed);
                    // Relaxed: the flag orders nothing.
                    if stop.load(Ordering::Relaxed) {
                        return Ok(*thread.counts());
                    }
                }
            })
        };
        let threads = (0..threads).map(start).collect();
        Churn { stop, operations, threads }
    }

    /// Returns the number of operations so far.
    #[must_use]
    pub fn operations(&self) -> u64 {
        // Relaxed: a count.
        self.operations.load(Ordering::Relaxed)
    }

    /// Returns whether a thread has ended early. [`stop`](Churn::stop) returns the reason.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.threads.iter().any(JoinHandle::is_finished)
    }

    /// Blocks until every thread has finished its cycle, and returns the counts of all threads.
    ///
    /// # Errors
    /// If a thread received a wrong answer.
    pub fn stop(self) -> Result<ChurnCounts, WrongAnswer> {
        // Relaxed: the flag orders nothing.
        self.stop.store(true, Ordering::Relaxed);
        let mut counts = ChurnCounts::default();
        for thread in self.threads {
            let done = thread.join().map_err(|_| WrongAnswer::new("a churn thread", "with a panic"))?;
            counts.add(&done?);
        }
        Ok(counts)
    }
}
