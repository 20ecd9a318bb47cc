//! Bugs planted on purpose, to show that the checks detect them. `verify/bugs.tsv` lists which check must detect which bug.
//!
//! They are compiled in only under `--cfg mgm_instrumented` and under loom, all of them at once. The environment variable
//! `MGM_PLANTED_BUG` then names the one that is active; without it none is. In any other build `planted!` is `false`.
//!
//! One more bug, `extra-load`, is chosen when compiling (`--cfg mgm_bug="extra-load"`): it adds an instruction to the
//! look-up of a handle, and a test of the environment would add instructions of its own.

/// Whether the planted bug is active.
macro_rules! planted {
    ($bug:literal) => {{
        const BUG: usize = $crate::planted::number_of($bug);
        $crate::planted::is_active(BUG)
    }};
}

/// Every bug that `MGM_PLANTED_BUG` can name.
const BUGS: &[&str] = &[
    "act-without-confirm",
    "bare-repin",
    "bucket-relaxed",
    "chunk-twice",
    "claim-for-next",
    "claim-without-seen",
    "count-first",
    "counts-unwrapped",
    "dead-outgoing-copied",
    "dead-stamp-forwards",
    "destructors-nest",
    "foreign-counter-restarts",
    "full-with-room",
    "growth-published-empty",
    "index-without-version",
    "inside-unseen",
    "late-client-visible",
    "mention-relaxed",
    "no-grace-on-reuse",
    "outbox-late-idle",
    "outbox-stays-busy",
    "outcome-from-owner-word",
    "page-twice",
    "payload-dropped",
    "prune-needs-stamp",
    "publish-relaxed",
    "publish-release",
    "push-over-list",
    "put-off-forgotten",
    "replace-withdraws-first",
    "republish-live",
    "restart-unmarked",
    "retire-relaxed",
    "ring-relaxed",
    "routes-unchecked",
    "rundown-late-entry",
    "settle-at-each-owner",
    "settle-without-ticket",
    "stale-without-flip",
    "still-owns-on-busy",
    "sweep-once",
    "untagged-free-list",
    "upcall-late-seal",
];

/// The position of a bug in [`BUGS`]. A name that is not there is an error when compiling.
pub(crate) const fn number_of(bug: &str) -> usize {
    let mut number = 0;
    while number < BUGS.len() {
        if is_equal(BUGS[number].as_bytes(), bug.as_bytes()) {
            return number;
        }
        number += 1;
    }
    panic!("not in the list of planted bugs")
}

/// `==` of octets, which is not const.
const fn is_equal(a: &[u8], b: &[u8]) -> bool {
    let mut at = 0;
    while at < a.len() && at < b.len() && a[at] == b[at] {
        at += 1;
    }
    at == a.len() && at == b.len()
}

#[cfg(not(any(loom, mgm_instrumented)))]
#[inline(always)]
pub(crate) const fn is_active(_: usize) -> bool {
    false
}

#[cfg(any(loom, mgm_instrumented))]
pub(crate) fn is_active(bug: usize) -> bool {
    active() == Some(bug)
}

/// The name of the active bug.
#[cfg(all(test, mgm_instrumented, not(loom)))]
pub(crate) fn active_bug() -> Option<&'static str> {
    active().map(|bug| BUGS[bug])
}

/// Reads `MGM_PLANTED_BUG`, once.
///
/// A name that is not in the list ends the process: a mistyped name must not look like a bug that was detected, nor like
/// one that was not.
#[cfg(any(loom, mgm_instrumented))]
fn active() -> Option<usize> {
    // Std's even under loom: reading the environment is no part of a model.
    static ACTIVE: std::sync::OnceLock<Option<usize>> = std::sync::OnceLock::new();
    *ACTIVE.get_or_init(|| {
        let name = std::env::var_os("MGM_PLANTED_BUG")?;
        let bug = BUGS.iter().position(|bug| *bug == name);
        if bug.is_none() {
            eprintln!("MGM_PLANTED_BUG={}: no such bug; the bugs are {}", name.display(), BUGS.join(", "));
            std::process::exit(125);
        }
        bug
    })
}
