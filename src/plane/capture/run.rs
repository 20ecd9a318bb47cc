//! [`RunState`]: a run of a [`CaptureRouter`] in progress.

use super::forwarder::Packet;
use super::recording::{Batch, Recording};
use super::router::{CaptureRouter, Run, Transmit};
use super::worker_pool::WorkerPool;
use super::{Frame, Totals};
use crate::forwarding::Flow;
use crate::manager::FlowRequest;
use crate::plane::{Class, Control, Data, PortMap, classify};
use crate::protocol::gmp::Received;
use foldhash::quality::RandomState;
use std::hash::BuildHasher;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// The longest silence between two frames. Everything lapses within a day; a capture file can name times further apart than
/// the 584 years of the manager's clock.
const MAX_SILENCE: Duration = Duration::from_secs(24 * 60 * 60);
/// The last time of the manager's clock.
const END_OF_TIME: Duration = Duration::from_nanos(u64::MAX);
/// The virtual time between two passes.
const BETWEEN_PASSES: Duration = Duration::from_secs(1);
/// The number of flows that are remembered to have an entry, to save look-ups: a power of two.
const REMEMBERED_FLOWS: usize = 4096;

/// A run in progress, on the reading thread.
pub(super) struct RunState<'scope, 'r> {
    router: &'r CaptureRouter,
    map: &'r PortMap,
    workers: WorkerPool<'scope, 'r>,
    totals: Totals,
    /// Seeded anew in each run: a capture file must not choose which flows share a worker or a position in `known`.
    hasher: RandomState,
    /// Flows that have an entry, at the position of their hash, each with the value of `withdrawals` when it was added.
    known: Vec<Option<(Flow, u64)>>,
    /// The number of events that may have withdrawn entries.
    withdrawals: u64,
    /// The time of the recording's first frame.
    start: Duration,
    /// The latest time of a frame so far in this pass.
    latest: Duration,
    /// The time of the manager's clock. It never goes back, though the times of a recording may.
    now: Duration,
    /// The next deadline of the manager and the listeners.
    wake: Option<Duration>,
}

impl<'scope, 'r: 'scope> RunState<'scope, 'r> {
    pub(super) fn new(
        router: &'r CaptureRouter,
        map: &'r PortMap,
        workers: WorkerPool<'scope, 'r>,
        recording: &Recording,
    ) -> RunState<'scope, 'r> {
        let start = recording.start().unwrap_or_default();
        RunState {
            router,
            map,
            workers,
            totals: Totals { received: vec![0; recording.interfaces().len()], ..Totals::default() },
            hasher: RandomState::default(),
            known: vec![None; REMEMBERED_FLOWS],
            withdrawals: 0,
            start,
            latest: start,
            now: Duration::ZERO,
            wake: None,
        }
    }

    pub(super) fn run_passes(
        &mut self,
        recording: &Recording,
        run: Run<'_>,
        go_on: &mut dyn FnMut(Duration) -> bool,
    ) -> io::Result<()> {
        let Run { passes, mut transmit, progress, .. } = run;
        for pass in 0..passes.get() {
            if pass > 0 {
                if !go_on(self.now) {
                    break;
                }
                self.reset();
                transmit = None;
            }
            self.workers.keep_copies(transmit.is_some());
            for batch in recording.batches() {
                self.process_batch(batch);
                if let Some(transmit) = &mut transmit {
                    self.transmit(batch, transmit)?;
                }
                progress(self.totals.packets);
            }
            self.workers.wait();
        }
        Ok(())
    }

    /// Ends the workers, and returns the counters of the run.
    pub(super) fn finish(self) -> Totals {
        let RunState { workers, mut totals, .. } = self;
        totals += &workers.finish();
        totals
    }

    /// Ends all memberships and entries.
    fn reset(&mut self) {
        self.router.igmp.forget_everything();
        self.router.mld.forget_everything();
        self.router.manager.flush_entries();
        self.now = (self.now + BETWEEN_PASSES).min(END_OF_TIME);
        self.latest = self.start;
        self.entries_withdrawn();
    }

    fn process_batch(&mut self, batch: &Arc<Batch>) {
        for (position, frame) in (0..).zip(batch.frames()) {
            self.advance(frame.time, batch);
            self.totals.packets += 1;
            self.totals.octets += u64::from(frame.length);
            self.totals.received[frame.interface as usize] += 1;
            let dropped = &mut self.totals.not_forwarded;
            match classify(frame.link, frame.octets) {
                Class::NotMulticast => dropped.not_multicast += 1,
                Class::Malformed(_) => dropped.malformed += 1,
                Class::LinkLocal => dropped.link_local += 1,
                Class::TtlExpired => dropped.ttl_expired += 1,
                Class::Control(control) => self.process_control(&frame, control, batch),
                Class::Data(data) => self.process_data(&frame, position, data, batch),
            }
        }
        self.workers.dispatch(batch);
    }

    /// Advances the time to the time of a frame. Everything due until then happens, each event at its own time.
    fn advance(&mut self, time: Duration, batch: &Arc<Batch>) {
        let silence = time.saturating_sub(self.latest);
        self.latest = self.latest.max(time);
        self.now = (self.now + silence.min(MAX_SILENCE)).min(END_OF_TIME);
        while let Some(due) = self.wake.filter(|wake| *wake <= self.now) {
            self.barrier(batch);
            self.router.igmp.advance(due);
            self.router.mld.advance(due);
            self.router.manager.advance(due);
            self.entries_withdrawn();
        }
    }

    fn process_control(&mut self, frame: &Frame<'_>, control: Control<'_>, batch: &Arc<Batch>) {
        self.barrier(batch);
        let family = control.family();
        let interface = self.router.arrival(frame, family);
        match self.router.listener(family).receive(interface, &control.into(), self.now) {
            Received::Malformed(_) => self.totals.not_forwarded.malformed += 1,
            Received::Report | Received::Query | Received::Ignored(_) => {
                self.totals.not_forwarded.control += 1;
            }
        }
        self.wake = self.next_deadline();
    }

    fn process_data(&mut self, frame: &Frame<'_>, position: u32, data: Data<'_>, batch: &Batch) {
        let Data { flow, datagram } = data;
        let (port, family) = (frame.interface as usize, flow.family());
        let hash = self.hasher.hash_one(flow);
        let slot = hash as usize % REMEMBERED_FLOWS;
        if self.known[slot] != Some((flow, self.withdrawals)) {
            let interface = self.router.arrival(frame, family);
            if let Some(learned) = &self.router.learned {
                learned.learn(flow.source(), interface);
            }
            if !self.workers.own().has_entry(&flow) {
                self.router.manager.advance(self.now);
                // If this fails, the worker that gets the packet tries again, and handles the error.
                let request = FlowRequest::new(flow).with_arrival(interface).with_packet(datagram);
                let _ = self.router.manager.new_flow(request);
                self.wake = self.next_deadline();
            }
            self.known[slot] = Some((flow, self.withdrawals));
        }
        let packet = Packet {
            flow,
            arrival: self.map.arrival(port, family),
            frame: position,
            at: batch.offset(datagram),
            length: datagram.len() as u32,
        };
        self.workers.assign(hash, packet);
    }

    /// Blocks until all packets before this frame are forwarded.
    fn barrier(&mut self, batch: &Arc<Batch>) {
        self.workers.dispatch(batch);
        self.workers.wait();
        self.workers.own().park();
    }

    fn entries_withdrawn(&mut self) {
        self.withdrawals += 1;
        self.wake = self.next_deadline();
    }

    fn next_deadline(&self) -> Option<Duration> {
        let CaptureRouter { manager, igmp, mld, .. } = self.router;
        [igmp.next_deadline(), mld.next_deadline(), manager.next_deadline()].into_iter().flatten().min()
    }

    /// Passes the copies of a batch on.
    fn transmit(&mut self, batch: &Batch, transmit: &mut Transmit<'_>) -> io::Result<()> {
        self.workers.wait();
        let sent = self.workers.sent();
        for (frame, port, packet) in sent.in_order() {
            transmit(port, batch.time(frame), packet)?;
        }
        sent.clear();
        Ok(())
    }
}
