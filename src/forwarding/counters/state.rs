//! The state that a table's counters and its workers share.

use super::counter_shards::{CounterShard, CounterShards};
use super::generations::Generations;
use super::line_alloc::LineAllocator;
use crate::sync::{Arc, Mutex};

pub(super) struct CounterState {
    pub(super) shards: CounterShards,
    pub(super) generations: Arc<Generations>,
    pub(super) control: Mutex<Control>,
}

pub(super) struct Control {
    pub(super) lines: LineAllocator,
    /// The shards without a worker. Their counts stay, and the next worker adds to them.
    pub(super) idle: Vec<Arc<CounterShard>>,
    /// The number of flows with counters, and its maximum.
    pub(super) flows: u32,
    pub(super) max_flows: u32,
}

impl CounterState {
    pub(super) fn new(max_flows: u32) -> CounterState {
        let control = Control { lines: LineAllocator::new(), idle: Vec::new(), flows: 0, max_flows };
        CounterState {
            shards: CounterShards::default(),
            generations: Arc::default(),
            control: Mutex::new(control),
        }
    }
}
