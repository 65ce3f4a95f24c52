//! The checks `changed_bytes`, `truncation` and `hostile_tokens`: what a handler did not make it does not accept.

use super::{
    handler::Handler,
    report::{Checked, failed},
};
use crate::{PluginErrorKind, Verdict};

pub(super) fn changed_bytes(handler: &Handler<'_>) -> Checked {
    let token = handler.good_token(&handler.request())?.token;
    let length = token.chars().count();
    let mut accepted = Vec::new();
    for (place, (at, was)) in token.char_indices().enumerate() {
        for instead in [neighbour(was), stranger(was)] {
            let changed = [&token[..at], instead.encode_utf8(&mut [0; 4]), &token[at + was.len_utf8()..]].concat();
            if is_accepted(handler, &changed)? {
                accepted.push(place + 1);
            }
        }
    }
    accepted.dedup();
    if accepted.is_empty() {
        return Ok(());
    }
    let shown: Vec<_> = accepted.iter().take(SHOWN).map(ToString::to_string).collect();
    let more = if accepted.len() > SHOWN { " and others" } else { "" };
    failed(format!(
        "its token was accepted with one of its {length} characters changed, the one at {}{more}, expected only the \
         very token to be accepted",
        shown.join(", ")
    ))
}

pub(super) fn truncation(handler: &Handler<'_>) -> Checked {
    let token = handler.good_token(&handler.request())?.token;
    for (at, _) in token.char_indices() {
        if is_accepted(handler, &token[..at])? {
            return failed(format!(
                "the first {at} of the {} bytes of its token were accepted, expected only the whole",
                token.len()
            ));
        }
    }
    for more in ["A", "a", "0", "=", "==", ".", "-", "\0", " ", "\t", "\n", "\r\n", "\u{a0}", "%00"] {
        for (longer, side) in [(format!("{token}{more}"), "after"), (format!("{more}{token}"), "before")] {
            if is_accepted(handler, &longer)? {
                return failed(format!(
                    "its token was accepted with `{}` {side} it, expected only the token alone",
                    more.escape_default()
                ));
            }
        }
    }
    Ok(())
}

pub(super) fn hostile_tokens(handler: &Handler<'_>) -> Checked {
    let mut tokens = junk();
    for claim in handler.claims() {
        let behind = junk().into_iter().map(|(what, junk)| (format!("a claim and {what}"), format!("{claim}{junk}")));
        tokens.extend(behind);
    }
    let actors = [handler.request(), handler.request_for(format!("{}-2", handler.request().actor_id))];
    let made: Vec<_> = actors.iter().filter_map(|request| handler.good_token(request).ok()).collect();
    for token in &made {
        tokens.extend(forgeries(&token.token, handler.claims()));
    }
    if let [first, second] = &made[..] {
        tokens.push(("halves of two tokens".to_owned(), [half(&first.token).0, half(&second.token).1].concat()));
        tokens.push(("halves of two tokens".to_owned(), [half(&second.token).0, half(&first.token).1].concat()));
        tokens.push(("two tokens in a row".to_owned(), [&*first.token, &*second.token].concat()));
    }
    tokens.retain(|(_, hostile)| made.iter().all(|good| good.token != *hostile));
    for (what, token) in &tokens {
        match handler.verify(token) {
            Ok(Verdict::Accepted(_)) => return failed(format!("{what} was accepted, expected a rejection")),
            Err(error) => {
                return failed(format!(
                    "{what} got an error, expected a rejection, since nothing keeps it from telling: {}",
                    handler.quotable(&error)
                ));
            }
            Ok(Verdict::NotRecognized | Verdict::Rejected(_)) => {}
        }
    }
    Ok(())
}

/// Whether a token is accepted; other answers but none at all are as good as each other.
fn is_accepted(handler: &Handler<'_>, token: &str) -> Checked<bool> {
    match handler.verify(token) {
        Ok(Verdict::Accepted(_)) => Ok(true),
        Err(error) if *error.kind() == PluginErrorKind::DeadlineExceeded => failed(error.message().to_owned()),
        _ => Ok(false),
    }
}

/// Another character of the same class: the closest, so that what a decoder ignores is found (unused bits in base64).
fn neighbour(was: char) -> char {
    match was {
        'z' => 'y',
        'Z' => 'Y',
        '9' => '8',
        'a'..='y' | 'A'..='Y' | '0'..='8' => char::from(was as u8 + 1),
        '.' => '-',
        _ if was.is_ascii() => '.',
        _ => char::from_u32(was as u32 ^ 1).unwrap_or('é'),
    }
}

/// A character of quite another class.
fn stranger(was: char) -> char {
    if was == '~' { '!' } else { '~' }
}

/// Tokens that nobody made, each with what it is.
fn junk() -> Vec<(String, String)> {
    let jwt = |header: &str| format!("{header}.{FORGED_PAYLOAD}.");
    [
        ("an empty text", String::new()),
        ("one byte", "x".to_owned()),
        ("8 KiB of one letter", "A".repeat(8 << 10)),
        ("100,000 dots", ".".repeat(100_000)),
        ("three dots", "...".to_owned()),
        ("empty parts", ". . .".to_owned()),
        ("a NUL", "\0".to_owned()),
        ("text with NULs in it", "ab\0cd\0\0ef".to_owned()),
        ("control characters", "\u{1}\u{2}\u{7}\u{8}\u{b}\u{1b}[31m\u{7f}\r\n\t".to_owned()),
        ("text that is not ASCII", "Zoë.名前.🦀🦀🦀\u{202e}\u{feff}\u{10ffff}".to_owned()),
        ("a character of several bytes", "é".to_owned()),
        ("white space", " \t\r\n\u{a0}\u{2003}".to_owned()),
        ("JSON", r#"{"id":"root","a":"root"}"#.to_owned()),
        ("deep JSON", "[".repeat(5_000)),
        ("padding", "====".to_owned()),
        ("base64 with padding in the middle", "QUJD==QUJD".to_owned()),
        ("a percent sign at the end", "%".to_owned()),
        ("percent-encoded NULs", "%00%00".to_owned()),
        ("a quote and SQL", "' OR '1'='1' --".to_owned()),
        ("a path", "../../../../etc/passwd".to_owned()),
        ("a large number", "9".repeat(400)),
        ("a negative number", "-1".to_owned()),
        ("a JWT without a signature", jwt(HEADER_NONE)),
        ("a JWT without a signature, in capitals", jwt(HEADER_NONE_IN_CAPITALS)),
        ("a JWT with a signature of zeros", format!("{}{}", jwt(HEADER_NONE), "A".repeat(43))),
    ]
    .map(|(what, token)| (what.to_owned(), token))
    .into()
}

/// What can be made of a good token without the key to it, each with what it is.
fn forgeries<'c>(token: &str, claims: impl Iterator<Item = &'c str>) -> Vec<(String, String)> {
    let encoded: String = token.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let claim = claims.filter(|claim| token.starts_with(claim)).max_by_key(|claim| claim.len()).unwrap_or_default();
    let rest = &token[claim.len()..];
    let mut forgeries = vec![
        ("a token in capitals", token.to_uppercase()),
        ("a token in small letters", token.to_lowercase()),
        ("a token in capitals but for its claim", format!("{claim}{}", rest.to_uppercase())),
        ("a token in small letters but for its claim", format!("{claim}{}", rest.to_lowercase())),
        ("a percent-encoded token", encoded),
        ("a quoted token", format!("\"{token}\"")),
        ("a token with its scheme", format!("Bearer {token}")),
        ("a token backwards", format!("{claim}{}", rest.chars().rev().collect::<String>())),
    ];
    if !claim.is_empty() {
        forgeries.push(("a token without its claim", rest.to_owned()));
        forgeries.push(("a token with its claim twice", format!("{claim}{token}")));
    }
    if let [_, payload, _] = rest.split('.').collect::<Vec<_>>()[..] {
        for header in [HEADER_NONE, HEADER_NONE_IN_CAPITALS] {
            forgeries.push(("its JWT without a signature", format!("{claim}{header}.{payload}.")));
        }
    }
    forgeries.into_iter().map(|(what, token)| (what.to_owned(), token)).collect()
}

fn half(token: &str) -> (&str, &str) {
    let middle = (token.len() / 2..=token.len()).find(|at| token.is_char_boundary(*at)).unwrap_or(token.len());
    token.split_at(middle)
}

/// `{"alg":"none","typ":"JWT"}`
const HEADER_NONE: &str = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0";
/// `{"alg":"NONE","typ":"JWT"}`
const HEADER_NONE_IN_CAPITALS: &str = "eyJhbGciOiJOT05FIiwidHlwIjoiSldUIn0";
/// `{"sub":"root","id":"root","exp":9999999999}`
const FORGED_PAYLOAD: &str = "eyJzdWIiOiJyb290IiwiaWQiOiJyb290IiwiZXhwIjo5OTk5OTk5OTk5fQ";

/// One cause often has many effects.
const SHOWN: usize = 8;
