//! [`Refusal`] as a response: status and challenge are RFC 6750's, the body is a problem document (RFC 9457).

#[cfg(feature = "tower")]
use http::HeaderName;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

use super::{Authenticator, Refusal};

/// What tells a client that its token works, and that a new one should take its place. Djblets' name for it.
#[cfg(feature = "tower")]
pub(crate) const TOKEN_DEPRECATED: HeaderName = HeaderName::from_static("x-api-token-deprecated");

impl Refusal {
    /// What kind of problem it is: as the last part of its type, and in words.
    fn kind(&self) -> (&'static str, &'static str) {
        match self {
            Self::NoCredentials => ("token-required", "Token required"),
            Self::Request(_) => ("invalid-request", "Invalid request"),
            Self::Token(_) => ("token-invalid", "Invalid token"),
            Self::Scope(_) => ("insufficient-scope", "Insufficient scope"),
            Self::TooManyAttempts(_) => ("too-many-attempts", "Too many attempts"),
            Self::Unavailable(_) => ("unavailable", "Unavailable"),
        }
    }

    /// The problem document that says so: `type`, `title`, `status` and `detail`.
    pub fn problem(&self) -> Value {
        self.problem_with(self.status())
    }

    /// The same, for a response that has another status, which is then the document's (RFC 9457 §3.1.2).
    fn problem_with(&self, status: StatusCode) -> Value {
        let (kind, title) = self.kind();
        json!({
            "type": format!("urn:token-host:problem:{kind}"),
            "title": title,
            "status": status.as_u16(),
            "detail": self.description(),
        })
    }

    /// The response that says so, as this authenticator challenges: `WWW-Authenticate` or `Retry-After`, and a problem
    /// document that nobody may keep.
    pub fn response(&self, authenticator: &Authenticator) -> Response<Vec<u8>> {
        self.response_with(self.status(), authenticator)
    }

    /// The same with another status, for those who would not understand its own.
    pub(crate) fn response_with(&self, status: StatusCode, authenticator: &Authenticator) -> Response<Vec<u8>> {
        let mut response = Response::new(self.problem_with(status).to_string().into_bytes());
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.extend(authenticator.challenge(self).map(|challenge| (header::WWW_AUTHENTICATE, challenge)));
        headers.extend(self.retry_after_header().map(|after| (header::RETRY_AFTER, after)));
        response
    }
}
