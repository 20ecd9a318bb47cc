//! The state of one thread. A [`Stage`] names the access that the thread makes next, and holds only the values that it still
//! needs, so that states which differ in nothing that matters are one state to the checker.

use crate::bugs::Planted;
use crate::memory::*;
use crate::spec::{Handle, Outcome};

/// An operation that its announcer or a helper is carrying out. `target`, `holder` and `expected` are the descriptor's
/// fields as the thread read them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Task {
    pub own: bool,
    pub thread: u8,
    pub sequence: u8,
    pub slot: u8,
    pub target: Target,
    pub holder: Holder,
    pub expected: Owner,
}

impl Task {
    /// Returns the claim word that announces it.
    pub fn busy(self) -> ClaimWord {
        ClaimWord::Busy { thread: self.thread, sequence: self.sequence }
    }

    /// Returns the owner word that the act writes.
    pub fn after(self) -> Owner {
        self.expected.next(match self.target.change {
            Change::Claim => Some(self.slot),
            Change::Release => None,
        })
    }

    /// Returns a flag of this operation.
    pub fn flag(self, set: bool) -> Flag {
        Flag { sequence: self.sequence, set }
    }

    /// Returns the claim word that the settle writes.
    pub fn settled(self, performed: bool) -> ClaimWord {
        let Holder { generation, count } = self.holder;
        ClaimWord::idle(
            generation,
            match (performed, self.target.change) {
                (false, _) => count,
                (true, Change::Claim) => count + 1,
                (true, Change::Release) => count.saturating_sub(1),
            },
        )
    }
}

/// The access a thread makes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Between operations: the next access is the first of the next call.
    Between,

    // claim, release
    ReadOwner,
    CheckState {
        seen: Owner,
    },
    ReadClaim {
        seen: Owner,
    },
    StoreSequence(Task),
    StoreTarget(Task),
    StoreHolder(Task),
    StoreExpected(Task),
    ResetSeen(Task),
    ResetDone(Task),
    Announce(Task),
    ReadDone(Task),

    // resolve the owner's handle: by a claim that fails, and by owner_of
    ResolveState {
        seen: Owner,
    },
    ResolveOwner {
        seen: Owner,
        generation: u8,
    },

    // help
    LoadTarget {
        slot: u8,
        thread: u8,
        sequence: u8,
    },
    LoadHolder {
        slot: u8,
        thread: u8,
        sequence: u8,
        target: Target,
    },
    LoadExpected {
        slot: u8,
        thread: u8,
        sequence: u8,
        target: Target,
        holder: Holder,
    },
    CheckSequence(Task),

    // carry out an operation: the thread's own or another thread's
    Confirm(Task),
    SetSeen(Task),
    ReadSeen(Task),
    Act(Task),
    Note(Task),
    Settle {
        task: Task,
        performed: bool,
    },

    // retire
    RetireCheckState,
    RetireReadClaim,
    RetireCheckBusy {
        thread: u8,
        sequence: u8,
    },
    Close {
        found: ClaimWord,
    },
    /// Finishes a retirement: the thread's own or, before it returns Stale, another thread's.
    Flip {
        own: bool,
    },
    PushFree,

    // insert
    PopFree,
    ResetClaim(Handle),
    PublishState(Handle),

    // validate
    Validate,

    // touch
    Touch {
        seen: Owner,
    },

    /// An access that only a planted bug makes.
    Planted(Planted),
}

/// The stage after an access, or the outcome if the access ended the operation.
pub enum Next {
    Stage(Stage),
    Return(Outcome),
}
