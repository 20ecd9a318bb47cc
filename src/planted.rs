//! Bugs that are planted, to show that somebody finds them: `verify/bugs.tsv` says who. A feature builds one in. Models, which take
//! long to build, have all of them, and the environment says which: `MGM_PLANTED_BUG=bug-...`.

/// Whether a bug is there.
macro_rules! planted {
    ($bug:literal) => {
        cfg!(feature = $bug) || $crate::planted::is_chosen($bug)
    };
}

/// Whether the environment says so, where it is asked.
#[cfg(not(loom))]
#[inline(always)]
pub(crate) const fn is_chosen(_: &str) -> bool {
    false
}

/// Whether the environment says so, where it is asked.
#[cfg(loom)]
pub(crate) fn is_chosen(bug: &str) -> bool {
    static CHOSEN: std::sync::OnceLock<Option<std::ffi::OsString>> = std::sync::OnceLock::new();
    CHOSEN.get_or_init(|| std::env::var_os("MGM_PLANTED_BUG")).as_ref().is_some_and(|chosen| chosen == bug)
}
