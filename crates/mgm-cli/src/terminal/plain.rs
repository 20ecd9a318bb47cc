//! Text that a terminal shows as it is.

use std::borrow::Cow;

/// Returns a text with every character escaped that a terminal would obey instead of showing it: `\u{1b}`.
///
/// Names of interfaces come from capture files, and may contain anything.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    if !text.contains(is_obeyed) {
        return text.into();
    }
    let escape = |c: char| if is_obeyed(c) { c.escape_unicode().to_string() } else { c.to_string() };
    text.chars().map(escape).collect::<String>().into()
}

/// Returns whether a character is a control character, or one that changes the direction or the line of a text.
fn is_obeyed(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
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
}
