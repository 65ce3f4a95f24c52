//! [`Request`]: what is asked, as it is sent.

use std::io::Write;

use crate::{Error, ErrorKind, Expiry, reply::Reply};

/// What is asked.
pub(crate) enum Request<'a> {
    Get { key: Key<'a> },
    Store { key: Key<'a>, data: &'a [u8], flags: u32, expiry: Expiry, mode: Mode },
    Delete { key: Key<'a>, cas: Option<u64> },
    Version,
}

/// A key that memcached takes. To what is not one it may answer with two lines, and all later answers would be shifted.
#[derive(Clone, Copy)]
pub(crate) struct Key<'a>(&'a [u8]);

/// When a value is stored.
#[derive(Clone, Copy)]
pub(crate) enum Mode {
    Set,
    Add,
    Compare(u64),
}

/// What kind of request an answer belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Question {
    Get,
    Store,
    Delete,
    Version,
}

impl<'a> Key<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Result<Self, Error> {
        if !(1..=250).contains(&bytes.len()) {
            let what = format!("a key of {} bytes, expected 1 to 250", bytes.len());
            return Err(Error::new(ErrorKind::InvalidKey, what));
        }
        if bytes.iter().any(|byte| *byte <= b' ' || *byte == 0x7f) {
            return Err(Error::new(ErrorKind::InvalidKey, "expected a key without blanks and control characters"));
        }
        Ok(Self(bytes))
    }
}

impl Request<'_> {
    pub(crate) fn question(&self) -> Question {
        match self {
            Self::Get { .. } => Question::Get,
            Self::Store { .. } => Question::Store,
            Self::Delete { .. } => Question::Delete,
            Self::Version => Question::Version,
        }
    }

    /// How many requests it counts for.
    pub(crate) fn weight(&self) -> u32 {
        match self {
            Self::Store { data, .. } => {
                u32::try_from(data.len() / 16_384).map_or(u32::MAX, |more| more.saturating_add(1))
            }
            Self::Get { .. } | Self::Delete { .. } | Self::Version => 1,
        }
    }

    /// Appends it, with a number that is to come back with its answer.
    pub(crate) fn write_to(&self, out: &mut Vec<u8>, number: u64) {
        // What `write!` says is not looked at: writing to a `Vec` cannot fail.
        match self {
            Self::Get { key } => {
                out.extend_from_slice(b"mg ");
                out.extend_from_slice(key.0);
                let _ = write!(out, " v f c O{number}\r\n");
            }
            Self::Store { key, data, flags, expiry, mode } => {
                out.extend_from_slice(b"ms ");
                out.extend_from_slice(key.0);
                let _ = write!(out, " {} F{flags} T{} O{number}", data.len(), expiry.seconds());
                let _ = match mode {
                    Mode::Set => Ok(()),
                    Mode::Add => out.write_all(b" ME"),
                    Mode::Compare(cas) => write!(out, " C{cas}"),
                };
                out.extend_from_slice(b"\r\n");
                out.extend_from_slice(data);
                out.extend_from_slice(b"\r\n");
            }
            Self::Delete { key, cas } => {
                out.extend_from_slice(b"md ");
                out.extend_from_slice(key.0);
                let _ = cas.map_or(Ok(()), |cas| write!(out, " C{cas}"));
                let _ = write!(out, " O{number}\r\n");
            }
            Self::Version => out.extend_from_slice(b"version\r\n"),
        }
    }
}

impl Question {
    /// Whether something may have changed when there is no answer.
    pub(crate) fn is_write(self) -> bool {
        matches!(self, Self::Store | Self::Delete)
    }

    /// Whether this can be the answer.
    pub(crate) fn takes(self, reply: &Reply) -> bool {
        match reply {
            Reply::Value(_) | Reply::Oversized(_) => self == Self::Get,
            Reply::Missing => matches!(self, Self::Get | Self::Store | Self::Delete),
            Reply::Done | Reply::Changed => self.is_write(),
            Reply::NotStored | Reply::TooLarge => self == Self::Store,
            Reply::OutOfMemory => self != Self::Version,
            Reply::Version(_) => self == Self::Version,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(request: &Request<'_>) -> String {
        let mut out = Vec::new();
        request.write_to(&mut out, 7);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn requests_are_sent_as_the_protocol_has_them() {
        let key = Key::new(b"k").unwrap();
        let store = |mode| Request::Store { key, data: b"a\r\nb", flags: 3, expiry: Expiry::At(4_000_000), mode };
        assert_eq!(sent(&Request::Get { key }), "mg k v f c O7\r\n");
        assert_eq!(sent(&store(Mode::Set)), "ms k 4 F3 T4000000 O7\r\na\r\nb\r\n");
        assert_eq!(sent(&store(Mode::Add)), "ms k 4 F3 T4000000 O7 ME\r\na\r\nb\r\n");
        assert_eq!(sent(&store(Mode::Compare(9))), "ms k 4 F3 T4000000 O7 C9\r\na\r\nb\r\n");
        assert_eq!(sent(&Request::Delete { key, cas: None }), "md k O7\r\n");
        assert_eq!(sent(&Request::Delete { key, cas: Some(9) }), "md k C9 O7\r\n");
        assert_eq!(sent(&Request::Version), "version\r\n");
    }

    #[test]
    fn keys_are_what_memcached_takes() {
        for key in ["k", "clé-1", "!~", &"k".repeat(250)] {
            assert!(Key::new(key.as_bytes()).is_ok(), "{key}");
        }
        for key in ["", " ", "a b", "a\n", "a\r\nmg b", "a\0", "\x7f", &"k".repeat(251)] {
            let error = Key::new(key.as_bytes()).err().unwrap();
            assert_eq!(error.kind(), ErrorKind::InvalidKey, "{key:?}");
        }
    }
}
