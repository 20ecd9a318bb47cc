//! The flows' records, and the entries that follow from them.
//!
//! A record keeps what owners have said of this flow beside their memberships ([`Said`]), each with the stamp of the
//! ownership it was said under. The published entry is a pure function of the memberships and the record
//! ([`Said::outgoing`]): whatever changes either publishes anew, and what carries a dead stamp counts for nothing.
//!
//! ```text
//!            new flow                  answered, published
//!   (none) ------------> Building ---------------------------> Entry
//!     ^ forgotten           ^                                    |
//!     |                     | new flow                           | lifetime over, flushed, evicted,
//!     +------------------ Idle <---------------------------------+ incoming interface changed hands
//! ```
//!
//! An idle record is what is left of a flow without an entry: the number its packets are counted under.

use super::clock::Clock;
use super::interfaces::Interfaces;
use super::records::{Records, Share};
use super::said::{Action, Said};
use super::upstream::{PathInfo, Upstream};
use super::{FlowState, Interface, ReversePath};
use crate::forwarding::{
    Counter, Entry, Flow, FlowNumber, ForwardingTable, Incoming, InterfaceNumber, Outgoing, OutgoingNumber,
    PublishError, Stamp, WorkerCounters,
};
use crate::handle::Owners;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

/// What a manager had to do for want of room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Incidents {
    /// Entries withdrawn because the forwarding table had no room for their successor: their flow's next packet has them
    /// made anew.
    pub entries_withdrawn: u64,
    /// Negative entries that made room for newer ones (`ManagerConfig::negative_entries`).
    pub negative_evicted: u64,
    /// Flows without an entry whose counters were given up (`ManagerConfig::remembered_flows`).
    pub flows_forgotten: u64,
    /// Packets of flows without an entry that found the queue full (`ManagerConfig::upcalls`).
    pub upcalls_refused: u64,
    /// Packets on the wrong interface that nobody was told of for want of room (`ManagerConfig::upcalls`).
    pub wrong_interface_refused: u64,
}

/// An entry has lost its last outgoing interface, or got its first.
pub(super) struct Transition {
    pub(super) flow: Flow,
    /// Which of the flow's entries.
    pub(super) life: u64,
    pub(super) incoming: Incoming,
    pub(super) negative: bool,
}

struct Published {
    /// No two entries have the same.
    life: u64,
    upstream: Upstream,
    path: PathInfo,
    outgoing: Vec<Outgoing>,
    /// When its life began: when it was made, or when a client last set its time-out.
    made: Duration,
    deadline: Duration,
    /// When it became negative, in the order of such events.
    negative: Option<u64>,
    mentioned: BTreeSet<InterfaceNumber>,
}

enum Life {
    Idle {
        since: u64,
    },
    /// Its makers wait for answers. The shares whose owner has acted since the question was asked: an answer to it is
    /// older than that, and yields.
    Building {
        acted: BTreeSet<Share>,
    },
    Entry(Box<Published>),
}

struct Record {
    number: Option<FlowNumber>,
    /// Under which numbers the copies to each interface are counted that was an outgoing one once, by interface.
    outgoing: Vec<(InterfaceNumber, OutgoingNumber)>,
    /// Packets to be counted once it has a number: those that came while the entry was being made, and those that found
    /// the queue full.
    early: (u64, u64),
    said: Said,
    life: Life,
}

/// What a walk sees of an entry.
pub(super) struct EntryView<'a> {
    pub(super) flow: Flow,
    pub(super) number: Option<FlowNumber>,
    pub(super) upstream: Upstream,
    pub(super) path: PathInfo,
    pub(super) outgoing: &'a [Outgoing],
    pub(super) made: Duration,
    pub(super) deadline: Duration,
}

/// How many of what are kept, and for how long.
pub(super) struct Limits {
    pub(super) entries: usize,
    pub(super) negative: usize,
    pub(super) idle: usize,
    pub(super) lifetime: Duration,
}

/// What a record is worked on with.
#[derive(Clone, Copy)]
pub(super) struct With<'a> {
    pub(super) records: &'a Records,
    pub(super) table: &'a ForwardingTable,
    pub(super) interfaces: &'a Interfaces,
}

impl With<'_> {
    fn owners(&self) -> &Owners {
        self.table.owners()
    }
}

/// What became of the wish to make an entry.
pub(super) enum Begun {
    /// There is one.
    Live(FlowState),
    /// Somebody is making it.
    Building,
    /// The forwarding table has one that is not the manager's.
    Foreign,
    /// The caller is to make it.
    Started,
}

/// Every flow that has an entry, is getting one, or has counters that are kept.
pub(super) struct Flows {
    records: BTreeMap<Flow, Record>,
    limits: Limits,
    clock: Arc<Clock>,
    /// What is counted of flows before packets find their entries.
    counts: WorkerCounters,
    pub(super) incidents: Incidents,
    /// What owners of incoming interfaces are to be told.
    transitions: Vec<Transition>,
    /// Orders events of the lists below.
    events: u64,
    deadlines: BTreeSet<(Duration, Flow)>,
    negative: BTreeMap<u64, Flow>,
    idle: BTreeMap<u64, Flow>,
    /// Which entries have to do with which interface.
    mentions: BTreeSet<(InterfaceNumber, Flow)>,
    /// Which entries wait for an interface that was never taken.
    unknown: BTreeSet<(Interface, Flow)>,
}

impl Flows {
    pub(super) fn new(limits: Limits, clock: Arc<Clock>, counts: WorkerCounters) -> Flows {
        Flows {
            records: BTreeMap::new(),
            limits,
            clock,
            counts,
            incidents: Incidents::default(),
            transitions: Vec::new(),
            events: 0,
            deadlines: BTreeSet::new(),
            negative: BTreeMap::new(),
            idle: BTreeMap::new(),
            mentions: BTreeSet::new(),
            unknown: BTreeSet::new(),
        }
    }

    /// Starts to make an entry, unless there is one or somebody else does.
    pub(super) fn begin(&mut self, flow: Flow, with: With<'_>) -> Begun {
        let mut reader = with.table.reader();
        let found = reader.lookup(&flow).is_some();
        drop(reader);
        match self.records.get(&flow).map(|record| &record.life) {
            Some(Life::Building { .. }) => return Begun::Building,
            // `found`: the table is open to others, and they may have withdrawn what was published here.
            Some(Life::Entry(entry)) if found && entry.upstream.holds(with.owners()) => {
                return Begun::Live(state_now(&entry.outgoing, with.owners()));
            }
            Some(Life::Entry(_)) => self.end(flow, with),
            _ if found => return Begun::Foreign,
            _ => {}
        }
        let record = self.records.entry(flow).or_insert(Record {
            number: None,
            outgoing: Vec::new(),
            early: (0, 0),
            said: Said::default(),
            life: Life::Idle { since: 0 },
        });
        if let Life::Idle { since } = record.life {
            self.idle.remove(&since);
        }
        record.life = Life::Building { acted: BTreeSet::new() };
        Begun::Started
    }

    /// Gives up making an entry.
    pub(super) fn abandon(&mut self, flow: Flow, with: With<'_>) {
        if matches!(self.records.get(&flow), Some(Record { life: Life::Building { .. }, .. })) {
            self.end(flow, with);
        }
    }

    /// Notes that the owners are being asked about a flow, and says which outgoing interfaces it would have.
    pub(super) fn ask(&mut self, flow: Flow, upstream: &Upstream, with: With<'_>) -> Vec<Outgoing> {
        match self.records.get_mut(&flow) {
            Some(record) if matches!(record.life, Life::Building { .. }) => {
                record.life = Life::Building { acted: BTreeSet::new() };
                record.said.outgoing(&flow, upstream, with.records, with.owners())
            }
            _ => Vec::new(),
        }
    }

    /// Makes the entry of a flow whose owners have been asked: its state; `None` when the upstream does not hold any more
    /// and everything has to be asked again.
    pub(super) fn finish(
        &mut self,
        flow: Flow,
        upstream: Upstream,
        path: PathInfo,
        vetoes: &[(Share, Stamp)],
        with: With<'_>,
    ) -> Result<Option<FlowState>, PublishError> {
        match upstream {
            Upstream::Known { incoming, .. } => mention(incoming.interface, with),
            Upstream::Unknown(interface) if with.interfaces.find(interface).is_some() => return Ok(None),
            _ => {}
        }
        if !upstream.holds(with.owners()) {
            return Ok(None);
        }
        let number = self.number(flow, with)?;
        let Some(record) = self.records.get_mut(&flow) else { return Ok(None) };
        let Life::Building { acted } = &record.life else { return Ok(None) };
        record.said.interfaces().for_each(|number| mention(number, with));
        for (share, stamp) in vetoes {
            if !acted.contains(share) && stamp.holds(with.owners()) {
                record.said.veto(*share, *stamp);
            }
        }
        let mut outgoing = record.said.outgoing(&flow, &upstream, with.records, with.owners());
        count(&mut record.outgoing, &mut outgoing, with.table);
        if let Err(refused) = with.table.publish(Entry::new(flow, number, upstream.incoming(), &outgoing)) {
            if record.number.is_none() {
                close(number, &mut record.outgoing, with.table);
            }
            return Err(refused);
        }
        record.number = Some(number);
        count_early(&mut self.counts, record, number);
        let made = self.clock.now();
        let deadline = made.saturating_add(self.limits.lifetime);
        let state = state(&outgoing);
        self.events += 1;
        let life = self.events;
        if let (FlowState::Negative, Some(incoming)) = (state, upstream.incoming()) {
            self.transitions.push(Transition { flow, life, incoming, negative: true });
        }
        record.life = Life::Entry(Box::new(Published {
            life,
            upstream,
            path,
            outgoing,
            made,
            deadline,
            negative: None,
            mentioned: BTreeSet::new(),
        }));
        self.deadlines.insert((deadline, flow));
        self.clock.wake_at(self.next_deadline());
        if let Upstream::Unknown(interface) = upstream {
            self.unknown.insert((interface, flow));
        }
        self.listed(flow, with);
        Ok(Some(state))
    }

    /// The number of a flow, its own or a new one, for which the oldest flows without an entry make room; but not when the
    /// table has none for the entry either.
    fn number(&mut self, flow: Flow, with: With<'_>) -> Result<FlowNumber, PublishError> {
        if let Some(number) = self.records.get(&flow).and_then(|record| record.number) {
            return Ok(number);
        }
        loop {
            let full = match with.table.open_number() {
                Ok(number) => return Ok(number),
                Err(full) => full,
            };
            match self.idle.first_key_value() {
                Some((_, oldest)) if with.table.len() < self.limits.entries => {
                    let oldest = *oldest;
                    self.forget(oldest, with);
                }
                _ => return Err(full),
            }
        }
    }

    /// An owner acts on its share: what it said before on the flows that a membership covers yields.
    pub(super) fn act(&mut self, flow: Flow, share: Share, action: Action) {
        let Some(record) = self.records.get_mut(&flow) else { return };
        match &mut record.life {
            Life::Idle { .. } => return,
            Life::Building { acted } => {
                acted.insert(share);
            }
            Life::Entry(_) => {}
        }
        record.said.act(share, action);
    }

    /// Publishes a flow's entry anew if it is not what the records say any more.
    pub(super) fn renew(&mut self, flow: Flow, with: With<'_>) {
        let Some(Record { number, outgoing: counted, said, life: Life::Entry(entry), .. }) =
            self.records.get_mut(&flow)
        else {
            return;
        };
        said.forget_dead(with.owners());
        let mut outgoing = said.outgoing(&flow, &entry.upstream, with.records, with.owners());
        count(counted, &mut outgoing, with.table);
        let (Some(number), true) = (*number, entry.upstream.holds(with.owners())) else {
            return self.end(flow, with);
        };
        if outgoing != entry.outgoing {
            let renewed = Entry::new(flow, number, entry.upstream.incoming(), &outgoing);
            // When it cannot be published, it must not stay as it is either: the next packet has it made again.
            if with.table.replace(renewed).is_err() {
                self.incidents.entries_withdrawn += 1;
                return self.end(flow, with);
            }
            let before = std::mem::replace(&mut entry.outgoing, outgoing);
            if before.is_empty() != entry.outgoing.is_empty()
                && let Some(incoming) = entry.upstream.incoming()
            {
                let negative = entry.outgoing.is_empty();
                self.transitions.push(Transition { flow, life: entry.life, incoming, negative });
            }
        }
        self.listed(flow, with);
    }

    /// Counts packets of a flow that came before it had an entry: at once, or when it gets the one that is being made.
    pub(super) fn count_upcalls(&mut self, flow: Flow, uninitialized: u64, overflow: u64) {
        let Some(record) = self.records.get_mut(&flow) else { return };
        record.early.0 += uninitialized;
        record.early.1 += overflow;
        if let Some(number) = record.number {
            count_early(&mut self.counts, record, number);
        }
    }

    /// The transitions since the last call.
    pub(super) fn take_transitions(&mut self) -> Vec<Transition> {
        std::mem::take(&mut self.transitions)
    }

    /// Has a negative entry live so long from now on, if it is still that entry.
    pub(super) fn set_timeout(&mut self, flow: Flow, life: u64, timeout: Duration) {
        let Some(Record { life: Life::Entry(entry), .. }) = self.records.get_mut(&flow) else { return };
        if entry.life != life || entry.negative.is_none() {
            return;
        }
        self.deadlines.remove(&(entry.deadline, flow));
        entry.made = self.clock.now();
        entry.deadline = entry.made.saturating_add(timeout);
        self.deadlines.insert((entry.deadline, flow));
        self.clock.wake_at(self.next_deadline());
    }

    /// Brings the lists in line with a flow's entry.
    fn listed(&mut self, flow: Flow, with: With<'_>) {
        let Some(Record { said, life: Life::Entry(entry), .. }) = self.records.get_mut(&flow) else { return };
        let incoming = entry.upstream.incoming().map(|incoming| incoming.interface);
        let outgoing = entry.outgoing.iter().map(|outgoing| outgoing.interface);
        let mentioned: BTreeSet<_> = incoming.into_iter().chain(outgoing).chain(said.interfaces()).collect();
        for gone in entry.mentioned.difference(&mentioned) {
            self.mentions.remove(&(*gone, flow));
        }
        for new in mentioned.difference(&entry.mentioned) {
            mention(*new, with);
            self.mentions.insert((*new, flow));
        }
        entry.mentioned = mentioned;
        match (entry.outgoing.is_empty(), entry.negative) {
            (true, None) => {
                self.events += 1;
                entry.negative = Some(self.events);
                self.negative.insert(self.events, flow);
            }
            (false, Some(event)) => {
                self.negative.remove(&event);
                entry.negative = None;
            }
            _ => {}
        }
        if self.negative.len() > self.limits.negative
            && let Some((_, oldest)) = self.negative.first_key_value()
        {
            let oldest = *oldest;
            self.incidents.negative_evicted += 1;
            self.end(oldest, with);
        }
    }

    /// Ends a flow's entry if its incoming interface has changed hands.
    pub(super) fn end_if_dead(&mut self, flow: Flow, with: With<'_>) {
        if let Some(Record { life: Life::Entry(entry), .. }) = self.records.get(&flow)
            && !entry.upstream.holds(with.owners())
        {
            self.end(flow, with);
        }
    }

    /// Ends a flow's entry, or the making of one; its counters are kept.
    fn end(&mut self, flow: Flow, with: With<'_>) {
        let Some(record) = self.records.get_mut(&flow) else { return };
        if let Life::Entry(entry) = &record.life {
            with.table.withdraw(&flow);
            self.deadlines.remove(&(entry.deadline, flow));
            if let Some(event) = entry.negative {
                self.negative.remove(&event);
            }
            if let Upstream::Unknown(interface) = entry.upstream {
                self.unknown.remove(&(interface, flow));
            }
            for number in &entry.mentioned {
                self.mentions.remove(&(*number, flow));
            }
        }
        record.said = Said::default();
        self.events += 1;
        record.life = Life::Idle { since: self.events };
        if record.number.is_none() {
            self.records.remove(&flow);
            return;
        }
        self.idle.insert(self.events, flow);
        if self.idle.len() > self.limits.idle
            && let Some((_, oldest)) = self.idle.first_key_value()
        {
            let oldest = *oldest;
            self.forget(oldest, with);
        }
    }

    /// Forgets an idle flow and its counters.
    fn forget(&mut self, flow: Flow, with: With<'_>) {
        if let Some(Record { life: Life::Idle { since }, .. }) = self.records.get(&flow) {
            self.idle.remove(since);
            if let Some(Record { number: Some(number), mut outgoing, .. }) = self.records.remove(&flow) {
                close(number, &mut outgoing, with.table);
                self.incidents.flows_forgotten += 1;
            }
        }
    }

    /// The flows that a membership covers and that have an entry or are getting one.
    pub(super) fn covered(&self, membership: super::Membership) -> Vec<Flow> {
        use super::Membership::{AnySource, Everything, OneSource};
        let active =
            |(flow, record): (&Flow, &Record)| (!matches!(record.life, Life::Idle { .. })).then_some(*flow);
        match membership {
            OneSource(flow) => self.records.get_key_value(&flow).and_then(active).into_iter().collect(),
            AnySource(group) => {
                let from = Flow::first_of(group.address());
                let of_group =
                    self.records.range(from..).take_while(|(flow, _)| flow.group() == group.address());
                of_group.filter_map(active).collect()
            }
            Everything(family) => {
                let of_family = self.records.iter().filter(|(flow, _)| flow.family() == family);
                of_family.filter_map(active).collect()
            }
        }
    }

    /// The flows whose entry has to do with an interface.
    pub(super) fn mentioning(&self, number: InterfaceNumber) -> Vec<Flow> {
        let from = self.mentions.range((number, Flow::first_of(IpAddr::from([0; 4])))..);
        from.take_while(|(n, _)| *n == number).map(|(_, flow)| *flow).collect()
    }

    pub(super) fn is_mentioned(&self, number: InterfaceNumber) -> bool {
        let from = (number, Flow::first_of(IpAddr::from([0; 4])));
        self.mentions.range(from..).next().is_some_and(|(n, _)| *n == number)
    }

    /// Ends the entries that wait for an interface to be taken.
    pub(super) fn interface_taken(&mut self, interface: Interface, with: With<'_>) {
        let from = self.unknown.range((interface, Flow::first_of(IpAddr::from([0; 4])))..);
        let waiting: Vec<Flow> = from.take_while(|(i, _)| *i == interface).map(|(_, flow)| *flow).collect();
        for flow in waiting {
            self.end(flow, with);
        }
    }

    /// Ends the entries whose lifetime is over.
    pub(super) fn expire(&mut self, with: With<'_>) {
        while let Some((deadline, flow)) = self.deadlines.first().copied()
            && deadline <= self.clock.now()
        {
            self.end(flow, with);
        }
        self.clock.wake_at(self.next_deadline());
    }

    pub(super) fn next_deadline(&self) -> Option<Duration> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// Ends every entry.
    pub(super) fn flush(&mut self, with: With<'_>) {
        while let Some((_, flow)) = self.deadlines.first().copied() {
            self.end(flow, with);
        }
    }

    /// The entries behind a flow, or all of them, in the order of flows.
    pub(super) fn entries(
        &self,
        after: Option<Flow>,
        owners: &Owners,
    ) -> impl Iterator<Item = EntryView<'_>> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.records
            .range((from, Bound::Unbounded))
            .filter_map(|(flow, record)| record.view(*flow))
            .filter(|entry| entry.upstream.holds(owners))
    }

    /// The entry of a flow.
    pub(super) fn entry(&self, flow: &Flow, owners: &Owners) -> Option<EntryView<'_>> {
        self.records.get(flow)?.view(*flow).filter(|entry| entry.upstream.holds(owners))
    }

    /// At most `most` entries behind a flow, or of all of them: each with its life and what the routes said of its source.
    pub(super) fn routed_after(
        &self,
        after: Option<Flow>,
        most: usize,
    ) -> Vec<(Flow, u64, Option<ReversePath>)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let entries =
            self.records.range((from, Bound::Unbounded)).filter_map(|(flow, record)| match &record.life {
                Life::Entry(entry) => Some((*flow, entry.life, entry.path.routed)),
                _ => None,
            });
        entries.take(most).collect()
    }

    /// The routes say something else of an entry's source, if it is still that entry. It ends when that is another
    /// interface; whether it has.
    pub(super) fn reroute(
        &mut self,
        flow: Flow,
        life: u64,
        routed: Option<ReversePath>,
        with: With<'_>,
    ) -> bool {
        let Some(Record { life: Life::Entry(entry), .. }) = self.records.get_mut(&flow) else { return false };
        if entry.life != life {
            return false;
        }
        let before = std::mem::replace(&mut entry.path.routed, routed);
        let towards = |path: Option<ReversePath>| {
            path.map(|path| path.interface).filter(|interface| interface.family() == flow.family())
        };
        if towards(before) != towards(routed) {
            self.end(flow, with);
            return true;
        }
        // What a client has put in its place stays.
        let (neighbour, route) = (|path: ReversePath| path.neighbour, |path: ReversePath| path.route);
        if entry.path.neighbour == before.and_then(neighbour) {
            entry.path.neighbour = routed.and_then(neighbour);
        }
        if entry.path.route == before.and_then(route) {
            entry.path.route = routed.and_then(route);
        }
        false
    }

    /// What an entry has to say of the way to its source, to be changed.
    pub(super) fn path_mut(&mut self, flow: &Flow) -> Option<&mut PathInfo> {
        match self.records.get_mut(flow) {
            Some(Record { life: Life::Entry(entry), .. }) => Some(&mut entry.path),
            _ => None,
        }
    }
}

impl Record {
    fn view(&self, flow: Flow) -> Option<EntryView<'_>> {
        let Life::Entry(entry) = &self.life else { return None };
        Some(EntryView {
            flow,
            number: self.number,
            upstream: entry.upstream,
            path: entry.path,
            outgoing: &entry.outgoing,
            made: entry.made,
            deadline: entry.deadline,
        })
    }
}

/// The state of an entry some of whose interfaces may have changed hands and not been swept yet.
fn state_now(outgoing: &[Outgoing], owners: &Owners) -> FlowState {
    let alive = outgoing.iter().any(|out| out.stamp.holds(owners));
    if alive { FlowState::Active } else { FlowState::Negative }
}

fn state(outgoing: &[Outgoing]) -> FlowState {
    if outgoing.is_empty() { FlowState::Negative } else { FlowState::Active }
}

/// Counts what came before the flow had a number.
fn count_early(counts: &mut WorkerCounters, record: &mut Record, number: FlowNumber) {
    // Most flows have none: the memory of what is counted seldom is left alone.
    if record.early != (0, 0) {
        let (uninitialized, overflow) = std::mem::take(&mut record.early);
        counts.add(number, Counter::Uninitialized, uninitialized);
        counts.add(number, Counter::QueueOverflow, overflow);
    }
}

/// Has the copies to each interface counted, under the number they were counted under before if they were.
fn count(
    counted: &mut Vec<(InterfaceNumber, OutgoingNumber)>,
    outgoing: &mut [Outgoing],
    table: &ForwardingTable,
) {
    for outgoing in outgoing {
        let at = counted.binary_search_by_key(&outgoing.interface, |(interface, _)| *interface);
        let at = at.unwrap_or_else(|at| {
            counted.insert(at, (outgoing.interface, table.open_outgoing_number()));
            at
        });
        outgoing.number = counted[at].1;
    }
}

/// Gives the numbers of a flow back.
fn close(number: FlowNumber, counted: &mut Vec<(InterfaceNumber, OutgoingNumber)>, table: &ForwardingTable) {
    table.close_number(number);
    for (_, number) in counted.drain(..) {
        table.close_outgoing_number(number);
    }
}

/// Has whoever changes the interface's owner words from now on sweep it.
fn mention(number: InterfaceNumber, with: With<'_>) {
    if let Some(record) = with.interfaces.get(number) {
        record.set_in_use(true);
    }
}
