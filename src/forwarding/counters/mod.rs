//! Counters of flows: a shard of counters for each worker, indexed by an identifier that lives as long as the flow.

pub(super) mod counter_id;
mod counter_line;
mod counter_shards;
mod generations;
mod line_alloc;
pub(super) mod oif_counters;
mod state;
#[cfg(test)]
mod tests;
mod totals;
mod worker;

pub(super) use counter_line::CurrentLine;
pub(super) use counter_shards::{CounterShard, OIF_DISCARDS};
pub use totals::{FlowCounter, FlowTotals, OifCounter, OifTotals};
pub use worker::WorkerCounters;

use super::error::PublishError;
use crate::memory::NoMemory;
use crate::sync::Arc;
use counter_id::{FlowCounterId, OifCounterId};
use counter_line::HOT;
use counter_shards::{COLD, OIF_COLD};
use state::CounterState;
use std::fmt;

/// The counters of a table's flows. A clone refers to the same counters.
///
/// A plane counts through a [`WorkerCounters`] for each of its threads. Any thread reads the sums, with the identifiers
/// that the entries carry:
///
/// ```
/// # use mgm::forwarding::{Entry, ForwardingTable};
/// fn report(table: &ForwardingTable, entry: &Entry) {
///     let counters = table.counters();
///     println!("{}: {} packets", entry.flow(), counters.totals(entry.counter()).packets);
///     for outgoing in entry.outgoing() {
///         println!("  to {:?}: {} copies", outgoing.interface, counters.oif_totals(outgoing.counter).packets);
///     }
/// }
/// ```
#[derive(Clone)]
pub struct Counters {
    state: Arc<CounterState>,
}

impl Counters {
    /// Makes the counters of at most `max_flows` flows at a time.
    pub(super) fn new(max_flows: u32) -> Counters {
        Counters { state: Arc::new(CounterState::new(max_flows)) }
    }

    /// Returns counters for a new worker. It adopts the shard of a worker that was dropped, if there is one. May block:
    /// call it when a worker starts. If the allocator refuses the memory, the process aborts.
    #[must_use]
    pub fn worker(&self) -> WorkerCounters {
        let mut control = self.state.control.lock();
        let lines = control.lines.len();
        let shard = control.idle.pop().unwrap_or_else(|| {
            // Reserves the memory that dropping the worker needs.
            let shards = self.state.shards.iter().count() + 1;
            control.idle.reserve(shards);
            let made = self.state.shards.push(lines, &self.state.generations);
            made.unwrap_or_else(|NoMemory| {
                std::alloc::handle_alloc_error(std::alloc::Layout::new::<CounterShard>())
            })
        });
        drop(control);
        WorkerCounters::new(shard, self.state.clone())
    }

    /// Returns the counters of a flow, summed over all workers, dropped ones included. Wait-free; it delays no worker.
    ///
    /// The sums are exact once the workers rest. While they count, each counter has a value that it had during the
    /// call. A freed identifier keeps its counts until it is allocated again.
    #[must_use]
    pub fn totals(&self, id: FlowCounterId) -> FlowTotals {
        let (mut hot, mut cold) = ([0_u64; HOT], [0_u64; COLD]);
        for shard in self.state.shards.iter() {
            let counts = shard.read(id.line);
            add(&mut hot, counts.0);
            add(&mut cold, counts.1);
        }
        let [packets, octets, copies] = hot;
        let [wrong_interface, no_receivers, discards, header_errors, queue_overflow, uninitialized] = cold;
        FlowTotals {
            packets,
            octets,
            wrong_interface,
            no_receivers,
            copies,
            queue_overflow,
            uninitialized,
            discards,
            header_errors,
        }
    }

    /// Returns the counters of one outgoing interface of a flow, as [`totals`](Self::totals). Wait-free.
    #[must_use]
    pub fn oif_totals(&self, id: OifCounterId) -> OifTotals {
        let (mut packets, mut cold) = (0_u64, [0_u64; OIF_COLD]);
        for shard in self.state.shards.iter() {
            let counts = shard.read_oif(id);
            packets = packets.wrapping_add(counts.0);
            add(&mut cold, counts.1);
        }
        let [ttl_too_low, fragmentation_needed, discards] = cold;
        OifTotals { packets, ttl_too_low, fragmentation_needed, discards }
    }

    /// Allocates the counters of a new flow, all at zero.
    pub(super) fn alloc(&self) -> Result<FlowCounterId, PublishError> {
        let mut control = self.state.control.lock();
        let max_flows = control.max_flows;
        let full = PublishError::Full(max_flows);
        if control.flows >= max_flows {
            return Err(full);
        }
        let id = control.lines.alloc_flow(|lines| self.make_room(lines))?.ok_or(full)?;
        control.flows += 1;
        self.state.generations.note(id.line);
        Ok(id)
    }

    /// Frees the counters of a flow and of its outgoing interfaces. Returns `false` if they were free already.
    pub(super) fn free(&self, flow: FlowCounterId) -> bool {
        let mut control = self.state.control.lock();
        let freed = control.lines.free_flow(flow);
        control.flows -= u32::from(freed);
        freed
    }

    /// Allocates the counters of an outgoing interface of a flow, all at zero; none if the flow's own counters are
    /// free.
    pub(super) fn alloc_oif(&self, flow: FlowCounterId) -> Result<OifCounterId, NoMemory> {
        let id = self.state.control.lock().lines.alloc_oif(flow, |lines| self.make_room(lines))?;
        if id != OifCounterId::NONE {
            self.state.generations.note(id.line());
        }
        Ok(id)
    }

    /// Frees the counters of an outgoing interface. Returns `false` if they were free already.
    pub(super) fn free_oif(&self, id: OifCounterId) -> bool {
        self.state.control.lock().lines.free_oif(id)
    }

    /// Makes room for this number of lines in every shard, before any thread can know the new identifier: workers never
    /// allocate.
    fn make_room(&self, lines: usize) -> Result<(), NoMemory> {
        self.state.generations.make_room(u32::try_from(lines).map_err(|_| NoMemory)?)?;
        self.state.shards.iter().try_for_each(|shard| shard.make_room(lines))
    }
}

impl fmt::Debug for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counters").finish_non_exhaustive()
    }
}

fn add<const N: usize>(sum: &mut [u64; N], counts: [u64; N]) {
    sum.iter_mut().zip(counts).for_each(|(sum, count)| *sum = sum.wrapping_add(count));
}
