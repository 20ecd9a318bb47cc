//! Making the entry of a new flow, from the first packet to the publication.

use super::overrides::View;
use super::record::{FlowRecord, Phase, PublishedEntry, counter_of, free_counters, live_state};
use super::{FlowContext, FlowTable, MemberFilter, PathInfo, Transition, Upstream};
use crate::faults;
use crate::forwarding::{Flow, FlowCounterId, NewEntry, Outgoing, PublishError, SharedPaths, Stamp};
use crate::manager::FlowState;
use crate::manager::points;
use crate::manager::state::{BySource, QuotaKey, RoleKey};
use crate::memory::{self, NoMemory};
use std::collections::BTreeSet;

/// The outcome of the attempt to begin an entry.
pub(in crate::manager) enum BeginOutcome {
    /// The flow has an entry.
    Live(FlowState),
    /// Another thread is making the entry.
    Building,
    /// The forwarding table has an entry that the manager did not publish.
    Foreign,
    /// The caller has to make the entry.
    Started,
}

impl FlowTable {
    /// Begins to make an entry, unless there is one or another thread is making it.
    ///
    /// # Errors
    /// [`NoMemory`].
    pub(in crate::manager) fn begin(
        &mut self,
        flow: Flow,
        ctx: FlowContext<'_>,
    ) -> Result<BeginOutcome, NoMemory> {
        let mut reader = ctx.table.reader();
        let found = reader.lookup(&flow).is_some();
        drop(reader);
        match self.records.get(&flow).map(|record| &record.phase) {
            Some(Phase::Building { .. }) => return Ok(BeginOutcome::Building),
            // `found`: an entry may have been withdrawn behind the manager's back.
            Some(Phase::Entry(entry)) if found && entry.upstream.is_current(ctx.owners()) => {
                return Ok(BeginOutcome::Live(live_state(&entry.paths, ctx.owners())));
            }
            Some(Phase::Entry(_)) => {
                memory::room_for_records()?;
                self.end(flow, ctx);
            }
            _ if found => return Ok(BeginOutcome::Foreign),
            _ => memory::room_for_records()?,
        }
        let record = self.records.entry(flow).or_insert_with(FlowRecord::new);
        if let Phase::Idle { since } = record.phase {
            self.idle.remove(&since);
        }
        record.phase = Phase::Building { acted: BTreeSet::new() };
        Ok(BeginOutcome::Started)
    }

    /// Gives up making an entry.
    pub(in crate::manager) fn abandon(&mut self, flow: Flow, ctx: FlowContext<'_>) {
        if matches!(self.records.get(&flow), Some(FlowRecord { phase: Phase::Building { .. }, .. })) {
            self.end(flow, ctx);
        }
    }

    /// Returns the outgoing interfaces that the flow would have, and notes that their owners are being asked.
    ///
    /// # Errors
    /// [`NoMemory`].
    pub(in crate::manager) fn propose(
        &mut self,
        flow: Flow,
        upstream: &Upstream,
        ctx: FlowContext<'_>,
    ) -> Result<Vec<Outgoing>, NoMemory> {
        match self.records.get_mut(&flow) {
            Some(record) if matches!(record.phase, Phase::Building { .. }) => {
                record.phase = Phase::Building { acted: BTreeSet::new() };
                let view = View { owners: ctx.owners(), filter: MemberFilter::Live };
                record.overrides.outgoing(&flow, upstream, ctx.members, view)
            }
            _ => Ok(Vec::new()),
        }
    }

    /// Publishes the entry of a flow after its owners were asked, and returns its state. Returns `None` when the upstream is not
    /// current any more: then everything has to be asked again.
    ///
    /// # Errors
    /// [`PublishError`].
    pub(in crate::manager) fn publish(
        &mut self,
        flow: Flow,
        upstream: Upstream,
        path: PathInfo,
        vetoes: &[(RoleKey, Stamp)],
        arrival: QuotaKey,
        ctx: FlowContext<'_>,
    ) -> Result<Option<FlowState>, PublishError> {
        match upstream {
            Upstream::Known { incoming, .. } => ctx.mark_in_use(incoming.interface),
            Upstream::Unknown(interface) if ctx.interfaces.find(interface).is_some() => return Ok(None),
            _ => {}
        }
        if !upstream.is_current(ctx.owners()) {
            return Ok(None);
        }
        // The interface that the packet arrived on may have lost its place.
        let arrival = arrival.filter(|vif| ctx.interfaces.get(*vif).is_some());
        let quota = arrival.or(upstream.incoming().map(|incoming| incoming.interface));
        self.check_quota(quota)?;
        let counter = self.counter(flow, ctx).inspect_err(|_| self.limit_counters.entries_refused += 1)?;
        let Some(record) = self.records.get_mut(&flow) else { return Ok(None) };
        let Phase::Building { acted } = &record.phase else { return Ok(None) };
        record.overrides.interfaces().for_each(|vif| ctx.mark_in_use(vif));
        for (key, stamp) in vetoes {
            if !acted.contains(key) && stamp.is_current(ctx.owners()) {
                record.overrides.veto(*key, *stamp);
            }
        }
        let made = self.clock.now();
        let deadline = made.saturating_add(self.limits.lifetime);
        let entry = PublishedEntry {
            id: self.events + 1,
            quota,
            upstream,
            path,
            paths: SharedPaths::default(),
            made,
            deadline,
            negative: None,
        };
        let transitions = &mut self.transitions;
        let publish = || {
            let overrides = &record.overrides;
            let view = View { owners: ctx.owners(), filter: MemberFilter::Live };
            let mut outgoing = overrides.outgoing(&flow, &upstream, ctx.members, view)?;
            for out in &mut outgoing {
                out.counter = counter_of(&mut record.oif_counters, out.interface, counter, ctx)?;
            }
            let mut entry = memory::boxed(entry)?;
            if outgoing.is_empty() {
                memory::reserve(transitions, 1)?;
            }
            let new = NewEntry::new(flow, counter, upstream.incoming(), &outgoing);
            entry.paths = ctx.table.publish_shared(new)?;
            Ok(entry)
        };
        let entry = match publish() {
            Ok(entry) => entry,
            Err(refused) => {
                if record.counter.is_none() {
                    free_counters(counter, &mut record.oif_counters, ctx.table);
                }
                let no_room = matches!(refused, PublishError::Full(_) | PublishError::Crowded(_));
                self.limit_counters.entries_refused += u64::from(no_room);
                return Err(refused);
            }
        };
        faults::point(points::FLOW_UNLISTED);
        record.counter = Some(counter);
        record.count_early(&mut self.counts, counter);
        let state = if entry.paths.is_empty() { FlowState::Negative } else { FlowState::Active };
        self.events += 1;
        let entry_id = entry.id;
        if let (FlowState::Negative, Some(incoming)) = (state, upstream.incoming()) {
            self.transitions.push(Transition { flow, entry_id, incoming, negative: true });
        }
        self.quotas.add(quota);
        record.phase = Phase::Entry(entry);
        self.deadlines.insert((deadline, flow));
        self.by_source.insert(BySource(flow));
        self.clock.wake_at(self.next_deadline());
        if let Upstream::Unknown(interface) = upstream {
            self.unknown.insert((interface, flow));
        }
        self.mention_all(flow, ctx);
        self.note_state(flow, ctx);
        Ok(Some(state))
    }

    /// Checks that an interface's quota has room for another entry.
    ///
    /// # Errors
    /// [`PublishError::Full`].
    pub(in crate::manager) fn check_quota(&mut self, key: QuotaKey) -> Result<(), PublishError> {
        let max = self.limits.entries_per_interface;
        if self.quotas.entries(key) < max {
            return Ok(());
        }
        self.limit_counters.entries_refused_of_interface += 1;
        Err(PublishError::Full(u32::try_from(max).unwrap_or(u32::MAX)))
    }

    /// Returns the counter of a flow: its own, or a new one. The oldest idle flows make room for a new one, but not when
    /// the table has no room for the entry either.
    fn counter(&mut self, flow: Flow, ctx: FlowContext<'_>) -> Result<FlowCounterId, PublishError> {
        if let Some(counter) = self.records.get(&flow).and_then(|record| record.counter) {
            return Ok(counter);
        }
        loop {
            let full = match ctx.table.alloc_counter() {
                Ok(counter) => return Ok(counter),
                Err(PublishError::NoMemory) => return Err(PublishError::NoMemory),
                Err(full) => full,
            };
            match self.idle.first_key_value() {
                Some((_, oldest)) if ctx.table.len() < self.limits.entries => {
                    let oldest = *oldest;
                    self.forget(oldest, ctx);
                }
                _ => return Err(full),
            }
        }
    }

    /// Counts packets of a flow that arrived before it had an entry: at once, or when the entry that is being made is
    /// published.
    pub(in crate::manager) fn count_upcalls(&mut self, flow: Flow, uninitialized: u64, overflow: u64) {
        let Some(record) = self.records.get_mut(&flow) else { return };
        record.early.uninitialized += uninitialized;
        record.early.overflow += overflow;
        if let Some(counter) = record.counter {
            record.count_early(&mut self.counts, counter);
        }
    }
}
