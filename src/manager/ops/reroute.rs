//! Following a change of the routes.

use super::locked::LockedState;
use crate::forwarding::{Family, Flow};
use crate::manager::state::Network;
use crate::manager::{GroupManager, Interface, Membership, ReversePath};
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

/// The number of changes of the routes.
///
/// Entries are made of answers that the routes gave before the membership lock was taken. A thread that finds under the lock
/// that the routes have changed since asks again; a thread that changes them later finds the entry. All accesses are
/// `SeqCst` and pair with each other: none of these paths is hot.
#[derive(Default)]
pub(in crate::manager) struct RouteVersion(AtomicU64);

impl RouteVersion {
    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// The number of entries or memberships that are processed under the lock at a time.
const PAGE: usize = 256;

/// The number of times that routes which keep changing are asked again.
const MAX_ATTEMPTS: usize = 8;

impl GroupManager {
    /// Follows a change of the routes for the sources that `affected` selects. Asks the
    /// [`RpfLookup`](crate::manager::RpfLookup) about each such source that has entries, and ends the entries that
    /// need another incoming interface now, so that their next packet has them made again and their owners asked. Returns the number
    /// of entries ended.
    ///
    /// Clients are not notified of the end of these entries. Where an affected source is joined by name, the owner of the
    /// former RPF interface gets a prune alert and the owner of the new one a join alert, as far as other clients have joined
    /// (see [`Client`](crate::manager::Client#joins-and-prunes-alternate)). Neighbour and route are updated where no client replaced them. An entry that is being
    /// made at the same time follows the new routes.
    ///
    /// The routes are asked on this thread, with no lock held. May wait for the membership lock.
    ///
    /// Source: RFC 2715 section 3 leaves the consequences of such a change to the components; an entry may be deleted at any
    /// time.
    ///
    /// ```
    /// # use mgm::manager::GroupManager;
    /// # fn example(manager: &GroupManager) {
    /// // Every route may have changed.
    /// manager.routes_changed(|_source| true);
    /// # }
    /// ```
    pub fn routes_changed(&self, affected: impl Fn(IpAddr) -> bool) -> usize {
        self.reroute(None, affected)
    }

    /// Follows a change of the routes to one network, as [`routes_changed`](Self::routes_changed) does. `address` is any address
    /// of the network, and `prefix_length` the number of its bits that the network has in common: at most 32 for IPv4 and 128 for
    /// IPv6. A greater number stands for the address alone. Returns the number of entries ended.
    ///
    /// Costs in proportion to the entries and the joined sources of the network, however many others there are;
    /// `routes_changed` looks at all.
    ///
    /// The routes are asked on this thread, with no lock held. May wait for the membership lock.
    ///
    /// ```
    /// # use mgm::manager::GroupManager;
    /// # fn example(manager: &GroupManager) {
    /// // The route to 192.0.2.0/24 has changed.
    /// manager.routes_changed_in([192, 0, 2, 0].into(), 24);
    /// # }
    /// ```
    pub fn routes_changed_in(&self, address: IpAddr, prefix_length: u8) -> usize {
        self.reroute(Some(Network::new(address, prefix_length)), |_| true)
    }

    /// Follows a change of the routes for the sources in `network`, or in any, that `affected` selects.
    fn reroute(&self, network: Option<Network>, affected: impl Fn(IpAddr) -> bool) -> usize {
        self.route_version.0.fetch_add(1, Ordering::SeqCst);
        let mut answers = HashMap::new();
        let (mut after, mut ended) = (None, 0);
        loop {
            let page = {
                let mut state = self.state.lock();
                let page = state.flows.routed_after(network, after, PAGE);
                state.looks += page.len() as u64;
                page
            };
            let Some((last, ..)) = page.last() else { break };
            after = Some(*last);
            let mut moved = Vec::new();
            for (flow, entry_id, before) in page {
                let source = flow.source();
                // `None`: the source is not affected, or the routes panicked.
                let ask = || affected(source).then(|| self.try_reverse_path(source)).flatten();
                if let Some(now) = *answers.entry(source).or_insert_with(ask)
                    && now != before
                {
                    moved.push((flow, entry_id, now));
                }
            }
            let mut state = self.state.lock();
            let (flows, ctx) = self.split(&mut state);
            let reroute = |(flow, entry_id, now): &(Flow, u64, _)| flows.reroute(*flow, *entry_id, *now, ctx);
            ended += moved.into_iter().filter(reroute).count();
        }
        self.reroute_joined(network, affected);
        ended
    }

    /// Asks the routes about the sources in `network`, or in any, that are joined by name, and notifies the owners of their RPF
    /// interfaces.
    pub(super) fn reroute_joined(&self, network: Option<Network>, affected: impl Fn(IpAddr) -> bool) {
        let mut after = None;
        loop {
            let page = {
                let mut state = self.state.lock();
                let page = match network {
                    Some(network) => state.rpf_joins.in_network(network, after, PAGE),
                    None => state.members.one_source_after(after, PAGE),
                };
                state.looks += page.len() as u64;
                page
            };
            let Some(last) = page.last() else { return };
            after = Some(*last);
            let page: Vec<Flow> = page.into_iter().filter(|flow| affected(flow.source())).collect();
            for _ in 0..MAX_ATTEMPTS {
                let version = self.route_version.get();
                let answers: BTreeMap<Flow, Option<Interface>> =
                    page.iter().map(|flow| (*flow, self.rpf_interface(flow.source()))).collect();
                let done = self.update_state(|locked| {
                    // Asks again after another change: of two concurrent answers the later one has to count.
                    let current = self.route_version.get() == version;
                    if current {
                        answers.iter().for_each(|(flow, rpf)| self.reroute_source(locked, *flow, *rpf));
                    }
                    current
                });
                if done {
                    break;
                }
            }
        }
    }

    /// Sets the RPF interface of a flow that is joined by name. If another client than before decides about the flow's packets
    /// then, notifies both.
    fn reroute_source(&self, locked: &mut LockedState<'_>, flow: Flow, rpf_interface: Option<Interface>) {
        // Ends as the loop of `check_owner` does.
        while self.sweep_dead(locked, Membership::OneSource(flow), None) {}
        if let Some(before) = locked.state.rpf_joins.get(flow) {
            self.set_rpf_interface(locked, flow, rpf_interface);
            self.settle_told_at(locked, flow, before.interface);
        }
    }

    /// Asks the routes for the reverse path to a source; `None` when they panicked. Must be called with no lock held.
    fn try_reverse_path(&self, source: IpAddr) -> Option<Option<ReversePath>> {
        self.clients.runner.run("the RPF lookup", || self.routes.reverse_path(source))
    }

    /// Asks the routes for the reverse path to a source. Must be called with no lock held.
    pub(super) fn reverse_path(&self, source: IpAddr) -> Option<ReversePath> {
        self.try_reverse_path(source).flatten()
    }

    /// Asks the routes for the RPF interface of a source. A route through an interface of another family counts as none. Must
    /// be called with no lock held.
    pub(super) fn rpf_interface(&self, source: IpAddr) -> Option<Interface> {
        let interface = self.reverse_path(source)?.interface;
        Some(interface).filter(|interface| interface.family() == Family::of(source))
    }
}
