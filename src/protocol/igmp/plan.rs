//! From what the manager was told of a group to what it should be told: which calls, and in which order.
//!
//! Two rules make the order:
//!
//! - A packet that is wanted before and after is wanted throughout: whatever is added is added before anything is deleted.
//! - A JOIN add or delete makes the manager forget the client's FORWARD changes of the flows that the membership covers
//!   (and a JOIN add its vetoes): so sources are put off last, and put off again when a membership that covers them came
//!   or went.
//!
//! Between a JOIN and the putting off, packets of a source that is to be kept off may pass. The creation alert keeps
//! them off entries made meanwhile.

use super::hosts::Wanted;
use std::net::IpAddr;

/// One call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// JOIN add of (*, g).
    AddAny,
    /// JOIN add of (s, g).
    Add(IpAddr),
    /// FORWARD add of (s, g): a source kept off so far is let through.
    PutOn(IpAddr),
    /// JOIN delete of (s, g).
    Delete(IpAddr),
    /// JOIN delete of (*, g).
    DeleteAny,
    /// FORWARD delete of (s, g).
    PutOff(IpAddr),
}

impl Step {
    /// What the manager has been told after it, if it was so before.
    pub(super) fn apply(self, told: &mut Wanted) {
        match self {
            Step::AddAny | Step::DeleteAny => {
                told.any_source = self == Step::AddAny;
                told.kept_off.clear();
            }
            Step::Add(source) => {
                told.sources.insert(source);
                told.kept_off.remove(&source);
            }
            Step::Delete(source) => {
                told.sources.remove(&source);
                told.kept_off.remove(&source);
            }
            Step::PutOn(source) => _ = told.kept_off.remove(&source),
            Step::PutOff(source) => _ = told.kept_off.insert(source),
        }
    }
}

/// The calls that lead from one to the other. When what was told is not `certain` to hold still, everything wanted is said
/// again.
pub(super) fn steps(told: &Wanted, wanted: &Wanted, certain: bool) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut told = told.clone();
    let mut step = |told: &mut Wanted, step: Step| {
        step.apply(told);
        steps.push(step);
    };
    if wanted.any_source && !(certain && told.any_source) {
        step(&mut told, Step::AddAny);
    }
    for &source in &wanted.sources {
        if !(certain && told.sources.contains(&source)) {
            step(&mut told, Step::Add(source));
        }
    }
    if wanted.any_source {
        let let_through: Vec<_> = told.kept_off.difference(&wanted.kept_off).copied().collect();
        let_through.into_iter().for_each(|source| step(&mut told, Step::PutOn(source)));
    }
    let unwanted: Vec<_> = told.sources.difference(&wanted.sources).copied().collect();
    unwanted.into_iter().for_each(|source| step(&mut told, Step::Delete(source)));
    if told.any_source && !wanted.any_source {
        step(&mut told, Step::DeleteAny);
    }
    let put_off: Vec<_> = wanted.kept_off.difference(&told.kept_off).copied().collect();
    put_off.into_iter().for_each(|source| step(&mut told, Step::PutOff(source)));
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

    /// What a group's entries do, one a source, all of them there: the manager's rules, restated.
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
                Step::PutOn(source) => {
                    self.edits.insert(source, true);
                    self.vetoes.remove(&source);
                }
                Step::PutOff(source) => _ = self.edits.insert(source, false),
            }
        }

        fn forwards(&self, source: IpAddr) -> bool {
            let member = self.any_source || self.sources.contains(&source);
            self.edits.get(&source).copied().unwrap_or(member) && !self.vetoes.contains(&source)
        }
    }

    fn wants(wanted: &Wanted, source: IpAddr) -> bool {
        wanted.sources.contains(&source) || wanted.any_source && !wanted.kept_off.contains(&source)
    }

    fn some() -> impl Strategy<Value = BTreeSet<IpAddr>> {
        prop::collection::btree_set((0..5u8).prop_map(source), 0..5)
    }

    fn wanted() -> impl Strategy<Value = Wanted> {
        (any::<bool>(), some(), some()).prop_map(|(any_source, sources, off)| {
            let kept_off = if any_source { &off - &sources } else { BTreeSet::new() };
            Wanted { any_source, sources, kept_off }
        })
    }

    proptest! {
        #[test]
        fn every_call_keeps_what_is_wanted_before_and_after(
            wishes in prop::collection::vec((wanted(), any::<bool>()), 1..8),
            vetoes in some(),
        ) {
            let (mut entries, mut told) = (Entries::default(), Wanted::default());
            for (wish, certain) in wishes {
                for step in steps(&told, &wish, certain) {
                    entries.call(step);
                    for source in (0..5).map(source).filter(|&s| wants(&told, s) && wants(&wish, s)) {
                        prop_assert!(entries.forwards(source), "{source} lost at {step:?}");
                    }
                }
                for source in (0..5).map(source) {
                    prop_assert_eq!(entries.forwards(source), wants(&wish, source), "{}", source);
                }
                prop_assert_eq!(entries.any_source, wish.any_source);
                prop_assert_eq!(&entries.sources, &wish.sources);
                prop_assert!(steps(&wish, &wish, true).is_empty());
                // Some of the entries may just as well have been made under this wish, with vetoes for edits.
                for source in vetoes.intersection(&wish.kept_off) {
                    entries.edits.remove(source);
                    entries.vetoes.insert(*source);
                }
                told = wish;
            }
        }
    }

    #[test]
    fn applying_the_steps_is_the_wish() {
        let told = Wanted { any_source: true, sources: [source(1)].into(), kept_off: [source(2)].into() };
        let wish = Wanted { any_source: true, sources: [source(3)].into(), kept_off: [source(4)].into() };
        let calls = steps(&told, &wish, true);
        let (add, on, delete, off) = (Step::Add, Step::PutOn, Step::Delete, Step::PutOff);
        assert_eq!(calls, [add(source(3)), on(source(2)), delete(source(1)), off(source(4))]);
        let mut then = told;
        calls.into_iter().for_each(|step| step.apply(&mut then));
        assert_eq!(then, wish);
    }
}
