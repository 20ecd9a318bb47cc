//! Sizes that differ between a build and a loom model, in one place.
//!
//! A model explores every interleaving, so each additional slot, shard or attempt multiplies its executions. Under
//! `--cfg loom` the sizes are the smallest ones that still reach every path.

/// Returns the size for this build.
const fn size(normal: u64, model: u64) -> u64 {
    if cfg!(loom) { model } else { normal }
}

/// The handle table.
pub(crate) mod handle {
    use super::size;

    /// Thread ids: as many as a claim word can tell apart (see `handle/claim_word.rs`).
    pub(crate) const THREAD_IDS: usize = size(1 << 14, 6) as usize;
    /// Thread ids that are lent for single operations, in words of 64.
    pub(crate) const LENT_WORDS: usize = size(16, 0) as usize;

    /// Segments of slots in the directory of a table. A power of two, so that the upper part of a slot's index always
    /// names a place in the directory and needs no check.
    pub(crate) const SLOT_SEGMENTS: usize = size(1 << 8, 2) as usize;
    /// The largest segment of slots, in octets.
    pub(crate) const MAX_SEGMENT_OCTETS: usize = 4 << 20;
    /// The logarithm of the largest number of slots in a segment, where the directory must cover 2^`index_bits` slots.
    pub(crate) const fn max_segment_bits(index_bits: u32) -> u32 {
        if cfg!(loom) { 4 } else { index_bits - SLOT_SEGMENTS.ilog2() }
    }

    /// Pairs of owner words in the first segment.
    pub(crate) const FIRST_OWNER_SEGMENT: u32 = size(64, 2) as u32;

    /// Retired slots that a shard gathers before it makes a batch of them.
    pub(crate) const BATCH: u64 = size(128, 3);
    /// Cells for batches, for each shard: one for a batch that waits and one for the next.
    pub(crate) const CELLS_PER_SHARD: usize = size(2, 1) as usize;
    /// Shards of a table at most.
    pub(crate) const MAX_SHARDS: usize = size(16, 1) as usize;
    /// Unused slots that are handed out at a time, at most.
    pub(crate) const MAX_CHUNK: u32 = size(64, 2) as u32;
    /// Chunks that a table has at least, which bounds the chunk of a small table.
    pub(crate) const MIN_CHUNKS: u32 = size(64, 2) as u32;
    /// Slots for each shard that may circulate before a thread without a free slot steals from another shard rather than
    /// opening an unused chunk. Meeting on lists as short as that costs more than memory.
    pub(crate) const IN_CIRCULATION: u64 = size(512, 0);
    /// Slots that a table with ownership has beside its limit, for retired objects: as many as the limit, and two batches at
    /// least.
    pub(crate) const fn garbage_room(limit: u32) -> u32 {
        const LEAST: u32 = 256;
        match limit {
            _ if cfg!(loom) => 0,
            LEAST.. => limit,
            _ => LEAST,
        }
    }
    /// Attempts of an insert that finds no free slot to advance the epoch. Three attempts see a batch through if no
    /// thread stays pinned; the others are for threads that are pinned for the moment, most of all those that were
    /// descheduled in the middle of an insert or a removal.
    pub(crate) const ADVANCES: u32 = size(128, 2) as u32;
    /// The same where more attempts are of no use: reclamation has stood still for a while, or the inserting thread is in
    /// the middle of a reclamation itself.
    pub(crate) const FEW_ADVANCES: u32 = size(4, 2) as u32;
    /// The attempt from which on such an insert yields the processor before the next one.
    pub(crate) const PATIENT_ADVANCES: u32 = size(4, 2) as u32;
}
