//! [`Output`]: writes answers to stdout and notes to stderr.

use std::io::{self, ErrorKind, Write};

use serde::Serialize;

use super::exit::Failure;

/// Where answers go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    json: bool,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether a program is to read the answer.
    pub(crate) fn is_json(self) -> bool {
        self.json
    }

    /// One line of answer.
    pub(crate) fn line(self, text: &str) -> Result<(), Failure> {
        self.bytes(format!("{text}\n").as_bytes())
    }

    /// A value as one line of JSON.
    pub(crate) fn json(self, value: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string(value).map_err(|error| Failure::Arguments(error.to_string()))?;
        self.line(&text)
    }

    /// Bytes as they are.
    pub(crate) fn bytes(self, bytes: &[u8]) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        unless_unread(stdout.write_all(bytes).and_then(|()| stdout.flush()))
    }

    /// Something that is not the answer.
    pub(crate) fn note(self, text: &str) {
        // When stderr is gone there is nobody left to tell.
        let _ = writeln!(io::stderr(), "{text}");
    }
}

/// What becomes of a failed write to stdout.
pub(crate) fn unless_unread(written: io::Result<()>) -> Result<(), Failure> {
    written.map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => Failure::Unread,
        _ => Failure::Arguments(format!("cannot write to stdout: {error}")),
    })
}
