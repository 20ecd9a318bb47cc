//! The scenarios. Each is small, and each holds a pattern the others do not: a bug shows only in a model that contains
//! its pattern.

use super::system::Call::{Claim, Insert, OwnerOf, Release, Retire, Validate};
use super::system::{A, A2, B, MINE, Scenario};
use super::witness::Witness::*;

const NONE: Scenario = Scenario { name: "", live: 2, spare: 0, held: &[], scripts: &[], reaches: &[] };

/// The scenarios explored with every run of the tests.
pub(super) const QUICK: &[Scenario] = &[
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
        held: &[(0, 0)],
        scripts: &[&[Release(A, 0), Claim(A, 0)], &[Claim(A, 0), Release(A, 0)]],
        reaches: &[Helping, LateHelper, TornRead, SettledByHelper],
        ..NONE
    },
    Scenario {
        name: "one object released twice",
        live: 1,
        held: &[(0, 0)],
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
        held: &[(0, 0)],
        scripts: &[&[Release(A, 0), Retire(A)], &[Retire(A), Validate(A)]],
        reaches: &[Helping, SettledByHelper, FlipForAnother],
        ..NONE
    },
    Scenario {
        name: "a late helper, and the word is another's",
        held: &[(0, 0)],
        scripts: &[&[Release(A, 0)], &[Retire(A)], &[Claim(B, 0), Retire(B)]],
        reaches: &[Helping, LateHelper, LateHelperReowned],
        ..NONE
    },
    Scenario {
        name: "a late helper, and the slot is reused",
        live: 1,
        held: &[(0, 0)],
        scripts: &[&[Release(A, 0), Retire(A), Insert, Claim(MINE, 0)], &[Retire(A)]],
        reaches: &[Helping, LateHelper, LateHelperNextLife, Reuse],
        ..NONE
    },
    Scenario {
        name: "a late helper's claim, and the slot is reused",
        live: 1,
        scripts: &[&[Claim(A, 0), Release(A, 0), Retire(A), Insert, Claim(MINE, 0)], &[Retire(A)]],
        reaches: &[Helping, LateHelper, LateHelperNextLife, Reuse],
        ..NONE
    },
    Scenario {
        name: "the owner is asked for during a hand-over",
        held: &[(0, 0)],
        scripts: &[&[Release(A, 0), Retire(A)], &[Claim(B, 0)], &[OwnerOf(0), Validate(A)]],
        reaches: &[NameMoved],
        ..NONE
    },
    Scenario {
        name: "the owner is asked for, and its slot is reused",
        live: 1,
        held: &[(0, 0)],
        scripts: &[&[Release(A, 0), Retire(A), Insert, Claim(MINE, 0)], &[OwnerOf(0), OwnerOf(0)]],
        reaches: &[NameMoved, NameNextLife, Reuse],
        ..NONE
    },
    Scenario {
        name: "a claim is refused, and the owner's slot is reused",
        live: 2,
        held: &[(0, 0)],
        scripts: &[&[Release(A, 0), Retire(A), Insert, Claim(MINE, 0)], &[Claim(B, 0), Retire(B)]],
        reaches: &[NameMoved, NameNextLife, Reuse],
        ..NONE
    },
    Scenario {
        name: "a refusal against the end of the refused",
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
        name: "the next life's handle is guessed",
        live: 1,
        scripts: &[&[Retire(A), Insert, Validate(MINE)], &[Validate(A2), Claim(A2, 0), Retire(A2)]],
        reaches: &[Reuse],
        ..NONE
    },
    Scenario {
        name: "two retire, two insert",
        live: 1,
        spare: 1,
        scripts: &[&[Retire(A), Insert, Claim(MINE, 0)], &[Retire(A), Insert, Claim(MINE, 0)]],
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
        held: &[(0, 0)],
        scripts: &[&[Release(A, 0)], &[Claim(A, 0), Release(A, 0)], &[Claim(A, 0)]],
        reaches: &[Helping, LateHelper, SettledByHelper, Lost],
        ..NONE
    },
    Scenario {
        name: "one object, two words, a release and two claims",
        live: 1,
        held: &[(0, 0)],
        scripts: &[&[Release(A, 0)], &[Claim(A, 0)], &[Claim(A, 1)]],
        reaches: &[Helping, LateHelper, SettledByHelper],
        ..NONE
    },
    Scenario {
        name: "three threads, two objects, one word",
        scripts: &[&[Claim(A, 0), Release(A, 0)], &[Claim(B, 0), Release(B, 0)], &[Retire(A)]],
        reaches: &[Helping, LateHelper, LateHelperReowned, Lost],
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
        held: &[(0, 0)],
        scripts: &[&[Release(A, 0)], &[Retire(A)], &[Retire(A), Validate(A)]],
        reaches: &[Helping, LateHelper, SettledByHelper, FlipForAnother],
        ..NONE
    },
    Scenario {
        name: "two helpers, one of them in the slot's next life",
        live: 1,
        held: &[(0, 0)],
        scripts: &[&[Release(A, 0), Retire(A), Insert], &[Retire(A)], &[Claim(A2, 0), Retire(A2)]],
        reaches: &[Helping, LateHelper, LateHelperNextLife, Reuse],
        ..NONE
    },
    Scenario {
        name: "a late helper, slot reused, word another's",
        held: &[(0, 0)],
        scripts: &[
            &[Release(A, 0), Retire(A), Insert, Claim(MINE, 1)],
            &[Retire(A), OwnerOf(1)],
            &[Claim(B, 0), Release(B, 0)],
        ],
        reaches: &[Helping, LateHelper, LateHelperReowned, LateHelperNextLife, Reuse],
        ..NONE
    },
    Scenario {
        name: "the owner is asked for through hand-overs and reuse",
        held: &[(0, 0)],
        scripts: &[
            &[Release(A, 0), Retire(A), Insert, Claim(MINE, 0)],
            &[Claim(B, 0), Release(B, 0)],
            &[OwnerOf(0), OwnerOf(0)],
        ],
        reaches: &[NameMoved, NameNextLife, Reuse, Lost],
        ..NONE
    },
    Scenario {
        name: "three claim one word for two objects, one retires",
        scripts: &[&[Claim(A, 0), Release(A, 0)], &[Claim(A, 0)], &[Claim(B, 0), Retire(B)]],
        reaches: &[Helping, LateHelper, LateHelperReowned, SettledByHelper, Lost],
        ..NONE
    },
    Scenario {
        name: "four threads",
        held: &[(0, 0)],
        scripts: &[&[Release(A, 0)], &[Claim(B, 0)], &[OwnerOf(0)], &[Retire(A)]],
        reaches: &[Helping, LateHelper, LateHelperReowned, NameMoved],
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

/// Longer ones, of 3 to 14 million states: minutes each.
#[cfg(feature = "long-models")]
pub(super) const LONG: &[Scenario] = &[
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
        reaches: &[Helping, LateHelper, LateHelperReowned, SettledByHelper, Lost],
        ..NONE
    },
    Scenario {
        name: "three threads through two lives of a slot",
        held: &[(0, 0)],
        scripts: &[
            &[Release(A, 0), Retire(A), Insert, Claim(MINE, 0)],
            &[Claim(A, 1), Release(A, 1), Claim(B, 0)],
            &[Retire(A), Claim(A2, 0), Retire(A2)],
        ],
        reaches: &[Helping, LateHelper, LateHelperReowned, LateHelperNextLife, Reuse],
        ..NONE
    },
];
