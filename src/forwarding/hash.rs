//! The hash of a flow. Each table has a random key of its own, so that a sender cannot aim flows at one bucket.
//!
//! An IPv4 flow is one number of 64 bits, and its hash is two multiplications of 64 by 64 bits. The first multiplies the
//! number, combined with the table's key, by a second number that is random for the process. Each multiplication folds the
//! upper half of its result onto the lower one, and the upper half of the hash selects the bucket. So a sender that chooses
//! sources and groups knows neither factor of the first multiplication. Pairs that meet under one key do not meet under another.
//! No packet carries a hash or a key, and a look-up answers nothing to the sender; what is left to a sender that measures
//! times is in SECURITY.md.
//!
//! The hash is foldhash's quality variant. With the fast variant, which lacks the second multiplication, flows with a source
//! and a group that cancel each other collide in few buckets, whatever the key (`tests/flooding.rs` shows it). foldhash's own
//! random state is made of addresses and the time; here the key comes from the system's random numbers.

use super::flow::{Family, Flow};
use std::hash::{BuildHasher, Hasher};

#[cfg(not(loom))]
pub(super) type Seed = foldhash::quality::SeedableRandomState;
/// A fixed seed under loom, which repeats a model many times and needs the same steps each time.
#[cfg(loom)]
pub(super) type Seed = foldhash::quality::FixedState;

#[cfg(not(loom))]
fn seed() -> Seed {
    // The standard library's hasher is keyed by the system's random numbers, and no two of its states are alike.
    let key = std::hash::RandomState::new().hash_one(0_u64);
    Seed::with_seed(key, foldhash::SharedSeed::global_random())
}

#[cfg(loom)]
fn seed() -> Seed {
    Seed::default()
}

/// The hash function of one table.
#[derive(Clone)]
pub struct FlowHash {
    seed: Seed,
    /// A mask of the hash bits that tests keep, to make flows collide.
    #[cfg(test)]
    kept_bits: u64,
}

impl FlowHash {
    pub(super) fn new() -> FlowHash {
        FlowHash {
            seed: seed(),
            #[cfg(test)]
            kept_bits: u64::MAX,
        }
    }

    /// Makes a hash function that clears all bits of a hash but these.
    #[cfg(test)]
    pub(super) fn keeping(kept_bits: u64) -> FlowHash {
        FlowHash { kept_bits, ..FlowHash::new() }
    }

    /// Returns the hash of a flow.
    #[inline]
    pub(super) fn of(&self, flow: &Flow) -> u64 {
        let [first, second, third, fourth] = flow.words();
        match flow.family() {
            Family::V4 => self.of_v4(first),
            Family::V6 => self.of_words([first, second, third, fourth]),
        }
    }

    /// Returns the hash of the IPv4 flow with this first word.
    #[inline]
    pub(super) fn of_v4(&self, first_word: u64) -> u64 {
        self.of_words([first_word])
    }

    #[inline(always)]
    fn of_words<const N: usize>(&self, words: [u64; N]) -> u64 {
        let mut hasher = self.seed.build_hasher();
        words.into_iter().for_each(|word| hasher.write_u64(word));
        let hash = hasher.finish();
        #[cfg(test)]
        let hash = hash & self.kept_bits;
        hash
    }
}
