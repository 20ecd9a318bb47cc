//! What is kept of one flow, and how its copies are counted.

use super::accounts::Account;
use crate::forwarding::{
    Counter, Flow, FlowCounterId, ForwardingTable, OifCounterId, Outgoing, VifIndex, WorkerCounters,
};
use crate::handle::OwnerWords;
use crate::manager::FlowState;
use crate::manager::records::Share;
use crate::manager::said::Said;
use crate::manager::upstream::{PathInfo, Upstream};
use crate::memory::{self, NoMemory};
use std::collections::BTreeSet;
use std::time::Duration;

pub(super) struct Published {
    /// No two entries have the same.
    pub(super) life: u64,
    /// On whose account it is kept.
    pub(super) account: Account,
    pub(super) upstream: Upstream,
    pub(super) path: PathInfo,
    pub(super) outgoing: Vec<Outgoing>,
    /// When its life began: when it was made, or when a client last set its time-out.
    pub(super) made: Duration,
    pub(super) deadline: Duration,
    /// When it became negative, in the order of such events.
    pub(super) negative: Option<u64>,
    pub(super) mentioned: BTreeSet<VifIndex>,
}

pub(super) enum Life {
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

pub(super) struct Record {
    pub(super) number: Option<FlowCounterId>,
    /// Under which numbers the copies to each interface are counted that was an outgoing one once, by interface.
    pub(super) outgoing: Vec<(VifIndex, OifCounterId)>,
    /// Packets to be counted once it has a number: those that came while the entry was being made, and those that found
    /// the queue full.
    pub(super) early: (u64, u64),
    pub(super) said: Said,
    pub(super) life: Life,
}

/// What a walk sees of an entry.
pub(in crate::manager) struct EntryView<'a> {
    pub(in crate::manager) flow: Flow,
    pub(in crate::manager) number: Option<FlowCounterId>,
    pub(in crate::manager) upstream: Upstream,
    pub(in crate::manager) path: PathInfo,
    pub(in crate::manager) outgoing: &'a [Outgoing],
    pub(in crate::manager) made: Duration,
    pub(in crate::manager) deadline: Duration,
}

impl Record {
    pub(super) fn view(&self, flow: Flow) -> Option<EntryView<'_>> {
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
pub(super) fn state_now(outgoing: &[Outgoing], owners: &OwnerWords) -> FlowState {
    let alive = outgoing.iter().any(|out| out.stamp.holds(owners));
    if alive { FlowState::Active } else { FlowState::Negative }
}

pub(super) fn state(outgoing: &[Outgoing]) -> FlowState {
    if outgoing.is_empty() { FlowState::Negative } else { FlowState::Active }
}

/// Counts what came before the flow had a number.
pub(super) fn count_early(counts: &mut WorkerCounters, record: &mut Record, number: FlowCounterId) {
    // Most flows have none: the memory of what is counted seldom is left alone.
    if record.early != (0, 0) {
        let (uninitialized, overflow) = std::mem::take(&mut record.early);
        counts.add(number, Counter::Uninitialized, uninitialized);
        counts.add(number, Counter::QueueOverflow, overflow);
    }
}

/// Has the copies to each interface counted, under the number they were counted under before if they were.
pub(super) fn count(
    counted: &mut Vec<(VifIndex, OifCounterId)>,
    outgoing: &mut [Outgoing],
    number: FlowCounterId,
    table: &ForwardingTable,
) -> Result<(), NoMemory> {
    for outgoing in outgoing {
        let at = counted.binary_search_by_key(&outgoing.interface, |(interface, _)| *interface);
        if let Err(at) = at {
            memory::reserve(counted, 1)?;
            counted.insert(at, (outgoing.interface, table.alloc_oif_counter(number)?));
        }
        let (Ok(at) | Err(at)) = at;
        outgoing.number = counted[at].1;
    }
    Ok(())
}

/// Gives the numbers of a flow back.
pub(super) fn close(
    number: FlowCounterId,
    counted: &mut Vec<(VifIndex, OifCounterId)>,
    table: &ForwardingTable,
) {
    for (_, number) in counted.drain(..) {
        table.close_outgoing_number(number);
    }
    table.free_counter(number);
}
