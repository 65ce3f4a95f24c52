//! [`reorder`]: puts the `[[plugin]]` entries of a `plugins.toml` into another order, and sets `tryfirst` and `trylast`.
//!
//! Pure text to text. Where things are is read from the parsed document; what is moved is the text itself, so that
//! comments, blank lines, line endings and spelling stay as people wrote them. The comment lines right above an entry move
//! with it; so do those behind its last key, but for what stands apart at the end of the file. The result is read again,
//! and must say what the text said, but for what was asked for.
//!
//! The text may hold secrets, and a panic at a bad place in a text quotes it. So nothing here indexes: [`part`] does, and
//! gives an error.

use std::{collections::BTreeSet, ops::Range, slice::SliceIndex};

use toml::Value;
use toml_edit::{ArrayOfTables, Document, InlineTable, Item, Table, TableLike};

/// Where a `[[plugin]]` entry is to stand: in a list of all of them, in the order of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EntryPlace {
    /// The entry's name.
    pub name: String,
    /// What becomes of its `tryfirst`.
    pub tryfirst: FlagChange,
    /// What becomes of its `trylast`.
    pub trylast: FlagChange,
}

/// What becomes of `tryfirst` or `trylast` of an entry. Exhaustive: there is no other way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FlagChange {
    /// It stays as it is written.
    #[default]
    AsWritten,
    /// It is to be true.
    True,
    /// It is to be false.
    False,
    /// It is not to be written: then the plugin's own word counts.
    Unwritten,
}

impl EntryPlace {
    /// The entry of this name, as it is written.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }
}

/// Why a text cannot be put into an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CannotReorder {
    /// The order does not name each entry once.
    Order(String),
    /// The text is written in a way that is not understood well enough.
    Text(&'static str),
}

/// The text with its entries in this order.
///
/// # Errors
///
/// When the order does not name each entry once, or the entries cannot be moved.
pub(crate) fn reorder(text: &str, order: &[EntryPlace]) -> Result<String, CannotReorder> {
    let entries = read(text)?;
    let places = places(&entries, order)?;
    let mut edited = String::with_capacity(text.len() + 64);
    let mut copied = 0;
    for (slot, (place, wanted)) in entries.iter().zip(places.iter().zip(order)) {
        edited.push_str(part(text, copied..slot.range.start)?);
        edited.push_str(&entries.get(*place).ok_or(MISREAD)?.with(text, wanted)?);
        copied = slot.range.end;
    }
    edited.push_str(part(text, copied..)?);
    match is_as_asked(text, &edited, &places, order) {
        true => Ok(edited),
        false => Err(CannotReorder::Text("it would not say the same afterwards; it has to be changed by hand")),
    }
}

/// The entries of a text, in its order, with their flags as they are written.
///
/// # Errors
///
/// When they cannot be moved.
pub(crate) fn entries(text: &str) -> Result<Vec<EntryPlace>, CannotReorder> {
    let as_written = |flag: Option<Flag>| match flag {
        None => FlagChange::Unwritten,
        Some(flag) if text.get(flag.value.clone()) == Some("true") => FlagChange::True,
        Some(_) => FlagChange::False,
    };
    let entries = read(text)?.into_iter();
    let place = |Block { name, tryfirst, trylast, .. }: Block| {
        let (tryfirst, trylast) = (as_written(tryfirst), as_written(trylast));
        EntryPlace { name, tryfirst, trylast }
    };
    Ok(entries.map(place).collect())
}

fn read(text: &str) -> Result<Vec<Block>, CannotReorder> {
    let document = Document::parse(text).map_err(|_| CannotReorder::Text("it is not TOML"))?;
    match document.get("plugin") {
        None => Ok(Vec::new()),
        Some(Item::ArrayOfTables(tables)) => blocks(text, document.as_table(), tables),
        Some(item) => inline_blocks(text, item),
    }
}

/// An entry's text, and where in it what may change is.
struct Block {
    name: String,
    /// All of it, without the line break at its end.
    range: Range<usize>,
    /// Behind the value of its `name`.
    after_name: usize,
    tryfirst: Option<Flag>,
    trylast: Option<Flag>,
    form: Form,
}

/// A flag that is written: where its key begins, and its value.
struct Flag {
    key: usize,
    value: Range<usize>,
}

/// How an entry is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// As `[[plugin]]`, a key a line.
    Lines,
    /// As `{ ... }` in a list.
    Inline,
}

impl Block {
    fn new(range: Range<usize>, form: Form, table: &dyn TableLike) -> Result<Self, CannotReorder> {
        const NO_NAME: CannotReorder = CannotReorder::Text("one of its entries has no name");
        let span = |key: &str| table.get(key).and_then(Item::span);
        let flag = |key: &str| {
            let (value, key) = (span(key)?, table.key(key)?.span()?);
            Some(Flag { key: key.start, value })
        };
        let name = table.get("name").and_then(Item::as_str).ok_or(NO_NAME)?.to_owned();
        let after_name = span("name").ok_or(NO_NAME)?.end;
        Ok(Self { name, range, after_name, tryfirst: flag("tryfirst"), trylast: flag("trylast"), form })
    }

    /// Its text with the flags as they are wanted.
    fn with(&self, text: &str, wanted: &EntryPlace) -> Result<String, CannotReorder> {
        let mut changes: Vec<(Range<usize>, String)> = Vec::new();
        let flags = [("tryfirst", &self.tryfirst, wanted.tryfirst), ("trylast", &self.trylast, wanted.trylast)];
        for (key, written, change) in flags {
            let value = match change {
                FlagChange::AsWritten => continue,
                FlagChange::Unwritten => {
                    if let Some(flag) = written {
                        changes.push((self.removal(text, flag)?, String::new()));
                    }
                    continue;
                }
                FlagChange::True => "true",
                FlagChange::False => "false",
            };
            changes.push(match (written, self.form) {
                (Some(flag), _) => (flag.value.clone(), value.to_owned()),
                (None, Form::Inline) => (self.after_name..self.after_name, format!(", {key} = {value}")),
                (None, Form::Lines) => {
                    let end = line_end(text, self.after_name)?;
                    let line_break = if is_crlf(text) { "\r\n" } else { "\n" };
                    (end..end, format!("{line_break}{key} = {value}"))
                }
            });
        }
        // Both may be at one place, right behind the name.
        changes.reverse();
        changes.sort_by_key(|(range, _)| range.start);
        let (mut block, mut copied) = (String::new(), self.range.start);
        for (range, with) in changes {
            // Two that are taken away may share the comma between them.
            block.push_str(part(text, copied..range.start.max(copied))?);
            block.push_str(&with);
            copied = range.end.max(copied);
        }
        block.push_str(part(text, copied..self.range.end)?);
        block.truncate(block.trim_end_matches(['\r', '\n']).len());
        Ok(block)
    }

    /// What goes with a flag that is not to be written: its line, or up to the comment behind it; in a list one comma.
    fn removal(&self, text: &str, flag: &Flag) -> Result<Range<usize>, CannotReorder> {
        const BLANKS: [char; 2] = [' ', '\t'];
        let end = flag.value.end;
        if self.form == Form::Inline {
            let after = part(text, end..)?;
            if let Some(rest) = after.trim_start().strip_prefix(',') {
                let rest = rest.trim_start_matches(BLANKS);
                return Ok(flag.key..end + after.len() - rest.len());
            }
            // The last one: the comma is before it. One on another line may be a comment's.
            let before = part(text, ..flag.key)?.trim_end_matches(BLANKS);
            let key = if before.ends_with(',') { before.len() - 1 } else { flag.key };
            return Ok(key..end);
        }
        let rest = part(text, end..line_end(text, end)?)?;
        if !rest.trim().is_empty() {
            return Ok(flag.key..end + rest.len() - rest.trim_start().len());
        }
        let line_start = line_start(text, flag.key)?;
        let end = end + rest.len();
        Ok(match part(text, end..self.range.end)?.find('\n') {
            Some(line_break) => line_start..end + line_break + 1,
            None => line_start..self.range.end,
        })
    }
}

/// For each place in the order the entry that it names.
fn places(entries: &[Block], order: &[EntryPlace]) -> Result<Vec<usize>, CannotReorder> {
    let mut seen = BTreeSet::new();
    let mut places = Vec::with_capacity(order.len());
    for EntryPlace { name, .. } in order {
        let Some(place) = entries.iter().position(|entry| entry.name == *name) else {
            return Err(CannotReorder::Order(format!("there is no [[plugin]] entry {name:?}")));
        };
        if !seen.insert(place) {
            return Err(CannotReorder::Order(format!("the entry {name:?} is named twice")));
        }
        places.push(place);
    }
    match entries.iter().enumerate().find(|(place, _)| !seen.contains(place)) {
        Some((_, missing)) => Err(CannotReorder::Order(format!("the entry {:?} is not named", missing.name))),
        None => Ok(places),
    }
}

/// The entries that are written as `[[plugin]]`.
fn blocks(text: &str, root: &Table, tables: &ArrayOfTables) -> Result<Vec<Block>, CannotReorder> {
    let mut marks = Marks { text, headers: Vec::new(), ends: Vec::new() };
    for (key, item) in root {
        match item {
            Item::ArrayOfTables(entries) if key == "plugin" => {
                for (place, entry) in entries.iter().enumerate() {
                    marks.table(entry, Some(place))?;
                }
            }
            item => marks.item(item, None)?,
        }
    }
    marks.headers.sort_by_key(|(header, _)| header.start);
    marks.ends.sort_unstable();
    let headers = &marks.headers;
    let mut blocks = Vec::with_capacity(tables.len());
    for (place, entry) in tables.iter().enumerate() {
        const APART: CannotReorder = CannotReorder::Text("the tables of one of its entries lie apart");
        let is_own = |owner: &Option<usize>| *owner == Some(place);
        let mut behind = headers.iter().skip_while(|(_, owner)| !is_own(owner));
        let (first, _) = behind.next().ok_or(APART)?;
        let next = behind.find(|(_, owner)| !is_own(owner));
        if behind.any(|(_, owner)| is_own(owner)) {
            return Err(APART);
        }
        let start = marks.beginning(first.start)?;
        let end = match next {
            Some((next, _)) => marks.end_before(marks.beginning(next.start)?)?,
            None => marks.end_before_end()?,
        };
        blocks.push(Block::new(start..end, Form::Lines, entry)?);
    }
    Ok(blocks)
}

/// The entries that are written as `plugin = [{ ... }]`.
fn inline_blocks(text: &str, item: &Item) -> Result<Vec<Block>, CannotReorder> {
    const NO_LIST: CannotReorder = CannotReorder::Text("its `plugin` is no list of tables");
    let list = item.as_array().ok_or(NO_LIST)?;
    let mut between = item.span().ok_or(NO_LIST)?.start;
    let mut blocks = Vec::with_capacity(list.len());
    for value in list {
        let table: &InlineTable = value.as_inline_table().ok_or(NO_LIST)?;
        let range = value.span().ok_or(NO_LIST)?;
        blocks.push(Block::new(range.clone(), Form::Inline, table)?);
        // Whose it is cannot be told.
        if part(text, between..range.start)?.contains('#') {
            return Err(CannotReorder::Text("there are comments in its list of plugins: write each as [[plugin]]"));
        }
        between = range.end;
    }
    Ok(blocks)
}

/// Where the headers of tables are, and of which entry; and where values end.
struct Marks<'t> {
    text: &'t str,
    headers: Vec<(Range<usize>, Option<usize>)>,
    ends: Vec<usize>,
}

impl Marks<'_> {
    fn table(&mut self, table: &Table, owner: Option<usize>) -> Result<(), CannotReorder> {
        if let Some(span) = table.span() {
            // One that is made by dotted keys has no header.
            if part(self.text, span.clone())?.starts_with('[') {
                self.ends.push(span.end);
                self.headers.push((span, owner));
            }
        }
        table.iter().try_for_each(|(_, item)| self.item(item, owner))
    }

    fn item(&mut self, item: &Item, owner: Option<usize>) -> Result<(), CannotReorder> {
        match item {
            Item::Table(table) => self.table(table, owner)?,
            Item::ArrayOfTables(tables) => tables.iter().try_for_each(|table| self.table(table, owner))?,
            item => self.ends.extend(item.span().map(|span| span.end)),
        }
        Ok(())
    }

    /// The end of the line of what was last said before this place.
    fn floor(&self, before: usize) -> Result<usize, CannotReorder> {
        let said = self.ends.partition_point(|end| *end <= before);
        let last = said.checked_sub(1).and_then(|last| self.ends.get(last));
        last.map_or(Ok(mark_len(self.text)), |last| line_end(self.text, *last))
    }

    /// Where the block of this header begins: with the comment lines right above it.
    fn beginning(&self, header: usize) -> Result<usize, CannotReorder> {
        let floor = self.floor(header)?;
        let mut beginning = line_start(self.text, header)?;
        while beginning > floor {
            let above = line_start(self.text, beginning - 1)?;
            if above < floor || !part(self.text, above..beginning)?.trim_start().starts_with('#') {
                break;
            }
            beginning = above;
        }
        Ok(beginning)
    }

    /// Where a block ends whose next one begins there: with the last line that is not blank, and the spaces at its end.
    fn end_before(&self, next: usize) -> Result<usize, CannotReorder> {
        line_end(self.text, part(self.text, ..next)?.trim_end().len())
    }

    /// Where the last block ends: before what stands apart at the end of the file.
    fn end_before_end(&self) -> Result<usize, CannotReorder> {
        let mut end = self.floor(self.text.len())?;
        while let Some(line_break) = part(self.text, end..)?.find('\n') {
            let next = end + line_break + 1;
            let next_end = line_end(self.text, next)?;
            if !part(self.text, next..next_end)?.trim_start().starts_with('#') {
                break;
            }
            end = next_end;
        }
        Ok(end)
    }
}

/// Said when a place is none in the text. No text leads there as far as is known; if one does, it stays out of the log.
const MISREAD: CannotReorder = CannotReorder::Text("where its entries are was not understood");

/// A part of the text.
fn part(text: &str, range: impl SliceIndex<str, Output = str>) -> Result<&str, CannotReorder> {
    text.get(range).ok_or(MISREAD)
}

/// How long the byte order mark is, which stays at the beginning of the file.
fn mark_len(text: &str) -> usize {
    if text.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len_utf8() } else { 0 }
}

fn line_start(text: &str, place: usize) -> Result<usize, CannotReorder> {
    let line_break = part(text, ..place)?.rfind('\n');
    Ok(line_break.map_or_else(|| mark_len(text), |line_break| line_break + 1))
}

/// Where the line of this place ends, without its line break.
fn line_end(text: &str, place: usize) -> Result<usize, CannotReorder> {
    let rest = part(text, place..)?;
    let line = rest.split_once('\n').map_or(rest, |(line, _)| line);
    Ok(place + line.strip_suffix('\r').unwrap_or(line).len())
}

fn is_crlf(text: &str) -> bool {
    text.split_once('\n').is_some_and(|(line, _)| line.ends_with('\r'))
}

const BYTE_ORDER_MARK: char = '\u{FEFF}';

/// Whether the new text says what the old one did, in the new order and with the new flags.
fn is_as_asked(old: &str, new: &str, places: &[usize], order: &[EntryPlace]) -> bool {
    let read = |text: &str| toml::from_str::<toml::Table>(text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text)).ok();
    let (Some(mut old), Some(new)) = (read(old), read(new)) else { return false };
    if let Some(Value::Array(entries)) = old.get_mut("plugin") {
        let wanted = places.iter().zip(order).filter_map(|(place, wanted)| {
            let mut entry = entries.get(*place)?.as_table()?.clone();
            for (key, change) in [("tryfirst", wanted.tryfirst), ("trylast", wanted.trylast)] {
                match change {
                    FlagChange::AsWritten => None,
                    FlagChange::Unwritten => entry.remove(key),
                    FlagChange::True => entry.insert(key.to_owned(), Value::Boolean(true)),
                    FlagChange::False => entry.insert(key.to_owned(), Value::Boolean(false)),
                };
            }
            Some(Value::Table(entry))
        });
        *entries = wanted.collect();
    }
    old == new
}

#[cfg(test)]
mod tests;
