//! How a flow is hashed: with a seed of each table's own, so that nobody outside can aim at one bucket.
//!
//! The better of foldhash's two: with the faster one, flows whose source and group cancel each other meet in few buckets whatever
//! the seed (`tests/flooding.rs` shows it).

use super::flow::{Family, Flow};
use std::hash::{BuildHasher, Hasher};

#[cfg(not(loom))]
pub(super) type Seed = foldhash::quality::RandomState;
/// loom runs a model again and again and wants the same steps each time.
#[cfg(loom)]
pub(super) type Seed = foldhash::quality::FixedState;

/// A table's hash of flows.
#[derive(Clone)]
pub(super) struct FlowHash {
    seed: Seed,
    /// Which bits of a hash are kept: tests make flows collide.
    #[cfg(test)]
    kept: u64,
}

impl FlowHash {
    pub(super) fn new() -> FlowHash {
        FlowHash {
            seed: Seed::default(),
            #[cfg(test)]
            kept: u64::MAX,
        }
    }

    #[cfg(test)]
    pub(super) fn keeping(kept: u64) -> FlowHash {
        FlowHash { kept, ..FlowHash::new() }
    }

    #[inline]
    pub(super) fn of(&self, flow: &Flow) -> u64 {
        let mut hasher = self.seed.build_hasher();
        let (source, group) = flow.numbers();
        match flow.family() {
            Family::V4 => hasher.write_u64((source as u64) << 32 | group as u64),
            Family::V6 => {
                hasher.write_u128(source);
                hasher.write_u128(group);
            }
        }
        let hash = hasher.finish();
        #[cfg(test)]
        let hash = hash & self.kept;
        hash
    }
}
