//! Text that a terminal shows as it is.
//!
//! Names of interfaces come from capture files, and may contain anything.

use std::borrow::Cow;
use std::fmt::Write;
use std::ops::RangeInclusive;

/// The characters that are not shown themselves, but change how others are shown, besides the control characters.
///
/// These are the format characters and the separators of lines and paragraphs (general categories Cf, Zl and Zp of
/// Unicode 16), and the whole range of tags and further selectors, of which Unicode has not assigned every character.
const FORMAT: [RangeInclusive<char>; 19] = [
    '\u{ad}'..='\u{ad}',
    '\u{600}'..='\u{605}',
    '\u{61c}'..='\u{61c}',
    '\u{6dd}'..='\u{6dd}',
    '\u{70f}'..='\u{70f}',
    '\u{890}'..='\u{891}',
    '\u{8e2}'..='\u{8e2}',
    '\u{180e}'..='\u{180e}',
    '\u{200b}'..='\u{200f}',
    '\u{2028}'..='\u{202e}',
    '\u{2060}'..='\u{206f}',
    '\u{feff}'..='\u{feff}',
    '\u{fff0}'..='\u{fffb}',
    '\u{110bd}'..='\u{110bd}',
    '\u{110cd}'..='\u{110cd}',
    '\u{13430}'..='\u{1343f}',
    '\u{1bca0}'..='\u{1bca3}',
    '\u{1d173}'..='\u{1d17a}',
    '\u{e0000}'..='\u{e0fff}',
];

/// Returns a text with every character escaped that a terminal would obey instead of showing it: `\u{1b}`.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    if !text.contains(is_obeyed) {
        return text.into();
    }
    let escape = |c: char| if is_obeyed(c) { c.escape_unicode().to_string() } else { c.to_string() };
    text.chars().map(escape).collect::<String>().into()
}

/// Returns a name as [plain] text of at most [`SHORT`] characters. The middle of a longer one becomes `…`.
///
/// A table repeats a name in many rows, and the numbers of VLANs stand at the end of a name.
pub(crate) fn short(name: &str) -> String {
    const BEGIN: usize = 20;
    let is_long = name.chars().nth(SHORT).is_some();
    if !is_long && !name.contains(is_obeyed) {
        return name.to_owned();
    }
    // Each character has at least one column, so no more of them can be shown.
    let end = name.char_indices().rev().nth(SHORT).map_or(0, |(at, _)| at);
    let begin: String = name.chars().take(SHORT + 1).collect();
    let begin = plain(&begin);
    if !is_long && begin.chars().count() <= SHORT {
        return begin.into_owned();
    }
    let end = plain(&name[end..]).chars().rev().take(SHORT - BEGIN - 1).collect::<Vec<_>>();
    let end = end.into_iter().rev();
    begin.chars().take(BEGIN).chain(['…']).chain(end).collect()
}

/// The maximum number of characters of a name in a table.
pub(crate) const SHORT: usize = 32;

/// Returns [plain] text for each line of a message. The line breaks stay.
pub(crate) fn plain_lines(text: &str) -> String {
    text.split('\n').map(plain).collect::<Vec<_>>().join("\n")
}

/// Escapes the same characters in a JSON text, as JSON does: `\u009b`. The value stays the same.
///
/// Outside its strings a JSON text has no such character but line breaks, which stay. Strings have line breaks escaped.
pub(crate) fn plain_json(json: String) -> String {
    let is_escaped = |c: char| c != '\n' && is_obeyed(c);
    if !json.contains(is_escaped) {
        return json;
    }
    let mut plain = String::with_capacity(json.len() + json.len() / 8);
    for c in json.chars() {
        if is_escaped(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing into a String cannot fail.
                let _ = write!(plain, "\\u{unit:04x}");
            }
        } else {
            plain.push(c);
        }
    }
    plain
}

/// Returns whether a character is a control character, or one that changes the direction or the line of a text or is not
/// visible.
fn is_obeyed(c: char) -> bool {
    c.is_control() || (!c.is_ascii() && FORMAT.iter().any(|range| range.contains(&c)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_escaped() {
        assert_eq!(plain("eth0\u{1b}[31mRED\n\u{9b}1A"), "eth0\\u{1b}[31mRED\\u{a}\\u{9b}1A");
        assert_eq!(plain("a\u{202e}b\u{7f}\0"), "a\\u{202e}b\\u{7f}\\u{0}");
        for shown in ["eth0.5", "Büro \"1\"", "網路", "é\u{301}"] {
            assert_eq!(plain(shown), shown);
        }
    }

    #[test]
    fn what_is_invisible_is_escaped() {
        for c in ['\u{85}', '\u{ad}', '\u{61c}', '\u{200b}', '\u{2028}', '\u{feff}', '\u{e0041}'] {
            assert_eq!(plain(&format!("a{c}")), format!("a{}", c.escape_unicode()));
        }
    }

    #[test]
    fn a_long_name_loses_its_middle() {
        for whole in ["eth0.5", &"x".repeat(32), "網路"] {
            assert_eq!(short(whole), *whole);
        }
        assert_eq!(short("a\u{1b}b"), "a\\u{1b}b");
        let long = format!("{}.4094", "é".repeat(65_000));
        assert_eq!(short(&long), format!("{}…{}.4094", "é".repeat(20), "é".repeat(6)));
        for long in ["y".repeat(33), "\u{1b}".repeat(8), "\u{1b}".repeat(65_000)] {
            assert_eq!(short(&long).chars().count(), SHORT, "{}", short(&long));
        }
    }

    #[test]
    fn the_lines_of_a_message_stay() {
        assert_eq!(plain_lines("line 2\n  | \u{1b}]0;x\n  ^\n"), "line 2\n  | \\u{1b}]0;x\n  ^\n");
    }

    #[test]
    fn escaped_json_has_the_same_value() {
        let name = "a\u{1b}\u{9b}\u{85}\u{7f}\u{202e}\u{2028}\u{feff}\u{61c}\u{200b}\u{e0041}é網\n\"";
        let json = serde_json::to_string_pretty(&[name]).unwrap();
        let plain = plain_json(json);
        assert!(!plain.contains(|c| c != '\n' && is_obeyed(c)), "{plain}");
        assert!(plain.contains("\\u009b\\u0085\\u007f\\u202e\\u2028\\ufeff\\u061c\\u200b\\udb40\\udc41é網"));
        assert_eq!(serde_json::from_str::<Vec<String>>(&plain).unwrap(), [name]);
    }
}
