//! A file of JSON lines, in which tests read who was called, in which order, with what.

use std::{fs::OpenOptions, io::Write, path::PathBuf};

use serde_json::{Value, json};
use token_plugin_api::Result;

/// Writes to the journal, or nowhere.
#[derive(Clone)]
pub(crate) struct Journal {
    path: Option<PathBuf>,
    plugin: String,
}

impl Journal {
    pub(crate) fn new(path: Option<PathBuf>, plugin: &str) -> Self {
        Self { path, plugin: plugin.to_owned() }
    }

    /// Appends one line in one write, so that the lines of several threads do not mix.
    pub(crate) fn note(&self, who: &str, what: &str, detail: impl Into<Value>) -> Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        let line = json!({ "plugin": self.plugin, "who": who, "what": what, "detail": detail.into() });
        let mut file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(file.write_all(format!("{line}\n").as_bytes())?)
    }
}
