//! Ending entries, and forgetting idle flows.

use super::record::{FlowRecord, Phase, free_counters};
use super::{FlowContext, FlowOverrides, FlowTable, Upstream};
use crate::forwarding::Flow;
use crate::manager::Interface;
use crate::manager::state::BySource;
use std::net::IpAddr;

impl FlowTable {
    /// Ends a flow's entry, or the making of one. The flow keeps its counters.
    pub(super) fn end(&mut self, flow: Flow, ctx: FlowContext<'_>) {
        let Some(record) = self.records.get_mut(&flow) else { return };
        if let Phase::Entry(entry) = &record.phase {
            ctx.table.withdraw(&flow);
            self.deadlines.remove(&(entry.deadline, flow));
            self.by_source.remove(&BySource(flow));
            self.quotas.remove(entry.quota, entry.negative);
            if let Some(event) = entry.negative {
                self.negative.remove(&event);
            }
            if let Upstream::Unknown(interface) = entry.upstream {
                self.unknown.remove(&(interface, flow));
            }
            for vif in record.mentioned(entry) {
                self.mentions.remove(&(vif, flow));
            }
        }
        record.overrides = FlowOverrides::default();
        self.events += 1;
        record.phase = Phase::Idle { since: self.events };
        if record.counter.is_none() {
            self.records.remove(&flow);
            return;
        }
        self.idle.insert(self.events, flow);
        if self.idle.len() > self.limits.idle
            && let Some((_, oldest)) = self.idle.first_key_value()
        {
            let oldest = *oldest;
            self.forget(oldest, ctx);
        }
    }

    /// Forgets an idle flow and frees its counters.
    pub(super) fn forget(&mut self, flow: Flow, ctx: FlowContext<'_>) {
        if let Some(FlowRecord { phase: Phase::Idle { since }, .. }) = self.records.get(&flow) {
            self.idle.remove(since);
            if let Some(FlowRecord { counter: Some(counter), mut oif_counters, .. }) =
                self.records.remove(&flow)
            {
                free_counters(counter, &mut oif_counters, ctx.table);
                self.limit_counters.flows_forgotten += 1;
            }
        }
    }

    /// Ends a flow's entry if the owner of its incoming interface has changed.
    pub(in crate::manager) fn end_if_dead(&mut self, flow: Flow, ctx: FlowContext<'_>) {
        if let Some(FlowRecord { phase: Phase::Entry(entry), .. }) = self.records.get(&flow)
            && !entry.upstream.is_current(ctx.owners())
        {
            self.end(flow, ctx);
        }
    }

    /// Ends the entries that wait for an interface, because it was taken.
    pub(in crate::manager) fn interface_taken(&mut self, interface: Interface, ctx: FlowContext<'_>) {
        let from = self.unknown.range((interface, Flow::first_of(IpAddr::from([0; 4])))..);
        let waiting: Vec<Flow> = from.take_while(|(i, _)| *i == interface).map(|(_, flow)| *flow).collect();
        for flow in waiting {
            self.end(flow, ctx);
        }
    }

    /// Ends the entries that have reached the end of their lifetime.
    pub(in crate::manager) fn expire(&mut self, ctx: FlowContext<'_>) {
        while let Some((deadline, flow)) = self.deadlines.first().copied()
            && deadline <= self.clock.now()
        {
            self.end(flow, ctx);
        }
        self.clock.wake_at(self.next_deadline());
    }

    /// Ends every entry.
    pub(in crate::manager) fn flush(&mut self, ctx: FlowContext<'_>) {
        while let Some((_, flow)) = self.deadlines.first().copied() {
            self.end(flow, ctx);
        }
    }
}
