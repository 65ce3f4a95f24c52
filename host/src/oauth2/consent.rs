//! [`ConsentToken`]: what a decision has to come with, so that it is known to be about the page that this server showed to
//! this user.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, header};
use subtle::ConstantTimeEq;

use super::{
    authorization_request::PARAMETERS,
    form::Form,
    issuer::Issuer,
    key::{ProcessKey, Purpose},
};
use crate::error::Error;

/// How long somebody may take to decide, in seconds.
const LIFE_SECONDS: u64 = 600;

/// A MAC over the user, all that is asked for, and when it is over.
#[derive(Debug)]
pub(super) struct ConsentToken;

impl ConsentToken {
    /// The token for a page that shows this request to this user.
    ///
    /// `shown` is what the page shows of it: what a request leaves open may be decided otherwise a moment later.
    pub(super) fn made(key: &ProcessKey, user: &str, request: &Form, shown: &str, now: u64) -> Result<String, Error> {
        let expires_at = now.saturating_add(LIFE_SECONDS);
        let mac = mac(key, user, request, shown, &expires_at.to_string())?;
        Ok(format!("{expires_at}.{}", URL_SAFE_NO_PAD.encode(mac)))
    }

    /// Whether a token is the one that this user got for this request, and still good.
    pub(super) fn fits(
        key: &ProcessKey,
        token: &str,
        user: &str,
        request: &Form,
        shown: &str,
        now: u64,
    ) -> Result<bool, Error> {
        let Some((expires_at, given)) = token.split_once('.') else { return Ok(false) };
        let is_over = expires_at.parse::<u64>().map_or(true, |expires_at| now >= expires_at);
        let Ok(given) = URL_SAFE_NO_PAD.decode(given) else { return Ok(false) };
        let mac = mac(key, user, request, shown, expires_at)?;
        Ok(bool::from(mac.ct_eq(given.as_slice())) && !is_over)
    }
}

fn mac(key: &ProcessKey, user: &str, request: &Form, shown: &str, expires_at: &str) -> Result<[u8; 32], Error> {
    let asked = PARAMETERS.map(|name| request.value(name));
    let texts: Vec<Option<&str>> = [Some(user), Some(shown), Some(expires_at)].into_iter().chain(asked).collect();
    key.mac(Purpose::Consent, &texts)
}

/// Whether a decision comes from a page of this server, as far as the browser says.
///
/// Our page sends no referrer, and browsers then say `Origin: null`: it proves nothing, and is no reason to refuse.
pub(super) fn is_from_here(headers: &HeaderMap, issuer: &Issuer) -> bool {
    let are_all = |name: &str, is_good: fn(&[u8], &Issuer) -> bool| {
        headers.get_all(name).iter().all(|value| is_good(value.as_bytes(), issuer))
    };
    are_all("sec-fetch-site", |site, _| site == b"same-origin")
        && are_all(header::ORIGIN.as_str(), |origin, issuer| origin == b"null" || origin == issuer.origin().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_700_000_000;

    fn form(text: &str) -> Form {
        Form::parse(text.as_bytes()).unwrap_or_else(|_| panic!("{text}"))
    }

    #[test]
    fn a_token_is_for_one_user_and_one_request_and_a_while() {
        let key = ProcessKey::default();
        let request = "client_id=c&redirect_uri=https://c/&response_type=code&scope=read&state=s&code_challenge=x";
        let token = ConsentToken::made(&key, "ann", &form(request), "read", NOW).unwrap();
        let fits = |token: &str, user, request: &str, now| {
            ConsentToken::fits(&key, token, user, &form(request), "read", now).unwrap()
        };
        assert!(
            fits(&token, "ann", request, NOW) && fits(&token, "ann", &format!("{request}&decision=allow"), NOW + 599)
        );
        assert!(!fits(&token, "ann", request, NOW + 600), "it is over");
        assert!(!fits(&token, "bob", request, NOW));
        for (from, to) in [("=c&", "=d&"), ("read", "write"), ("state=s", "state=t"), ("challenge=x", "challenge=y")] {
            assert!(!fits(&token, "ann", &request.replace(from, to), NOW), "{to}");
        }
        assert!(!fits(&token, "ann", &request.replace("&state=s", ""), NOW));
        let later = token.replace(&(NOW + 600).to_string(), &(NOW + 6000).to_string());
        for bad in ["", ".", "x.y", &later, &token[..token.len() - 2], &format!("+{token}")] {
            assert!(!fits(bad, "ann", request, NOW), "{bad}");
        }
        assert!(!ConsentToken::fits(&ProcessKey::default(), &token, "ann", &form(request), "read", NOW).unwrap());
        assert!(!ConsentToken::fits(&key, &token, "ann", &form(request), "read admin", NOW).unwrap());
    }

    #[test]
    fn a_decision_comes_from_here() {
        let issuer: Issuer = "https://auth.example/x".parse().unwrap();
        let is_from_here = |pairs: &[(&'static str, &str)]| {
            let pairs = pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
            super::is_from_here(&pairs.collect::<HeaderMap>(), &issuer)
        };
        assert!(is_from_here(&[]));
        assert!(is_from_here(&[("origin", "https://auth.example"), ("sec-fetch-site", "same-origin")]));
        assert!(is_from_here(&[("origin", "null"), ("sec-fetch-site", "same-origin")]));
        for bad in [
            ("origin", "https://evil.example"),
            ("origin", "https://auth.example.evil.example"),
            ("origin", "http://auth.example"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("sec-fetch-site", "none"),
        ] {
            assert!(!is_from_here(&[bad]), "{bad:?}");
        }
    }
}
