//! [`Search`]: how the eight lanes of a bucket are compared with a fingerprint, one after the other or all at once.
//!
//! Comparing many lanes at once only tells which lane to load. A lane that seems to match is then loaded as an atomic,
//! and the value of that load leads to an entry. A lane that does not seem to match is not loaded again, so the wide load must be
//! as good as eight atomic loads without an order among them. It is therefore written in assembly, where the memory
//! model is the processor's and not the language's. A load of a line or of half a line reads each aligned eight octets of it as a
//! single load would: they lie in one line, and no x86 processor splits such an access. x86 also keeps loads in program
//! order. The compiler treats the assembly as opaque and does not move other memory accesses across it.

use super::buckets::{Bucket, LANES};
use crate::sync::Ordering;

/// How the lanes of a bucket are searched. Each variant finds the same lanes; a reader uses [`Search::fastest`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Search {
    /// Compares one lane after the other, on any machine.
    Portable,
    /// Compares four lanes at once, with AVX2.
    Avx2,
    /// Compares all lanes of a bucket with one AVX-512 instruction.
    Avx512,
}

impl Search {
    /// All variants.
    #[cfg(test)]
    pub(super) const ALL: [Search; 3] = [Search::Portable, Search::Avx2, Search::Avx512];

    /// Returns the fastest variant on this machine.
    pub(super) fn fastest() -> Search {
        let wide = [Search::Avx512, Search::Avx2].into_iter().find(|search| search.is_available());
        wide.unwrap_or(Search::Portable)
    }

    /// Returns whether this machine supports the variant.
    pub(super) fn is_available(self) -> bool {
        match self {
            Search::Portable => true,
            #[cfg(all(target_arch = "x86_64", not(loom)))]
            Search::Avx2 => is_x86_feature_detected!("avx2") && has_bit_instructions(),
            #[cfg(all(target_arch = "x86_64", not(loom)))]
            Search::Avx512 => is_x86_feature_detected!("avx512f") && has_bit_instructions(),
            #[cfg(not(all(target_arch = "x86_64", not(loom))))]
            Search::Avx2 | Search::Avx512 => false,
        }
    }
}

#[cfg(all(target_arch = "x86_64", not(loom)))]
fn has_bit_instructions() -> bool {
    is_x86_feature_detected!("bmi1") && is_x86_feature_detected!("bmi2")
}

/// Returns the lanes that seem to hold the fingerprint of `hash`, a bit for each.
///
/// It compares all lanes even after a match, because a branch on each lane would often be mispredicted. Under loom,
/// where each load multiplies the executions, it returns all lanes.
#[inline(always)]
pub(super) fn matching(bucket: &Bucket, hash: u64) -> u32 {
    if cfg!(loom) {
        return (1 << LANES) - 1;
    }
    bucket.lanes.iter().enumerate().fold(0, |lanes, (n, lane)| {
        // Relaxed: the caller loads the first returned lane again (`BucketArray::probe_home`).
        lanes | u32::from((lane.load(Ordering::Relaxed) ^ hash) >> 32 == 0) << n
    })
}

/// Returns what [`matching`] returns, with two comparisons of four lanes each.
#[cfg(all(target_arch = "x86_64", not(loom)))]
#[inline]
#[target_feature(enable = "avx2,bmi1,bmi2")]
pub(super) fn matching_avx2(bucket: &Bucket, hash: u64) -> u32 {
    use std::arch::{asm, x86_64::*};
    let sought = _mm256_set1_epi64x(hash.cast_signed());
    let (low, high): (__m256i, __m256i);
    // SAFETY: the instructions read the 64 octets of the bucket, which is aligned to 64, and write two registers. Other
    // threads may store to the lanes meanwhile; the processor's memory model permits that (see the top of this file).
    unsafe {
        asm!(
            "vpcmpeqd {low}, {sought}, ymmword ptr [{lanes}]",
            "vpcmpeqd {high}, {sought}, ymmword ptr [{lanes} + 32]",
            low = out(ymm_reg) low,
            high = lateout(ymm_reg) high,
            sought = in(ymm_reg) sought,
            lanes = in(reg) std::ptr::from_ref(bucket),
            options(nostack, preserves_flags, readonly),
        );
    }
    // The fingerprints are the upper halves of the lanes, and a mask of words has the highest bit of each.
    let lanes = |equal| _mm256_movemask_pd(_mm256_castsi256_pd(equal)).cast_unsigned();
    lanes(low) | lanes(high) << 4
}

/// Returns what [`matching`] returns, with one comparison of all lanes.
#[cfg(all(target_arch = "x86_64", not(loom)))]
#[inline]
#[target_feature(enable = "avx512f,bmi1,bmi2")]
pub(super) fn matching_avx512(bucket: &Bucket, hash: u64) -> u32 {
    use std::arch::{asm, x86_64::_mm512_set1_epi64};
    let sought = _mm512_set1_epi64(hash.cast_signed());
    let halves: u16;
    // SAFETY: the instruction reads the 64 octets of the bucket, which is aligned to 64, and writes one register. Other
    // threads may store to the lanes meanwhile; the processor's memory model permits that (see the top of this file).
    unsafe {
        asm!(
            "vpcmpeqd {halves}, {sought}, zmmword ptr [{lanes}]",
            halves = out(kreg) halves,
            sought = in(zmm_reg) sought,
            lanes = in(reg) std::ptr::from_ref(bucket),
            options(nostack, preserves_flags, readonly),
        );
    }
    // The fingerprints are the upper halves of the lanes.
    std::arch::x86_64::_pext_u32(halves.into(), 0xAAAA)
}
