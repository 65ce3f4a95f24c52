//! [`Verification`]: whether files hold a chain without a gap.

use std::{
    fmt,
    io::{self, BufRead, Read},
};

use serde::{Deserialize, Serialize};

use crate::{FORMAT, FileStart, Hash, LINE_TORN, Line, MAX_LINE_BYTES, Position, RECORDS_LOST, Seal};

/// A verification of files, in their order, of which the first need not be the first of its chain. Stops at the first
/// line that is not right.
#[derive(Debug, Default)]
pub struct Verification {
    keys: Vec<Seal>,
    after: Option<Hash>,
    ends_with: Option<Hash>,
    /// Those that were not seen yet.
    contains: Vec<Hash>,
    /// Of the file that is read.
    seal: Option<Seal>,
    /// The line at which the last file ends before its time.
    unfinished: Option<Warning>,
    findings: Findings,
}

/// What was found so far.
#[derive(Debug, Clone, Default, Serialize)]
#[non_exhaustive]
pub struct Findings {
    /// Files that were read to their end.
    pub files: u64,
    /// Lines that are right.
    pub lines: u64,
    /// The first of them.
    pub first: Option<Seen>,
    /// The last of them.
    pub last: Option<Seen>,
    /// The earliest time in them, in Unix seconds.
    pub earliest_at: Option<u64>,
    /// The latest.
    pub latest_at: Option<u64>,
    /// What is no fault, and should be known; the first hundred.
    pub warnings: Vec<Warning>,
    /// How many more there were.
    pub more_warnings: u64,
}

/// A line that is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Seen {
    /// Its number in the chain.
    pub sequence: u64,
    /// Its time, in Unix seconds.
    pub at: u64,
    /// Its hash.
    #[serde(serialize_with = "as_text")]
    pub hash: Hash,
    /// The hash of the line before.
    #[serde(serialize_with = "as_text")]
    pub previous: Hash,
}

fn as_text<S: serde::Serializer>(hash: &Hash, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(hash)
}

/// Something that is no fault of the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Warning {
    /// The file, as it was named.
    pub file: String,
    /// The line in it, from 1.
    pub line: u64,
    /// What there is to say of it.
    pub message: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, line {}: {}", self.file, self.line, self.message)
    }
}

/// The first line that is not right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Broken {
    /// The file, as it was named; none: it is no single line that is not right.
    pub file: Option<String>,
    /// The line in it, from 1.
    pub line: Option<u64>,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.file, self.line) {
            (Some(file), Some(line)) => write!(f, "{file}, line {line}: {}", self.message),
            _ => f.write_str(&self.message),
        }
    }
}

/// Why there is no good chain.
#[derive(Debug)]
#[non_exhaustive]
pub enum Unverified {
    /// There is a bad one.
    Broken(Broken),
    /// It was made with a key, and none is at hand.
    NeedsKey {
        /// The file, as it was named.
        file: String,
        /// The key's id.
        key_id: String,
    },
    /// It could not be read.
    Unreadable {
        /// The file, as it was named.
        file: String,
        /// Why.
        error: io::Error,
    },
}

impl fmt::Display for Unverified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken(broken) => broken.fmt(f),
            Self::NeedsKey { file, key_id } => {
                write!(f, "{file} is bound with a key (id {key_id}), expected to be given it")
            }
            Self::Unreadable { file, error } => write!(f, "cannot read {file}: {error}"),
        }
    }
}

impl std::error::Error for Unverified {}

impl Verification {
    /// With these keys, if there are any: then each file must be bound with one of them. A chain without a key is no
    /// good one then, as everybody can make it.
    #[must_use]
    pub fn with_keys(mut self, keys: Vec<Seal>) -> Self {
        self.keys = keys;
        self
    }

    /// The first line must follow the one with this hash.
    #[must_use]
    pub fn after(mut self, hash: Hash) -> Self {
        self.after = Some(hash);
        self
    }

    /// There must be a line with this hash.
    #[must_use]
    pub fn containing(mut self, hash: Hash) -> Self {
        self.contains.push(hash);
        self
    }

    /// The last line must have this hash.
    #[must_use]
    pub fn ending_with(mut self, hash: Hash) -> Self {
        self.ends_with = Some(hash);
        self
    }

    /// What was found so far.
    pub fn findings(&self) -> &Findings {
        &self.findings
    }

    /// Reads the next file. It needs the memory of one line, however long the file is.
    ///
    /// # Errors
    ///
    /// At the first line that is not right, and when the file cannot be read.
    pub fn file(&mut self, name: &str, mut file: impl BufRead) -> Result<(), Unverified> {
        if let Some(Warning { file, line, .. }) = self.unfinished.take() {
            return Err(broken(file, line, "the file ends in the middle of this line, and another one follows"));
        }
        self.seal = None;
        let (mut line, mut number) = (Vec::with_capacity(1024), 0);
        loop {
            line.clear();
            let read = (&mut file).take(MAX_LINE_BYTES as u64 + 1).read_until(b'\n', &mut line);
            read.map_err(|error| Unverified::Unreadable { file: name.to_owned(), error })?;
            number += 1;
            match line.as_slice() {
                [] if number == 1 => return Err(broken(name, number, "the file is empty, expected `file_started`")),
                [] => break,
                [text @ .., b'\n'] => self.line(name, number, text)?,
                long if long.len() > MAX_LINE_BYTES => {
                    let message =
                        format!("it is longer than {MAX_LINE_BYTES} bytes, which no line of an audit file is");
                    return Err(broken(name, number, message));
                }
                _ => {
                    let message = "it has no end: it is being written, or was when its writer ended".to_owned();
                    self.unfinished = Some(Warning { file: name.to_owned(), line: number, message });
                    break;
                }
            }
        }
        self.findings.files += 1;
        Ok(())
    }

    /// Ends the verification, after the last file.
    ///
    /// # Errors
    ///
    /// When a line is not there that had to be.
    pub fn finish(&mut self) -> Result<(), Unverified> {
        if let Some(warning) = self.unfinished.take() {
            self.warn(&warning.file, warning.line, warning.message);
        }
        let whole = |message| Unverified::Broken(Broken { file: None, line: None, message });
        if let Some(hash) = self.contains.first() {
            return Err(whole(format!("no line has the hash {hash}: the end is missing, or it is another chain")));
        }
        let last = self.findings.last.map(|last| last.hash);
        match self.ends_with {
            Some(hash) if last != Some(hash) => {
                let found =
                    last.map_or("there is no line".to_owned(), |last| format!("the last line has the hash {last}"));
                Err(whole(format!("{found}, expected {hash}")))
            }
            _ => Ok(()),
        }
    }

    fn line(&mut self, file: &str, number: u64, text: &[u8]) -> Result<(), Unverified> {
        let fault = |message: String| broken(file, number, message);
        let line = Line::read(text).map_err(|why| fault(format!("this is no line of an audit file: {why}")))?;
        let start = line.file_start().transpose().map_err(|why| fault(format!("this is no start of a file: {why}")))?;
        if let Some(start) = &start {
            self.seal = Some(self.seal_of(start, file, number)?);
        }
        let Some(seal) = &self.seal else {
            return Err(fault("it is the first line of its file, expected `file_started`".to_owned()));
        };
        if !line.is_sealed_by(seal) {
            return Err(fault("it was changed: its hash does not fit".to_owned()));
        }
        self.place(&line).map_err(fault)?;
        self.see(&line);
        if let Some(FileStart { damaged: Some(damaged), .. }) = start {
            self.warn(file, number, format!("the end of {damaged} was not good any more when this file was begun"));
        }
        self.notice(file, number, &line);
        Ok(())
    }

    fn seal_of(&self, start: &FileStart, file: &str, number: u64) -> Result<Seal, Unverified> {
        if start.format != FORMAT {
            return Err(broken(file, number, format!("the file is of format {}, expected {FORMAT}", start.format)));
        }
        if let Some(seal) = self.keys.iter().find(|seal| start.is_sealed_by(seal)) {
            return Ok(seal.clone());
        }
        match &start.key_id {
            None if !start.is_sealed_by(&Seal::Plain) => {
                Err(broken(file, number, format!("the lines are bound by \"{}\", which is not known", start.chain)))
            }
            None if self.keys.is_empty() => Ok(Seal::Plain),
            None => Err(broken(file, number, "the lines are bound without a key, expected the one that was given")),
            Some(key_id) if self.keys.is_empty() => {
                Err(Unverified::NeedsKey { file: file.to_owned(), key_id: key_id.clone() })
            }
            Some(key_id) => Err(broken(file, number, format!("the lines are bound with another key (id {key_id})"))),
        }
    }

    /// Whether a line that is right in itself stands in the right place.
    fn place(&self, line: &Line<'_>) -> Result<(), String> {
        let Position { sequence, .. } = line.position;
        let Some(Seen { sequence: last, hash, .. }) = self.findings.last else {
            return match self.after {
                Some(after) if after != line.previous => {
                    Err(format!("it follows the hash {}, expected {after}", line.previous))
                }
                _ if (sequence == 1) != (line.previous == Hash::NONE) => {
                    Err("it is the first of its chain by its number alone, or by what it follows alone".to_owned())
                }
                _ => Ok(()),
            };
        };
        match sequence {
            1 => Err("a new chain begins here, which nothing binds to the lines before it".to_owned()),
            _ if sequence.saturating_sub(last) > 1 => {
                let missing = sequence - last - 1;
                let lines = if missing == 1 { "line is" } else { "lines are" };
                Err(format!("{missing} {lines} missing before it (number {sequence} comes after {last})"))
            }
            _ if sequence <= last => {
                Err(format!("it stands there twice, or in the wrong place (number {sequence} comes after {last})"))
            }
            _ if line.previous != hash => Err("it does not follow the line before it, but another one".to_owned()),
            _ => Ok(()),
        }
    }

    fn see(&mut self, line: &Line<'_>) {
        let Line { position: Position { sequence, hash }, at, previous, .. } = *line;
        let seen = Seen { sequence, at, hash, previous };
        let findings = &mut self.findings;
        findings.lines += 1;
        findings.first.get_or_insert(seen);
        findings.last = Some(seen);
        findings.earliest_at = Some(findings.earliest_at.map_or(at, |earliest| earliest.min(at)));
        findings.latest_at = findings.latest_at.max(Some(at));
        self.contains.retain(|wanted| *wanted != hash);
    }

    /// What a line says about lines that are not there.
    fn notice(&mut self, file: &str, number: u64, line: &Line<'_>) {
        #[derive(Deserialize)]
        struct Counts {
            #[serde(default)]
            bytes: u64,
            #[serde(default)]
            records: u64,
        }
        let count = || line.members().unwrap_or(Counts { bytes: 0, records: 0 });
        let message = match &*line.event {
            LINE_TORN => {
                format!("{} bytes of a line that was torn when it was written were taken up in this one", count().bytes)
            }
            RECORDS_LOST => format!("{} records could not be written before it", count().records),
            _ => return,
        };
        self.warn(file, number, message);
    }

    fn warn(&mut self, file: &str, line: u64, message: String) {
        if self.findings.warnings.len() < MAX_WARNINGS {
            self.findings.warnings.push(Warning { file: file.to_owned(), line, message });
        } else {
            self.findings.more_warnings += 1;
        }
    }
}

fn broken(file: impl Into<String>, line: u64, message: impl Into<String>) -> Unverified {
    Unverified::Broken(Broken { file: Some(file.into()), line: Some(line), message: message.into() })
}

/// More are only counted: memory is bounded.
const MAX_WARNINGS: usize = 100;

#[cfg(test)]
#[path = "verification_tests.rs"]
mod tests;
