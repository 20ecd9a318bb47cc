//! [`WorkerPool`]: the workers of a run. Each flow always belongs to the same worker.

use super::Totals;
use super::flows::Tallies;
use super::forwarder::{Context, Forwarder, Packet, SentCopies};
use super::recording::Batch;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, TryRecvError, channel, sync_channel};
use std::thread::{self, Scope, ScopedJoinHandle};

/// The number of packets below which the calling thread forwards by itself: it takes less time than waking a worker.
const FEW: usize = 32;
/// The number of jobs that may wait for a worker: enough to keep it busy while the next jobs are prepared.
const QUEUED_JOBS: usize = 4;

/// The maximum number of workers.
const MAX_THREADS: usize = 1024;

/// Packets of one batch for one worker.
struct Job {
    batch: Arc<Batch>,
    packets: Vec<Packet>,
    keep_copies: bool,
}

/// A finished job: its vector, for reuse, and the copies made.
struct FinishedJob {
    packets: Vec<Packet>,
    sent: SentCopies,
}

/// The workers of a run.
pub(super) struct WorkerPool<'scope, 'r> {
    /// The forwarder of the calling thread. With one thread there is no other.
    own: Forwarder<'r>,
    /// The packets assigned to each worker and not dispatched yet.
    assigned: Vec<Vec<Packet>>,
    workers: Vec<PoolWorker<'scope>>,
    keep_copies: bool,
    sent: SentCopies,
}

struct PoolWorker<'scope> {
    jobs: SyncSender<Job>,
    finished: Receiver<FinishedJob>,
    /// The number of jobs dispatched and not finished.
    running: usize,
    spare: Vec<Vec<Packet>>,
    thread: ScopedJoinHandle<'scope, (Totals, Tallies)>,
}

impl<'scope, 'r: 'scope> WorkerPool<'scope, 'r> {
    /// Starts `threads` workers. A single worker runs on the calling thread.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] for more than [`MAX_THREADS`]; the system's error when it starts no further thread.
    pub(super) fn start(
        scope: &'scope Scope<'scope, '_>,
        context: Context<'r>,
        threads: usize,
    ) -> io::Result<WorkerPool<'scope, 'r>> {
        if threads > MAX_THREADS {
            let error = format!("{threads} threads are too many: choose a number from 1 to {MAX_THREADS}");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, error));
        }
        let workers: Vec<_> = (0..if threads > 1 { threads } else { 0 })
            .map(|_| {
                let (jobs, job_queue) = sync_channel(QUEUED_JOBS);
                let (finish, finished) = channel();
                // Those that run already end when their queue is dropped.
                let thread = thread::Builder::new()
                    .spawn_scoped(scope, move || work(Forwarder::new(context), &job_queue, &finish))?;
                Ok(PoolWorker { jobs, finished, running: 0, spare: Vec::new(), thread })
            })
            .collect::<io::Result<_>>()?;
        Ok(WorkerPool {
            own: Forwarder::new(context),
            assigned: vec![Vec::new(); workers.len().max(1)],
            workers,
            keep_copies: false,
            sent: SentCopies::default(),
        })
    }

    /// Assigns a packet to the worker of its flow.
    pub(super) fn assign(&mut self, flow_hash: u64, packet: Packet) {
        // The high half of a hash, scaled to the number of workers.
        let worker = ((flow_hash >> 32) * self.assigned.len() as u64) >> 32;
        self.assigned[worker as usize].push(packet);
    }

    /// Dispatches the packets assigned so far, all of one batch.
    ///
    /// The calling thread forwards a few packets by itself while no worker runs.
    pub(super) fn dispatch(&mut self, batch: &Arc<Batch>) {
        for worker in &mut self.workers {
            while let Ok(job) = worker.finished.try_recv() {
                worker.collect(job, &mut self.sent);
            }
        }
        let few = self.assigned.iter().map(Vec::len).sum::<usize>() <= FEW;
        if self.workers.is_empty() || (few && self.workers.iter().all(|worker| worker.running == 0)) {
            for assigned in &mut self.assigned {
                self.own.forward(batch, assigned, self.keep_copies.then_some(&mut self.sent));
                assigned.clear();
            }
            return;
        }
        for (worker, assigned) in self.workers.iter_mut().zip(&mut self.assigned) {
            if assigned.is_empty() {
                continue;
            }
            let packets = std::mem::replace(assigned, worker.spare.pop().unwrap_or_default());
            let job = Job { batch: batch.clone(), packets, keep_copies: self.keep_copies };
            // Only a worker that has panicked takes no job. The end of the scope passes the panic on.
            worker.running += usize::from(worker.jobs.send(job).is_ok());
        }
    }

    /// Blocks until all dispatched jobs are finished.
    pub(super) fn wait(&mut self) {
        for worker in &mut self.workers {
            while worker.running > 0 {
                match worker.finished.recv() {
                    Ok(job) => worker.collect(job, &mut self.sent),
                    // The worker has panicked.
                    Err(_) => worker.running = 0,
                }
            }
        }
    }

    /// Sets whether the workers keep the copies that they make from now on.
    pub(super) fn keep_copies(&mut self, keep: bool) {
        self.keep_copies = keep;
    }

    /// Returns the copies kept since they were cleared. Called after [`wait`](Self::wait).
    pub(super) fn sent(&mut self) -> &mut SentCopies {
        &mut self.sent
    }

    /// Returns the forwarder of the calling thread.
    pub(super) fn own(&mut self) -> &mut Forwarder<'r> {
        &mut self.own
    }

    /// Ends the workers, and returns the counters of all.
    pub(super) fn finish(mut self) -> (Totals, Tallies) {
        self.wait();
        let (mut totals, mut tallies) = self.own.finish();
        for PoolWorker { jobs, thread, .. } in self.workers {
            drop(jobs);
            match thread.join() {
                Ok((counted, of_flows)) => {
                    totals += &counted;
                    tallies.add(&of_flows);
                }
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        (totals, tallies)
    }
}

impl PoolWorker<'_> {
    fn collect(&mut self, mut job: FinishedJob, sent: &mut SentCopies) {
        self.running -= 1;
        job.packets.clear();
        self.spare.push(job.packets);
        sent.append(&job.sent);
    }
}

fn work(
    mut forwarder: Forwarder<'_>,
    jobs: &Receiver<Job>,
    finish: &Sender<FinishedJob>,
) -> (Totals, Tallies) {
    loop {
        let job = match jobs.try_recv() {
            Err(TryRecvError::Empty) => {
                forwarder.park();
                jobs.recv().ok()
            }
            job => job.ok(),
        };
        let Some(Job { batch, packets, keep_copies }) = job else { break };
        let mut sent = SentCopies::default();
        forwarder.forward(&batch, &packets, keep_copies.then_some(&mut sent));
        // Sending fails only if the pool is gone and waits for no job any more.
        let _ = finish.send(FinishedJob { packets, sent });
    }
    forwarder.finish()
}
