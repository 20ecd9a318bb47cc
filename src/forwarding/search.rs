//! [`Search`]: how the eight lanes of a bucket are compared with a fingerprint, one after the other or all at once.
//!
//! Comparing all at once is a hint of where to look: a lane that seems to fit is then loaded as an atomic, and judged by what
//! that load reads. A lane that does not seem to fit is not looked at again, so the wide load has to be as good as eight
//! atomic loads without an order among them. That is why it is written in assembly, whose memory accesses are those of the
//! machine and not of the language: a load of a whole line reads each aligned eight octets of it as one
//! load would (they lie in one line, and no x86 processor splits such accesses into smaller ones), and x86 keeps loads in order. It
//! is opaque to the compiler, which may not move other accesses of memory across it.

use super::lanes::{Bucket, LANES};
use crate::sync::Ordering;

/// How the lanes of a bucket are searched. The answers are the same; so a reader takes [`Search::fastest`] unless it is
/// [told](super::ForwardingReader::with_search) otherwise, for tests and comparisons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Search {
    /// One lane after the other, on any machine.
    Portable,
    /// All lanes of a bucket by one comparison of AVX-512.
    Avx512,
}

impl Search {
    /// All there are.
    pub const ALL: [Search; 2] = [Search::Portable, Search::Avx512];

    /// The fastest on this machine.
    #[must_use]
    pub fn fastest() -> Search {
        if Search::Avx512.is_available() { Search::Avx512 } else { Search::Portable }
    }

    /// Whether this machine can search so.
    #[must_use]
    pub fn is_available(self) -> bool {
        match self {
            Search::Portable => true,
            #[cfg(all(target_arch = "x86_64", not(loom)))]
            Search::Avx512 => {
                std::arch::is_x86_feature_detected!("avx512f") && std::arch::is_x86_feature_detected!("bmi2")
            }
            #[cfg(not(all(target_arch = "x86_64", not(loom))))]
            Search::Avx512 => false,
        }
    }
}

/// In which lanes the fingerprint of `hash` seems to stand: a bit for each.
///
/// All lanes are compared, whatever the first ones say: a branch for each would be guessed wrong too often. Under loom, where each
/// load multiplies the executions, the hint is to look at all of them.
#[inline(always)]
pub(super) fn fitting(bucket: &Bucket, hash: u64) -> u32 {
    if cfg!(loom) {
        return (1 << LANES) - 1;
    }
    bucket.lanes.iter().enumerate().fold(0, |lanes, (n, lane)| {
        // Relaxed: a hint; the lane is loaded again.
        lanes | u32::from((lane.load(Ordering::Relaxed) ^ hash) >> 32 == 0) << n
    })
}

/// The same, all at once.
#[cfg(all(target_arch = "x86_64", not(loom)))]
#[inline]
#[target_feature(enable = "avx512f,bmi2")]
pub(super) fn fitting_avx512(bucket: &Bucket, hash: u64) -> u32 {
    use std::arch::{asm, x86_64::_mm512_set1_epi64};
    let sought = _mm512_set1_epi64(hash.cast_signed());
    let halves: u16;
    // SAFETY: it reads the 64 octets of the bucket, which is aligned to as many, and writes a register. Reading what other
    // threads store to by atomics is for the machine to allow, and it does: see the top of this file.
    unsafe {
        asm!(
            "vpcmpeqd {halves}, {sought}, zmmword ptr [{lanes}]",
            halves = out(kreg) halves,
            sought = in(zmm_reg) sought,
            lanes = in(reg) std::ptr::from_ref(bucket),
            options(nostack, preserves_flags, readonly),
        );
    }
    // The fingerprints are the upper halves.
    std::arch::x86_64::_pext_u32(halves.into(), 0xAAAA)
}
