//! The headers by which a proxy is told who a request is from.
//!
//! Each of them is always there, empty when it has no value: a proxy that copies them overwrites what a client sent.

use std::borrow::Cow;

use ::http::{HeaderMap, HeaderValue};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::{
    authenticate::{Identity, scopes_of},
    config::IdentityHeaders,
};

/// The most that all of these headers take together, names included: what the smallest buffers of proxies leave room for.
pub(super) const MAX_BLOCK_BYTES: usize = 4096;

/// The actor's id, handler or scopes are longer than headers may be.
#[derive(Debug)]
pub(super) struct TooLong;

/// Writes the headers for whom a request is from; `None`: from nobody.
///
/// # Errors
///
/// When they would take more than [`MAX_BLOCK_BYTES`] even without the whole actor, which is left out first.
pub(super) fn write(
    identity: Option<&Identity>,
    names: &IdentityHeaders,
    headers: &mut HeaderMap,
) -> Result<(), TooLong> {
    let Some(Identity { actor, handler, .. }) = identity else {
        for name in names.all() {
            headers.insert(name, EMPTY);
        }
        return Ok(());
    };
    let scopes = scopes_of(actor).map(|scopes| scopes.join(" "));
    let values = [
        (&names.actor_id, value(actor.id())?),
        (&names.handler, value(handler.as_deref().unwrap_or_default())?),
        (&names.token_kind, value(actor.token())?),
        (&names.expires, actor.token_expires().map_or(EMPTY, HeaderValue::from)),
        (&names.scopes, value(scopes.as_deref().unwrap_or_default())?),
    ];
    // `: ` and the end of the line.
    let line = |name: &::http::HeaderName, bytes: usize| name.as_str().len() + bytes + 4;
    let mut left = MAX_BLOCK_BYTES.saturating_sub(line(&names.actor, 0));
    for (name, value) in values {
        left = left.checked_sub(line(name, value.len())).ok_or(TooLong)?;
        headers.insert(name, value);
    }
    // Whoever needs it finds it empty, and not without what its token is restricted to.
    let whole = actor.to_json().ok().filter(|json| json.len().div_ceil(3) * 4 <= left);
    let whole = whole.and_then(|json| HeaderValue::from_maybe_shared(URL_SAFE_NO_PAD.encode(json)).ok());
    headers.insert(&names.actor, whole.unwrap_or(EMPTY));
    Ok(())
}

const EMPTY: HeaderValue = HeaderValue::from_static("");

fn value(text: &str) -> Result<HeaderValue, TooLong> {
    if text.is_empty() {
        return Ok(EMPTY);
    }
    // Before it grows to three times as much.
    let text = if text.len() > MAX_BLOCK_BYTES { return Err(TooLong) } else { encoded(text) };
    HeaderValue::from_str(&text).map_err(|_| TooLong)
}

/// Percent-encodes (RFC 3986 §2.1) what is not printable ASCII, and the percent sign; and spaces at the ends, which would
/// be lost.
fn encoded(text: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| matches!(byte, 0x20..=0x7e) && byte != b'%';
    let is_at_an_end = text.starts_with(' ') || text.ends_with(' ');
    if !is_at_an_end && text.bytes().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let inner = text.len() - text.trim_start_matches(' ').len()..text.trim_end_matches(' ').len();
    let mut encoded = String::with_capacity(text.len() * 3);
    for (place, byte) in text.bytes().enumerate() {
        if is_plain(byte) && (byte != b' ' || inner.contains(&place)) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    Cow::Owned(encoded)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use token_plugin_api::{Actor, TokenRestrictions};

    use super::*;

    fn headers(actor: Actor) -> Result<HeaderMap, TooLong> {
        let mut headers = HeaderMap::new();
        let identity = Identity { actor, handler: Some("signed".to_owned()) };
        write(Some(&identity), &IdentityHeaders::default(), &mut headers).map(|()| headers)
    }

    #[test]
    fn every_header_is_there_and_none_carries_anything_but_text() {
        let actor = Actor::new(" a\r\nX-Auth-Actor-Id: root\u{0} é%20 ", "dstok").claim("scope", "read write");
        let headers = headers(actor.clone()).unwrap();
        let of = |name: &str| headers[name].to_str().unwrap();
        assert_eq!(of("x-auth-actor-id"), "%20a%0D%0AX-Auth-Actor-Id: root%00 %C3%A9%2520%20");
        assert_eq!((of("x-auth-handler"), of("x-auth-token-kind"), of("x-auth-expires")), ("signed", "dstok", ""));
        assert_eq!((of("x-auth-scopes"), headers.len()), ("read write", 6));
        let whole = URL_SAFE_NO_PAD.decode(of("x-auth-actor")).unwrap();
        assert_eq!(whole, serde_json::to_vec(&actor).unwrap());
    }

    #[test]
    fn nobody_has_all_headers_empty() {
        let mut headers = HeaderMap::new();
        write(None, &IdentityHeaders::default(), &mut headers).unwrap();
        assert_eq!((headers.len(), headers.values().all(HeaderValue::is_empty)), (6, true));
    }

    #[test]
    fn the_block_stays_small() {
        let bytes = |headers: &HeaderMap| -> usize {
            headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum()
        };
        let restricted = Actor::new("ann", "dstok").restricted_to(TokenRestrictions::nothing().allow_all("view-table"));
        for length in [0, 1000, 2500, 2900, 3000, 5000, 100_000] {
            let headers = headers(restricted.clone().claim("note", json!("x".repeat(length)))).unwrap();
            assert!(bytes(&headers) <= MAX_BLOCK_BYTES, "{length}");
            let whole = headers["x-auth-actor"].to_str().unwrap();
            let is_whole = URL_SAFE_NO_PAD.decode(whole).is_ok_and(|json| json.ends_with(b"}"));
            assert!(whole.is_empty() || is_whole, "{length}");
            assert_eq!(headers["x-auth-actor-id"], "ann");
        }
        assert!(headers(Actor::new("a".repeat(3000), "dstok")).is_ok());
        assert!(
            headers(Actor::new("a".repeat(4096), "dstok")).is_err()
                && headers(Actor::new("é".repeat(900), "x")).is_err()
        );
        assert!(headers(Actor::new("a".repeat(1 << 20), "dstok")).is_err());
    }
}
