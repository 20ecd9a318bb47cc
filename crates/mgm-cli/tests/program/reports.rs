//! HTML reports of `mgm soak` and `mgm stress`.

/// Asserts that a page has the date, the version, the host and the processors of its run.
pub(crate) fn assert_has_provenance(page: &str) {
    let version = format!("mgm {}", env!("CARGO_PKG_VERSION"));
    for fact in ["started", " UTC", "version", &version, "host", "processors"] {
        assert!(page.contains(fact), "{fact} is not in the page");
    }
}
