//! The hash of a flow. Each table has a random seed of its own, so that a sender cannot aim flows at one bucket.
//!
//! The hash is foldhash's quality variant. With the fast variant, flows with a source and a group that cancel each
//! other collide in few buckets, whatever the seed (`tests/flooding.rs` shows it).

use super::flow::{Family, Flow};
use std::hash::{BuildHasher, Hasher};

#[cfg(not(loom))]
pub(super) type Seed = foldhash::quality::RandomState;
/// A fixed seed under loom, which repeats a model many times and needs the same steps each time.
#[cfg(loom)]
pub(super) type Seed = foldhash::quality::FixedState;

/// The hash function of one table.
#[derive(Clone)]
pub(super) struct FlowHash {
    seed: Seed,
    /// A mask of the hash bits that tests keep, to make flows collide.
    #[cfg(test)]
    kept_bits: u64,
}

impl FlowHash {
    pub(super) fn new() -> FlowHash {
        FlowHash {
            seed: Seed::default(),
            #[cfg(test)]
            kept_bits: u64::MAX,
        }
    }

    /// Makes a hash function that clears all bits of a hash but these.
    #[cfg(test)]
    pub(super) fn keeping(kept_bits: u64) -> FlowHash {
        FlowHash { kept_bits, ..FlowHash::new() }
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
        let hash = hash & self.kept_bits;
        hash
    }
}
