//! The fault points of the forwarding table: see `crate::faults`.

crate::faults::points! {
    // The table, under its writer lock.
    /// an entry that is in no bucket yet
    ENTRY_UNPUBLISHED,
    /// the overflow counts of full buckets raised, and the entry not inserted
    BUCKET_OVERFLOWING,
    /// an entry inserted that is not counted
    ENTRY_UNCOUNTED,
    /// an entry replaced, and the old entry not retired
    ENTRY_REPLACED,
    /// a lane of a bucket emptied, and the overflow counts not lowered
    LANE_EMPTIED,
    /// an entry removed from its bucket, and not retired
    ENTRY_WITHDRAWN,
    /// a larger bucket array, half filled
    BUCKETS_FILLING,
    /// a larger bucket array, filled and not published
    BUCKETS_UNPUBLISHED,
    /// a larger bucket array published, and the new entry not inserted
    BUCKETS_PUBLISHED,
    // Counters.
    /// room made for the counts of a counter, and its id not returned; the counters are locked
    COUNTER_UNALLOCATED,
    /// a worker's counts of an old counter half cleared for a new one
    COUNTS_HALF_CLEARED,
}
