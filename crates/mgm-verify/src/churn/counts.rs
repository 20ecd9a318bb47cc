//! The operations of churn, counted by kind.

/// A kind of operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Register,
    RegisterRefused,
    /// Every slot was in use or waited for a reader. The thread tried again.
    RegisterFull,
    /// A registration in a slot that had another client before. [`Operation::Register`] counts it as well.
    RegisterReusedSlot,
    Deregister,
    DeregisterRefused,
    Take,
    TakeRefused,
    Release,
    ReleaseRefused,
    /// The handle of a deregistered client was refused.
    StaleRefused,
    OwnerOf,
    Publish,
    PublishRefused,
    Replace,
    Lookup,
    Withdraw,
}

impl Operation {
    const ALL: [(Operation, &'static str); 17] = [
        (Operation::Register, "register"),
        (Operation::RegisterRefused, "register_refused"),
        (Operation::RegisterFull, "register_full"),
        (Operation::RegisterReusedSlot, "register_reused_slot"),
        (Operation::Deregister, "deregister"),
        (Operation::DeregisterRefused, "deregister_refused"),
        (Operation::Take, "take"),
        (Operation::TakeRefused, "take_refused"),
        (Operation::Release, "release"),
        (Operation::ReleaseRefused, "release_refused"),
        (Operation::StaleRefused, "stale_refused"),
        (Operation::OwnerOf, "owner_of"),
        (Operation::Publish, "publish"),
        (Operation::PublishRefused, "publish_refused"),
        (Operation::Replace, "replace"),
        (Operation::Lookup, "lookup"),
        (Operation::Withdraw, "withdraw"),
    ];
}

/// The number of operations of each kind.
#[derive(Clone, Copy, Debug, Default)]
pub struct ChurnCounts {
    threads: u64,
    times: [u64; Operation::ALL.len()],
    /// The lowest and the highest generation of new handles. A table begins with any generation.
    generations: Option<(u32, u32)>,
}

impl ChurnCounts {
    pub(super) fn count(&mut self, operation: Operation) {
        self.times[operation as usize] += 1;
    }

    /// Returns whether a slot with this generation was used before: whether an earlier handle had a lower one.
    pub(super) fn is_reused(&self, generation: u32) -> bool {
        self.generations.is_some_and(|(lowest, _)| generation > lowest)
    }

    /// Records the generation of a new handle.
    pub(super) fn record_generation(&mut self, generation: u32) {
        let (lowest, highest) = self.generations.unwrap_or((generation, generation));
        self.generations = Some((lowest.min(generation), highest.max(generation)));
    }

    /// Adds the counts of one thread.
    pub(super) fn add(&mut self, thread: &ChurnCounts) {
        self.threads += 1;
        self.times.iter_mut().zip(thread.times).for_each(|(all, times)| *all += times);
        for generation in thread.generations.into_iter().flat_map(|(lowest, highest)| [lowest, highest]) {
            self.record_generation(generation);
        }
    }

    /// Returns the count of each kind by name, or nothing if there were no threads.
    #[must_use]
    pub fn operations(&self) -> Vec<(&'static str, u64)> {
        let all = Operation::ALL.iter().map(|(operation, name)| (*name, self.times[*operation as usize]));
        if self.threads == 0 { Vec::new() } else { all.collect() }
    }

    fn sum(&self, operations: &[Operation]) -> u64 {
        operations.iter().map(|operation| self.times[*operation as usize]).sum()
    }

    /// Returns the number of answered calls.
    #[must_use]
    pub fn total(&self) -> u64 {
        // A reused slot is a property of a registration and no call of its own.
        self.times.iter().sum::<u64>() - self.times[Operation::RegisterReusedSlot as usize]
    }

    /// Returns the number of takes and releases, including refused ones.
    #[must_use]
    pub fn claims(&self) -> u64 {
        use Operation::{Release, ReleaseRefused, Take, TakeRefused};
        self.sum(&[Take, TakeRefused, Release, ReleaseRefused])
    }

    /// Returns the number of entries published, replaced or withdrawn.
    #[must_use]
    pub fn publications(&self) -> u64 {
        self.sum(&[Operation::Publish, Operation::Replace, Operation::Withdraw])
    }

    /// Returns how often the most used slot was used, by the lowest and highest generation of all handles.
    #[must_use]
    pub fn highest_generation(&self) -> u32 {
        self.generations.map_or(0, |(lowest, highest)| highest - lowest + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_listed_in_their_order() {
        let mut all = ChurnCounts::default();
        assert!(all.operations().is_empty());
        let mut one = ChurnCounts::default();
        one.count(Operation::Take);
        one.count(Operation::TakeRefused);
        one.count(Operation::Withdraw);
        one.record_generation(7);
        one.record_generation(13);
        assert!(one.is_reused(8) && !one.is_reused(7));
        all.add(&one);
        all.add(&one);
        assert!(Operation::ALL.iter().enumerate().all(|(at, (operation, _))| at == *operation as usize));
        assert!(all.operations().contains(&("take_refused", 2)));
        one.count(Operation::RegisterReusedSlot);
        assert_eq!((all.total(), one.total()), (6, 3));
        assert_eq!((all.claims(), all.publications(), all.highest_generation()), (4, 2, 7));
    }
}
