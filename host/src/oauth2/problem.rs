//! [`Problem`]: why an endpoint for clients does not do what it is asked, as RFC 6749 §5.2 has it.

use http::{HeaderValue, Response, StatusCode, header};
use serde_json::json;

use super::{MAX_BODY_BYTES, form::Malformed, scope::InvalidScope};
use crate::error::Error;

/// Why it is not done. What the client reads says nothing of why a store could not be asked; the log does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Problem {
    /// `invalid_request`, and what was expected.
    Request(&'static str),
    /// The body is longer than it may be.
    TooLarge,
    /// Another method than POST.
    Method,
    /// `invalid_client`; by `Authorization` or not, for that decides the status.
    Client { by_header: bool },
    /// `invalid_grant`: one text for all reasons, which are nobody's business.
    Grant,
    /// `unauthorized_client`.
    Unauthorized,
    /// `unsupported_grant_type`.
    GrantType,
    /// `invalid_scope`.
    Scope,
    /// `unsupported_token_type` (RFC 7009 §2.2.1).
    TokenType,
    /// It cannot be told.
    Unavailable,
}

impl Problem {
    /// Something that keeps the server from telling, which goes to the log.
    pub(super) fn unavailable(error: &Error) -> Self {
        tracing::error!(target: "oauth2", "a request could not be answered: {error}");
        Self::Unavailable
    }

    /// The code, and a description of ASCII without quotes and backslashes.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Request(expected) => ("invalid_request", expected),
            Self::TooLarge => ("invalid_request", "the body is too long"),
            Self::Method => ("invalid_request", "expected POST"),
            Self::Client { .. } => ("invalid_client", "the client is unknown, or its authentication failed"),
            Self::Grant => ("invalid_grant", "the grant is invalid, expired, revoked, used up, or of another client"),
            Self::Unauthorized => ("unauthorized_client", "the client may not use this grant type"),
            Self::GrantType => ("unsupported_grant_type", "the server does not support this grant type"),
            Self::Scope => ("invalid_scope", "the scope is malformed, unknown, or more than may be granted"),
            Self::TokenType => ("unsupported_token_type", "the server cannot revoke tokens of this kind"),
            Self::Unavailable => ("temporarily_unavailable", "the server cannot answer at the moment"),
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Client { by_header: true } => StatusCode::UNAUTHORIZED,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// The response.
    pub(crate) fn response(self) -> Response<Vec<u8>> {
        let (code, description) = self.words();
        let mut response = super::json(self.status(), &json!({ "error": code, "error_description": description }));
        let header = match self {
            Self::Client { by_header: true } => Some((header::WWW_AUTHENTICATE, r#"Basic realm="token-host""#)),
            Self::Method => Some((header::ALLOW, "POST")),
            Self::Unavailable => Some((header::RETRY_AFTER, RETRY_AFTER_SECONDS)),
            _ => None,
        };
        if let Some((name, value)) = header {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self::unavailable(&error)
    }
}

impl From<InvalidScope> for Problem {
    fn from(InvalidScope: InvalidScope) -> Self {
        Self::Scope
    }
}

impl From<Malformed> for Problem {
    fn from(Malformed: Malformed) -> Self {
        Self::Request("the parameters are no well-formed application/x-www-form-urlencoded text")
    }
}

/// As long as a plugin that was tripped is left alone by default.
pub(super) const RETRY_AFTER_SECONDS: &str = "5";

const _: () = assert!(MAX_BODY_BYTES >= 8 * 1024, "a token of the usual greatest length fits");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_are_what_the_rfc_allows() {
        for problem in [
            Problem::from(Malformed),
            Problem::TooLarge,
            Problem::Method,
            Problem::Client { by_header: true },
            Problem::Grant,
            Problem::Unauthorized,
            Problem::GrantType,
            Problem::Scope,
            Problem::TokenType,
            Problem::Unavailable,
        ] {
            let (_, description) = problem.words();
            let is_allowed = |byte: u8| matches!(byte, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e);
            assert!(description.bytes().all(is_allowed), "{description}");
        }
    }

    #[test]
    fn only_who_authenticates_by_header_gets_a_challenge() {
        let by_header = Problem::Client { by_header: true }.response();
        assert_eq!((by_header.status().as_u16(), by_header.headers().contains_key("www-authenticate")), (401, true));
        let by_body = Problem::Client { by_header: false }.response();
        assert_eq!((by_body.status().as_u16(), by_body.headers().contains_key("www-authenticate")), (400, false));
        assert_eq!(by_header.body(), by_body.body());
    }
}
