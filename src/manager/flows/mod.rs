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

mod accounts;
mod look;
mod record;

use super::clock::Clock;
use super::interfaces::Interfaces;
use super::records::{Records, Share};
use super::said::{Action, Said, Which};
use super::upstream::{PathInfo, Upstream};
use super::{FlowState, Interface};
use crate::faults;
use crate::forwarding::{
    Flow, FlowCounterId, ForwardingTable, Incoming, NewEntry, Outgoing, PublishError, Stamp, VifIndex,
    WorkerCounters,
};
use crate::handle::OwnerWords;
use crate::manager::points;
use crate::memory::{self, NoMemory};
pub(in crate::manager) use accounts::Account;
use accounts::Accounts;
pub(super) use record::EntryView;
use record::{Life, Published, Record, close, count, count_early, state, state_now};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// What a manager had to do for want of room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LimitCounters {
    /// Entries withdrawn because the forwarding table had no room for their successor, or there was no memory for it: their
    /// flow's next packet has them made anew.
    pub entries_withdrawn: u64,
    /// Times that a flow got no entry because the forwarding table was full (`ManagerConfig::entries`), or crowded
    /// ([`PublishError::Crowded`]).
    pub entries_refused: u64,
    /// Times that a flow got no entry because an interface had its share of them (`ManagerConfig::entries_per_interface`).
    pub entries_refused_of_interface: u64,
    /// Memberships that were refused (`ManagerConfig::memberships`, `memberships_per_interface`).
    pub memberships_refused: u64,
    /// Negative entries that made room for newer ones (`ManagerConfig::negative_entries`,
    /// `negative_entries_per_interface`).
    pub negative_evicted: u64,
    /// Flows without an entry whose counters were given up (`ManagerConfig::remembered_flows`).
    pub flows_forgotten: u64,
    /// Packets of flows without an entry that found the queue full, or their interface's share of it
    /// (`ManagerConfig::upcalls`, `upcalls_per_interface`).
    pub upcalls_refused: u64,
    /// Packets on the wrong interface that nobody was told of for want of room (`ManagerConfig::upcalls`,
    /// `upcalls_per_interface`).
    pub wrong_interface_refused: u64,
}

/// An entry has lost its last outgoing interface, or got its first.
pub(in crate::manager) struct Transition {
    pub(in crate::manager) flow: Flow,
    /// Which of the flow's entries.
    pub(in crate::manager) life: u64,
    pub(in crate::manager) incoming: Incoming,
    pub(in crate::manager) negative: bool,
}

/// How many of what are kept, and for how long.
pub(in crate::manager) struct Limits {
    pub(in crate::manager) entries: usize,
    pub(in crate::manager) entries_of_interface: usize,
    pub(in crate::manager) negative: usize,
    pub(in crate::manager) negative_of_interface: usize,
    pub(in crate::manager) idle: usize,
    pub(in crate::manager) lifetime: Duration,
}

/// What a record is worked on with.
#[derive(Clone, Copy)]
pub(in crate::manager) struct With<'a> {
    pub(in crate::manager) records: &'a Records,
    pub(in crate::manager) table: &'a ForwardingTable,
    pub(in crate::manager) interfaces: &'a Interfaces,
}

impl With<'_> {
    fn owners(&self) -> &OwnerWords {
        self.table.owners()
    }
}

/// What became of the wish to make an entry.
pub(in crate::manager) enum Begun {
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
pub(in crate::manager) struct Flows {
    records: BTreeMap<Flow, Record>,
    limits: Limits,
    clock: Arc<Clock>,
    /// What is counted of flows before packets find their entries.
    counts: WorkerCounters,
    pub(in crate::manager) limit_counters: LimitCounters,
    /// What owners of incoming interfaces are to be told.
    transitions: Vec<Transition>,
    /// Orders events of the lists below.
    events: u64,
    deadlines: BTreeSet<(Duration, Flow)>,
    negative: BTreeMap<u64, Flow>,
    idle: BTreeMap<u64, Flow>,
    accounts: Accounts,
    /// Which entries have to do with which interface.
    mentions: BTreeSet<(VifIndex, Flow)>,
    /// Which entries wait for an interface that was never taken.
    unknown: BTreeSet<(Interface, Flow)>,
}

impl Flows {
    pub(in crate::manager) fn new(limits: Limits, clock: Arc<Clock>, counts: WorkerCounters) -> Flows {
        Flows {
            records: BTreeMap::new(),
            limits,
            clock,
            counts,
            limit_counters: LimitCounters::default(),
            transitions: Vec::new(),
            events: 0,
            deadlines: BTreeSet::new(),
            negative: BTreeMap::new(),
            idle: BTreeMap::new(),
            accounts: Accounts::default(),
            mentions: BTreeSet::new(),
            unknown: BTreeSet::new(),
        }
    }

    /// Starts to make an entry, unless there is one or somebody else does.
    pub(in crate::manager) fn begin(&mut self, flow: Flow, with: With<'_>) -> Result<Begun, NoMemory> {
        let mut reader = with.table.reader();
        let found = reader.lookup(&flow).is_some();
        drop(reader);
        match self.records.get(&flow).map(|record| &record.life) {
            Some(Life::Building { .. }) => return Ok(Begun::Building),
            // `found`: the table is open to others, and they may have withdrawn what was published here.
            Some(Life::Entry(entry)) if found && entry.upstream.holds(with.owners()) => {
                return Ok(Begun::Live(state_now(&entry.outgoing, with.owners())));
            }
            Some(Life::Entry(_)) => {
                memory::room_for_records()?;
                self.end(flow, with);
            }
            _ if found => return Ok(Begun::Foreign),
            _ => memory::room_for_records()?,
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
        Ok(Begun::Started)
    }

    /// Gives up making an entry.
    pub(in crate::manager) fn abandon(&mut self, flow: Flow, with: With<'_>) {
        if matches!(self.records.get(&flow), Some(Record { life: Life::Building { .. }, .. })) {
            self.end(flow, with);
        }
    }

    /// Notes that the owners are being asked about a flow, and says which outgoing interfaces it would have.
    pub(in crate::manager) fn ask(
        &mut self,
        flow: Flow,
        upstream: &Upstream,
        with: With<'_>,
    ) -> Result<Vec<Outgoing>, NoMemory> {
        match self.records.get_mut(&flow) {
            Some(record) if matches!(record.life, Life::Building { .. }) => {
                record.life = Life::Building { acted: BTreeSet::new() };
                record.said.outgoing(&flow, upstream, with.records, with.owners(), Which::Live)
            }
            _ => Ok(Vec::new()),
        }
    }

    /// Makes the entry of a flow whose owners have been asked: its state; `None` when the upstream does not hold any more
    /// and everything has to be asked again.
    pub(in crate::manager) fn finish(
        &mut self,
        flow: Flow,
        upstream: Upstream,
        path: PathInfo,
        vetoes: &[(Share, Stamp)],
        arrival: Account,
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
        let account = arrival.or(upstream.incoming().map(|incoming| incoming.interface));
        self.check_account(account)?;
        let number = self.number(flow, with).inspect_err(|_| self.limit_counters.entries_refused += 1)?;
        let Some(record) = self.records.get_mut(&flow) else { return Ok(None) };
        let Life::Building { acted } = &record.life else { return Ok(None) };
        record.said.interfaces().for_each(|number| mention(number, with));
        for (share, stamp) in vetoes {
            if !acted.contains(share) && stamp.holds(with.owners()) {
                record.said.veto(*share, *stamp);
            }
        }
        let made = self.clock.now();
        let deadline = made.saturating_add(self.limits.lifetime);
        let mut published = Published {
            life: self.events + 1,
            account,
            upstream,
            path,
            outgoing: Vec::new(),
            made,
            deadline,
            negative: None,
            mentioned: BTreeSet::new(),
        };
        let transitions = &mut self.transitions;
        let publish = || {
            let said = &record.said;
            let mut outgoing = said.outgoing(&flow, &upstream, with.records, with.owners(), Which::Live)?;
            count(&mut record.outgoing, &mut outgoing, number, with.table)?;
            published.outgoing = outgoing;
            let published = memory::boxed(published)?;
            if published.outgoing.is_empty() {
                memory::reserve(transitions, 1)?;
            }
            let entry = NewEntry::new(flow, number, upstream.incoming(), &published.outgoing);
            with.table.publish(entry).map(|()| published)
        };
        let published = match publish() {
            Ok(published) => published,
            Err(refused) => {
                if record.number.is_none() {
                    close(number, &mut record.outgoing, with.table);
                }
                let no_room = matches!(refused, PublishError::Full(_) | PublishError::Crowded(_));
                self.limit_counters.entries_refused += u64::from(no_room);
                return Err(refused);
            }
        };
        faults::point(points::FLOW_UNLISTED);
        record.number = Some(number);
        count_early(&mut self.counts, record, number);
        let state = state(&published.outgoing);
        self.events += 1;
        let life = published.life;
        if let (FlowState::Negative, Some(incoming)) = (state, upstream.incoming()) {
            self.transitions.push(Transition { flow, life, incoming, negative: true });
        }
        self.accounts.open(account);
        record.life = Life::Entry(published);
        self.deadlines.insert((deadline, flow));
        self.clock.wake_at(self.next_deadline());
        if let Upstream::Unknown(interface) = upstream {
            self.unknown.insert((interface, flow));
        }
        self.listed(flow, with);
        Ok(Some(state))
    }

    /// Whether an account has room for another entry.
    pub(in crate::manager) fn check_account(&mut self, account: Account) -> Result<(), PublishError> {
        let most = self.limits.entries_of_interface;
        if self.accounts.entries(account) < most {
            return Ok(());
        }
        self.limit_counters.entries_refused_of_interface += 1;
        Err(PublishError::Full(u32::try_from(most).unwrap_or(u32::MAX)))
    }

    /// The number of a flow, its own or a new one, for which the oldest flows without an entry make room; but not when the
    /// table has none for the entry either.
    fn number(&mut self, flow: Flow, with: With<'_>) -> Result<FlowCounterId, PublishError> {
        if let Some(number) = self.records.get(&flow).and_then(|record| record.number) {
            return Ok(number);
        }
        loop {
            let full = match with.table.alloc_counter() {
                Ok(number) => return Ok(number),
                Err(PublishError::NoMemory) => return Err(PublishError::NoMemory),
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
    pub(in crate::manager) fn act(&mut self, flow: Flow, share: Share, action: Action) {
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

    /// Publishes a flow's entry anew if it is not what the records say any more; `swept` is the interface that is being
    /// swept, if that is why.
    pub(in crate::manager) fn renew(&mut self, flow: Flow, swept: Option<VifIndex>, with: With<'_>) {
        let Some(Record { number, outgoing: counted, said, life: Life::Entry(entry), .. }) =
            self.records.get_mut(&flow)
        else {
            return;
        };
        if let Some(swept) = swept {
            said.forget_dead(swept, with.owners());
        }
        let which = if planted!("republish-live") { Which::Live } else { Which::Kept };
        let (Some(number), true) = (*number, entry.upstream.holds(with.owners())) else {
            return self.end(flow, with);
        };
        let transitions = &mut self.transitions;
        let mut renew = || {
            let mut outgoing = said.outgoing(&flow, &entry.upstream, with.records, with.owners(), which)?;
            count(counted, &mut outgoing, number, with.table)?;
            if outgoing != entry.outgoing {
                if outgoing.is_empty() != entry.outgoing.is_empty() {
                    memory::reserve(transitions, 1)?;
                }
                with.table.replace(NewEntry::new(flow, number, entry.upstream.incoming(), &outgoing))?;
            }
            Ok::<_, PublishError>(outgoing)
        };
        let Ok(outgoing) = renew() else {
            // When it cannot be published, it must not stay as it is either: the next packet has it made again.
            self.limit_counters.entries_withdrawn += 1;
            return self.end(flow, with);
        };
        let before = std::mem::replace(&mut entry.outgoing, outgoing);
        if before.is_empty() != entry.outgoing.is_empty()
            && let Some(incoming) = entry.upstream.incoming()
        {
            let negative = entry.outgoing.is_empty();
            self.transitions.push(Transition { flow, life: entry.life, incoming, negative });
        }
        self.listed(flow, with);
    }

    /// Counts packets of a flow that came before it had an entry: at once, or when it gets the one that is being made.
    pub(in crate::manager) fn count_upcalls(&mut self, flow: Flow, uninitialized: u64, overflow: u64) {
        let Some(record) = self.records.get_mut(&flow) else { return };
        record.early.0 += uninitialized;
        record.early.1 += overflow;
        if let Some(number) = record.number {
            count_early(&mut self.counts, record, number);
        }
    }

    /// The transitions since the last call.
    pub(in crate::manager) fn take_transitions(&mut self) -> Vec<Transition> {
        std::mem::take(&mut self.transitions)
    }

    /// Has a negative entry live so long from now on, if it is still that entry.
    pub(in crate::manager) fn set_timeout(&mut self, flow: Flow, life: u64, timeout: Duration) {
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
        let mut too_many = None;
        match (entry.outgoing.is_empty(), entry.negative) {
            (true, None) => {
                self.events += 1;
                entry.negative = Some(self.events);
                self.negative.insert(self.events, flow);
                let most = self.limits.negative_of_interface;
                too_many = self.accounts.turned_negative(entry.account, self.events, flow, most);
            }
            (false, Some(event)) => {
                self.negative.remove(&event);
                self.accounts.turned_active(entry.account, event);
                entry.negative = None;
            }
            _ => {}
        }
        if self.negative.len() > self.limits.negative {
            too_many = too_many.or(self.negative.first_key_value().map(|(_, oldest)| *oldest));
        }
        if let Some(oldest) = too_many {
            self.limit_counters.negative_evicted += 1;
            self.end(oldest, with);
        }
    }

    /// Ends a flow's entry if its incoming interface has changed hands.
    pub(in crate::manager) fn end_if_dead(&mut self, flow: Flow, with: With<'_>) {
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
            self.accounts.close(entry.account, entry.negative);
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
                self.limit_counters.flows_forgotten += 1;
            }
        }
    }

    /// Ends the entries that wait for an interface to be taken.
    pub(in crate::manager) fn interface_taken(&mut self, interface: Interface, with: With<'_>) {
        let from = self.unknown.range((interface, Flow::first_of(IpAddr::from([0; 4])))..);
        let waiting: Vec<Flow> = from.take_while(|(i, _)| *i == interface).map(|(_, flow)| *flow).collect();
        for flow in waiting {
            self.end(flow, with);
        }
    }

    /// Ends the entries whose lifetime is over.
    pub(in crate::manager) fn expire(&mut self, with: With<'_>) {
        while let Some((deadline, flow)) = self.deadlines.first().copied()
            && deadline <= self.clock.now()
        {
            self.end(flow, with);
        }
        self.clock.wake_at(self.next_deadline());
    }

    pub(in crate::manager) fn next_deadline(&self) -> Option<Duration> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// Ends every entry.
    pub(in crate::manager) fn flush(&mut self, with: With<'_>) {
        while let Some((_, flow)) = self.deadlines.first().copied() {
            self.end(flow, with);
        }
    }
}

/// Has whoever changes the interface's owner words from now on sweep it.
fn mention(number: VifIndex, with: With<'_>) {
    if let Some(record) = with.interfaces.get(number) {
        record.set_in_use(true);
    }
}
