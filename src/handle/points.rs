//! The fault points of the handle table: see `crate::faults`.

crate::faults::points! {
    // The claim step.
    /// a descriptor that has fields of two operations
    DESCRIPTOR_HALF_WRITTEN,
    /// a claim or release that is announced, and nothing more
    CLAIM_ANNOUNCED,
    /// the owner word confirmed, and `seen` not set
    CLAIM_CONFIRMED,
    /// `seen` set, and the owner word unchanged
    CLAIM_SEEN,
    /// the owner word changed, and `done` not set
    CLAIM_ACTED,
    /// `done` set, and the claim word still busy
    CLAIM_UNSETTLED,
    /// the claim word settled, and the outcome not read
    CLAIM_SETTLED,
    /// another thread's operation read from its descriptor, and not carried out
    HELPER_BEGUN,
    /// another thread's owner word confirmed, and `seen` not set
    HELPER_CONFIRMED,
    /// another thread's owner word about to be changed
    HELPER_SEEN,
    /// another thread's owner word changed, and `done` not set
    HELPER_ACTED,
    /// another thread's claim word about to be settled
    HELPER_UNSETTLED,
    /// a count closed at zero, and the handle still live
    RETIRE_CLOSED,
    // Slots and their reuse.
    /// a segment allocated that is not published
    SEGMENT_ALLOCATED,
    /// the top of a free list read, and not popped
    FREE_LIST_POPPING,
    /// a chunk of unused slots taken that is on no list
    CHUNK_TAKEN,
    /// a vacant slot taken that is on no list
    SLOT_TAKEN,
    /// a value and a claim word in a slot, and no handle
    SLOT_HALF_OPENED,
    /// a dead handle, and its slot on no list
    SLOT_RETIRED,
    /// a slot linked to the limbo list, and not on it
    LIMBO_PUSHING,
    /// a cell reserved for a batch, and still empty
    BATCH_FILLING,
    /// a batch taken out of limbo that is in no cell
    BATCH_TAKEN,
    /// a batch in its cell, and its grace period not begun
    BATCH_UNDEFERRED,
    /// the epoch about to be advanced, by a pinned thread
    EPOCH_ADVANCING,
    /// a grace period that is over, and its batch not marked ready
    BATCH_MARKING,
    /// a ready batch counted as taken, and still in its cell
    BATCH_RECLAIMING,
    /// a ready batch taken, and its values not dropped
    BATCH_RECLAIMED,
    /// the values of a batch dropped, and its slots on no list
    SLOTS_DROPPED,
    /// slots linked to a free list, and not on it
    FREE_LIST_PUSHING,
    /// a segment of owner words allocated that is not published
    OWNERS_ALLOCATED,
    /// two owner words handed out that are not initialized
    OWNERS_UNSET,
    // Readers.
    /// a thread pinned for one look-up
    REF_PINNED,
    /// a reader between two pins
    READER_UNPINNED,
    /// a reader pinned, and nothing read
    READER_PINNED,
}
