//! [`StaticEntry`]: flows that are forwarded without any receiver's report, named by prefixes.
//!
//! The manager has no memberships of ranges. So the client that owns the incoming interface answers the manager's question
//! about each new flow: if an entry covers the flow, it adds a membership of this very flow on each outgoing interface, before
//! the manager computes the flow's entry. It remembers these flows, so that their memberships end with the flow.

use crate::forwarding::Flow;
use crate::handle::Handle;
use crate::manager::{Client, GroupManager, Interface, Membership, ReversePathQuestion, StateChange};
use crate::rpf::Prefix;
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock, Weak};

/// Forwards the packets of a range of sources to a range of groups.
///
/// Of several entries that cover a flow the one with the longest group prefix decides, then that with the longest source prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaticEntry {
    /// The sources: a prefix of length 0 for all of a family.
    pub source: Prefix,
    /// The groups.
    pub group: Prefix,
    /// The interface on which the packets have to arrive. The client has to own it, and the interface towards the source too.
    pub incoming: Interface,
    /// The interfaces that the packets are copied to. The client has to own them.
    pub outgoing: Vec<Interface>,
}

impl StaticEntry {
    /// Returns whether the entry covers a flow.
    #[must_use]
    pub fn covers(&self, flow: &Flow) -> bool {
        self.source.contains(flow.source()) && self.group.contains(flow.group())
    }
}

/// The flows that entries forward at present, and what was refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StaticFlows {
    /// The number of flows that entries forward.
    pub flows: usize,
    /// The number of new flows refused because the limit was reached.
    pub refused: u64,
    /// The number of memberships that the manager refused.
    pub failed: u64,
}

/// The client that the manager asks.
pub(super) struct EntryClient {
    manager: Weak<GroupManager>,
    handle: OnceLock<Handle>,
    state: Mutex<State>,
    limit: usize,
}

#[derive(Default)]
struct State {
    /// In the order in which they decide.
    entries: Arc<[StaticEntry]>,
    flows: BTreeMap<Flow, Forwarded>,
    /// The joins for one source that a caller named, which do not end with a flow.
    joined: BTreeSet<(Interface, Flow)>,
    counts: StaticFlows,
}

/// A flow that an entry covers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Forwarded {
    outgoing: BTreeSet<Interface>,
    /// Whether the manager had no entry of the flow at the last look. A new flow has none before its first is published.
    unseen: bool,
}

impl EntryClient {
    pub(super) fn new(manager: &Arc<GroupManager>, limit: usize) -> EntryClient {
        EntryClient {
            manager: Arc::downgrade(manager),
            handle: OnceLock::new(),
            state: Mutex::default(),
            limit,
        }
    }

    /// Notes that a caller named a membership, or takes it back.
    pub(super) fn note_join(&self, interface: Interface, membership: Membership, joins: bool) {
        if let Membership::OneSource(flow) = membership {
            let mut state = self.state.lock();
            if joins {
                state.joined.insert((interface, flow));
            } else {
                state.joined.remove(&(interface, flow));
            }
        }
    }

    /// Returns whether an entry needs a membership, so that it has to stay when a caller takes its own back.
    pub(super) fn needs(&self, interface: Interface, membership: Membership) -> bool {
        let Membership::OneSource(flow) = membership else { return false };
        self.state.lock().flows.get(&flow).is_some_and(|flow| flow.outgoing.contains(&interface))
    }

    pub(super) fn counts(&self) -> StaticFlows {
        let state = self.state.lock();
        StaticFlows { flows: state.flows.len(), ..state.counts }
    }

    /// Replaces the entries. Flows that exist follow at once.
    pub(super) fn set_entries(&self, mut entries: Vec<StaticEntry>) {
        entries.sort_by_key(|entry| std::cmp::Reverse((entry.group.length(), entry.source.length())));
        let entries: Arc<[StaticEntry]> = entries.into();
        let known: Vec<Flow> = {
            let mut state = self.state.lock();
            state.entries = entries.clone();
            state.flows.keys().copied().collect()
        };
        for flow in known {
            self.follow(flow);
        }
        // Flows that had no receivers before: the manager has a negative entry of each.
        let Some(manager) = self.manager.upgrade() else { return };
        let mut after = None;
        loop {
            let page = manager.entries_after(after, 256);
            let Some(last) = page.last() else { return };
            after = Some(last.flow);
            for record in page {
                let entry = entries.iter().find(|entry| entry.covers(&record.flow));
                if entry.is_some_and(|entry| record.incoming == Some(entry.incoming)) {
                    self.follow(record.flow);
                }
            }
        }
    }

    /// Ends the memberships of flows without an entry at this call and the one before. Returns their number.
    pub(super) fn forget_ended(&self) -> usize {
        let Some(manager) = self.manager.upgrade() else { return 0 };
        let known: Vec<Flow> = self.state.lock().flows.keys().copied().collect();
        let mut ended = 0;
        for flow in known {
            let exists = manager.entry(flow).is_some();
            let gone = {
                let mut state = self.state.lock();
                let Some(forwarded) = state.flows.get_mut(&flow) else { continue };
                let ends = !exists && forwarded.unseen;
                forwarded.unseen = !exists;
                if ends { state.flows.remove(&flow) } else { None }
            };
            if let Some(forwarded) = gone {
                self.apply(&manager, flow, &forwarded.outgoing, &BTreeSet::new());
                ended += 1;
            }
        }
        ended
    }

    /// Makes the memberships of a flow those that the entries want. Returns the interface where its packets have to arrive.
    fn follow(&self, flow: Flow) -> Option<Interface> {
        let manager = self.manager.upgrade()?;
        loop {
            let (incoming, before, after) = {
                let mut state = self.state.lock();
                let entry = state.entries.iter().find(|entry| entry.covers(&flow)).cloned();
                let is_new = !state.flows.contains_key(&flow);
                if entry.is_some() && is_new && state.flows.len() >= self.limit {
                    state.counts.refused += 1;
                    return None;
                }
                let outgoing = entry.iter().flat_map(|entry| entry.outgoing.iter().copied()).collect();
                let before = match entry {
                    Some(_) => {
                        let forwarded = Forwarded { outgoing, unseen: false };
                        state.flows.insert(flow, forwarded)
                    }
                    None => state.flows.remove(&flow),
                };
                let after = state.flows.get(&flow).cloned().unwrap_or_default().outgoing;
                (entry.map(|entry| entry.incoming), before.unwrap_or_default().outgoing, after)
            };
            // Without the lock: the manager calls other clients from inside, and they may report flows.
            self.apply(&manager, flow, &before, &after);
            let state = self.state.lock();
            let present = state.flows.get(&flow).map(|forwarded| &forwarded.outgoing);
            // Another thread may have changed the entries meanwhile: its changes may have come before these.
            if present.unwrap_or(&BTreeSet::new()) == &after {
                return incoming;
            }
        }
    }

    fn apply(
        &self,
        manager: &GroupManager,
        flow: Flow,
        before: &BTreeSet<Interface>,
        after: &BTreeSet<Interface>,
    ) {
        let Some(handle) = self.handle.get().copied() else { return };
        let membership = Membership::OneSource(flow);
        for interface in after {
            if manager.add_membership(handle, *interface, membership, StateChange::Join).is_err() {
                self.state.lock().counts.failed += 1;
            }
        }
        for interface in before.difference(after) {
            if !self.state.lock().joined.contains(&(*interface, flow)) {
                // Refused only where the interface is released: then the membership has ended.
                _ = manager.delete_membership(handle, *interface, membership, StateChange::Join);
            }
        }
    }
}

impl Client for EntryClient {
    fn registered(&self, handle: Handle) {
        // The manager calls this once.
        _ = self.handle.set(handle);
    }

    fn reverse_path(&self, question: &mut ReversePathQuestion<'_>) {
        if let Some(incoming) = self.follow(question.flow()) {
            question.set_path(question.path().with_interface(incoming));
        }
    }

    fn wants_present_joins(&self) -> bool {
        false
    }
}
