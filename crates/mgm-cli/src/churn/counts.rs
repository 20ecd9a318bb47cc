//! What `--churn` did, by operation.

/// One of the things that are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Register,
    RegisterRefused,
    /// Every slot was in use, or waited for a reader: tried again.
    RegisterFull,
    /// Of those that succeeded: the slot had been somebody else's before.
    RegisterReusedSlot,
    Deregister,
    DeregisterRefused,
    Take,
    TakeRefused,
    Release,
    ReleaseRefused,
    /// A handle of a client that is gone was refused.
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

/// How often each was done.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    /// Without threads nothing is told.
    threads: u64,
    times: [u64; Operation::ALL.len()],
    highest_generation: u32,
}

impl Counts {
    pub(super) fn count(&mut self, operation: Operation) {
        self.times[operation as usize] += 1;
    }

    /// A handle of this generation was given out.
    pub(super) fn handle(&mut self, generation: u32) {
        self.highest_generation = self.highest_generation.max(generation);
    }

    /// What one more thread did.
    pub(super) fn add(&mut self, thread: &Counts) {
        self.threads += 1;
        self.times.iter_mut().zip(thread.times).for_each(|(all, times)| *all += times);
        self.handle(thread.highest_generation);
    }

    /// The operations by name; none without threads.
    pub(crate) fn operations(&self) -> Vec<(&'static str, u64)> {
        let all = Operation::ALL.iter().map(|(operation, name)| (*name, self.times[*operation as usize]));
        if self.threads == 0 { Vec::new() } else { all.collect() }
    }

    fn sum(&self, operations: &[Operation]) -> u64 {
        operations.iter().map(|operation| self.times[*operation as usize]).sum()
    }

    /// Every operation that was answered.
    pub(crate) fn total(&self) -> u64 {
        // Told besides, of a registration.
        self.times.iter().sum::<u64>() - self.times[Operation::RegisterReusedSlot as usize]
    }

    /// Takes and releases, refused ones included.
    pub(crate) fn claims(&self) -> u64 {
        use Operation::{Release, ReleaseRefused, Take, TakeRefused};
        self.sum(&[Take, TakeRefused, Release, ReleaseRefused])
    }

    /// Entries published, replaced or withdrawn.
    pub(crate) fn publications(&self) -> u64 {
        self.sum(&[Operation::Publish, Operation::Replace, Operation::Withdraw])
    }

    /// Of all handles that were given out: how often the most used slot was used.
    pub(crate) fn highest_generation(&self) -> u32 {
        self.highest_generation
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_told_in_their_order() {
        let mut all = Counts::default();
        assert!(all.operations().is_empty());
        let mut one = Counts::default();
        one.count(Operation::Take);
        one.count(Operation::TakeRefused);
        one.count(Operation::Withdraw);
        one.handle(7);
        all.add(&one);
        all.add(&one);
        assert!(Operation::ALL.iter().enumerate().all(|(at, (operation, _))| at == *operation as usize));
        assert!(all.operations().contains(&("take_refused", 2)));
        one.count(Operation::RegisterReusedSlot);
        assert_eq!((all.total(), one.total()), (6, 3));
        assert_eq!((all.claims(), all.publications(), all.highest_generation()), (4, 2, 7));
    }
}
