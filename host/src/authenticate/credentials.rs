//! Where a request has its token: one place, or it is refused (RFC 6750 §2).

use std::borrow::Cow;

use http::{HeaderMap, HeaderValue, header};

use super::{refusal::Refusal, settings::AuthenticateSettings};

/// The token of a request; `None`: it has none.
///
/// # Errors
///
/// When there is more than one, or what is there cannot be one.
pub(crate) fn find<'r>(
    headers: &'r HeaderMap,
    query: Option<&'r str>,
    settings: &AuthenticateSettings,
) -> Result<Option<Cow<'r, str>>, Refusal> {
    let mut found = from_authorization(headers, settings)?.map(Cow::Borrowed);
    if let Some(name) = &settings.header {
        add(&mut found, single(headers.get_all(name).iter())?.map(as_token).transpose()?.map(Cow::Borrowed))?;
    }
    if let Some(name) = &settings.cookie {
        add(&mut found, from_cookie(headers, name)?.map(Cow::Borrowed))?;
    }
    if let (Some(name), Some(query)) = (&settings.query, query) {
        add(&mut found, from_query(query, name)?)?;
    }
    Ok(found)
}

/// `Authorization`, when its scheme is one of ours (RFC 9110 §11.6.2). Another scheme is no credentials of ours.
fn from_authorization<'r>(headers: &'r HeaderMap, settings: &AuthenticateSettings) -> Result<Option<&'r str>, Refusal> {
    let Some(value) = single(headers.get_all(header::AUTHORIZATION).iter())? else { return Ok(None) };
    let bytes = value.as_bytes();
    let end = bytes.iter().position(|byte| *byte == b' ').unwrap_or(bytes.len());
    let (scheme, rest) = bytes.split_at(end);
    if !settings.schemes.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(scheme)) {
        return Ok(None);
    }
    let token = rest.trim_ascii();
    match is_token68(token) {
        // Of ASCII alone.
        true => Ok(std::str::from_utf8(token).ok()),
        false => Err(Refusal::Request("expected a token behind the scheme, and nothing else")),
    }
}

fn from_cookie<'r>(headers: &'r HeaderMap, name: &str) -> Result<Option<&'r str>, Refusal> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let cookies = lines.flat_map(|line| line.split(';')).filter_map(|cookie| cookie.trim().split_once('='));
    let mut values = cookies.filter(|(known, _)| *known == name).map(|(_, value)| value.trim_matches('"'));
    match (values.next(), values.next()) {
        // A site under the same domain may have set the second.
        (Some(_), Some(_)) => Err(Refusal::Request("expected one cookie with a token")),
        (Some(""), None) | (None, _) => Ok(None),
        (Some(token), None) if is_token68(token.as_bytes()) => Ok(Some(token)),
        (Some(_), None) => Err(Refusal::Request("expected a token in the cookie")),
    }
}

fn from_query<'r>(query: &'r str, name: &str) -> Result<Option<Cow<'r, str>>, Refusal> {
    let mut values = query.split('&').filter_map(|pair| {
        let (known, value) = pair.split_once('=').unwrap_or((pair, ""));
        // A name that is spelt with escapes is the same name, and must not hide a second token.
        (decoded(known).as_deref() == Some(name)).then_some(value)
    });
    match (values.next(), values.next()) {
        (Some(_), Some(_)) => Err(Refusal::Request("expected one parameter with a token")),
        (None, _) => Ok(None),
        (Some(value), None) => match decoded(value) {
            Some(token) if is_token68(token.as_bytes()) => Ok(Some(token)),
            _ => Err(Refusal::Request("expected a token in the parameter")),
        },
    }
}

fn add<'r>(found: &mut Option<Cow<'r, str>>, more: Option<Cow<'r, str>>) -> Result<(), Refusal> {
    match (&found, more) {
        (_, None) => Ok(()),
        (Some(_), Some(_)) => Err(Refusal::Request("expected a token in one place, found two")),
        (None, more) => {
            *found = more;
            Ok(())
        }
    }
}

fn single<'r>(mut values: impl Iterator<Item = &'r HeaderValue>) -> Result<Option<&'r HeaderValue>, Refusal> {
    match (values.next(), values.next()) {
        (_, Some(_)) => Err(Refusal::Request("expected one header with a token")),
        (value, None) => Ok(value),
    }
}

fn as_token(value: &HeaderValue) -> Result<&str, Refusal> {
    let token = value.as_bytes().trim_ascii();
    let token = std::str::from_utf8(token).ok().filter(|token| is_token68(token.as_bytes()));
    token.ok_or(Refusal::Request("expected a token in the header"))
}

/// RFC 6750's `b64token`, which is RFC 9110's `token68`.
fn is_token68(token: &[u8]) -> bool {
    let end = token.iter().rposition(|byte| *byte != b'=').map_or(0, |last| last + 1);
    end > 0 && token[..end].iter().all(|byte| IS_TOKEN68[usize::from(*byte)])
}

/// A table: comparisons took as long as half of a verification.
const IS_TOKEN68: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] =
            matches!(byte as u8, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'+' | b'/');
        byte += 1;
    }
    table
};

/// A query's name or value without its escapes; `None`: it is malformed.
pub(crate) fn decoded(text: &str) -> Option<Cow<'_, str>> {
    if !text.bytes().any(|byte| matches!(byte, b'%' | b'+')) {
        return Some(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || rest.next().and_then(|byte| char::from(byte).to_digit(16));
                let (high, low) = (digit()?, digit()?);
                u8::try_from(high << 4 | low).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    fn of(authorization: &[&str]) -> Result<Option<String>, Refusal> {
        let mut headers = HeaderMap::new();
        for value in authorization {
            headers.append(header::AUTHORIZATION, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        find(&headers, None, &AuthenticateSettings::default()).map(|token| token.map(Cow::into_owned))
    }

    fn refused(found: Result<Option<String>, Refusal>) -> bool {
        matches!(found, Err(Refusal::Request(_)))
    }

    #[test]
    fn a_token_comes_behind_a_scheme() {
        let some = |token: &str| Ok(Some(token.to_owned()));
        assert_eq!(of(&["Bearer abc.d-e_f~g+h/=="]), some("abc.d-e_f~g+h/=="));
        assert_eq!(of(&["bEARER abc"]), some("abc"));
        assert_eq!(of(&["token  abc "]), some("abc"), "spaces between them are free");
        for other in [&[][..], &["Basic YTpi"], &["Bearerabc"], &[""], &["Digest a=b"]] {
            assert_eq!(of(other), Ok(None), "{other:?}");
        }
        for bad in
            ["Bearer", "Bearer ", "Bearer a b", "Bearer a,b", "Bearer =", "Bearer a=b", "Bearer \u{e9}", "token a\tb"]
        {
            assert!(refused(of(&[bad])), "{bad}");
        }
        assert!(refused(of(&["Bearer a", "Bearer a"])) && refused(of(&["Basic YTpi", "Bearer a"])));
    }

    fn elsewhere() -> AuthenticateSettings {
        AuthenticateSettings {
            header: Some(HeaderName::from_static("x-api-key")),
            cookie: Some("session".to_owned()),
            query: Some("access_token".to_owned()),
            ..AuthenticateSettings::default()
        }
    }

    fn in_all(lines: &[(&'static str, &str)], query: Option<&str>) -> Result<Option<String>, Refusal> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        let found = find(&headers, query, &elsewhere());
        found.map(|token| token.map(Cow::into_owned))
    }

    #[test]
    fn other_places_are_looked_at_where_it_was_said() {
        let some = |token: &str| Ok(Some(token.to_owned()));
        assert_eq!(in_all(&[("x-api-key", " abc ")], None), some("abc"));
        assert_eq!(in_all(&[("cookie", "a=b; session=abc"), ("cookie", "c=d")], None), some("abc"));
        assert_eq!(in_all(&[("cookie", "session=\"abc\"")], Some("a=b")), some("abc"));
        assert_eq!(in_all(&[("cookie", "session=")], Some("x&access%5Ftoken=a%2Eb")), some("a.b"));
        let mut headers = HeaderMap::new();
        headers.insert("x-api-key", "abc".parse().unwrap());
        assert_eq!(find(&headers, Some("access_token=abc"), &AuthenticateSettings::default()), Ok(None));
    }

    #[test]
    fn there_is_one_place_at_a_time() {
        let bearer = ("authorization", "Bearer a");
        assert!(refused(in_all(&[bearer, ("x-api-key", "a")], None)));
        assert!(refused(in_all(&[bearer, ("cookie", "session=a")], None)));
        assert!(refused(in_all(&[bearer], Some("access_token=a"))));
        assert!(refused(in_all(&[("x-api-key", "a"), ("x-api-key", "a")], None)));
        assert!(refused(in_all(&[("cookie", "session=a"), ("cookie", "session=b")], None)));
        assert!(refused(in_all(&[], Some("access_token=a&acces%73_token=b"))));
        for bad in ["access_token=", "access_token", "access_token=%", "access_token=a+b"] {
            assert!(refused(in_all(&[], Some(bad))), "{bad}");
        }
    }
}
