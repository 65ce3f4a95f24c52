//! [`Line`]: one line of a file, written by [`append`].

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Serialize};

use crate::{Hash, Seal};

/// The event of each file's first line: [`FileStart`].
pub const FILE_STARTED: &str = "file_started";
/// The event of a line that stands for one that was not written to its end. It has `bytes`, how much there was of that;
/// `sha256`, the hash of it; and `torn`, its text, at most 1 KiB of it.
pub const LINE_TORN: &str = "line_torn";
/// The event of a line that tells how many `records` could not be written since the line before.
pub const RECORDS_LOST: &str = "records_lost";
/// The form that is described here.
pub const FORMAT: u32 = 1;
/// What a line is at most, without its line break. So a reader needs no more memory, whatever it is given.
pub const MAX_LINE_BYTES: usize = 16 * 1024;

/// Where a line stands in a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Its number, from 1.
    pub sequence: u64,
    /// Its hash.
    pub hash: Hash,
}

impl Position {
    /// Before the first line of a chain.
    pub const START: Self = Self { sequence: 0, hash: Hash::NONE };
}

/// What the first line of a file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileStart {
    /// The file's number, from 1: when it is full, it is named after it.
    pub file: u64,
    /// [`FORMAT`].
    pub format: u32,
    /// [`Seal::name`].
    pub chain: String,
    /// [`Seal::key_id`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
    /// The name of the file whose last line this one follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_file: Option<String>,
    /// The name of the file before, when nobody could go on from its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub damaged: Option<String>,
}

impl FileStart {
    /// Whether lines of this file are bound with this seal.
    pub fn is_sealed_by(&self, seal: &Seal) -> bool {
        self.chain == seal.name() && self.key_id.as_deref() == seal.key_id()
    }
}

/// Appends a line with these members to a text, and tells where it stands.
///
/// # Errors
///
/// When the members are not those of a JSON object.
pub fn append(
    text: &mut Vec<u8>,
    seal: &Seal,
    after: Position,
    at: u64,
    event: &str,
    members: &impl Serialize,
) -> serde_json::Result<Position> {
    #[derive(Serialize)]
    struct Whole<'a, M> {
        seq: u64,
        at: u64,
        event: &'a str,
        #[serde(flatten)]
        members: &'a M,
    }
    let (begin, sequence) = (text.len(), after.sequence.saturating_add(1));
    if let Err(error) = serde_json::to_writer(&mut *text, &Whole { seq: sequence, at, event, members }) {
        text.truncate(begin);
        return Err(error);
    }
    text.pop();
    text.extend_from_slice(format!("{PREVIOUS}{}\"", after.hash).as_bytes());
    let hash = seal.hash(&text[begin..]);
    text.extend_from_slice(format!("{HASH}{hash}{END}\n").as_bytes());
    Ok(Position { sequence, hash })
}

/// A line that was read.
#[derive(Debug, Clone)]
pub struct Line<'a> {
    /// Where it stands, as it says itself.
    pub position: Position,
    /// When it happened, in Unix seconds.
    pub at: u64,
    /// What happened.
    pub event: Cow<'a, str>,
    /// The hash of the line before.
    pub previous: Hash,
    text: &'a [u8],
}

/// Why something is no line of an audit file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed(String);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Malformed {}

impl<'a> Line<'a> {
    /// Reads a line, without its line break. Whether its hash is right is another question: [`Line::is_sealed_by`].
    ///
    /// # Errors
    ///
    /// When it is not of the form that [`append`] writes.
    pub fn read(text: &'a [u8]) -> Result<Self, Malformed> {
        #[derive(Deserialize)]
        struct Members<'a> {
            seq: u64,
            at: u64,
            #[serde(borrow)]
            event: Cow<'a, str>,
        }
        if text.len() > MAX_LINE_BYTES {
            return Err(Malformed(format!("it is longer than {MAX_LINE_BYTES} bytes")));
        }
        let Members { seq, at, event } = serde_json::from_slice(text)
            .map_err(|error| Malformed(format!("it is not of the form of one: {error}")))?;
        let (previous, hash) =
            hashes(text).ok_or_else(|| Malformed("it does not end in `prev` and `hash`".to_owned()))?;
        Ok(Self { position: Position { sequence: seq, hash }, at, event, previous, text })
    }

    /// Whether its hash is the one that it has to have.
    pub fn is_sealed_by(&self, seal: &Seal) -> bool {
        seal.hash(&self.text[..self.text.len() - HASH_BYTES]) == self.position.hash
    }

    /// What it says about its file; none: it is not the first line of one.
    ///
    /// # Errors
    ///
    /// When it says so, and lacks the rest.
    pub fn file_start(&self) -> Option<Result<FileStart, Malformed>> {
        (self.event == FILE_STARTED).then(|| self.members())
    }

    /// More of its members.
    ///
    /// # Errors
    ///
    /// When it does not have them.
    pub(crate) fn members<M: Deserialize<'a>>(&self) -> Result<M, Malformed> {
        serde_json::from_slice(self.text).map_err(|error| Malformed(error.to_string()))
    }
}

/// `prev` and `hash`. They stand at the end, in their one spelling: this is no string within the line, as its quotes
/// would not be bare there.
fn hashes(text: &[u8]) -> Option<(Hash, Hash)> {
    let end = text.get(text.len().checked_sub(PREVIOUS_BYTES + HASH_BYTES)?..)?;
    let end = std::str::from_utf8(end).ok()?.strip_prefix(PREVIOUS)?;
    let (previous, end) = end.split_at_checked(HASH_DIGITS)?;
    let hash = end.strip_prefix('"')?.strip_prefix(HASH)?.strip_suffix(END)?;
    Some((Hash::parse(previous)?, Hash::parse(hash)?))
}

const PREVIOUS: &str = r#","prev":""#;
const HASH: &str = r#","hash":""#;
const END: &str = r#""}"#;
const HASH_DIGITS: usize = 64;
const PREVIOUS_BYTES: usize = PREVIOUS.len() + HASH_DIGITS + 1;
/// What the hash is not over.
const HASH_BYTES: usize = HASH.len() + HASH_DIGITS + END.len();

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn line(members: &serde_json::Value) -> String {
        let mut text = Vec::new();
        append(&mut text, &Seal::Plain, Position { sequence: 6, hash: Hash::NONE }, 9, "x", members).unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn a_line_is_hashed_as_it_stands_there() {
        let line = line(&json!({ "actor_id": "ro\"ot" }));
        let (hashed, hash) = line.split_once(r#","hash":""#).unwrap();
        let zeros = "0".repeat(64);
        assert_eq!(hashed, format!(r#"{{"seq":7,"at":9,"event":"x","actor_id":"ro\"ot","prev":"{zeros}""#));
        assert_eq!(hash, format!("{}\"}}\n", Seal::Plain.hash(hashed.as_bytes())));
        let read = Line::read(line.trim_end().as_bytes()).unwrap();
        assert_eq!((read.position.sequence, read.at, &*read.event, read.previous), (7, 9, "x", Hash::NONE));
        assert!(read.is_sealed_by(&Seal::Plain) && !read.is_sealed_by(&Seal::keyed(&[0; 32]).unwrap()));
    }

    #[test]
    fn each_byte_counts() {
        let line = line(&json!({ "reason": "é\u{1}" }));
        let line = line.trim_end().as_bytes();
        for at in 0..line.len() {
            for bit in 0..8 {
                let mut other = line.to_vec();
                other[at] ^= 1 << bit;
                assert!(!Line::read(&other).is_ok_and(|read| read.is_sealed_by(&Seal::Plain)), "{at} {bit}");
            }
            let without = [&line[..at], &line[at + 1..]].concat();
            assert!(!Line::read(&without).is_ok_and(|read| read.is_sealed_by(&Seal::Plain)), "without {at}");
            let with = [&line[..at], b" ", &line[at..]].concat();
            assert!(!Line::read(&with).is_ok_and(|read| read.is_sealed_by(&Seal::Plain)), "more at {at}");
        }
    }

    #[test]
    fn what_is_no_line_is_not_read() {
        let good = line(&json!({}));
        let good = good.trim_end();
        let long = line(&json!({ "x": "y".repeat(MAX_LINE_BYTES) }));
        let again = good.replacen(r#""at":9"#, r#""at":9,"at":9"#, 1);
        for other in ["", "{}", "[]", "null", long.trim_end(), &again, &format!("{good}{good}"), &good[1..]] {
            assert!(Line::read(other.as_bytes()).is_err(), "{other}");
        }
        let inside = good.replacen(r#","prev""#, r#","x":{"y":1,"prev""#, 1) + "}";
        assert!(Line::read(inside.as_bytes()).is_err(), "{inside}");
        for member in ["prev", "hash"] {
            let other = good.replacen(&format!("\"{member}\""), "\"also\"", 1);
            assert!(Line::read(other.as_bytes()).is_err(), "{other}");
        }
        assert!(Line::read(b"\xff{}").is_err());
    }

    #[test]
    fn members_must_be_an_object_and_leave_nothing_behind_else() {
        let mut text = b"before".to_vec();
        assert!(append(&mut text, &Seal::Plain, Position::START, 1, "x", &7).is_err());
        assert_eq!(text, b"before");
    }
}
