//! Traces, as a collector of OpenTelemetry receives them: `cargo test -p token-host --features otel --test otel`.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that meets the unexpected fails there and then")]

mod collector;
mod service;

use std::{collections::BTreeMap, net::TcpListener};

use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind, status::StatusCode};

use crate::{
    collector::{Collector, attributes},
    service::Site,
};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The one span for which this is so.
fn one(spans: &[Span], what: impl Fn(&Span, &BTreeMap<String, String>) -> bool) -> &Span {
    let found: Vec<&Span> = spans.iter().filter(|span| what(span, &attributes(&span.attributes))).collect();
    assert_eq!(found.len(), 1, "{spans:#?}");
    found[0]
}

/// The span of the verification within a request's.
fn verification<'s>(spans: &'s [Span], request: &Span) -> &'s Span {
    let child = one(spans, |span, _| span.parent_span_id == request.span_id);
    assert_eq!((child.name.as_str(), &child.trace_id), ("verify_token", &request.trace_id));
    child
}

fn pairs(span: &Span) -> Vec<(String, String)> {
    attributes(&span.attributes).into_iter().collect()
}

fn expected(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn spans_are_children_of_what_the_request_names_and_sent_before_the_service_ends() {
    let (site, collector) = (Site::new(), Collector::start());
    let token = site.token();
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.as_str()),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test"),
        // So none is sent before the end.
        ("OTEL_BSP_SCHEDULE_DELAY", "600000"),
    ];
    let service = site.serve(&variables);
    let good =
        format!("authorization: Bearer {token}\r\ntraceparent: 00-{TRACE}-{PARENT}-01\r\ntracestate: vendor=1\r\n");
    assert_eq!(service.ask("/auth?action=view-instance", &good), 200);
    let bad = format!("authorization: Bearer {token}x\r\ntraceparent: 00-{}-{PARENT}-01\r\n", "0".repeat(32));
    assert_eq!(service.ask("/auth/nginx", &bad), 401);
    assert_eq!(service.ask("/healthz?secret=1", ""), 200);
    let unsampled = format!("traceparent: 00-{TRACE}-{PARENT}-00\r\n");
    assert_eq!(service.ask("/readyz", &unsampled), 200);
    let (status, log) = service.end();
    assert!(status.success() && log.is_empty(), "{status}: {log}");

    let (sender, spans) = collector.spans();
    assert_eq!(sender["service.name"], "token-host");
    assert_eq!(
        (sender["service.version"].as_str(), sender["deployment.environment.name"].as_str()),
        (env!("CARGO_PKG_VERSION"), "test")
    );
    assert!(!format!("{spans:?}").contains(&token[..token.len() - 1]), "a token is in no span");

    let accepted = one(&spans, |_, with| {
        with.get("token_host.outcome").is_some_and(|it| it == "accepted") && with.contains_key("url.path")
    });
    assert_eq!((hex(&accepted.trace_id), hex(&accepted.parent_span_id)), (TRACE.to_owned(), PARENT.to_owned()));
    assert_eq!(
        (accepted.name.as_str(), accepted.kind, accepted.trace_state.as_str()),
        ("GET /auth", SpanKind::Server as i32, "vendor=1")
    );
    let told = [
        ("client.address", "127.0.0.1"),
        ("http.request.method", "GET"),
        ("http.response.status_code", "200"),
        ("http.route", "/auth"),
        ("token_host.handler", "signed"),
        ("token_host.outcome", "accepted"),
        ("trace_id", TRACE),
        ("url.path", "/auth"),
    ];
    assert_eq!(pairs(accepted), expected(&told));
    let verified = [("token_host.handler", "signed"), ("token_host.outcome", "accepted")];
    assert_eq!(pairs(verification(&spans, accepted)), expected(&verified));

    let refused = one(&spans, |_, with| with.get("url.path").is_some_and(|path| path == "/auth/nginx"));
    assert!(refused.parent_span_id.is_empty() && hex(&refused.trace_id) != TRACE, "a bad parent is none");
    let with = attributes(&refused.attributes);
    assert_eq!(
        (with["token_host.outcome"].as_str(), with["http.response.status_code"].as_str()),
        ("invalid_token", "401")
    );
    assert!(!with.contains_key("trace_id") && refused.status.as_ref().is_none_or(|it| it.code() != StatusCode::Error));
    assert_eq!(attributes(&verification(&spans, refused).attributes)["token_host.outcome"], "rejected");

    let health = one(&spans, |span, _| span.name == "GET /healthz");
    assert!(health.parent_span_id.is_empty());
    assert_eq!(attributes(&health.attributes)["url.path"], "/healthz");
    assert!(!spans.iter().any(|span| span.name.contains("readyz")), "whoever asked did not record it");
}

#[test]
fn what_the_environment_wants_and_there_is_not_is_refused() {
    let site = Site::new();
    // Taken, so that a service that is not refused ends as well.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = taken.local_addr().unwrap().to_string();
    for (name, value) in [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/no/such/file"),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "key.pem"),
        ("OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE", "cert.pem"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "no url"),
    ] {
        let mut command = site.command(&["serve", "--listen", &place]);
        let run = command.env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9").env(name, value).output().unwrap();
        let said = String::from_utf8(run.stderr).unwrap();
        assert_eq!(run.status.code(), Some(2), "{name}: {said}");
        assert!(said.starts_with("traces: "), "{name}: {said}");
    }
}

#[test]
fn without_a_collector_requests_are_answered_all_the_same() {
    let site = Site::new();
    let good = format!("authorization: Bearer {}\r\n", site.token());
    // Nobody listens there.
    let service = site.serve(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://user:hidden@127.0.0.1:9")]);
    assert_eq!(service.ask("/auth", &good), 200);
    let (status, log) = service.end();
    assert!(status.success() && !log.contains("hidden"), "{status}: {log}");
    assert!(log.contains("WARN") || log.contains("ERROR"), "it says that spans were lost: {log}");
}
