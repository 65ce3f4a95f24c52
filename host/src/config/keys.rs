//! Typed reading of one TOML table: a wrong type, and any key that nobody asked for, becomes a finding.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Place;
use super::report::Report;

/// A value and the place where it is written.
#[derive(Clone)]
pub(super) struct Written<T> {
    pub(super) value: T,
    pub(super) place: Place,
}

/// One table being read. Each key that is asked for is thereby known; [`Keys::finish`] refuses the others.
pub(super) struct Keys<'a> {
    table: &'a DeTable<'a>,
    known: Vec<&'static str>,
}

impl<'a> Keys<'a> {
    pub(super) fn new(table: &'a DeTable<'a>) -> Self {
        Self { table, known: Vec::new() }
    }

    /// The value of `key` as it stands, with the key's own place.
    pub(super) fn value(
        &mut self,
        key: &'static str,
        report: &Report<'_>,
    ) -> Option<(Place, &'a Spanned<DeValue<'a>>)> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        let (name, value) = self.table.get_key_value(key)?;
        Some((report.place(&name.span()), value))
    }

    pub(super) fn string(&mut self, key: &'static str, report: &mut Report<'_>) -> Option<Written<String>> {
        self.typed(key, "a string", report, |value| value.as_str().map(str::to_owned))
    }

    pub(super) fn boolean(&mut self, key: &'static str, report: &mut Report<'_>) -> Option<Written<bool>> {
        self.typed(key, "true or false", report, DeValue::as_bool)
    }

    /// A whole number. One too large for 128 bits becomes the largest there is, so that the range check refuses it.
    pub(super) fn integer(&mut self, key: &'static str, report: &mut Report<'_>) -> Option<Written<i128>> {
        self.typed(key, "a whole number", report, |value| {
            let integer = value.as_integer()?;
            Some(i128::from_str_radix(integer.as_str(), integer.radix()).unwrap_or(i128::MAX))
        })
    }

    pub(super) fn strings(&mut self, key: &'static str, report: &mut Report<'_>) -> Vec<Written<String>> {
        let Some((_, value)) = self.value(key, report) else { return Vec::new() };
        let Some(items) = value.get_ref().as_array() else {
            wrong_type(key, "a list of strings", value, report);
            return Vec::new();
        };
        let mut strings = Vec::with_capacity(items.len());
        for item in items {
            match item.get_ref().as_str() {
                Some(text) => strings.push(Written { value: text.to_owned(), place: report.place(&item.span()) }),
                None => wrong_type(key, "a list of strings", item, report),
            }
        }
        strings
    }

    /// The tables of a list, each with the place of its header.
    pub(super) fn tables(
        &mut self,
        key: &'static str,
        expected: &'static str,
        report: &mut Report<'_>,
    ) -> Vec<Written<&'a DeTable<'a>>> {
        let Some((_, value)) = self.value(key, report) else { return Vec::new() };
        let DeValue::Array(items) = value.get_ref() else {
            wrong_type(key, expected, value, report);
            return Vec::new();
        };
        let mut tables = Vec::with_capacity(items.len());
        for item in items {
            match item.get_ref() {
                DeValue::Table(value) => tables.push(Written { value, place: report.place(&item.span()) }),
                _ => wrong_type(key, expected, item, report),
            }
        }
        tables
    }

    pub(super) fn table(&mut self, key: &'static str, report: &mut Report<'_>) -> Option<Written<&'a DeTable<'a>>> {
        let (place, value) = self.value(key, report)?;
        let table = value.get_ref().as_table();
        if table.is_none() {
            wrong_type(key, "a table", value, report);
        }
        Some(Written { value: table?, place })
    }

    /// Reports every key of the table that nobody asked for, with the nearest that there is. `hint` is added when
    /// none is near.
    pub(super) fn finish(self, hint: &str, report: &mut Report<'_>) {
        let expected = self.known.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
        for name in self.table.keys() {
            let key = name.get_ref().as_ref();
            if self.known.contains(&key) {
                continue;
            }
            let suggestion = match nearest(key, &self.known) {
                Some(near) => format!("; did you mean `{near}`?"),
                None => hint.to_owned(),
            };
            let message = format!("unknown key `{}`, expected one of {expected}{suggestion}", key.escape_debug());
            report.error(report.place(&name.span()), message);
        }
    }

    fn typed<T>(
        &mut self,
        key: &'static str,
        expected: &str,
        report: &mut Report<'_>,
        read: impl FnOnce(&DeValue<'a>) -> Option<T>,
    ) -> Option<Written<T>> {
        let (_, value) = self.value(key, report)?;
        let read = read(value.get_ref());
        if read.is_none() {
            wrong_type(key, expected, value, report);
        }
        Some(Written { value: read?, place: report.place(&value.span()) })
    }
}

/// Reports that `key` holds another type than `expected`; names the type that is there, not the value.
pub(super) fn wrong_type(key: &str, expected: &str, found: &Spanned<DeValue<'_>>, report: &mut Report<'_>) {
    let message = format!("`{key}` must be {expected}, found {}", type_name(found.get_ref()));
    report.error(report.place(&found.span()), message);
}

/// What to call the type of `value` in a message.
fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a fractional number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// What a text means; what it must be goes to `report` when it means nothing.
pub(super) fn parsed<T: std::str::FromStr<Err = &'static str>>(
    key: &str,
    written: &Written<String>,
    report: &mut Report<'_>,
) -> Option<T> {
    let parsed = written.value.parse();
    parsed.map_err(|expected| report.error(written.place, format!("`{key}` {expected}"))).ok()
}

/// The known key that `key` is probably a misspelling of: at most a third of its letters differ.
fn nearest(key: &str, known: &[&'static str]) -> Option<&'static str> {
    let distances = known.iter().map(|candidate| (distance(key, candidate), *candidate));
    let (steps, candidate) = distances.min_by_key(|(steps, _)| *steps)?;
    (steps <= candidate.len().div_ceil(3)).then_some(candidate)
}

/// The Levenshtein distance: how many letters to insert, remove or replace.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, letter) in left.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], index + 1);
        for (column, other) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::super::Origin;
    use super::*;

    fn finish(text: &str) -> String {
        let table = DeTable::parse(text).unwrap();
        let mut report = Report::new(&Origin::Text, text);
        let mut keys = Keys::new(table.get_ref());
        let _ = (keys.string("name", &mut report), keys.boolean("tryfirst", &mut report));
        let _ = (keys.integer("deadline_ms", &mut report), keys.strings("search", &mut report));
        let _ = keys.table("config", &mut report);
        keys.finish(" (hint)", &mut report);
        report.finish().map_or_else(|findings| findings.to_string(), |_| String::new())
    }

    #[test]
    fn a_wrong_type_says_what_was_expected_and_found() {
        let text = "name = 1\ntryfirst = 'no'\ndeadline_ms = 1.5\nsearch = ['a', 2]\nconfig = 1979-05-27";
        assert_eq!(
            finish(text),
            "<string>:1:8: `name` must be a string, found a whole number\n\
             <string>:2:12: `tryfirst` must be true or false, found a string\n\
             <string>:3:15: `deadline_ms` must be a whole number, found a fractional number\n\
             <string>:4:16: `search` must be a list of strings, found a whole number\n\
             <string>:5:10: `config` must be a table, found a date or time"
        );
    }

    #[test]
    fn an_unknown_key_names_the_expected_ones_and_the_nearest() {
        let expected = "expected one of `name`, `tryfirst`, `deadline_ms`, `search`, `config`";
        assert_eq!(
            finish("tryfrist = true\nsecret = 'x'"),
            format!(
                "<string>:1:1: unknown key `tryfrist`, {expected}; did you mean `tryfirst`?\n\
                 <string>:2:1: unknown key `secret`, {expected} (hint)"
            )
        );
        assert_eq!(finish("name = 'a'\nsearch = []"), "");
    }

    #[test]
    fn the_distance_counts_letters() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("tryfrist", "tryfirst"), 2);
        assert_eq!(distance("same", "same"), 0);
    }
}
