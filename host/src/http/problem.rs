//! [`Problem`]: an error as RFC 9457 has it, `application/problem+json`.

use std::borrow::Cow;

use ::http::{HeaderValue, Response, StatusCode, header};
use axum::{
    body::Body,
    response::{IntoResponse, Response as AxumResponse},
};
use serde::Serialize;

use super::service::RETRY_AFTER;
use crate::error::{Error, ErrorKind};

/// An error as RFC 9457 has it. What it says is fit for whoever asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub(crate) struct Problem {
    /// What kind of problem it is: a URN of this project.
    #[serde(rename = "type")]
    pub(crate) kind: Cow<'static, str>,
    /// The kind in words.
    pub(crate) title: Cow<'static, str>,
    /// The status of the response.
    pub(crate) status: u16,
    /// What is wrong this time.
    pub(crate) detail: String,
    /// More of it, line by line.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) findings: Vec<String>,
    #[serde(skip)]
    pub(crate) retry_after: Option<u64>,
}

impl Problem {
    /// A problem of this kind, a word or several with dashes.
    pub(crate) fn new(status: StatusCode, kind: &str, title: &'static str, detail: impl Into<String>) -> Self {
        Self {
            kind: Cow::Owned(format!("urn:token-host:problem:{kind}")),
            title: Cow::Borrowed(title),
            status: status.as_u16(),
            detail: detail.into(),
            findings: Vec::new(),
            retry_after: None,
        }
    }

    pub(crate) fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "Not found", format!("there is no such {what}"))
    }

    pub(crate) fn bad_request(expected: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid-request", "Invalid request", expected)
    }

    /// Well-formed, and not what is to be there (RFC 9110 §15.5.21).
    pub(crate) fn unprocessable(expected: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "unprocessable", "Unprocessable", expected)
    }

    pub(crate) fn unavailable() -> Self {
        let mut problem =
            Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Unavailable", "it cannot be done at the moment");
        problem.retry_after = Some(crate::authenticate::RETRY_AFTER.as_secs());
        problem
    }

    pub(crate) fn response(&self) -> Response<Body> {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // Plain data: writing it cannot fail.
        let mut response = Response::new(Body::from(serde_json::to_vec(self).unwrap_or_default()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> AxumResponse {
        self.response()
    }
}

/// By the design's table of errors. What a plugin could not do is in the log, and not told.
impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let told = |status, kind: &str, title| Self::new(status, kind, title, error.to_string());
        match error.kind() {
            ErrorKind::UnknownHandler => told(StatusCode::BAD_REQUEST, "unknown-handler", "Unknown handler"),
            ErrorKind::Disabled => told(StatusCode::BAD_REQUEST, "disabled", "Disabled"),
            ErrorKind::InvalidArgument => told(StatusCode::BAD_REQUEST, "invalid-argument", "Invalid argument"),
            ErrorKind::MissingTokenInfo(_) => told(StatusCode::BAD_REQUEST, "missing-token-info", "Missing token info"),
            ErrorKind::TokenInvalid(_) => told(StatusCode::UNAUTHORIZED, "token-invalid", "Invalid token"),
            ErrorKind::NotFound(_) => told(StatusCode::NOT_FOUND, "not-found", "Not found"),
            ErrorKind::Conflict => told(StatusCode::CONFLICT, "conflict", "Conflict"),
            ErrorKind::Unsupported => told(StatusCode::NOT_IMPLEMENTED, "unsupported", "Unsupported"),
            ErrorKind::NoHandlers => told(StatusCode::SERVICE_UNAVAILABLE, "no-handlers", "No handlers"),
            ErrorKind::Config | ErrorKind::Admission => {
                let mut problem = Self::new(
                    StatusCode::UNPROCESSABLE_ENTITY,
                    "refused-configuration",
                    "Refused configuration",
                    "the configuration is refused, and nothing changes",
                );
                problem.findings = error.findings().iter().map(ToString::to_string).collect();
                problem
            }
            _ => {
                tracing::error!(target: "http", "a request could not be answered: {error}");
                Self::unavailable()
            }
        }
    }
}

/// The answer to a request that is one too many.
pub(super) fn too_much() -> Response<Body> {
    let mut problem = Problem::unavailable();
    "too many requests are being served".clone_into(&mut problem.detail);
    problem.retry_after = Some(RETRY_AFTER.as_secs());
    problem.response()
}

/// The answer to a request that takes too long, its body included.
pub(super) fn too_slow() -> Response<Body> {
    let status = StatusCode::REQUEST_TIMEOUT;
    let mut response = Problem::new(status, "timeout", "Timeout", "the request took too long").response();
    // What is left of it must not be taken for the next one.
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}
