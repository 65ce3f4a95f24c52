//! [`Traces`]: the spans of requests, sent to a collector of OpenTelemetry as the standard's variables say.
//!
//! They are sent where `OTEL_EXPORTER_OTLP_ENDPOINT` or `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` says to, in OTLP over HTTP
//! with protobuf. `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_TRACES_SAMPLER`, `OTEL_BSP_...` and the other
//! variables of the exporter mean what they do everywhere, but for certificates of clients, which there are none of: who
//! asks for one is told. The trace of a request is taken from `traceparent`, whatever `OTEL_PROPAGATORS` says. Spans wait in a queue that is bounded, and those that find it
//! full are dropped: a collector that is slow or gone slows nobody down.

use std::{env, fs, time::Duration};

use opentelemetry::{KeyValue, trace::TracerProvider as _};
use opentelemetry_otlp::{SpanExporter, WithHttpConfig as _};
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use tracing::{Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{Layer, filter::Targets, registry::LookupSpan};

use super::{collector::Collector, exit::Failure};

/// Sends spans. What waits to be sent when it is dropped is sent then.
#[derive(Debug)]
pub(super) struct Traces(SdkTracerProvider);

/// How long the last spans may take, when the service ends.
const LAST_SPANS: Duration = Duration::from_secs(5);

/// How long a collector may take, where the environment does not say: as the standard has it.
const TIMEOUT: Duration = Duration::from_secs(10);

impl Traces {
    /// As the environment says; none: it names no collector, or wants none to be asked.
    ///
    /// # Errors
    ///
    /// When it wants something that there is not.
    pub(super) fn of_environment() -> Result<Option<Self>, Failure> {
        let is_off = variable("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"))
            || variable("OTEL_TRACES_EXPORTER").is_some_and(|value| value == "none");
        if is_off || otlp("ENDPOINT").is_none() {
            return Ok(None);
        }
        let refused = |reason: String| Failure::Arguments(format!("traces: {reason}"));
        if let Some((name, other)) = otlp("PROTOCOL").filter(|(_, protocol)| protocol != "http/protobuf") {
            return Err(refused(format!("{name}: expected http/protobuf, not {other:?}")));
        }
        if let Some((name, _)) = otlp("CLIENT_KEY").or_else(|| otlp("CLIENT_CERTIFICATE")) {
            return Err(refused(format!("{name}: certificates of clients are not supported")));
        }
        let certificates = otlp("CERTIFICATE").map(|(name, path)| {
            fs::read(&path).map_err(|error| refused(format!("{name}: cannot read {path}: {error}")))
        });
        let certificates = certificates.transpose()?;
        let timeout = otlp("TIMEOUT").map(|(name, text)| {
            let milliseconds = text.parse().map(Duration::from_millis);
            milliseconds.map_err(|_| refused(format!("{name}: expected milliseconds, not {text:?}")))
        });
        let timeout = timeout.transpose()?.unwrap_or(TIMEOUT);
        let collector = Collector::new(timeout, certificates.as_deref()).map_err(refused)?;
        let exporter = SpanExporter::builder().with_http().with_http_client(collector).build();
        let exporter = exporter.map_err(|error| refused(error.to_string()))?;
        Ok(Some(Self(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource()).build())))
    }

    /// What makes spans of the host's into what is sent, and lines of the log that belong to one into its events.
    pub(super) fn layer<S: Subscriber + for<'s> LookupSpan<'s>>(&self) -> impl Layer<S> + use<S> {
        // Not those of libraries; of plugins nothing but what is amiss.
        let spans = Targets::new().with_default(LevelFilter::WARN).with_target("token_host", LevelFilter::INFO);
        tracing_opentelemetry::layer()
            .with_tracer(self.0.tracer("token-host"))
            // Where in our sources a span begins, and on which thread, helps nobody who looks at requests.
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            // A request that failed says so itself.
            .with_error_events_to_status(false)
            .with_filter(spans)
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        if let Err(error) = self.0.shutdown_with_timeout(LAST_SPANS) {
            tracing::warn!(target: "traces", "the last spans were not sent: {error}");
        }
    }
}

/// Who sends spans: what the environment says, and our own name where it says none.
fn resource() -> Resource {
    let told = Resource::builder().build();
    let is_told = |key: &'static str| told.iter().any(|(told, _)| told.as_str() == key);
    let mut resource = Resource::builder();
    if !is_told("service.version") {
        resource = resource.with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    }
    // The SDK has a name for those that have none.
    let has_name =
        told.iter().any(|(key, name)| key.as_str() == "service.name" && !name.as_str().starts_with(NAMELESS));
    if !has_name {
        resource = resource.with_service_name("token-host");
    }
    resource.build()
}

const NAMELESS: &str = "unknown_service";

/// A variable of the exporter with its name: that of traces, or that of everything. An empty one is as none.
fn otlp(what: &str) -> Option<(String, String)> {
    let names = [format!("OTEL_EXPORTER_OTLP_TRACES_{what}"), format!("OTEL_EXPORTER_OTLP_{what}")];
    names.into_iter().find_map(|name| variable(&name).map(|value| (name, value)))
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}
