//! [`join`]: the trace that a request is part of, as the parent of its span; what only the SDK can do to a span.

use std::borrow::Cow;

use ::http::HeaderMap;
use opentelemetry::{
    Context,
    propagation::{Extractor, TextMapPropagator as _},
    trace::TraceContextExt as _,
};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::authenticate::trace_id;

/// What is read of `tracestate`. The standard wants this much to be passed on; more is left out as a whole.
const MAX_STATE_BYTES: usize = 512;

/// Makes the span a child of the one that the request's `traceparent` names. One that is not good is as none.
pub(super) fn join(span: &Span, headers: &HeaderMap) {
    if let Some(context) = context(headers) {
        // It fails where no layer makes traces.
        let _ = span.set_parent(context);
    }
}

/// Gives a span that has begun another name: its field would come too late.
pub(super) fn rename(span: &Span, name: String) {
    span.context().span().update_name(name);
}

fn context(headers: &HeaderMap) -> Option<Context> {
    // It is stricter than the propagator.
    trace_id(headers)?;
    let parent = headers.get("traceparent")?.to_str().ok()?;
    let told = Told { parent, state: state(headers) };
    // Not within the context of whatever else this thread does.
    Some(TraceContextPropagator::new().extract_with_context(&Context::new(), &told))
}

/// One list, in how many headers it may have come (W3C Trace Context §3.3.1).
fn state(headers: &HeaderMap) -> Option<Cow<'_, str>> {
    let mut lines = headers.get_all("tracestate").iter().map(|line| line.to_str().ok());
    let mut state = Cow::Borrowed(lines.next()??);
    for line in lines {
        let state = state.to_mut();
        state.push(',');
        state.push_str(line?);
        if state.len() > MAX_STATE_BYTES {
            return None;
        }
    }
    (state.len() <= MAX_STATE_BYTES).then_some(state)
}

/// What a request tells of its trace.
struct Told<'h> {
    parent: &'h str,
    state: Option<Cow<'h, str>>,
}

impl Extractor for Told<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        match key {
            "traceparent" => Some(self.parent),
            "tracestate" => self.state.as_deref(),
            _ => None,
        }
    }

    fn keys(&self) -> Vec<&str> {
        vec!["traceparent", "tracestate"]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn a_request_is_part_of_the_trace_that_it_names() {
        let parent = format!("00-{TRACE}-00f067aa0ba902b7-01");
        let lines = [("traceparent", parent.as_str()), ("tracestate", "one=1"), ("tracestate", "two=2")];
        let context = context(&headers(&lines)).unwrap();
        let span = context.span().span_context().clone();
        assert!(span.is_remote() && span.is_sampled());
        assert_eq!(
            (span.trace_id().to_string().as_str(), span.span_id().to_string().as_str()),
            (TRACE, &parent[36..52])
        );
        assert_eq!(span.trace_state().header(), "one=1,two=2");
    }

    #[test]
    fn what_is_not_good_is_as_none() {
        let parent = format!("00-{TRACE}-00f067aa0ba902b7-01");
        assert!(context(&headers(&[("tracestate", "one=1")])).is_none());
        assert!(
            context(&headers(&[("traceparent", &parent), ("traceparent", &parent)])).is_none(),
            "which of the two?"
        );
        for bad in ["", "junk", &parent[..54], &parent.to_uppercase(), &format!("{parent}-more")] {
            assert!(context(&headers(&[("traceparent", bad)])).is_none(), "{bad}");
        }
        for state in ["no list", &format!("one={}", "x".repeat(MAX_STATE_BYTES))] {
            let context = context(&headers(&[("traceparent", &parent), ("tracestate", state)])).unwrap();
            assert_eq!(context.span().span_context().trace_state().header(), "", "{state}");
        }
    }
}
