//! Where a thread is: a [`Stage`] names the access it makes next, and carries what it remembers until then and nothing
//! else, so that two threads which remember the same are the same to the checker.

use super::bugs::Planted;
use super::memory::*;
use super::spec::{Handle, Outcome};

/// An operation that its announcer, or a helper, is carrying out. `target`, `holder` and `expected` are the
/// descriptor's fields as the thread knows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Task {
    pub(super) own: bool,
    pub(super) seat: u8,
    pub(super) sequence: u8,
    pub(super) slot: u8,
    pub(super) target: Target,
    pub(super) holder: Holder,
    pub(super) expected: Owner,
}

impl Task {
    pub(super) fn busy(self) -> ClaimWord {
        ClaimWord::Busy { seat: self.seat, sequence: self.sequence }
    }

    /// What the act writes to the owner word.
    pub(super) fn after(self) -> Owner {
        self.expected.next(match self.target.what {
            What::Claim => Some(self.slot),
            What::Release => None,
        })
    }

    pub(super) fn flag(self, set: bool) -> Flag {
        Flag { sequence: self.sequence, set }
    }

    pub(super) fn settled(self, won: bool) -> ClaimWord {
        let Holder { generation, count } = self.holder;
        ClaimWord::idle(
            generation,
            match (won, self.target.what) {
                (false, _) => count,
                (true, What::Claim) => count + 1,
                (true, What::Release) => count.saturating_sub(1),
            },
        )
    }
}

/// The access a thread makes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Stage {
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

    // name: whose slot is it? Of claim, when it fails, and of owner_of
    NameState {
        seen: Owner,
    },
    NameOwner {
        seen: Owner,
        generation: u8,
    },

    // help
    LoadTarget {
        slot: u8,
        seat: u8,
        sequence: u8,
    },
    LoadHolder {
        slot: u8,
        seat: u8,
        sequence: u8,
        target: Target,
    },
    LoadExpected {
        slot: u8,
        seat: u8,
        sequence: u8,
        target: Target,
        holder: Holder,
    },
    CheckSequence(Task),

    // go: carry an operation out, one's own or another's
    Confirm(Task),
    SetSeen(Task),
    ReadSeen(Task),
    Act(Task),
    Note(Task),
    Settle {
        task: Task,
        won: bool,
    },

    // retire
    RetireCheckState,
    RetireReadClaim,
    RetireCheckBusy {
        seat: u8,
        sequence: u8,
    },
    Close {
        found: ClaimWord,
    },
    /// Finishes a retirement: one's own, or (to answer Stale) another's.
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

    /// An access only a planted bug makes.
    Planted(Planted),
}

/// What a step did, and what the thread does next.
pub(super) enum Next {
    Stage(Stage),
    Return(Outcome),
}
