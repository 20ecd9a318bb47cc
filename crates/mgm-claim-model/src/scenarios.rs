//! The scenarios. Each is small, and contains a pattern that the others do not: a bug shows only in a scenario with its
//! pattern.

use crate::system::Call::{Claim, Insert, OwnerOf, Release, Retire, Touch, Validate};
use crate::system::{A, A_NEXT, B, INSERTED, Scenario};
use crate::witness::Witness::*;

const NONE: Scenario = Scenario { name: "", live: 2, spare: 0, owned: &[], scripts: &[], reaches: &[] };

/// The scenarios that every run of the tests explores.
pub const QUICK: &[Scenario] = &[
    Scenario {
        name: "two objects claim one word",
        scripts: &[&[Claim(A, 0), Release(A, 0)], &[Claim(B, 0), Retire(B)]],
        reaches: &[Lost],
        ..NONE
    },
    Scenario {
        name: "one object claims one word twice",
        live: 1,
        scripts: &[&[Claim(A, 0), Release(A, 0)], &[Claim(A, 0), Release(A, 0)]],
        reaches: &[Helping, LateHelper, TornRead, SettledByHelper, Lost],
        ..NONE
    },
    Scenario {
        name: "one object claims two words in two threads",
        live: 1,
        scripts: &[&[Claim(A, 0), Release(A, 0)], &[Claim(A, 1), Release(A, 1), Retire(A)]],
        reaches: &[Helping, LateHelper, SettledByHelper],
        ..NONE
    },
    Scenario {
        name: "claim against release of one object",
        live: 1,
        owned: &[(0, 0)],
        scripts: &[&[Release(A, 0), Claim(A, 0)], &[Claim(A, 0), Release(A, 0)]],
        reaches: &[Helping, LateHelper, TornRead, SettledByHelper],
        ..NONE
    },
    Scenario {
        name: "one object released twice",
        live: 1,
        owned: &[(0, 0)],
        scripts: &[&[Release(A, 0), Claim(A, 0)], &[Release(A, 0), OwnerOf(0)]],
        reaches: &[Helping, LateHelper, SettledByHelper],
        ..NONE
    },
    Scenario {
        name: "claim against retire",
        live: 1,
        scripts: &[&[Claim(A, 0), Validate(A)], &[Retire(A), OwnerOf(0), Validate(A)]],
        reaches: &[Helping, SettledByHelper, FlipForAnother],
        ..NONE
    },
    Scenario {
        name: "release against retire",
        live: 1,
        owned: &[(0, 0)],
        scripts: &[&[Release(A, 0), Retire(A)], &[Retire(A), Validate(A)]],
        reaches: &[Helping, SettledByHelper, FlipForAnother],
        ..NONE
    },
    Scenario {
        name: "a late helper, and the word has another owner",
        owned: &[(0, 0)],
        scripts: &[&[Release(A, 0)], &[Retire(A)], &[Claim(B, 0), Retire(B)]],
        reaches: &[Helping, LateHelper, LateHelperWordTaken],
        ..NONE
    },
    Scenario {
        name: "a late helper, and the slot is reused",
        live: 1,
        owned: &[(0, 0)],
        scripts: &[&[Release(A, 0), Retire(A), Insert, Claim(INSERTED, 0)], &[Retire(A)]],
        reaches: &[Helping, LateHelper, LateHelperSlotReused, Reuse],
        ..NONE
    },
    Scenario {
        name: "a late helper's claim, and the slot is reused",
        live: 1,
        scripts: &[&[Claim(A, 0), Release(A, 0), Retire(A), Insert, Claim(INSERTED, 0)], &[Retire(A)]],
        reaches: &[Helping, LateHelper, LateHelperSlotReused, Reuse],
        ..NONE
    },
    Scenario {
        name: "owner_of during a change of owner",
        owned: &[(0, 0)],
        scripts: &[&[Release(A, 0), Retire(A)], &[Claim(B, 0)], &[OwnerOf(0), Validate(A)]],
        reaches: &[OwnerChangedWhileResolved],
        ..NONE
    },
    Scenario {
        name: "owner_of, and the owner's slot is reused",
        live: 1,
        owned: &[(0, 0)],
        scripts: &[&[Release(A, 0), Retire(A), Insert, Claim(INSERTED, 0)], &[OwnerOf(0), OwnerOf(0)]],
        reaches: &[OwnerChangedWhileResolved, SlotReusedWhileResolved, Reuse],
        ..NONE
    },
    Scenario {
        name: "a claim is refused, and the owner's slot is reused",
        live: 2,
        owned: &[(0, 0)],
        scripts: &[&[Release(A, 0), Retire(A), Insert, Claim(INSERTED, 0)], &[Claim(B, 0), Retire(B)]],
        reaches: &[OwnerChangedWhileResolved, SlotReusedWhileResolved, Reuse],
        ..NONE
    },
    Scenario {
        name: "a refusal against the retirement of the refused object",
        scripts: &[&[Claim(A, 0), Release(A, 0)], &[Retire(A), Claim(B, 0)]],
        reaches: &[Helping, FlipForAnother],
        ..NONE
    },
    Scenario {
        name: "a claim that fails, and a retirement",
        scripts: &[&[Claim(A, 0)], &[Claim(B, 0), Retire(A)]],
        reaches: &[Helping, Lost],
        ..NONE
    },
    Scenario {
        name: "the next generation's handle is guessed",
        live: 1,
        scripts: &[
            &[Retire(A), Insert, Validate(INSERTED)],
            &[Validate(A_NEXT), Claim(A_NEXT, 0), Retire(A_NEXT)],
        ],
        reaches: &[Reuse],
        ..NONE
    },
    Scenario {
        name: "two threads retire and insert",
        live: 1,
        spare: 1,
        scripts: &[&[Retire(A), Insert, Claim(INSERTED, 0)], &[Retire(A), Insert, Claim(INSERTED, 0)]],
        reaches: &[Reuse, FlipForAnother, Lost],
        ..NONE
    },
    Scenario {
        name: "a late helper, and the claim is released",
        live: 1,
        scripts: &[&[Claim(A, 0)], &[Release(A, 0)], &[Retire(A)]],
        reaches: &[Helping, LateHelper, SettledByHelper],
        ..NONE
    },
    Scenario {
        name: "one object in three threads",
        live: 1,
        scripts: &[&[Claim(A, 0)], &[Claim(A, 0)], &[Retire(A)]],
        reaches: &[Helping, LateHelper, SettledByHelper, Lost],
        ..NONE
    },
    Scenario {
        name: "one object in three threads, released and claimed",
        live: 1,
        owned: &[(0, 0)],
        scripts: &[&[Release(A, 0)], &[Claim(A, 0), Release(A, 0)], &[Claim(A, 0)]],
        reaches: &[Helping, LateHelper, SettledByHelper, Lost],
        ..NONE
    },
    Scenario {
        name: "one object, two words, a release and two claims",
        live: 1,
        owned: &[(0, 0)],
        scripts: &[&[Release(A, 0)], &[Claim(A, 0)], &[Claim(A, 1)]],
        reaches: &[Helping, LateHelper, SettledByHelper],
        ..NONE
    },
    Scenario {
        name: "three threads, two objects, one word",
        scripts: &[&[Claim(A, 0), Release(A, 0)], &[Claim(B, 0), Release(B, 0)], &[Retire(A)]],
        reaches: &[Helping, LateHelper, LateHelperWordTaken, Lost],
        ..NONE
    },
    Scenario {
        name: "a crossing: two objects, two words, both ways",
        scripts: &[&[Claim(A, 0), Claim(A, 1)], &[Claim(B, 1), Claim(B, 0)], &[Retire(A), Retire(B)]],
        reaches: &[Helping, LateHelper, SettledByHelper, Lost],
        ..NONE
    },
    Scenario {
        name: "two helpers",
        live: 1,
        owned: &[(0, 0)],
        scripts: &[&[Release(A, 0)], &[Retire(A)], &[Retire(A), Validate(A)]],
        reaches: &[Helping, LateHelper, SettledByHelper, FlipForAnother],
        ..NONE
    },
    Scenario {
        name: "two helpers, one of them in the slot's next generation",
        live: 1,
        owned: &[(0, 0)],
        scripts: &[&[Release(A, 0), Retire(A), Insert], &[Retire(A)], &[Claim(A_NEXT, 0), Retire(A_NEXT)]],
        reaches: &[Helping, LateHelper, LateHelperSlotReused, Reuse],
        ..NONE
    },
    Scenario {
        name: "a late helper, slot reused, word with another owner",
        owned: &[(0, 0)],
        scripts: &[
            &[Release(A, 0), Retire(A), Insert, Claim(INSERTED, 1)],
            &[Retire(A), OwnerOf(1)],
            &[Claim(B, 0), Release(B, 0)],
        ],
        reaches: &[Helping, LateHelper, LateHelperWordTaken, LateHelperSlotReused, Reuse],
        ..NONE
    },
    Scenario {
        name: "owner_of through changes of owner and reuse",
        owned: &[(0, 0)],
        scripts: &[
            &[Release(A, 0), Retire(A), Insert, Claim(INSERTED, 0)],
            &[Claim(B, 0), Release(B, 0)],
            &[OwnerOf(0), OwnerOf(0)],
        ],
        reaches: &[OwnerChangedWhileResolved, SlotReusedWhileResolved, Reuse, Lost],
        ..NONE
    },
    Scenario {
        name: "three threads claim one word for two objects, one retires",
        scripts: &[&[Claim(A, 0), Release(A, 0)], &[Claim(A, 0)], &[Claim(B, 0), Retire(B)]],
        reaches: &[Helping, LateHelper, LateHelperWordTaken, SettledByHelper, Lost],
        ..NONE
    },
    Scenario {
        name: "a touch against a claim",
        scripts: &[&[Claim(A, 0), Release(A, 0)], &[Touch(0), OwnerOf(0)], &[Retire(A)]],
        reaches: &[Lost, Helping, LateHelper],
        ..NONE
    },
    Scenario {
        name: "a touch against a release",
        owned: &[(0, 0)],
        scripts: &[&[Release(A, 0)], &[Touch(0), Claim(B, 0)], &[Retire(A)]],
        reaches: &[Helping, LateHelper, LateHelperWordTaken],
        ..NONE
    },
    Scenario {
        name: "a touch against two claims of one object",
        live: 1,
        scripts: &[&[Claim(A, 0)], &[Claim(A, 0), Release(A, 0)], &[Touch(0)]],
        reaches: &[Helping, LateHelper, SettledByHelper, Lost],
        ..NONE
    },
    Scenario {
        name: "four threads",
        owned: &[(0, 0)],
        scripts: &[&[Release(A, 0)], &[Claim(B, 0)], &[OwnerOf(0)], &[Retire(A)]],
        reaches: &[Helping, LateHelper, LateHelperWordTaken, OwnerChangedWhileResolved],
        ..NONE
    },
    Scenario {
        name: "four threads, one object",
        live: 1,
        scripts: &[&[Claim(A, 0)], &[Claim(A, 0)], &[Release(A, 0)], &[Retire(A)]],
        reaches: &[Helping, LateHelper, SettledByHelper, Lost],
        ..NONE
    },
];

/// The scenarios that are explored with store buffers, beside some of [`QUICK`].
pub const BUFFERED: &[Scenario] = &[
    Scenario {
        name: "each thread validates what the other inserts",
        live: 0,
        spare: 2,
        scripts: &[&[Insert, Validate(B)], &[Insert, Validate(A)]],
        ..NONE
    },
    Scenario {
        name: "an object is claimed for and retired while it is inserted",
        live: 0,
        spare: 1,
        scripts: &[&[Insert, Claim(INSERTED, 0)], &[Claim(A, 0), Validate(A)], &[Retire(A)]],
        ..NONE
    },
];

/// The scenarios of [`QUICK`] that are explored with store buffers, too.
pub const QUICK_BUFFERED: [&str; 3] = [
    "claim against retire",
    "claim against release of one object",
    "the next generation's handle is guessed",
];

/// Longer scenarios, of 3 to 14 million states: minutes each.
pub const LONG: &[Scenario] = &[
    Scenario {
        name: "one object, two words, three threads",
        live: 1,
        scripts: &[&[Claim(A, 0), Release(A, 0)], &[Claim(A, 1), Release(A, 1)], &[Retire(A), Retire(A)]],
        reaches: &[Helping, LateHelper, SettledByHelper],
        ..NONE
    },
    Scenario {
        name: "three operations each",
        scripts: &[
            &[Claim(A, 0), Release(A, 0), Claim(A, 1)],
            &[Claim(A, 0), Release(A, 0), Retire(A)],
            &[Claim(B, 0)],
        ],
        reaches: &[Helping, LateHelper, LateHelperWordTaken, SettledByHelper, Lost],
        ..NONE
    },
    Scenario {
        name: "three threads through two generations of a slot",
        owned: &[(0, 0)],
        scripts: &[
            &[Release(A, 0), Retire(A), Insert, Claim(INSERTED, 0)],
            &[Claim(A, 1), Release(A, 1), Claim(B, 0)],
            &[Retire(A), Claim(A_NEXT, 0), Retire(A_NEXT)],
        ],
        reaches: &[Helping, LateHelper, LateHelperWordTaken, LateHelperSlotReused, Reuse],
        ..NONE
    },
];
