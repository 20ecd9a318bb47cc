//! [`Mistake`]: one mistake of a configuration, with its place and what would be right.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A mistake of a configuration.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Mistake {
    /// The line, from 1 on.
    pub(crate) line: usize,
    /// The column in characters, from 1 on.
    pub(crate) column: usize,
    /// What is wrong, and what would be right.
    pub(crate) message: String,
}

impl Mistake {
    /// Makes the mistake at an octet of the text.
    pub(super) fn at(text: &str, octet: usize, message: String) -> Mistake {
        // A place beyond the end, or inside of a character, is that of what stands before it.
        let before = (0..=octet.min(text.len())).rev().find_map(|end| text.get(..end)).unwrap_or("");
        let line = 1 + before.matches('\n').count();
        let column = 1 + before.rsplit('\n').next().map_or(0, |line| line.chars().count());
        Mistake { line, column, message }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.message)
    }
}

/// Returns the known name that is most like a wrong one; `None` when none is like it.
pub(crate) fn nearest<'n>(wrong: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let distance = |name: &str| strsim::damerau_levenshtein(&wrong.to_lowercase(), &name.to_lowercase());
    // A letter is rather forgotten than written for nothing, so of two the longer.
    let best = known.into_iter().min_by_key(|name| (distance(name), std::cmp::Reverse(name.len())))?;
    // A third of the letters may differ.
    (distance(best) <= best.chars().count().max(3) / 3).then_some(best)
}

/// Returns names as a list for a message; "none" for no names.
pub(crate) fn list<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    let names: Vec<_> = names.into_iter().collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_and_lines_begin_at_one() {
        let at = |octet| {
            let Mistake { line, column, .. } = Mistake::at("a = \"é\"\nb", octet, String::new());
            (line, column)
        };
        assert_eq!([0, 4, 7, 8, 9].map(at), [(1, 1), (1, 5), (1, 7), (1, 8), (2, 1)]);
        assert_eq!(at(6), (1, 6), "inside of a character");
        assert_eq!(at(999), (2, 2), "beyond the end");
    }

    #[test]
    fn the_nearest_name_is_found_only_when_it_is_like() {
        let names = ["threshold", "name", "protocols"];
        assert_eq!(nearest("treshold", names), Some("threshold"));
        assert_eq!(nearest("nmae", names), Some("name"));
        assert_eq!(nearest("protocol", names), Some("protocols"));
        assert_eq!(nearest("colour", names), None);
        assert_eq!(nearest("routr", ["route", "router"]), Some("router"));
    }
}
