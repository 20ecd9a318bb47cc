//! Keeping the entry of a flow in line with the memberships and the overrides.

use super::overrides::Action;
use super::record::{FlowRecord, Phase, assign_counters};
use super::{FlowContext, FlowTable, MemberFilter, Transition};
use crate::forwarding::{Flow, NewEntry, PublishError, VifIndex};
use crate::manager::state::RoleKey;
use crate::memory;
use std::collections::BTreeSet;
use std::time::Duration;

impl FlowTable {
    /// Applies an action of an owner to a flow that its membership covers.
    pub(in crate::manager) fn apply(&mut self, flow: Flow, key: RoleKey, action: Action) {
        let Some(record) = self.records.get_mut(&flow) else { return };
        match &mut record.phase {
            Phase::Idle { .. } => return,
            Phase::Building { acted } => {
                acted.insert(key);
            }
            Phase::Entry(_) => {}
        }
        record.overrides.apply(key, action);
    }

    /// Publishes a flow's entry again if it differs from what memberships and overrides ask for. `swept` is the interface
    /// that is being swept, if that is the reason. An entry ends when its successor cannot be published.
    pub(in crate::manager) fn renew(&mut self, flow: Flow, swept: Option<VifIndex>, ctx: FlowContext<'_>) {
        let Some(FlowRecord { counter, oif_counters, overrides, phase: Phase::Entry(entry), .. }) =
            self.records.get_mut(&flow)
        else {
            return;
        };
        if let Some(swept) = swept {
            overrides.remove_dead(swept, ctx.owners());
        }
        let filter =
            if planted!("republish-live") { MemberFilter::Live } else { MemberFilter::IncludeUnswept };
        let (Some(counter), true) = (*counter, entry.upstream.is_current(ctx.owners())) else {
            return self.end(flow, ctx);
        };
        let transitions = &mut self.transitions;
        let mut renew = || {
            let mut outgoing =
                overrides.outgoing(&flow, &entry.upstream, ctx.members, ctx.owners(), filter)?;
            assign_counters(oif_counters, &mut outgoing, counter, ctx)?;
            if outgoing != entry.outgoing {
                if outgoing.is_empty() != entry.outgoing.is_empty() {
                    memory::reserve(transitions, 1)?;
                }
                ctx.table.replace(NewEntry::new(flow, counter, entry.upstream.incoming(), &outgoing))?;
            }
            Ok::<_, PublishError>(outgoing)
        };
        let Ok(outgoing) = renew() else {
            // The old entry must not stay either: the next packet has the entry made again.
            self.limit_counters.entries_withdrawn += 1;
            return self.end(flow, ctx);
        };
        let before = std::mem::replace(&mut entry.outgoing, outgoing);
        if before.is_empty() != entry.outgoing.is_empty()
            && let Some(incoming) = entry.upstream.incoming()
        {
            let negative = entry.outgoing.is_empty();
            self.transitions.push(Transition { flow, entry_id: entry.id, incoming, negative });
        }
        self.update_lists(flow, ctx);
    }

    /// Sets the lifetime of a negative entry from now on, if it is still the entry with this id.
    pub(in crate::manager) fn set_timeout(&mut self, flow: Flow, entry_id: u64, timeout: Duration) {
        let Some(FlowRecord { phase: Phase::Entry(entry), .. }) = self.records.get_mut(&flow) else {
            return;
        };
        if entry.id != entry_id || entry.negative.is_none() {
            return;
        }
        self.deadlines.remove(&(entry.deadline, flow));
        entry.made = self.clock.now();
        entry.deadline = entry.made.saturating_add(timeout);
        self.deadlines.insert((entry.deadline, flow));
        self.clock.wake_at(self.next_deadline());
    }

    /// Brings the lists of mentions and of negative entries in line with a flow's entry.
    pub(super) fn update_lists(&mut self, flow: Flow, ctx: FlowContext<'_>) {
        let Some(FlowRecord { overrides, phase: Phase::Entry(entry), .. }) = self.records.get_mut(&flow)
        else {
            return;
        };
        let incoming = entry.upstream.incoming().map(|incoming| incoming.interface);
        let outgoing = entry.outgoing.iter().map(|outgoing| outgoing.interface);
        let mentioned: BTreeSet<_> =
            incoming.into_iter().chain(outgoing).chain(overrides.interfaces()).collect();
        for gone in entry.mentioned.difference(&mentioned) {
            self.mentions.remove(&(*gone, flow));
        }
        for new in mentioned.difference(&entry.mentioned) {
            ctx.mark_in_use(*new);
            self.mentions.insert((*new, flow));
        }
        entry.mentioned = mentioned;
        let mut evicted = None;
        match (entry.outgoing.is_empty(), entry.negative) {
            (true, None) => {
                self.events += 1;
                entry.negative = Some(self.events);
                self.negative.insert(self.events, flow);
                let max = self.limits.negative_per_interface;
                evicted = self.quotas.became_negative(entry.quota, self.events, flow, max);
            }
            (false, Some(event)) => {
                self.negative.remove(&event);
                self.quotas.became_active(entry.quota, event);
                entry.negative = None;
            }
            _ => {}
        }
        if self.negative.len() > self.limits.negative {
            evicted = evicted.or(self.negative.first_key_value().map(|(_, oldest)| *oldest));
        }
        if let Some(oldest) = evicted {
            self.limit_counters.negative_evicted += 1;
            self.end(oldest, ctx);
        }
    }
}
