//! Keeping the entry of a flow in line with the memberships and the overrides.

use super::overrides::{Action, View};
use super::record::{FlowRecord, Phase, counter_of};
use super::{FlowContext, FlowTable, MemberFilter, Transition};
use crate::forwarding::{Flow, PublishError, VifIndex};
use crate::manager::state::RoleKey;
use crate::memory;
use std::time::Duration;

/// Why an entry may have to change at one interface.
#[derive(Clone, Copy)]
pub(in crate::manager) enum Reason<'a> {
    /// The interface is being swept.
    Swept,
    /// An owner acted in this role, and memberships may have changed.
    Acted(RoleKey, &'a [Option<Action>]),
}

impl FlowTable {
    /// Applies the actions of an owner to a flow that its membership covers, or removes the dead overrides of an interface that
    /// is being swept. Then publishes the flow's entry again if memberships and overrides ask for another one.
    ///
    /// Only one interface of the entry can change: the membership's, or the swept one. What an entry has of other interfaces
    /// changes with their own memberships and sweeps. So the cost hardly depends on how many interfaces the entry has. An entry
    /// ends when its successor cannot be published.
    pub(in crate::manager) fn renew(
        &mut self,
        flow: Flow,
        vif: VifIndex,
        reason: Reason<'_>,
        ctx: FlowContext<'_>,
    ) {
        let Some(FlowRecord { counter, oif_counters, overrides, phase, .. }) = self.records.get_mut(&flow)
        else {
            return;
        };
        if let Reason::Acted(key, actions) = reason {
            match phase {
                Phase::Idle { .. } => return,
                Phase::Building { acted } => _ = acted.insert(key),
                Phase::Entry(_) => {}
            }
            actions.iter().flatten().for_each(|action| overrides.apply(key, *action));
        }
        let Phase::Entry(entry) = phase else { return };
        if let Reason::Swept = reason {
            overrides.remove_dead(vif, ctx.owners());
        }
        let filter =
            if planted!("republish-live") { MemberFilter::Live } else { MemberFilter::IncludeUnswept };
        let (Some(counter), true) = (*counter, entry.upstream.is_current(ctx.owners())) else {
            return self.end(flow, ctx);
        };
        let view = View { owners: ctx.owners(), filter };
        let wanted = overrides.outgoing_at(vif, &flow, &entry.upstream, ctx.members, view);
        let was_negative = entry.paths.is_empty();
        if wanted != entry.paths.stamp_of(vif) {
            let transitions = &mut self.transitions;
            let mut change = || {
                let outgoing = match wanted {
                    Some(stamp) => Some((stamp, counter_of(oif_counters, vif, counter, ctx)?)),
                    None => None,
                };
                if entry.paths.len() < 2 {
                    memory::reserve(transitions, 1)?;
                }
                ctx.table.change(&flow, &entry.paths, vif, outgoing)
            };
            let Ok::<_, PublishError>(paths) = change() else {
                // The old entry must not stay either: the next packet has the entry made again.
                self.limit_counters.entries_withdrawn += 1;
                return self.end(flow, ctx);
            };
            entry.paths = paths;
        }
        let incoming = entry.upstream.incoming();
        if wanted.is_some() || incoming.is_some_and(|i| i.interface == vif) || overrides.has(vif) {
            if self.mentions.insert((vif, flow)) {
                ctx.mark_in_use(vif);
            }
        } else {
            self.mentions.remove(&(vif, flow));
        }
        let negative = entry.paths.is_empty();
        if negative != was_negative {
            if let Some(incoming) = incoming {
                self.transitions.push(Transition { flow, entry_id: entry.id, incoming, negative });
            }
            self.note_state(flow, ctx);
        }
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

    /// Lists the interfaces that a new entry depends on.
    pub(super) fn mention_all(&mut self, flow: Flow, ctx: FlowContext<'_>) {
        let Some(record @ FlowRecord { phase: Phase::Entry(entry), .. }) = self.records.get(&flow) else {
            return;
        };
        for vif in record.mentioned(entry) {
            ctx.mark_in_use(vif);
            self.mentions.insert((vif, flow));
        }
    }

    /// Brings the list of negative entries in line with a flow's entry.
    pub(super) fn note_state(&mut self, flow: Flow, ctx: FlowContext<'_>) {
        let Some(FlowRecord { phase: Phase::Entry(entry), .. }) = self.records.get_mut(&flow) else {
            return;
        };
        let mut evicted = None;
        match (entry.paths.is_empty(), entry.negative) {
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
