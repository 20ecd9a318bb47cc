//! The fault points of the manager: see `crate::faults`.

crate::faults::points! {
    /// a client's name entered, and the client not visible; no other client can register
    CLIENT_NAMED,
    /// a client visible, and not started
    CLIENT_VISIBLE,
    /// an interface's record created that is not in the index; no other can be created
    INTERFACE_UNLISTED,
    /// an interface marked as losing its place; no other can be created, and the membership lock is held
    INTERFACE_LEAVING,
    /// an interface's owner word read, and not claimed
    TAKE_READ,
    /// an interface taken, and nothing done that follows from it
    TAKE_EFFECTIVE,
    /// an interface released, and nothing done that follows from it
    RELEASE_EFFECTIVE,
    /// a client's handle retired, and nothing done that follows from it
    DEREGISTER_EFFECTIVE,
    /// a client's handle retired, and its run-down not closed
    DEREGISTER_UNNAMED,
    /// a client's run-down closed, and its slot not given back
    DEREGISTER_CLOSED,
    /// the membership lock held, and an interface marked as in use
    MEMBERSHIP_LOCKED,
    /// the membership lock held, and a membership added, and its entries not published
    MEMBERSHIP_HALF_ADDED,
    /// the membership lock held, and an entry published that is on no list
    FLOW_UNLISTED,
    /// a flow, and its entry being set up
    FLOW_BUILDING,
    /// a notice taken out of its outbox, and not delivered
    NOTICE_DEQUEUED,
    /// a callback counted by the rundown, and its client not validated
    RUNDOWN_ENTERED,
    /// a pending flow that is not in the queue
    UPCALL_UNQUEUED,
    /// a flow out of the queue that is still marked as queued
    UPCALL_DEQUEUED,
}
