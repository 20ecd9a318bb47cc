//! [`Crew`]: who forwards, one thread or many; a flow is always the same worker's.

use super::Totals;
use super::forwarder::{Forwarder, Item, Sent, Shared};
use super::recording::Batch;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, TryRecvError, channel, sync_channel};
use std::thread::{Scope, ScopedJoinHandle};

/// So few packets are done with sooner than a worker is woken.
const FEW: usize = 32;
/// How many jobs may lie before a worker: enough to go on with while the next are prepared.
const AHEAD: usize = 4;

/// Packets of one batch for one worker.
struct Job {
    batch: Arc<Batch>,
    items: Vec<Item>,
    noting: bool,
}

/// A job that is done: its vector, to be used again, and what was sent.
struct Done {
    items: Vec<Item>,
    sent: Vec<Sent>,
}

/// The workers of a run.
pub(super) struct Crew<'scope, 'r> {
    /// The coordinating thread's own hands; with one thread, all there are.
    own: Forwarder<'r>,
    /// What was assigned and not handed over yet, for each worker.
    assigned: Vec<Vec<Item>>,
    workers: Vec<Worker<'scope>>,
    noting: bool,
    sent: Vec<Sent>,
}

struct Worker<'scope> {
    jobs: SyncSender<Job>,
    done: Receiver<Done>,
    out: usize,
    idle: Vec<Vec<Item>>,
    thread: ScopedJoinHandle<'scope, Totals>,
}

impl<'scope, 'r: 'scope> Crew<'scope, 'r> {
    /// Starts `threads` workers; one is the calling thread itself.
    pub(super) fn start(
        scope: &'scope Scope<'scope, '_>,
        shared: Shared<'r>,
        threads: usize,
    ) -> Crew<'scope, 'r> {
        let workers: Vec<_> = (0..if threads > 1 { threads } else { 0 })
            .map(|_| {
                let (jobs, take_jobs) = sync_channel(AHEAD);
                let (give_done, done) = channel();
                let thread = scope.spawn(move || work(Forwarder::new(shared), &take_jobs, &give_done));
                Worker { jobs, done, out: 0, idle: Vec::new(), thread }
            })
            .collect();
        Crew {
            own: Forwarder::new(shared),
            assigned: vec![Vec::new(); workers.len().max(1)],
            workers,
            noting: false,
            sent: Vec::new(),
        }
    }

    /// Assigns a packet to the worker of its flow.
    pub(super) fn assign(&mut self, flow_hash: u64, item: Item) {
        // The high half of a hash, scaled to the number of workers.
        let worker = ((flow_hash >> 32) * self.assigned.len() as u64) >> 32;
        self.assigned[worker as usize].push(item);
    }

    /// Hands over what was assigned of a batch; a few packets, while nobody is at work, the calling thread forwards itself.
    pub(super) fn hand_over(&mut self, batch: &Arc<Batch>) {
        for worker in &mut self.workers {
            while let Ok(done) = worker.done.try_recv() {
                worker.back(done, &mut self.sent);
            }
        }
        let few = self.assigned.iter().map(Vec::len).sum::<usize>() <= FEW;
        if self.workers.is_empty() || (few && self.workers.iter().all(|worker| worker.out == 0)) {
            for assigned in &mut self.assigned {
                self.own.forward(batch, assigned, self.noting.then_some(&mut self.sent));
                assigned.clear();
            }
            return;
        }
        for (worker, assigned) in self.workers.iter_mut().zip(&mut self.assigned) {
            if assigned.is_empty() {
                continue;
            }
            let items = std::mem::replace(assigned, worker.idle.pop().unwrap_or_default());
            let job = Job { batch: batch.clone(), items, noting: self.noting };
            // Only a worker that has panicked takes no jobs: the scope's end passes that on.
            worker.out += usize::from(worker.jobs.send(job).is_ok());
        }
    }

    /// Waits until everything that was handed over is done.
    pub(super) fn settle(&mut self) {
        for worker in &mut self.workers {
            while worker.out > 0 {
                match worker.done.recv() {
                    Ok(done) => worker.back(done, &mut self.sent),
                    // It has panicked.
                    Err(_) => worker.out = 0,
                }
            }
        }
    }

    /// Whether copies are noted from now on.
    pub(super) fn note(&mut self, noting: bool) {
        self.noting = noting;
    }

    /// The copies noted since the last call, in the order of their packets. To be called when all is settled.
    pub(super) fn sent(&mut self) -> impl Iterator<Item = Sent> + '_ {
        self.sent.sort_by_key(|sent| (sent.item.frame, sent.port));
        self.sent.drain(..)
    }

    /// The coordinating thread's own hands.
    pub(super) fn own(&mut self) -> &mut Forwarder<'r> {
        &mut self.own
    }

    /// Ends the run; what all of them counted.
    pub(super) fn finish(mut self) -> Totals {
        self.settle();
        let mut totals = self.own.finish();
        for Worker { jobs, thread, .. } in self.workers {
            drop(jobs);
            match thread.join() {
                Ok(counted) => totals += &counted,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        totals
    }
}

impl Worker<'_> {
    fn back(&mut self, mut done: Done, sent: &mut Vec<Sent>) {
        self.out -= 1;
        done.items.clear();
        self.idle.push(done.items);
        sent.append(&mut done.sent);
    }
}

fn work(mut forwarder: Forwarder<'_>, jobs: &Receiver<Job>, done: &Sender<Done>) -> Totals {
    loop {
        let job = match jobs.try_recv() {
            Err(TryRecvError::Empty) => {
                forwarder.park();
                jobs.recv().ok()
            }
            job => job.ok(),
        };
        let Some(Job { batch, items, noting }) = job else { break };
        let mut sent = Vec::new();
        forwarder.forward(&batch, &items, noting.then_some(&mut sent));
        // Nobody waits for it any more if this fails.
        let _ = done.send(Done { items, sent });
    }
    forwarder.finish()
}
