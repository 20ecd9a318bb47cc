//! Reports: tables, samples over time, and HTML pages with plots.

mod chart;
mod page;
mod provenance;
mod samples;

pub use chart::{Axis, Chart, Series, short};
pub use page::{Destination, Page};
pub use provenance::Provenance;
pub use samples::{Sample, Samples};

/// A table. Columns with a name that begins with `#` hold numbers.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// The names of the columns.
    pub columns: Vec<&'static str>,
    /// The rows, with one cell for each column.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// Returns a table.
    #[must_use]
    pub fn new(columns: &[&'static str], rows: Vec<Vec<String>>) -> Table {
        Table { columns: columns.to_vec(), rows }
    }

    /// Returns whether a column holds numbers.
    #[must_use]
    pub fn is_number(&self, column: usize) -> bool {
        self.columns.get(column).is_some_and(|name| name.starts_with('#'))
    }

    /// Returns the title of each column.
    pub fn titles(&self) -> impl Iterator<Item = &'static str> {
        self.columns.iter().map(|name| name.trim_start_matches('#'))
    }
}

/// Returns a number with its digits in groups: 1 234 567.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped_by_three() {
        let numbers = [(0, "0"), (999, "999"), (1000, "1 000"), (12_345_678, "12 345 678")];
        for (number, text) in numbers {
            assert_eq!(grouped(number), text);
        }
    }
}
