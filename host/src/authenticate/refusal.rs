//! [`Refusal`]: why a request is not let through, and how RFC 6750 says so.

use std::{borrow::Cow, time::Duration};

use http::{HeaderValue, StatusCode};

/// Why a request is not let through. What it says is fit for whoever asked: nothing of the host's inside.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// It has no token.
    NoCredentials,
    /// It is malformed, or has two tokens: what was expected.
    Request(&'static str),
    /// Its token is bad: in which way.
    Token(Cow<'static, str>),
    /// Its token is good, and not for this. The scopes that would be, as far as they are known.
    Scope(Option<String>),
    /// Too many bad tokens came from there, and another one did: when to try again.
    TooManyAttempts(Duration),
    /// It cannot be told at the moment, whoever is asked: when to try again.
    Unavailable(Duration),
}

impl Refusal {
    /// The status of a response that says so.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::NoCredentials | Self::Token(_) => StatusCode::UNAUTHORIZED,
            Self::Request(_) => StatusCode::BAD_REQUEST,
            Self::Scope(_) => StatusCode::FORBIDDEN,
            Self::TooManyAttempts(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// RFC 6750's error code; none where there is no token, and for what that document has no code for.
    pub fn code(&self) -> Option<&'static str> {
        match self {
            Self::Request(_) => Some("invalid_request"),
            Self::Token(_) => Some("invalid_token"),
            Self::Scope(_) => Some("insufficient_scope"),
            Self::NoCredentials | Self::TooManyAttempts(_) | Self::Unavailable(_) => None,
        }
    }

    /// What to tell the client, in a sentence.
    pub fn description(&self) -> Cow<'static, str> {
        match self {
            Self::NoCredentials => Cow::Borrowed("a token is required"),
            Self::Request(expected) => Cow::Borrowed(expected),
            Self::Token(reason) => reason.clone(),
            Self::Scope(_) => Cow::Borrowed("the token is not good for this"),
            Self::TooManyAttempts(_) => Cow::Borrowed("too many failed attempts"),
            Self::Unavailable(_) => Cow::Borrowed("the token cannot be judged at the moment"),
        }
    }

    /// When to try again.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::TooManyAttempts(after) | Self::Unavailable(after) => Some(*after),
            _ => None,
        }
    }

    /// The value of `WWW-Authenticate` (RFC 6750 §3), for responses that are to have one: 400, 401 and 403.
    pub fn challenge(&self, scheme: &str, realm: &str) -> Option<HeaderValue> {
        if self.retry_after().is_some() {
            return None;
        }
        let mut challenge = format!("{scheme} realm=\"{}\"", quotable(realm));
        if let Some(code) = self.code() {
            challenge.push_str(&format!(", error=\"{code}\", error_description=\"{}\"", quotable(&self.description())));
        }
        if let Self::Scope(Some(scope)) = self {
            challenge.push_str(&format!(", scope=\"{}\"", quotable(scope)));
        }
        HeaderValue::try_from(challenge).ok()
    }

    /// The value of `Retry-After`, in whole seconds.
    pub fn retry_after_header(&self) -> Option<HeaderValue> {
        self.retry_after().map(|after| HeaderValue::from(after.as_secs() + u64::from(after.subsec_nanos() > 0)))
    }
}

/// Text that may stand in a challenge's quotes (RFC 6750 §3): a handler's reason is not the host's own.
fn quotable(text: &str) -> String {
    let is_allowed = |c: char| matches!(c, '\x20'..='\x21' | '\x23'..='\x5b' | '\x5d'..='\x7e');
    let mut text: String = text.chars().take(MAX_DESCRIPTION_CHARS).collect();
    text = text.chars().map(|c| if is_allowed(c) { c } else { '?' }).collect();
    text
}

/// A handler's reason is a sentence; what is longer is cut.
const MAX_DESCRIPTION_CHARS: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_what_the_rfc_has() {
        let text = |refusal: Refusal| {
            refusal
                .challenge("Bearer", "token-host")
                .map(|value| value.to_str().unwrap().to_owned())
                .unwrap_or_default()
        };
        assert_eq!(text(Refusal::NoCredentials), r#"Bearer realm="token-host""#);
        assert_eq!(
            text(Refusal::Token("has \"expired\"\r\nX: \u{e9}".into())),
            r#"Bearer realm="token-host", error="invalid_token", error_description="has ?expired???X: ?""#
        );
        assert_eq!(
            text(Refusal::Scope(Some("read write".to_owned()))),
            r#"Bearer realm="token-host", error="insufficient_scope", error_description="the token is not good for this", scope="read write""#
        );
        assert!(text(Refusal::Token("x".repeat(10_000).into())).len() < 400);
        assert_eq!(text(Refusal::Unavailable(Duration::from_secs(5))), "");
        let waits = Refusal::TooManyAttempts(Duration::from_millis(1001));
        assert_eq!((waits.status().as_u16(), waits.retry_after_header().unwrap().to_str().unwrap()), (429, "2"));
    }
}
