//! How a flow is hashed: with a seed of each table's own, so that nobody outside can aim at one bucket.

use super::flow::Flow;
use std::hash::{BuildHasher, Hasher};
use std::net::IpAddr;

#[cfg(not(loom))]
type Seed = foldhash::quality::RandomState;
/// loom runs a model again and again and wants the same steps each time.
#[cfg(loom)]
type Seed = foldhash::quality::FixedState;

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
        match (flow.source(), flow.group()) {
            (IpAddr::V4(source), IpAddr::V4(group)) => {
                hasher.write_u64(u64::from(source.to_bits()) << 32 | u64::from(group.to_bits()));
            }
            (source, group) => {
                hasher.write_u128(octets(source));
                hasher.write_u128(octets(group));
            }
        }
        let hash = hasher.finish();
        #[cfg(test)]
        let hash = hash & self.kept;
        hash
    }
}

fn octets(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}
