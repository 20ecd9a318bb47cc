//! The calls that bring the manager from one published interest in a group to another, and their order.
//!
//! Two rules determine the order:
//!
//! - A packet that is wanted before and after is wanted throughout: all additions come before all deletions.
//! - A JOIN add or delete makes the manager forget the client's FORWARD changes of the flows that the membership covers, and
//!   a JOIN add its vetoes too. So sources are blocked last, and blocked again if a covering membership came or went.
//!
//! Between a JOIN and the blocking, packets of a blocked source may pass. The creation alert keeps them out of entries made
//! meanwhile.

use super::hosts::Wanted;
use std::net::IpAddr;

/// A call of the manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// JOIN add of (*, g).
    AddAny,
    /// JOIN add of (s, g).
    Add(IpAddr),
    /// FORWARD add of (s, g): the source is not blocked any more.
    Unblock(IpAddr),
    /// JOIN delete of (s, g).
    Delete(IpAddr),
    /// JOIN delete of (*, g).
    DeleteAny,
    /// FORWARD delete of (s, g): the source is blocked.
    Block(IpAddr),
}

impl Step {
    /// Applies the call to the published interest.
    pub(super) fn apply(self, published: &mut Wanted) {
        match self {
            Step::AddAny | Step::DeleteAny => {
                published.any_source = self == Step::AddAny;
                published.blocked.clear();
            }
            Step::Add(source) => {
                published.sources.insert(source);
                published.blocked.remove(&source);
            }
            Step::Delete(source) => {
                published.sources.remove(&source);
                published.blocked.remove(&source);
            }
            Step::Unblock(source) => _ = published.blocked.remove(&source),
            Step::Block(source) => _ = published.blocked.insert(source),
        }
    }
}

/// Returns the calls that lead from the published to the wanted interest. If the published one is `stale`, they request
/// everything wanted again.
pub(super) fn steps(published: &Wanted, wanted: &Wanted, stale: bool) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut published = published.clone();
    let mut step = |published: &mut Wanted, step: Step| {
        step.apply(published);
        steps.push(step);
    };
    if wanted.any_source && (stale || !published.any_source) {
        step(&mut published, Step::AddAny);
    }
    for &source in &wanted.sources {
        if stale || !published.sources.contains(&source) {
            step(&mut published, Step::Add(source));
        }
    }
    if wanted.any_source {
        let unblocked: Vec<_> = published.blocked.difference(&wanted.blocked).copied().collect();
        unblocked.into_iter().for_each(|source| step(&mut published, Step::Unblock(source)));
    }
    let unwanted: Vec<_> = published.sources.difference(&wanted.sources).copied().collect();
    unwanted.into_iter().for_each(|source| step(&mut published, Step::Delete(source)));
    if published.any_source && !wanted.any_source {
        step(&mut published, Step::DeleteAny);
    }
    let blocked: Vec<_> = wanted.blocked.difference(&published.blocked).copied().collect();
    blocked.into_iter().for_each(|source| step(&mut published, Step::Block(source)));
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    fn source(n: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, n])
    }

    /// The entries of a group, one for each source, by the rules of the manager restated.
    #[derive(Default)]
    struct Entries {
        any_source: bool,
        sources: BTreeSet<IpAddr>,
        edits: BTreeMap<IpAddr, bool>,
        vetoes: BTreeSet<IpAddr>,
    }

    impl Entries {
        fn call(&mut self, step: Step) {
            match step {
                Step::AddAny => {
                    self.any_source = true;
                    self.edits.clear();
                    self.vetoes.clear();
                }
                Step::DeleteAny => {
                    self.any_source = false;
                    self.edits.clear();
                }
                Step::Add(source) => {
                    self.sources.insert(source);
                    self.edits.remove(&source);
                    self.vetoes.remove(&source);
                }
                Step::Delete(source) => {
                    self.sources.remove(&source);
                    self.edits.remove(&source);
                }
                Step::Unblock(source) => {
                    self.edits.insert(source, true);
                    self.vetoes.remove(&source);
                }
                Step::Block(source) => _ = self.edits.insert(source, false),
            }
        }

        fn forwards(&self, source: IpAddr) -> bool {
            let member = self.any_source || self.sources.contains(&source);
            self.edits.get(&source).copied().unwrap_or(member) && !self.vetoes.contains(&source)
        }
    }

    fn wants(wanted: &Wanted, source: IpAddr) -> bool {
        wanted.sources.contains(&source) || wanted.any_source && !wanted.blocked.contains(&source)
    }

    fn some() -> impl Strategy<Value = BTreeSet<IpAddr>> {
        prop::collection::btree_set((0..5u8).prop_map(source), 0..5)
    }

    fn wanted() -> impl Strategy<Value = Wanted> {
        (any::<bool>(), some(), some()).prop_map(|(any_source, sources, blocked)| {
            let blocked = if any_source { &blocked - &sources } else { BTreeSet::new() };
            Wanted { any_source, sources, blocked }
        })
    }

    proptest! {
        #[test]
        fn no_call_interrupts_a_flow_wanted_before_and_after(
            changes in prop::collection::vec((wanted(), any::<bool>()), 1..8),
            vetoes in some(),
        ) {
            let (mut entries, mut published) = (Entries::default(), Wanted::default());
            for (new, stale) in changes {
                for step in steps(&published, &new, stale) {
                    entries.call(step);
                    for source in (0..5).map(source).filter(|&s| wants(&published, s) && wants(&new, s)) {
                        prop_assert!(entries.forwards(source), "{source} lost at {step:?}");
                    }
                }
                for source in (0..5).map(source) {
                    prop_assert_eq!(entries.forwards(source), wants(&new, source), "{}", source);
                }
                prop_assert_eq!(entries.any_source, new.any_source);
                prop_assert_eq!(&entries.sources, &new.sources);
                prop_assert!(steps(&new, &new, false).is_empty());
                // Some of the entries may have been made after this change, with vetoes instead of edits.
                for source in vetoes.intersection(&new.blocked) {
                    entries.edits.remove(source);
                    entries.vetoes.insert(*source);
                }
                published = new;
            }
        }
    }

    #[test]
    fn the_steps_lead_to_the_wanted_interest() {
        let published = Wanted { any_source: true, sources: [source(1)].into(), blocked: [source(2)].into() };
        let new = Wanted { any_source: true, sources: [source(3)].into(), blocked: [source(4)].into() };
        let calls = steps(&published, &new, false);
        let (add, unblock, delete, block) = (Step::Add, Step::Unblock, Step::Delete, Step::Block);
        assert_eq!(calls, [add(source(3)), unblock(source(2)), delete(source(1)), block(source(4))]);
        let mut then = published;
        calls.into_iter().for_each(|step| step.apply(&mut then));
        assert_eq!(then, new);
    }
}
