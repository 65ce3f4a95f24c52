//! [`Output`]: writes answers to stdout and notes to stderr.
//!
//! Programs read the answers, and a plugin runs in this process: what it prints must not get among
//! them. So before any plugin is loaded the answers get a descriptor of their own ([`claim`]), and
//! standard output leads to standard error.

use std::{
    fs::File,
    io::{self, ErrorKind, Write},
    sync::OnceLock,
};

use serde::Serialize;

use super::exit::Failure;

static ANSWERS: OnceLock<File> = OnceLock::new();

/// Keeps standard output for the answers alone.
///
/// Where the system cannot do it, plugins and answers share it.
#[cfg(unix)]
pub(crate) fn claim() {
    use rustix::{
        io::fcntl_dupfd_cloexec,
        stdio::{dup2_stdout, stderr, stdout},
    };
    // Above the three that everybody knows, also when one of those was closed.
    const ABOVE_STDERR: i32 = 3;
    let Ok(answers) = fcntl_dupfd_cloexec(stdout(), ABOVE_STDERR) else { return };
    if dup2_stdout(stderr()).is_ok() {
        let _ = ANSWERS.set(File::from(answers));
    }
}

#[cfg(not(unix))]
pub(crate) fn claim() {}

/// Where answers are written.
pub(crate) fn answers() -> Box<dyn Write> {
    match ANSWERS.get() {
        Some(answers) => Box::new(answers),
        None => Box::new(io::stdout().lock()),
    }
}

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
        let mut answers = answers();
        unless_unread(answers.write_all(bytes).and_then(|()| answers.flush()))
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
