//! Reads the tables of a configuration and collects every mistake, instead of ending at the first.
//!
//! A [`Section`] is one table of the file. Each getter makes a key known. [`Section::finish`] then names every key that no
//! getter asked for, so that the reader itself is the list of keys.

use super::mistake::{Mistake, list, nearest};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The mistakes of a text, and the keys that it may have.
pub(super) struct Reader<'t> {
    text: &'t str,
    found: RefCell<Vec<Mistake>>,
    /// The keys that a getter asked for, with the tables they are in.
    known: RefCell<BTreeSet<String>>,
    /// Those of them that the text has.
    present: RefCell<BTreeSet<String>>,
}

/// A value with the octet at which it begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) at: usize,
}

impl<'t> Reader<'t> {
    pub(super) fn new(text: &'t str) -> Reader<'t> {
        Reader { text, found: RefCell::default(), known: RefCell::default(), present: RefCell::default() }
    }

    /// Notes a mistake at an octet of the text.
    pub(super) fn wrong(&self, at: usize, message: impl Into<String>) {
        self.found.borrow_mut().push(Mistake::at(self.text, at, message.into()));
    }

    /// Returns the line of an octet, for messages that name another place.
    pub(super) fn line(&self, at: usize) -> usize {
        Mistake::at(self.text, at, String::new()).line
    }

    /// Returns the mistakes in the order of their places.
    pub(super) fn mistakes(&self) -> Vec<Mistake> {
        let mut found = self.found.take();
        found.sort();
        found.dedup();
        found
    }

    /// Returns the keys that the reader knows, and those that the text has.
    #[cfg(test)]
    pub(super) fn keys(&self) -> (BTreeSet<String>, BTreeSet<String>) {
        (self.known.borrow().clone(), self.present.borrow().clone())
    }
}

/// One table of the file.
pub(super) struct Section<'r> {
    reader: &'r Reader<'r>,
    table: &'r DeTable<'r>,
    /// Its name in messages: `[[interface]]`.
    title: String,
    /// Its place among all keys: `interface`, `gmp.*`.
    path: String,
    at: usize,
    known: Vec<&'static str>,
}

impl<'r> Section<'r> {
    /// Returns the whole file as a section.
    pub(super) fn whole(reader: &'r Reader<'r>, table: &'r DeTable<'r>) -> Section<'r> {
        Section {
            reader,
            table,
            title: "this file".to_owned(),
            path: String::new(),
            at: 0,
            known: Vec::new(),
        }
    }

    /// Returns the octet at which the section begins.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Returns the octet at which the value of a key begins, or else the section.
    pub(super) fn place_of(&self, key: &str) -> usize {
        self.table.get(key).map_or(self.at, |value| value.span().start)
    }

    /// Notes a mistake at an octet of the text.
    pub(super) fn wrong(&self, at: usize, message: impl Into<String>) {
        self.reader.wrong(at, message);
    }

    /// Returns the value of a key, and makes the key known.
    fn value(&mut self, key: &'static str) -> Option<&'r Spanned<DeValue<'r>>> {
        self.known.push(key);
        let path = if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) };
        let value = self.table.get(key);
        if value.is_some() {
            self.reader.present.borrow_mut().insert(path.clone());
        }
        self.reader.known.borrow_mut().insert(path);
        value
    }

    /// Returns the value of a key as `read` has it. Notes a mistake if it is of another type than `expected` says.
    fn typed<T>(
        &mut self,
        key: &'static str,
        expected: &str,
        read: impl FnOnce(&'r DeValue<'r>) -> Option<T>,
    ) -> Option<At<T>> {
        let value = self.value(key)?;
        let at = value.span().start;
        let read = read(value.get_ref());
        if read.is_none() {
            self.wrong(at, format!("{key} is {}: write {expected}", described(value.get_ref())));
        }
        read.map(|value| At { value, at })
    }

    /// Reads a text.
    pub(super) fn text(&mut self, key: &'static str) -> Option<At<&'r str>> {
        self.typed(key, "a text in quotes", DeValue::as_str)
    }

    /// Reads a text that has to be there.
    pub(super) fn required(&mut self, key: &'static str, example: &str) -> Option<At<&'r str>> {
        if !self.table.contains_key(key) {
            self.value(key);
            self.wrong(self.at, format!("{} has no {key}: add {key} = \"{example}\"", self.title));
            return None;
        }
        self.text(key)
    }

    /// Reads a text that has to be one of these.
    pub(super) fn choice<T: Copy>(&mut self, key: &'static str, choices: &[(&str, T)]) -> Option<T> {
        let text = self.text(key)?;
        let found = choices.iter().find(|(name, _)| *name == text.value);
        if found.is_none() {
            let names = choices.iter().map(|(name, _)| *name);
            self.wrong(text.at, format!("{key} is {:?}: write {}", text.value, one_of(names)));
        }
        found.map(|(_, choice)| *choice)
    }

    /// Reads a whole number within a range.
    pub(super) fn number<T: TryFrom<i64> + Copy>(
        &mut self,
        key: &'static str,
        range: RangeInclusive<i64>,
    ) -> Option<At<T>> {
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        let number = self.typed(key, &expected, |value| {
            let number = value.as_integer()?;
            Some(i64::from_str_radix(number.as_str(), number.radix()).ok())
        })?;
        let fits = number.value.filter(|number| range.contains(number)).and_then(|n| T::try_from(n).ok());
        if fits.is_none() {
            let value = number.value.map_or_else(|| "too large".to_owned(), |number| number.to_string());
            self.wrong(number.at, format!("{key} is {value}: write {expected}"));
        }
        fits.map(|value| At { value, at: number.at })
    }

    /// Reads true or false.
    pub(super) fn flag(&mut self, key: &'static str) -> Option<bool> {
        self.typed(key, "true or false, without quotes", DeValue::as_bool).map(|flag| flag.value)
    }

    /// Reads a number of seconds, which may have a fraction.
    pub(super) fn seconds(&mut self, key: &'static str) -> Option<Duration> {
        let expected = "a number of seconds, such as 125 or 0.5";
        let seconds = self.typed(key, expected, |value| match value {
            DeValue::Integer(number) => Some(number.as_str().parse::<f64>().ok()),
            DeValue::Float(number) => Some(number.as_str().parse::<f64>().ok()),
            _ => None,
        })?;
        let duration = seconds.value.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        if duration.is_none() {
            self.wrong(seconds.at, format!("{key} is no time: write {expected}"));
        }
        duration
    }

    /// Reads a list of texts.
    pub(super) fn texts(&mut self, key: &'static str, example: &str) -> Option<Vec<At<&'r str>>> {
        let expected = format!("a list such as {example}");
        let array = self.typed(key, &expected, DeValue::as_array)?;
        let mut texts = Vec::new();
        for element in array.value.iter() {
            let at = element.span().start;
            match element.get_ref().as_str() {
                Some(value) => texts.push(At { value, at }),
                None => {
                    let is = described(element.get_ref());
                    self.wrong(at, format!("{key} contains {is}: write {expected}"));
                }
            }
        }
        Some(texts)
    }

    /// Reads a text by a function that says what is wrong with it.
    pub(super) fn parsed<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<At<T>> {
        let text = self.text(key)?;
        match parse(text.value) {
            Ok(value) => Some(At { value, at: text.at }),
            Err(wrong) => {
                self.wrong(text.at, format!("{key}: {wrong}"));
                None
            }
        }
    }

    /// Returns a table within this one.
    pub(super) fn table(&mut self, key: &'static str) -> Option<Section<'r>> {
        let title = self.inner_title(key);
        let table = self.typed(key, &format!("a section [{title}]"), DeValue::as_table)?;
        Some(self.inner(table.value, table.at, format!("[{title}]"), key))
    }

    /// Returns the tables of a list, as `[[interface]]` makes one.
    pub(super) fn tables(&mut self, key: &'static str) -> Vec<Section<'r>> {
        let title = format!("[[{}]]", self.inner_title(key));
        let Some(array) = self.typed(key, &format!("sections {title}"), DeValue::as_array) else {
            return Vec::new();
        };
        let mut sections = Vec::new();
        for element in array.value.iter() {
            let at = element.span().start;
            match element.get_ref().as_table() {
                Some(table) => sections.push(self.inner(table, at, title.clone(), key)),
                None => {
                    self.wrong(at, format!("{key} contains {}: write {title}", described(element.get_ref())))
                }
            }
        }
        sections
    }

    /// Returns the tables of a table, by their names, in the order of the file: `[gmp.lan]` is `lan` of `gmp`.
    pub(super) fn named_tables(&mut self, key: &'static str) -> Vec<(At<&'r str>, Section<'r>)> {
        let outer = self.inner_title(key);
        let Some(tables) = self.typed(key, &format!("sections [{outer}.NAME]"), DeValue::as_table) else {
            return Vec::new();
        };
        let mut sections = Vec::new();
        for (name, value) in tables.value.iter() {
            let (at, name) = (name.span().start, &**name.get_ref());
            let title = format!("[{outer}.{name}]");
            match value.get_ref().as_table() {
                Some(table) => {
                    let section = self.inner(table, at, title, &format!("{key}.*"));
                    sections.push((At { value: name, at }, section));
                }
                None => {
                    let is = described(value.get_ref());
                    self.wrong(
                        at,
                        format!("{outer}.{name} is {is}: write a section {title} with its settings"),
                    );
                }
            }
        }
        sections.sort_by_key(|(name, _)| name.at);
        sections
    }

    /// Names every key that no getter asked for.
    pub(super) fn finish(self) {
        for (key, _) in self.table.iter() {
            let (at, key) = (key.span().start, &**key.get_ref());
            if self.known.contains(&key) {
                continue;
            }
            let known = self.known.iter().copied();
            let right = match nearest(key, known.clone()) {
                Some(near) => format!("did you mean {near}?"),
                None => format!("it knows {}", list(known)),
            };
            self.wrong(at, format!("{} has no key {key}: {right}", self.title));
        }
    }

    fn inner_title(&self, key: &str) -> String {
        let outer = self.title.trim_matches(['[', ']']);
        if self.path.is_empty() { key.to_owned() } else { format!("{outer}.{key}") }
    }

    fn inner(&self, table: &'r DeTable<'r>, at: usize, title: String, key: &str) -> Section<'r> {
        let path = if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) };
        Section { reader: self.reader, table, title, path, at, known: Vec::new() }
    }
}

/// Returns a value as messages call it.
fn described(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("the text {text:?}"),
        DeValue::Integer(number) => format!("the number {number}"),
        DeValue::Float(number) => format!("the number {number}"),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Datetime(_) => "a date".to_owned(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

/// Returns names as alternatives: `"a", "b" or "c"`.
pub(super) fn one_of<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    let names: Vec<_> = names.into_iter().map(|name| format!("{name:?}")).collect();
    match names.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => "nothing".to_owned(),
    }
}
