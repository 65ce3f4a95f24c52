//! The journal that the hostile plugin writes: who was called, in which order, with what.

use std::path::{Path, PathBuf};

use serde_json::Value;

/// A journal's file.
#[derive(Debug, Clone)]
pub struct Journal(PathBuf);

/// One line of a journal.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The plugin, as configured.
    pub plugin: String,
    /// The handler, wrapper or sink.
    pub who: String,
    /// What it was asked to do.
    pub what: String,
    /// What else there is to say.
    pub detail: Value,
}

impl Journal {
    /// The journal at this path, which need not be there yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The plugin's setting that makes it write here.
    pub fn setting(&self) -> String {
        format!("journal = '{}'\n", self.0.display())
    }

    /// Everything in it so far. A line that is still being written is left out.
    ///
    /// # Panics
    ///
    /// When a whole line is no entry.
    pub fn entries(&self) -> Vec<Entry> {
        let text = std::fs::read_to_string(&self.0).unwrap_or_default();
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole.lines().map(|line| entry(serde_json::from_str(line).unwrap())).collect()
    }

    /// `who what` of every entry, in order.
    pub fn calls(&self) -> Vec<String> {
        self.entries().into_iter().map(|entry| format!("{} {}", entry.who, entry.what)).collect()
    }
}

fn entry(line: Value) -> Entry {
    let text = |key: &str| line[key].as_str().unwrap().to_owned();
    Entry { plugin: text("plugin"), who: text("who"), what: text("what"), detail: line["detail"].clone() }
}
