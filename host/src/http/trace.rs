//! The span of a request, for the log and for traces: what OpenTelemetry's conventions name of HTTP servers.
//!
//! Spans are of level INFO, under the target `token_host::http`; that of a verification, which is a child of its request's,
//! under `token_host::authenticate`. By default the log has neither: `TOKEN_HOST_LOG=warn,token_host=info` puts what a line
//! is about before it. Where nobody listens, a request pays for one look whether somebody does.
//!
//! Any client may name the trace that its request is part of, and whether that is recorded (W3C Trace Context). So the
//! ids tell what belongs together and prove nothing, and by default, where sampling goes by the parent, a client can have
//! its own requests recorded or not. Who does not want that takes the headers away in the proxy, or has
//! `OTEL_TRACES_SAMPLER` be one that is not `parentbased`.

use std::pin::Pin;

use ::http::{Method, Request, Response};
use axum::{Router, body::Body};
use hyper::body::Incoming;
use tracing::{Instrument as _, Span, field::Empty};

use super::{
    forward_auth::{Caller, ERROR_STATUS},
    service::{Origin, Service},
};
use crate::authenticate::{Identity, Refusal, beginning_of_path, trace_id};

/// The span of a request: one that is disabled when nobody listens.
pub(super) fn span(service: &Service, origin: Origin, request: &Request<Incoming>) -> Span {
    let span = tracing::info_span!(
        target: "token_host::http",
        "request",
        otel.kind = "server",
        otel.name = Empty,
        otel.status_code = Empty,
        http.request.method = Empty,
        http.route = Empty,
        http.response.status_code = Empty,
        url.path = Empty,
        client.address = Empty,
        "error.type" = Empty,
        trace_id = Empty,
        token_host.handler = Empty,
        token_host.outcome = Empty,
    );
    if !span.is_disabled() {
        describe(&span, service, origin, request);
    }
    span
}

/// Answers a request within its span. On the heap, so that requests without a span take no more room for it.
pub(super) fn respond(
    service: &Service,
    origin: Origin,
    request: Request<Incoming>,
    span: Span,
) -> Pin<Box<impl Future<Output = Response<Body>>>> {
    let inside = span.clone();
    let answering = async move {
        let response = service.respond(origin, request, &inside).await;
        answered(&inside, &response);
        response
    };
    Box::pin(answering.instrument(span))
}

/// Notes in the span of a request to `/auth` what it came to: who judged, and one of a few words. Never a token.
pub(super) fn judged(span: &Span, judged: &Result<Option<Identity>, Refusal>) {
    if span.is_disabled() {
        return;
    }
    if let Ok(Some(Identity { handler: Some(handler), .. })) = judged {
        span.record("token_host.handler", handler.as_str());
    }
    span.record(
        "token_host.outcome",
        match judged {
            Ok(Some(_)) => "accepted",
            Ok(None) => "anonymous",
            Err(Refusal::NoCredentials) => "no_credentials",
            Err(Refusal::Request(_)) => "invalid_request",
            Err(Refusal::Token(_)) => "invalid_token",
            Err(Refusal::Scope(_)) => "insufficient_scope",
            Err(Refusal::TooManyAttempts(_)) => "too_many_attempts",
            Err(Refusal::Unavailable(_)) => "unavailable",
        },
    );
}

/// The routes, each of which tells its path as it is written to the span.
#[cfg(feature = "otel")]
pub(super) fn named(router: Router) -> Router {
    use axum::{
        extract::{MatchedPath, Request},
        middleware::map_request,
    };
    router.route_layer(map_request(async |request: Request| {
        if let Some(path) = request.extensions().get::<MatchedPath>() {
            let (span, path) = (Span::current(), path.as_str());
            span.record("http.route", path);
            super::trace_context::rename(&span, named_by(request.method(), path));
        }
        request
    }))
}

/// The routes as they are: the log has the path that was asked for.
#[cfg(not(feature = "otel"))]
pub(super) fn named(router: Router) -> Router {
    router
}

#[cold]
fn describe(span: &Span, service: &Service, origin: Origin, request: &Request<Incoming>) {
    let (path, headers) = (request.uri().path(), request.headers());
    #[cfg(feature = "otel")]
    super::trace_context::join(span, headers);
    span.record("http.request.method", method(request.method()).unwrap_or("_OTHER"));
    span.record("url.path", beginning_of_path(path));
    let peer = origin.peer(&service.settings());
    if let Some(client) = service.client(peer, headers) {
        span.record("client.address", tracing::field::display(client));
    }
    if let Some(trace_id) = trace_id(headers) {
        span.record("trace_id", trace_id);
    }
    match Caller::of(path) {
        Some(Caller::Forwarded) => name(span, request.method(), "/auth"),
        Some(Caller::Nginx) => name(span, request.method(), "/auth/nginx"),
        Some(Caller::Envoy) => name(span, request.method(), "/auth/envoy/{*path}"),
        None => _ = span.record("otel.name", method(request.method()).unwrap_or("HTTP")),
    }
}

/// Few names, whatever clients ask for.
fn name(span: &Span, sent: &Method, route: &str) {
    span.record("http.route", route);
    span.record("otel.name", named_by(sent, route));
}

fn named_by(sent: &Method, route: &str) -> String {
    format!("{} {route}", method(sent).unwrap_or("HTTP"))
}

/// The method, when it is one of those that are known.
fn method(method: &Method) -> Option<&str> {
    let known = [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::DELETE,
        Method::CONNECT,
        Method::OPTIONS,
        Method::TRACE,
        Method::PATCH,
    ];
    known.contains(method).then_some(method.as_str())
}

/// Notes the status. Those of 500 and more are errors of the server, and so is one that a proxy would not understand.
fn answered(span: &Span, response: &Response<Body>) {
    let status = response.status().as_u16();
    span.record("http.response.status_code", status);
    let meant = response.headers().get(&ERROR_STATUS).and_then(|meant| meant.to_str().ok()?.parse().ok());
    let meant = meant.unwrap_or(status);
    if meant >= 500 {
        span.record("otel.status_code", "ERROR");
        span.record("error.type", meant);
    }
}
