//! `/api/v1/metrics`: how verifications went, for charts.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

use super::admin::Admin;
use crate::metrics::{HandlerMetrics, LATENCY_BOUNDS_NS, OUTCOMES};

/// How verifications went so far.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Figures {
    /// By handler; the last one is of tokens that no handler judged.
    handlers: Vec<HandlerMetrics>,
    /// The upper bounds of `latencies`, in nanoseconds.
    latency_bounds_ns: [u64; LATENCY_BOUNDS_NS.len()],
    /// What `outcomes` count, one by one.
    outcomes: [&'static str; OUTCOMES.len()],
}

/// Tell how verifications went so far
#[utoipa::path(
    get,
    path = "/api/v1/metrics",
    tag = "plugins",
    responses((status = 200, description = "Counts since the start.", body = Figures)),
)]
pub(super) async fn metrics(admin: Admin) -> Json<Figures> {
    let handlers = admin.host().metrics();
    Json(Figures { handlers, latency_bounds_ns: LATENCY_BOUNDS_NS, outcomes: OUTCOMES })
}
