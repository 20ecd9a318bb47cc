//! [`Router`]: forwards what a recording holds, in capture time.
//!
//! One thread reads the frames in their order and classifies them. What is data it assigns to workers by flow; whatever
//! changes what the entries say (a message of IGMP or MLD, something that lapses, the end of an entry's life) waits until
//! the workers are done with all that came before, and is done with before anything that comes after. So the counts are
//! the same with any number of workers, and nothing is lost: this plane can wait.
//!
//! An entry is made by the reading thread, too, when the first packet of its flow comes by, at that packet's time: its
//! lifetime does not depend on when a worker would get to it.

use super::copy::Copy;
use super::crew::Crew;
use super::forwarder::{Item, Shared};
use super::learned::LearnedRoutes;
use super::recording::{Batch, Recording};
use super::{Frame, Totals};
use crate::forwarding::{Family, Flow};
use crate::manager::GroupManager;
use crate::plane::packet::{Class, Control, Data, classify};
use crate::plane::port::{Numbering, Port};
use crate::protocol::igmp::{Datagram, Igmp, Received};
use foldhash::quality::RandomState;
use std::hash::BuildHasher;
use std::io;
use std::num::{NonZeroU64, NonZeroUsize};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// A longer silence counts as one of a day, in which everything lapses anyway: a capture file can name times that are
/// further off than the 584 years the manager's clock goes.
const SILENCE: Duration = Duration::from_secs(24 * 60 * 60);
/// Where the clock stands still all the same.
const END_OF_TIME: Duration = Duration::from_nanos(u64::MAX);
/// Virtual time between two passes.
const BETWEEN_PASSES: Duration = Duration::from_secs(1);
/// How many flows are remembered to have an entry, so as not to look twice: a power of two.
const REMEMBERED: usize = 4096;

/// A multicast router whose packets come from a recording.
pub struct Router {
    manager: Arc<GroupManager>,
    igmp: Igmp,
    mld: Igmp,
    ports: Vec<Port>,
    learned: Option<Arc<LearnedRoutes>>,
}

/// How a recording is forwarded.
pub struct Run<'a> {
    /// How often. Each pass begins without memberships and entries, and with the sources' ways that are known by then.
    pub passes: NonZeroU64,
    /// By how many workers. The counts do not depend on it.
    pub threads: NonZeroUsize,
    /// Told of each copy in the order of packets: the place of the port, when, and the packet. Of the first pass only:
    /// the others would repeat it.
    pub transmit: Option<&'a mut Transmit<'a>>,
    /// Told now and then how many frames were read so far, over all passes.
    pub progress: &'a mut dyn FnMut(u64),
}

/// What [`Run::transmit`] is; an error ends the run.
pub type Transmit<'a> = dyn FnMut(usize, Duration, &[u8]) -> io::Result<()> + 'a;

impl Router {
    /// A router of these ports. Protocols have taken their interfaces ([`Port::interface`]) before; `igmp` and `mld` are
    /// given the messages that arrive. With `learned`, the manager's routes, sources are taught to it at first sight.
    #[must_use]
    pub fn new(
        manager: Arc<GroupManager>,
        [igmp, mld]: [Igmp; 2],
        ports: Vec<Port>,
        learned: Option<Arc<LearnedRoutes>>,
    ) -> Router {
        Router { manager, igmp, mld, ports, learned }
    }

    /// The ports.
    #[must_use]
    pub fn ports(&self) -> &[Port] {
        &self.ports
    }

    /// The manager.
    #[must_use]
    pub fn manager(&self) -> &Arc<GroupManager> {
        &self.manager
    }

    /// Who is given the messages that arrive: IGMP and MLD.
    #[must_use]
    pub fn listeners(&self) -> [&Igmp; 2] {
        [&self.igmp, &self.mld]
    }

    /// The routes that sources are taught to, if any are.
    #[must_use]
    pub fn learned(&self) -> Option<&LearnedRoutes> {
        self.learned.as_deref()
    }

    /// Forwards a recording. Afterwards memberships and entries are those at the end of the last pass.
    ///
    /// # Errors
    /// What `transmit` answers.
    pub fn run(&self, recording: &Recording, run: Run<'_>) -> io::Result<Totals> {
        self.run_while(recording, run, &mut |_| true)
    }

    /// The same, for as long as it is wanted: before each further pass `go_on` is asked whether there shall be one. It is
    /// told how far the manager's clock has come, of at most 584 years; [`Run::passes`] are the most there are.
    ///
    /// # Errors
    /// What `transmit` answers.
    pub fn run_while(
        &self,
        recording: &Recording,
        run: Run<'_>,
        go_on: &mut dyn FnMut(Duration) -> bool,
    ) -> io::Result<Totals> {
        let numbering = Numbering::new(&self.manager, self.ports.iter().map(|port| port.link));
        let shared = Shared { manager: &self.manager, ports: &self.ports, numbering: &numbering };
        thread::scope(|scope| {
            let crew = Crew::start(scope, shared, run.threads.get());
            let mut passage = Passage {
                router: self,
                numbering: &numbering,
                crew,
                totals: Totals { received: vec![0; recording.interfaces().len()], ..Totals::default() },
                hasher: RandomState::default(),
                known: vec![None; REMEMBERED],
                life: 0,
                start: recording.start().unwrap_or_default(),
                latest: recording.start().unwrap_or_default(),
                now: Duration::ZERO,
                wake: None,
            };
            passage.passes(recording, run, go_on)?;
            let Passage { crew, mut totals, .. } = passage;
            totals += &crew.finish();
            Ok(totals)
        })
    }
}

/// A run under way.
struct Passage<'scope, 'r> {
    router: &'r Router,
    numbering: &'r Numbering,
    crew: Crew<'scope, 'r>,
    totals: Totals,
    /// Seeded anew in each run: which flows are one worker's, and which displace each other in `known`, is not for a capture
    /// to choose.
    hasher: RandomState,
    /// Flows that have an entry, at the place of their hash, as long as no entry went since.
    known: Vec<Option<(Flow, u64)>>,
    /// How often entries have gone.
    life: u64,
    /// The time of the recording's first frame, and the latest of the frames so far in this pass.
    start: Duration,
    latest: Duration,
    /// The manager's clock: it never goes back, though a recording may.
    now: Duration,
    /// When the next thing lapses.
    wake: Option<Duration>,
}

impl<'scope, 'r: 'scope> Passage<'scope, 'r> {
    fn passes(
        &mut self,
        recording: &Recording,
        run: Run<'_>,
        go_on: &mut dyn FnMut(Duration) -> bool,
    ) -> io::Result<()> {
        let Run { passes, mut transmit, progress, .. } = run;
        let mut copy = Copy::default();
        for pass in 0..passes.get() {
            if pass > 0 {
                if !go_on(self.now) {
                    break;
                }
                self.begin_anew();
                transmit = None;
            }
            self.crew.note(transmit.is_some());
            for batch in recording.batches() {
                self.batch(batch);
                if let Some(transmit) = &mut transmit {
                    self.write(batch, &mut copy, transmit)?;
                }
                progress(self.totals.packets);
            }
            self.crew.settle();
        }
        Ok(())
    }

    /// A router without memberships and entries.
    fn begin_anew(&mut self) {
        self.router.igmp.forget_everything();
        self.router.mld.forget_everything();
        self.router.manager.flush_entries();
        self.now = (self.now + BETWEEN_PASSES).min(END_OF_TIME);
        self.latest = self.start;
        self.entries_gone();
    }

    fn batch(&mut self, batch: &Arc<Batch>) {
        for (number, frame) in (0..).zip(batch.frames()) {
            self.tick(frame.time, batch);
            self.totals.packets += 1;
            self.totals.bytes += u64::from(frame.length);
            self.totals.received[frame.interface as usize] += 1;
            let why = &mut self.totals.not_forwarded;
            match classify(frame.link, frame.octets) {
                Class::NotMulticast => why.not_multicast += 1,
                Class::Malformed(_) => why.malformed += 1,
                Class::LinkLocal => why.link_local += 1,
                Class::TtlExpired => why.ttl_expired += 1,
                Class::Control(control) => self.control(&frame, control, batch),
                Class::Data(data) => self.data(&frame, number, data, batch),
            }
        }
        self.crew.hand_over(batch);
    }

    /// Lets happen what is due by the time of a frame, each thing at its own time.
    fn tick(&mut self, time: Duration, batch: &Arc<Batch>) {
        let silence = time.saturating_sub(self.latest);
        self.latest = self.latest.max(time);
        self.now = (self.now + silence.min(SILENCE)).min(END_OF_TIME);
        while let Some(due) = self.wake.filter(|wake| *wake <= self.now) {
            self.barrier(batch);
            self.router.igmp.advance(due);
            self.router.mld.advance(due);
            self.router.manager.advance(due);
            self.entries_gone();
        }
    }

    fn control(&mut self, frame: &Frame<'_>, control: Control<'_>, batch: &Arc<Batch>) {
        self.barrier(batch);
        let (protocol, family, datagram) = match control {
            Control::Igmp { source, destination, ttl, message } => {
                let (source, destination) = (source.into(), destination.into());
                let datagram = Datagram { source, destination, hop_limit: ttl, payload: message };
                (&self.router.igmp, Family::V4, datagram)
            }
            Control::Mld { source, destination, hop_limit, message } => {
                let (source, destination) = (source.into(), destination.into());
                (&self.router.mld, Family::V6, Datagram { source, destination, hop_limit, payload: message })
            }
        };
        let interface = Port::interface(frame.interface as usize, family);
        match protocol.receive(interface, &datagram, self.now) {
            Received::Malformed(_) => self.totals.not_forwarded.malformed += 1,
            Received::Report | Received::Query | Received::Ignored(_) => {
                self.totals.not_forwarded.control += 1;
            }
        }
        self.wake = self.next_deadline();
    }

    fn data(&mut self, frame: &Frame<'_>, number: u32, data: Data<'_>, batch: &Batch) {
        let Data { flow, datagram } = data;
        let (port, family) = (frame.interface as usize, flow.family());
        let hash = self.hasher.hash_one(flow);
        let place = hash as usize % REMEMBERED;
        if self.known[place] != Some((flow, self.life)) {
            if let Some(learned) = &self.router.learned {
                learned.learn(flow.source(), Port::interface(port, family));
            }
            if !self.crew.own().knows(&flow) {
                self.router.manager.advance(self.now);
                // If this fails the worker that gets the packet tries again, and knows what to do.
                let _ = self.router.manager.new_flow_from(flow, Port::interface(port, family), datagram);
                self.wake = self.next_deadline();
            }
            self.known[place] = Some((flow, self.life));
        }
        let item = Item {
            flow,
            arrival: self.numbering.arrival(port, family),
            frame: number,
            at: batch.position(datagram),
            length: datagram.len() as u32,
        };
        self.crew.assign(hash, item);
    }

    /// Everything before this frame is done before anything after it.
    fn barrier(&mut self, batch: &Arc<Batch>) {
        self.crew.hand_over(batch);
        self.crew.settle();
        self.crew.own().park();
    }

    fn entries_gone(&mut self) {
        self.life += 1;
        self.wake = self.next_deadline();
    }

    fn next_deadline(&self) -> Option<Duration> {
        let Router { manager, igmp, mld, .. } = self.router;
        [igmp.next_deadline(), mld.next_deadline(), manager.next_deadline()].into_iter().flatten().min()
    }

    /// Passes on what was transmitted of a batch.
    fn write(&mut self, batch: &Batch, copy: &mut Copy, transmit: &mut Transmit<'_>) -> io::Result<()> {
        self.crew.settle();
        for sent in self.crew.sent() {
            let datagram = batch.octets(sent.item.at, sent.item.length);
            copy.load(datagram).map_err(io::Error::other)?;
            let packet = copy.through(&self.router.ports[sent.port], sent.item.flow.group());
            transmit(sent.port, batch.time(sent.item.frame), packet)?;
        }
        Ok(())
    }
}
