//! The header of a token (RFC 7515 §4): which key it asks for, and whether anything in it is to be refused.
//!
//! A header is read so that a token of ours is recognized even when it is malformed: it is then rejected, instead of
//! being left to a handler that reads less strictly. Keys that a header brings along or points to (`jwk`, `jku`, `x5u`,
//! `x5c`) are members like any other that is not known: never used, never fetched.

use std::sync::OnceLock;

use serde::de::MapAccess;

use crate::{
    algorithm::Algorithm,
    compact,
    json::{self, Member, ObjectReader, Taken, Value},
};

/// What a header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) algorithm: Named,
    pub(crate) kid: Option<Box<str>>,
    /// In lower case and without `application/`, as RFC 7515 §4.1.9 has it compared.
    pub(crate) typ: Option<Box<str>>,
    /// Why a token with this header is refused, whatever else is true of it.
    pub(crate) fault: Option<&'static str>,
}

/// What a header says of the algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Named {
    /// Nothing: it is no JWS header.
    Nothing,
    /// Nobody can tell what: it is an object, but no JSON, or names several.
    Unreadable,
    /// `none`, in any spelling.
    Unsigned,
    /// One that we know.
    Known(Algorithm),
    /// Something else.
    Unknown,
}

impl Header {
    /// Reads a header as it is spelled in a token; `None` if that is no header of anybody's.
    pub(crate) fn read(part: &str) -> Option<Self> {
        if part.len() > MAX_HEADER_CHARACTERS {
            let beginning: String = part.chars().take(BEGINNING).collect();
            let beginning = compact::decode_leniently(&beginning);
            let fault = Some("header is longer than 16 KiB");
            let unread = Self { algorithm: Named::Unreadable, kid: None, typ: None, fault };
            return looks_like_an_object(&String::from_utf8_lossy(&beginning)).then_some(unread);
        }
        let (text, misspelled) = match compact::decode_text(part) {
            Ok(text) => (text, None),
            Err(_) => {
                let bytes = compact::decode_leniently(part);
                (String::from_utf8_lossy(&bytes).into_owned(), Some("header is not base64url in its one spelling"))
            }
        };
        let json = text.trim_start_matches([BYTE_ORDER_MARK, ' ', '\t', '\r', '\n']);
        if !looks_like_an_object(json) {
            return None;
        }
        let mut reading = Reading::default();
        let read = json::read(json, &mut reading);
        let fault = match read {
            _ if misspelled.is_some() => misspelled,
            _ if text[..text.len() - json.len()].contains(BYTE_ORDER_MARK) => {
                Some("header begins with a byte order mark")
            }
            Ok(()) => reading.fault,
            Err("has a member twice") => Some("header has a member twice"),
            Err("is nested too deeply") => Some("header is nested too deeply"),
            Err("has a member whose name others read as something else") => {
                Some("header has a name that is not allowed")
            }
            Err(_) => Some("header is not JSON"),
        };
        let algorithm = match reading.algorithm {
            None if read.is_err() => Named::Unreadable,
            None => Named::Nothing,
            Some(named) => named,
        };
        Some(Self { algorithm, kid: reading.kid, typ: reading.typ, fault })
    }
}

/// `{` and then a name or the end, which is how every object begins. Bytes at random do so once in 10,000 times.
fn looks_like_an_object(json: &str) -> bool {
    let Some(rest) = json.strip_prefix('{') else { return false };
    let rest = rest.trim_start_matches([' ', '\t', '\r', '\n']);
    rest.is_empty() || rest.starts_with(['"', '}'])
}

/// A header has no business being longer; nobody has signed it when it is read.
const MAX_HEADER_CHARACTERS: usize = 16 * 1024;
/// So much of it tells whether it is an object.
const BEGINNING: usize = 16;
const BYTE_ORDER_MARK: char = '\u{FEFF}';

/// The place of `kid` among the names that are known.
const KID: usize = 1;

/// What was read of a header so far: when the rest is malformed, this is still known.
#[derive(Default)]
struct Reading {
    algorithm: Option<Named>,
    kid: Option<Box<str>>,
    typ: Option<Box<str>>,
    fault: Option<&'static str>,
    /// Which of the names below were there.
    seen: [bool; 6],
}

impl Reading {
    fn algorithm(&mut self, value: &Value<'_>) {
        let named = match value {
            Value::Text(name) if name.eq_ignore_ascii_case("none") => Named::Unsigned,
            Value::Text(name) => Algorithm::from_name(name).map_or(Named::Unknown, Named::Known),
            _ => Named::Unknown,
        };
        // Of several nobody can tell which is meant, and so whose it is.
        self.algorithm = Some(if self.algorithm.is_some() { Named::Unreadable } else { named });
    }

    fn kid(&mut self, value: Value<'_>) {
        match value {
            // Of several nobody can tell which is meant.
            Value::Text(kid) => self.kid = Some(kid.into()).filter(|_| !self.seen[KID]),
            _ => {
                self.kid = None;
                self.refuse("`kid` is not a string");
            }
        }
    }

    fn typ(&mut self, value: &Value<'_>) {
        match value {
            Value::Text(typ) => self.typ = Some(media_type(typ).into()),
            _ => self.refuse("`typ` is not a string"),
        }
    }

    fn content_type(&mut self, value: &Value<'_>) {
        match value {
            Value::Text(cty) if media_type(cty) == "jwt" => self.refuse("token holds another token"),
            Value::Text(_) => {}
            _ => self.refuse("`cty` is not a string"),
        }
    }

    fn refuse(&mut self, why: &'static str) {
        self.fault.get_or_insert(why);
    }
}

impl<'de> ObjectReader<'de> for &mut Reading {
    type Output = ();

    fn member<M: MapAccess<'de>>(&mut self, name: &str, member: Member<'_, '_, M>) -> Result<Taken, M::Error> {
        let Some(place) = ["alg", "kid", "typ", "cty", "crit", "b64"].iter().position(|known| *known == name) else {
            return member.skip();
        };
        let value = member.value()?;
        match place {
            0 => self.algorithm(&value),
            1 => self.kid(value),
            2 => self.typ(&value),
            3 => self.content_type(&value),
            // RFC 7515 §4.1.11: it names what must be understood, and we understand no extension.
            4 => self.refuse("header has critical parameters that are not understood"),
            // RFC 7797. `true` is what is so anyway.
            _ if value == Value::Bool(true) => {}
            _ => self.refuse("payload is not encoded (`b64`)"),
        }
        if std::mem::replace(&mut self.seen[place], true) {
            // The reading goes on: what comes may make it ours.
            self.refuse("header has a member twice");
        }
        Ok(Taken::Once)
    }

    fn finish(self) {}
}

/// A media type as it is compared: without the prefix that may be left out, in lower case.
pub(crate) fn media_type(written: &str) -> String {
    let lower = written.to_ascii_lowercase();
    lower.strip_prefix("application/").map_or_else(|| lower.clone(), str::to_owned)
}

/// Whether a `typ` is that of RFC 9068's access tokens.
pub(crate) fn is_access_token_type(typ: &str) -> bool {
    media_type(typ) == "at+jwt"
}

/// Headers that have been seen on good tokens, and need not be read again: most tokens of an issuer have the same one.
///
/// It only grows, and only by what one of our keys has signed, so that nobody else can fill it.
#[derive(Debug, Default)]
pub(crate) struct SeenHeaders([OnceLock<(Box<str>, Header)>; SEEN_HEADERS]);

/// A handful of issuers, each with a key or two in use. Beyond, headers are read each time: 100 ns.
const SEEN_HEADERS: usize = 8;
/// A header that carries more than names is not the same for every token.
const MAX_SEEN_BYTES: usize = 512;

impl SeenHeaders {
    /// Splits a token behind its header, if that has been seen: the header, as it is spelled, and the rest behind the
    /// full stop.
    pub(crate) fn split<'s, 't>(&'s self, token: &'t str) -> Option<(&'s Header, &'t str, &'t str)> {
        self.0.iter().map_while(OnceLock::get).find_map(|(seen, header)| {
            let rest = token.strip_prefix(&**seen)?.strip_prefix('.')?;
            Some((header, &token[..seen.len()], rest))
        })
    }

    /// Remembers a header that one of our keys has signed, unless it is there already.
    pub(crate) fn remember(&self, part: &str, header: &Header) {
        let mut filled = self.0.iter().map_while(OnceLock::get);
        if part.len() > MAX_SEEN_BYTES || header.fault.is_some() || filled.any(|(seen, _)| **seen == *part) {
            return;
        }
        for slot in &self.0 {
            // Two threads may remember the same header at once: then it is there twice, which does no harm.
            if slot.set((part.into(), header.clone())).is_ok() {
                return;
            }
        }
    }
}
