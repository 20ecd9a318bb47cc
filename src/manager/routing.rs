//! What follows from a change of the routes.

use super::{GroupManager, Interface};
use crate::forwarding::Flow;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

/// How often the routes have changed. Entries are made of what the routes said before the membership lock was taken: who
/// finds there that they have changed since asks again, and who changed them afterwards finds the entry. All accesses are
/// `SeqCst`, for simplicity's sake: nobody is in a hurry here.
#[derive(Default)]
pub(super) struct Routing {
    changes: AtomicU64,
}

impl Routing {
    pub(super) fn changes(&self) -> u64 {
        self.changes.load(Ordering::SeqCst)
    }
}

/// So many entries, or memberships, are looked at under the lock at a time.
const AT_A_TIME: usize = 256;

/// How often routes are asked again that keep changing.
const ROUNDS: usize = 8;

impl GroupManager {
    /// The routes have changed for the sources that `affected` says: has the [`Routes`](super::Routes) asked about each of
    /// those that has entries, and ends the entries whose packets have to arrive elsewhere now, so that the next packet
    /// has them made anew and their owners asked. How many those were.
    ///
    /// Nobody is told of their end. But where a source is joined by name, the owner of the interface that was towards it gets
    /// a prune alert, and that of the other a join alert, unless they are one or the only one that has joined. What is merely
    /// said of the way, neighbour and route, is brought up to date where no client has put something else in its place. An
    /// entry that is being made at the same time is made of the new routes.
    ///
    /// The routes are asked on this thread, with no lock held. May wait for the membership lock.
    ///
    /// Source: RFC 2715 section 3 leaves what follows from such a change to the components; an entry may be deleted at any
    /// time.
    ///
    /// ```
    /// # use mgm::manager::GroupManager;
    /// # fn example(manager: &GroupManager) {
    /// // All of them may have changed.
    /// manager.routes_changed(|_source| true);
    /// # }
    /// ```
    pub fn routes_changed(&self, affected: impl Fn(IpAddr) -> bool) -> usize {
        self.routing.changes.fetch_add(1, Ordering::SeqCst);
        let mut answers = HashMap::new();
        let (mut after, mut ended) = (None, 0);
        loop {
            let page = self.state.lock().flows.routed_after(after, AT_A_TIME);
            let Some((last, ..)) = page.last() else { break };
            after = Some(*last);
            let mut moved = Vec::new();
            for (flow, life, before) in page {
                let source = flow.source();
                let ask = || {
                    let affected = affected(source);
                    affected.then(|| self.clients.code.run("the routes", || self.routes.reverse_path(source)))
                };
                // Neither asked nor answered where it is not affected, or where the routes panic.
                let answer = *answers.entry(source).or_insert_with(|| ask().flatten());
                if let Some(now) = answer
                    && now != before
                {
                    moved.push((flow, life, now));
                }
            }
            let mut state = self.state.lock();
            let (flows, with) = self.split(&mut state);
            ended +=
                moved.into_iter().filter(|(flow, life, now)| flows.reroute(*flow, *life, *now, with)).count();
        }
        self.turn_joined(affected);
        ended
    }

    /// Has the routes asked about the sources that are joined by name, and tells the owners of the interfaces towards them.
    pub(super) fn turn_joined(&self, affected: impl Fn(IpAddr) -> bool) {
        let mut after = None;
        loop {
            let page = self.state.lock().records.one_source_after(after, AT_A_TIME);
            let Some(last) = page.last() else { return };
            after = Some(*last);
            let page: Vec<Flow> = page.into_iter().filter(|flow| affected(flow.source())).collect();
            for _ in 0..ROUNDS {
                let changes = self.routing.changes();
                let answers: BTreeMap<Flow, Option<Interface>> =
                    page.iter().map(|flow| (*flow, self.towards(flow.source()))).collect();
                let mut change = self.change_state();
                // What has changed again is asked again: of two that were asked at once the later answer has to count.
                if self.routing.changes() == changes {
                    answers.iter().for_each(|(flow, towards)| self.turn(&mut change, *flow, *towards));
                    break;
                }
            }
        }
    }
}
