//! The console: a page for operators, embedded as it is written, without a build step.
//!
//! The page and its parts are public, and tell nothing: everything that it shows and does goes through `/api/v1`, with
//! the token that somebody typed into it. That token lives in a variable of the page, and nowhere else.
//!
//! # Invariants
//!
//! - No text becomes HTML: the browser is told to refuse that (`require-trusted-types-for`, and no policy is allowed).
//! - Nothing is loaded from anywhere else, and no other page may frame it.

use std::sync::LazyLock;

use ::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::{
    Router,
    extract::{Extension, Path},
    response::{IntoResponse, Response},
    routing::get,
};
use sha2::{Digest, Sha256};

use super::{routes, service::Service};
use crate::admit::hexadecimal;

/// The page at `/console`, and its parts below.
pub(super) fn router() -> Router {
    Router::new()
        .route("/console", get(page))
        // Relative, for the service may stand behind a prefix; and the page's own links are relative to `/console`.
        .route("/console/", get(async || (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, "../console")])))
        .route("/console/{part}", get(part))
}

async fn page(service: Extension<Service>, headers: HeaderMap) -> Response {
    serve(&service, "index.html", &headers)
}

async fn part(service: Extension<Service>, Path(name): Path<String>, headers: HeaderMap) -> Response {
    serve(&service, &name, &headers)
}

fn serve(service: &Service, name: &str, headers: &HeaderMap) -> Response {
    let part = PARTS.iter().find(|part| part.name == name).filter(|_| service.settings().console);
    let Some(part) = part else { return routes::nothing_here() };
    let (tag, known) = (part.tag.as_str(), headers.get(header::IF_NONE_MATCH));
    let is_known = known.and_then(|known| known.to_str().ok()).is_some_and(|known| is_among(tag, known));
    let mut response = match is_known {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => ([(header::CONTENT_TYPE, part.media_type)], part.content).into_response(),
    };
    let headers = response.headers_mut();
    for (name, value) in &HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // Hexadecimal digits in quotes.
    headers.extend(HeaderValue::from_str(tag).ok().map(|tag| (header::ETAG, tag)));
    response
}

/// Whether an `If-None-Match` names this tag (RFC 9110, 13.1.2: weak comparison).
fn is_among(tag: &str, known: &str) -> bool {
    known.split(',').map(str::trim).any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
}

/// What the page may do: nothing but what it needs.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self' data:; form-action 'none'; base-uri 'none'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'; trusted-types 'none'";

/// What goes with each part.
const HEADERS: [(HeaderName, &str); 8] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    // Asked for again each time, and answered with 304: a new release is there with the next look.
    (header::CACHE_CONTROL, "no-cache"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), geolocation=(), microphone=(), payment=(), usb=(), clipboard-write=(self)",
    ),
];

/// One file of the page.
struct Part {
    name: &'static str,
    media_type: &'static str,
    content: &'static str,
    /// Its entity tag: of what is in it.
    tag: String,
}

impl Part {
    fn new(name: &'static str, content: &'static str) -> Self {
        let media_type = match name.rsplit('.').next() {
            Some("html") => "text/html; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            Some("svg") => "image/svg+xml",
            _ => "text/javascript; charset=utf-8",
        };
        let tag = format!("\"{}\"", &hexadecimal(&Sha256::digest(content).into())[..32]);
        Self { name, media_type, content, tag }
    }
}

macro_rules! parts {
    ($($name:literal),* $(,)?) => { vec![$(Part::new($name, include_str!($name))),*] };
}

static PARTS: LazyLock<Vec<Part>> = LazyLock::new(|| {
    parts![
        "index.html",
        "base.css",
        "shell.css",
        "sections.css",
        "icon.svg",
        "app.js",
        "api.js",
        "board.js",
        "charts.js",
        "dialog.js",
        "dom.js",
        "drag.js",
        "events.js",
        "figures.js",
        "form.js",
        "inspector.js",
        "invalidate.js",
        "order.js",
        "plan.js",
        "plugin_facts.js",
        "plugins.js",
        "policy.js",
        "restrictions.js",
        "session.js",
        "shell.js",
        "sign_in.js",
        "stream.js",
        "svg.js",
        "text.js",
        "token_create.js",
        "token_detail.js",
        "tokens.js",
    ]
});
