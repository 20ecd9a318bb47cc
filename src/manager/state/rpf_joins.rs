//! [`RpfJoins`]: the RPF interface of each flow that is joined by name, and the client that was told of it.
//!
//! The client that decides about packets arriving on the RPF interface is told when any other client counts for (s,g), and
//! told again when none does or when another client decides. Since the client that was told last is kept here, joins and
//! prunes alternate for each client and flow, whatever changes in between.

use super::{BySource, Network};
use crate::forwarding::Flow;
use crate::handle::Handle;
use crate::manager::Interface;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

/// What is kept of one flow that is joined by name.
#[derive(Clone, Copy, Default)]
pub(in crate::manager) struct RpfJoin {
    /// The answer of the routes at the first join, or after their last change.
    pub(in crate::manager) interface: Option<Interface>,
    /// The client that was told last of a join, and of no prune since.
    pub(in crate::manager) told: Option<Handle>,
}

/// The flows that are joined by name. See the top of this file.
#[derive(Default)]
pub(in crate::manager) struct RpfJoins {
    flows: BTreeMap<BySource, RpfJoin>,
    by_interface: BTreeMap<Interface, BTreeSet<Flow>>,
}

impl RpfJoins {
    pub(in crate::manager) fn get(&self, flow: Flow) -> Option<RpfJoin> {
        self.flows.get(&BySource(flow)).copied()
    }

    /// Sets the RPF interface of a flow, which is joined from now on if it was not.
    pub(in crate::manager) fn set_interface(&mut self, flow: Flow, interface: Option<Interface>) {
        let before =
            std::mem::replace(&mut self.flows.entry(BySource(flow)).or_default().interface, interface);
        self.unlist(flow, before);
        if let Some(interface) = interface {
            self.by_interface.entry(interface).or_default().insert(flow);
        }
    }

    /// Notes which client was told last.
    pub(in crate::manager) fn set_told(&mut self, flow: Flow, told: Option<Handle>) {
        if let Some(join) = self.flows.get_mut(&BySource(flow)) {
            join.told = told;
        }
    }

    /// Forgets a flow that is not joined any more.
    pub(in crate::manager) fn remove(&mut self, flow: Flow) {
        if let Some(join) = self.flows.remove(&BySource(flow)) {
            self.unlist(flow, join.interface);
        }
    }

    fn unlist(&mut self, flow: Flow, interface: Option<Interface>) {
        let Some(interface) = interface else { return };
        if let Entry::Occupied(mut flows) = self.by_interface.entry(interface) {
            flows.get_mut().remove(&flow);
            if flows.get().is_empty() {
                flows.remove();
            }
        }
    }

    /// Returns at most `max` of the flows with a source in a network, in the order of sources: those after a flow, or the first.
    pub(in crate::manager) fn in_network(
        &self,
        network: Network,
        after: Option<Flow>,
        max: usize,
    ) -> Vec<Flow> {
        self.flows.range(network.flows(after)).take(max).map(|(BySource(flow), _)| *flow).collect()
    }

    /// Returns the flows with this RPF interface.
    pub(in crate::manager) fn through(&self, interface: Interface) -> Vec<Flow> {
        self.by_interface.get(&interface).into_iter().flatten().copied().collect()
    }

    /// Returns whether any flow has this RPF interface.
    pub(in crate::manager) fn mentions(&self, interface: Interface) -> bool {
        self.by_interface.contains_key(&interface)
    }
}
