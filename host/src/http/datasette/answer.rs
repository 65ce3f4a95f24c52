//! Datasette's JSON: an answer, an error, and who wants errors as JSON.

use ::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::{
    authenticate::{Authenticator, Refusal},
    oauth2::is_of_type,
    page::{escaped, page},
};

/// Where it is wanted as JSON, and where as a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    Page,
}

impl Form {
    /// The form of errors that a request wants, where it does not follow from the path.
    pub(super) fn wanted(headers: &HeaderMap) -> Self {
        let accepts = |value: &HeaderValue| value.to_str().is_ok_and(|value| value.contains("application/json"));
        match headers.get_all(header::ACCEPT).iter().any(accepts) || is_of_type(headers, "application/json") {
            true => Self::Json,
            false => Self::Page,
        }
    }
}

/// `{"ok": true, ...}`
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Response {
    // Plain data: writing it cannot fail.
    let mut response = Response::new(Body::from(serde_json::to_vec(value).unwrap_or_default()));
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static("application/json; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    never_kept(response)
}

/// An error: `{"ok": false, "error": "...", "errors": ["..."], "status": 403}`, or a page that says the same.
pub(super) fn error(form: Form, status: StatusCode, message: &str) -> Response {
    #[derive(Serialize)]
    struct Written<'m> {
        ok: bool,
        error: &'m str,
        errors: [&'m str; 1],
        status: u16,
    }
    match form {
        Form::Json => json(status, &Written { ok: false, error: message, errors: [message], status: status.as_u16() }),
        Form::Page => {
            let title = status.canonical_reason().unwrap_or("Not possible");
            let body = format!("<h1>{title}</h1><p>{}</p>", escaped(message));
            never_kept(page(status, title, &body, "'none'").map(Body::from))
        }
    }
}

/// Why a token is not taken. Tokens are credentials of programs: it is JSON, whatever was asked for.
pub(super) fn refused(refusal: &Refusal, authenticator: &Authenticator) -> Response {
    let mut response = error(Form::Json, refusal.status(), &refusal.description());
    let headers = response.headers_mut();
    headers.extend(authenticator.challenge(refusal).map(|challenge| (header::WWW_AUTHENTICATE, challenge)));
    headers.extend(refusal.retry_after_header().map(|after| (header::RETRY_AFTER, after)));
    response
}

/// The answer to `OPTIONS`.
pub(super) fn options() -> Response {
    never_kept("ok".into_response())
}

/// The answer to a method that there is none for.
pub(super) fn wrong_method(form: Form, allowed: &'static str) -> Response {
    let mut response = match form {
        Form::Json => error(form, StatusCode::METHOD_NOT_ALLOWED, "Method not allowed"),
        Form::Page => never_kept((StatusCode::METHOD_NOT_ALLOWED, "Method not allowed").into_response()),
    };
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
    response
}

/// Marks a response as one about somebody.
pub(super) fn never_kept(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    headers.insert(header::VARY, HeaderValue::from_static("Cookie, Authorization"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
