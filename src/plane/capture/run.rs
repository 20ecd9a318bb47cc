//! [`RunState`]: a run of a [`CaptureRouter`] in progress.

use super::flows::{FlowNumber, NumberedFlows, Outcome, Tallies};
use super::forwarder::Packet;
use super::recording::{Batch, Recording};
use super::router::{CaptureRouter, Run, Transmit};
use super::worker_pool::WorkerPool;
use super::{Frame, Totals};
use crate::forwarding::Flow;
use crate::manager::FlowRequest;
use crate::plane::classify::flow_of;
use crate::plane::{Class, Control, Data, Link, MacAddress, PortMap, classify_cut};
use crate::protocol::gmp::{Ignored, Received};
use crate::wire::gmp::Malformed;
use foldhash::quality::RandomState;
use std::collections::HashSet;
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
    /// Flows that have an entry, at the position of their hash.
    known: Vec<Option<KnownFlow>>,
    flows: NumberedFlows,
    /// The counts of packets that no worker gets.
    tallies: Tallies,
    /// The link-layer addresses of the router.
    own: HashSet<MacAddress, RandomState>,
    /// Whether each interface of the recording takes no part.
    inactive: Vec<bool>,
    /// Whether whole copies are needed: packets that were cut off are not forwarded then.
    needs_whole: bool,
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

/// A flow that has an entry.
#[derive(Clone, Copy)]
struct KnownFlow {
    flow: Flow,
    /// The value of `withdrawals` when the entry was there.
    withdrawals: u64,
    number: FlowNumber,
}

impl<'scope, 'r: 'scope> RunState<'scope, 'r> {
    pub(super) fn new(
        router: &'r CaptureRouter,
        map: &'r PortMap,
        workers: WorkerPool<'scope, 'r>,
        recording: &Recording,
    ) -> RunState<'scope, 'r> {
        let (start, interfaces) = (recording.start(), recording.interfaces());
        let own = interfaces.iter().filter_map(|interface| interface.mac);
        let own = own.chain(router.own_addresses.iter().copied()).filter(|address| is_of_interface(*address));
        let is_inactive = |(port, link)| router.inactive.contains(&port) || matches!(link, Link::Unknown(_));
        let links = interfaces.iter().map(|interface| interface.link);
        let none = vec![0; interfaces.len()];
        RunState {
            router,
            map,
            workers,
            totals: Totals { received: none.clone(), own: none.clone(), inactive: none, ..Totals::default() },
            hasher: RandomState::default(),
            known: vec![None; REMEMBERED_FLOWS],
            flows: NumberedFlows::default(),
            tallies: Tallies::default(),
            own: own.collect(),
            inactive: links.enumerate().map(is_inactive).collect(),
            needs_whole: false,
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
        self.needs_whole = transmit.is_some();
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
        let RunState { workers, mut totals, flows, mut tallies, .. } = self;
        let (forwarded, of_flows) = workers.finish();
        totals += &forwarded;
        tallies.add(&of_flows);
        totals.flows = flows.accounts(&tallies);
        totals.packets_of_other_flows = tallies.others();
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
            if self.is_not_received(&frame) {
                continue;
            }
            self.totals.received[frame.interface as usize] += 1;
            let dropped = &mut self.totals.not_forwarded;
            match classify_cut(frame.link, frame.octets, frame.cut as usize) {
                Class::NotMulticast => dropped.not_multicast += 1,
                Class::Malformed(defect) => {
                    dropped.malformed += 1;
                    *self.totals.malformed.entry(defect.name()).or_default() += 1;
                }
                Class::LinkLocal => {
                    dropped.link_local += 1;
                    self.count_flow(&frame, Outcome::LinkLocal);
                }
                Class::TtlExpired => {
                    dropped.ttl_expired += 1;
                    self.count_flow(&frame, Outcome::TtlExpired);
                }
                Class::Truncated(Some(cut)) if !self.needs_whole => {
                    let data = Data { flow: cut.flow, datagram: cut.captured };
                    self.process_data(&frame, position, data, cut.length, batch);
                }
                Class::Truncated(_) => {
                    dropped.truncated += 1;
                    self.count_flow(&frame, Outcome::Truncated);
                }
                Class::Control(control) => self.process_control(&frame, control, batch),
                Class::Data(data) => {
                    self.process_data(&frame, position, data, data.datagram.len(), batch);
                }
            }
        }
        self.workers.dispatch(batch);
    }

    /// Counts a frame that the router did not receive: of an interface that takes no part, or sent by the router itself.
    fn is_not_received(&mut self, frame: &Frame<'_>) -> bool {
        let interface = frame.interface as usize;
        if frame.no_room || self.inactive[interface] || matches!(frame.link, Link::Unknown(_)) {
            self.totals.not_forwarded.inactive_interface += 1;
            self.totals.inactive[interface] += 1;
            self.totals.interfaces_refused += u64::from(frame.no_room);
            return true;
        }
        let is_own = |address| self.own.contains(&address);
        if frame.outgoing || (!self.own.is_empty() && frame.link.sender(frame.octets).is_some_and(is_own)) {
            self.totals.not_forwarded.own += 1;
            self.totals.own[interface] += 1;
            return true;
        }
        false
    }

    /// Counts a packet that no worker gets in the account of its flow.
    #[cold]
    fn count_flow(&mut self, frame: &Frame<'_>, outcome: Outcome) {
        if let Some(flow) = flow_of(frame.link, frame.octets) {
            let number = self.flows.number(flow, frame.interface);
            self.tallies.count(number, frame.time.as_nanos() as u64, outcome);
        }
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
            Received::Malformed(malformed) => {
                self.totals.not_forwarded.malformed += 1;
                *self.totals.malformed.entry(name_of_malformed(malformed)).or_default() += 1;
            }
            Received::Ignored(ignored) => {
                self.totals.not_forwarded.control += 1;
                *self.totals.ignored.entry(name_of_ignored(ignored)).or_default() += 1;
            }
            Received::Report | Received::Query => self.totals.not_forwarded.control += 1,
        }
        self.wake = self.next_deadline();
    }

    /// Assigns a datagram of `whole` octets to the worker of its flow.
    fn process_data(
        &mut self,
        frame: &Frame<'_>,
        position: u32,
        data: Data<'_>,
        whole: usize,
        batch: &Batch,
    ) {
        let Data { flow, datagram } = data;
        let (port, family) = (frame.interface as usize, flow.family());
        let hash = self.hasher.hash_one(flow);
        let slot = hash as usize % REMEMBERED_FLOWS;
        let known = self.known[slot].filter(|known| known.flow == flow);
        let number = match known {
            Some(known) if known.withdrawals == self.withdrawals => known.number,
            known => {
                let number =
                    known.map_or_else(|| self.flows.number(flow, frame.interface), |known| known.number);
                self.make_entry(frame, data);
                self.known[slot] = Some(KnownFlow { flow, withdrawals: self.withdrawals, number });
                number
            }
        };
        let packet = Packet {
            flow,
            arrival: self.map.arrival(port, family),
            frame: position,
            at: batch.offset(datagram),
            length: datagram.len() as u32,
            // A datagram has at most 65,575 octets.
            whole: whole as u32,
            number,
        };
        self.workers.assign(hash, packet);
    }

    /// Makes the entry of a flow, if it has none.
    fn make_entry(&mut self, frame: &Frame<'_>, Data { flow, datagram }: Data<'_>) {
        let interface = self.router.arrival(frame, flow.family());
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

/// Returns whether an address can be that of one interface: neither zero, as loopback interfaces have, nor of a group.
const fn is_of_interface(MacAddress(octets): MacAddress) -> bool {
    octets[0] & 1 == 0
        && u64::from_be_bytes([0, 0, octets[0], octets[1], octets[2], octets[3], octets[4], octets[5]]) != 0
}

/// Returns the name under which totals count malformed messages.
const fn name_of_malformed(malformed: Malformed) -> &'static str {
    match malformed {
        Malformed::Short { .. } => "message_length",
        Malformed::Checksum => "message_checksum",
        Malformed::QueryLength(_) => "query_length",
        Malformed::QuerySources => "query_sources",
        Malformed::Record(_) => "record_length",
    }
}

/// Returns the name under which totals count messages without an effect.
const fn name_of_ignored(ignored: Ignored) -> &'static str {
    match ignored {
        Ignored::OtherType(_) => "other_type",
        Ignored::OtherFamily => "other_family",
        Ignored::NotTaken(_) => "protocol_not_on_interface",
        Ignored::HopLimit(_) => "hop_limit",
        Ignored::NotLinkLocal(_) => "source_not_link_local",
        Ignored::NotAGroup(_) => "not_a_group",
        Ignored::Ttl(_) => "ttl",
        Ignored::NoRouterAlert => "no_router_alert",
        Ignored::NotFromLink(_) => "source_not_in_subnet",
        Ignored::SourceSpecificRange(_) => "source_specific_range",
        Ignored::OlderHost(_) => "older_host_present",
    }
}
