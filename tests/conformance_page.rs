//! Compares docs/conformance.md with the tests that it names.

use std::collections::BTreeMap;
use std::fs;

const PAGE: &str = include_str!("../docs/conformance.md");

/// Returns the cells of the rows of requirements: those of the tables with four columns that name a test.
fn rows() -> Vec<Vec<&'static str>> {
    let requirements = PAGE.split("## Where RFC 9776").next().unwrap();
    let cells = |line: &'static str| -> Option<Vec<_>> {
        let inner = line.strip_prefix('|')?.strip_suffix('|')?;
        let cells: Vec<_> = inner.split('|').map(str::trim).collect();
        cells[0].starts_with(|first: char| first.is_ascii_digit()).then_some(cells)
    };
    requirements.lines().filter_map(cells).collect()
}

/// Returns the tests that a text names, each as file and name.
fn tests(text: &'static str) -> Vec<(&'static str, &'static str)> {
    text.split('`').skip(1).step_by(2).filter_map(|code| code.split_once(": ")).collect()
}

#[test]
fn each_requirement_has_a_test_or_a_reason() {
    let rows = rows();
    assert!(rows.len() >= 60, "only {} rows", rows.len());
    for row in rows {
        assert_eq!(row.len(), 4, "{row:?}");
        let reason = row[3].strip_prefix("does not apply: ");
        assert!(reason.is_some_and(|reason| reason.len() > 10) || !tests(row[3]).is_empty(), "{row:?}");
    }
}

#[test]
fn each_test_on_the_page_exists() {
    let mut sources = BTreeMap::new();
    let named = tests(PAGE);
    assert!(named.len() >= 60, "only {} tests are named", named.len());
    for (file, name) in named {
        let source = sources
            .entry(file)
            .or_insert_with(|| fs::read_to_string(file).unwrap_or_else(|error| panic!("{file}: {error}")));
        let head = format!("fn {name}(");
        let before = source.split_once(&head).map(|(before, _)| before);
        let before = before.unwrap_or_else(|| panic!("{file} has no test {name}"));
        // The attribute is on the line before; in a `proptest!` block too.
        assert!(before.trim_end().ends_with("#[test]"), "{file}: {name} is not a test");
    }
}

/// Every test that goes by a section of an RFC is on the page.
#[test]
fn each_test_by_section_is_on_the_page() {
    let named = tests(PAGE);
    for file in fs::read_dir("tests/gmp").unwrap() {
        let path = file.unwrap().path();
        let path = path.to_str().unwrap();
        if !path.starts_with("tests/gmp/rfc") {
            continue;
        }
        let source = fs::read_to_string(path).unwrap();
        for test in source.split("#[test]").skip(1) {
            let name = test.split_once("fn ").and_then(|(_, rest)| rest.split_once('(')).unwrap().0;
            assert!(named.contains(&(path, name)), "{path}: {name} is not on the page");
        }
    }
}
