//! [`Output`]: writes answers to stdout and notes to stderr.
//!
//! Programs read the answers, and a plugin runs in this process: what it prints must not get among
//! them. So before any plugin is loaded the answers get a descriptor of their own ([`claim`]), and
//! standard output leads to standard error.
//!
//! What people read may hold text of others: actors' ids, notes, a plugin's errors. None of it drives their terminal:
//! characters that could are shown as `?`, and in JSON as `\u....`, which means the same to programs.

use std::{
    fmt::Write as _,
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

    /// One line of answer, or several.
    pub(crate) fn line(self, text: &str) -> Result<(), Failure> {
        self.bytes(format!("{}\n", printable(text)).as_bytes())
    }

    /// A value as one line of JSON.
    pub(crate) fn json(self, value: &impl Serialize) -> Result<(), Failure> {
        let text = json_text(value).map_err(|error| Failure::Arguments(error.to_string()))?;
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
        let _ = writeln!(io::stderr(), "{}", printable(text));
    }
}

/// Text of one line or of several, with `?` for every character that could drive a terminal.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if c != '\n' && is_unruly(c) { '?' } else { c }).collect()
}

/// The same in one line, for text that is to stand beside other text.
pub(crate) fn one_line(text: &str) -> String {
    text.chars().map(|c| if is_unruly(c) { '?' } else { c }).collect()
}

/// JSON in which every character that could drive a terminal is escaped.
///
/// # Errors
///
/// When the value cannot be written as JSON.
pub(crate) fn json_text(value: &impl Serialize) -> serde_json::Result<String> {
    const DELETE: u8 = 0x7f;
    let text = serde_json::to_string(value)?;
    // Most is plain; what is below a space was escaped by the writer.
    if text.is_ascii() && !text.as_bytes().contains(&DELETE) {
        return Ok(text);
    }
    // Such characters stand in strings alone, and none takes more than four digits.
    Ok(text.chars().fold(String::with_capacity(text.len()), |mut escaped, c| {
        match is_unruly(c) {
            // Writing into a string does not fail.
            true => drop(write!(escaped, "\\u{:04x}", u32::from(c))),
            false => escaped.push(c),
        }
        escaped
    }))
}

/// Whether a character drives terminals (control characters), ends a line, or turns around the text that follows.
fn is_unruly(c: char) -> bool {
    let turns_text = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || turns_text || matches!(c, '\u{2028}' | '\u{2029}')
}

/// What becomes of a failed write to stdout.
pub(crate) fn unless_unread(written: io::Result<()>) -> Result<(), Failure> {
    written.map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => Failure::Unread,
        _ => Failure::Arguments(format!("cannot write to stdout: {error}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str = "a\u{1b}[2Jb\u{9b}31m\r\nc\u{7f}\u{202e}d\u{2028}é\t";

    #[test]
    fn what_people_read_cannot_drive_their_terminal() {
        assert_eq!(printable(HOSTILE), "a?[2Jb?31m?\nc??d?é?");
        assert_eq!(one_line(HOSTILE), "a?[2Jb?31m??c??d?é?");
    }

    #[test]
    fn json_means_the_same_and_drives_no_terminal() {
        for text in [HOSTILE, "plain", "\u{7f}", "é"] {
            let json = json_text(&[text]).unwrap();
            assert!(!json.contains(is_unruly), "{json}");
            assert_eq!(serde_json::from_str::<[String; 1]>(&json).unwrap(), [text]);
        }
    }
}
