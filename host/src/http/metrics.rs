//! `/metrics`: what is counted, in the text format of Prometheus (version 0.0.4).
//!
//! Every value of a label is a name in the configuration or one of a fixed list: nothing that a request brings.

use std::{
    fmt::Write as _,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use ::http::{HeaderValue, header};
use axum::{
    extract::Extension,
    response::{IntoResponse, Response},
};
use futures_util::future::join_all;
use token_plugin_api::Metric;

use super::{routes, service::Service};
use crate::{
    instance::{Instance, TELLING_DEADLINE},
    metrics::{HandlerMetrics, LATENCY_BOUNDS_NS, OUTCOMES},
};

/// The states of a plugin's breaker.
const STATES: [&str; 3] = ["serving", "tripped", "probing"];

/// The page, where it is to be served.
pub(super) async fn metrics(Extension(service): Extension<Service>) -> Response {
    if !service.settings().metrics {
        return routes::nothing_here();
    }
    let content_type = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    let headers = [(header::CONTENT_TYPE, content_type), (header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    let registry = service.host().0.registry.load_full();
    let told = told(&registry.instances, service.settings().request_timeout).await;
    (headers, page(&service, &told)).into_response()
}

/// What plugins tell of themselves, each figure with who tells it; those of one name, and so of one kind, together. A plugin
/// that does not answer costs its own figures: the page is not to be too late for it.
async fn told(instances: &[Arc<Instance>], request_timeout: Duration) -> Vec<(&Instance, Metric)> {
    let deadline = TELLING_DEADLINE.min(request_timeout / 2);
    let all = join_all(instances.iter().map(|instance| instance.figures.now(deadline))).await;
    let all = instances.iter().zip(all);
    let mut told: Vec<_> =
        all.flat_map(|(instance, metrics)| metrics.into_iter().map(|metric| (&**instance, metric))).collect();
    told.sort_by(|(_, one), (_, other)| one.name.cmp(&other.name));
    // The first one says what all of this name are.
    let mut first: Option<Metric> = None;
    told.retain(|(instance, metric)| match first.as_ref().filter(|first| first.name == metric.name) {
        None => {
            first = Some(metric.clone());
            true
        }
        Some(first) if first.kind == metric.kind => true,
        Some(first) => {
            instance.figures.is_of_another_kind(metric, first.kind);
            false
        }
    });
    told
}

fn page(service: &Service, told: &[(&Instance, Metric)]) -> String {
    let mut page = Page::default();
    let handlers = service.host().metrics();
    page.about(
        "token_host_verifications_total",
        "counter",
        "Verifications, by the handler that decided and what it said.",
    );
    for handler in &handlers {
        for (outcome, count) in OUTCOMES.iter().zip(handler.outcomes) {
            page.line("token_host_verifications_total", &[("handler", name(handler)), ("outcome", outcome)], count);
        }
    }
    page.about("token_host_verification_seconds", "histogram", "How long verifications took.");
    for handler in &handlers {
        page.histogram("token_host_verification_seconds", handler);
    }
    page.about("token_host_plugin_state", "gauge", "The state of a handler's plugin: 1 for the one that it is in.");
    let rows = service.host().plugins();
    for row in rows.iter().filter(|row| row.kind == "handler") {
        for state in STATES {
            let labels = [("handler", row.name.as_str()), ("plugin", &row.plugin), ("state", state)];
            page.line("token_host_plugin_state", &labels, u64::from(row.state == Some(state)));
        }
    }
    page.about("token_host_plugin_slow_calls_total", "counter", "Calls that ran for longer than the deadline.");
    for row in &rows {
        if let Some(slow_calls) = row.slow_calls {
            let labels = [("name", row.name.as_str()), ("plugin", &row.plugin), ("kind", row.kind)];
            page.line("token_host_plugin_slow_calls_total", &labels, slow_calls);
        }
    }
    for told in told.chunk_by(|(_, one), (_, other)| one.name == other.name) {
        let Some((_, first)) = told.first() else { continue };
        let name = format!("token_host_plugin_metric_{}", first.name);
        page.about(&name, first.kind.name(), &first.help);
        for (instance, metric) in told {
            page.line(&name, &[("plugin", instance.plugin())], metric.value);
        }
    }
    let (status, counts) = (service.host().status(), &service.0.counts);
    let load = |count: &std::sync::atomic::AtomicUsize| count.load(Ordering::Relaxed) as u64;
    for (name, kind, help, value) in [
        ("token_host_generation", "gauge", "The present generation.", status.generation),
        (
            "token_host_older_generations",
            "gauge",
            "Generations before on which calls still run.",
            status.older_generations as u64,
        ),
        ("token_host_reloads_total", "counter", "Reloads that succeeded.", status.reloads),
        ("token_host_failed_reloads_total", "counter", "Reloads that were refused.", status.failed_reloads),
        ("token_host_mapped_libraries", "gauge", "Plugin libraries in the process.", status.libraries.mapped as u64),
        (
            "token_host_superseded_bytes",
            "gauge",
            "Bytes of libraries that are used no more.",
            status.libraries.superseded_bytes as u64,
        ),
        ("token_host_dropped_events_total", "counter", "Events that slow sinks missed.", status.dropped_events),
        ("token_host_http_requests_total", "counter", "Requests.", counts.requests.load(Ordering::Relaxed)),
        ("token_host_http_requests_in_flight", "gauge", "Requests that are being served.", load(&counts.in_flight)),
        ("token_host_http_connections", "gauge", "Connections that are open.", load(&counts.connections)),
        (
            "token_host_http_turned_away_total",
            "counter",
            "Requests and connections that were one too many.",
            counts.turned_away.load(Ordering::Relaxed),
        ),
    ] {
        page.about(name, kind, help);
        page.line(name, &[], value);
    }
    page.0
}

fn name(handler: &HandlerMetrics) -> &str {
    handler.handler.as_deref().unwrap_or_default()
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn about(&mut self, name: &str, kind: &str, help: &str) {
        // Writing into a string does not fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn line(&mut self, name: &str, labels: &[(&str, &str)], value: u64) {
        self.labelled(name, labels);
        let _ = writeln!(self.0, " {value}");
    }

    fn labelled(&mut self, name: &str, labels: &[(&str, &str)]) {
        self.0.push_str(name);
        for (place, (label, value)) in labels.iter().enumerate() {
            let open = if place == 0 { "{" } else { "," };
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(self.0, "{open}{label}=\"{value}\"");
        }
        if !labels.is_empty() {
            self.0.push('}');
        }
    }

    fn histogram(&mut self, base: &str, handler: &HandlerMetrics) {
        let bounds = LATENCY_BOUNDS_NS.iter().map(|bound| format!("{}", seconds(*bound))).chain(["+Inf".to_owned()]);
        let mut sum = 0;
        for (bound, count) in bounds.zip(handler.latencies) {
            sum += count;
            self.line(&format!("{base}_bucket"), &[("handler", name(handler)), ("le", &bound)], sum);
        }
        self.labelled(&format!("{base}_sum"), &[("handler", name(handler))]);
        let _ = writeln!(self.0, " {}", seconds(handler.total_ns));
        self.line(&format!("{base}_count"), &[("handler", name(handler))], sum);
    }
}

/// As exact as a number of Prometheus is.
#[expect(clippy::cast_precision_loss, reason = "after 104 days a nanosecond is lost")]
fn seconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e9
}
