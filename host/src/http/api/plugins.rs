//! `/api/v1/plugins`: what is registered in call order, reloads, and the order of the `[[plugin]]` entries.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    admin::Admin,
    away,
    entries::{Entry, NewOrder, OrderToSet},
    extract::ApiJson,
    openapi::ProblemResponse,
};
use crate::{OrderPlan, PluginRow, Reload, Status, http::problem::Problem};

/// What is registered, and how the host is doing.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PluginList {
    /// Wrappers and handlers in call order, then sinks, generators and stores.
    plugins: Vec<PluginRow>,
    status: Status,
    /// The present generation.
    generation: u64,
    /// What the operator should know of the present configuration.
    warnings: Vec<String>,
    /// The `[[plugin]]` entries as they are written in the file now, in its order; null: there is no file, or it is not
    /// understood.
    #[schema(required)]
    entries: Option<Vec<Entry>>,
}

/// What a reload changed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Reloaded {
    /// The generation that it made.
    generation: u64,
    /// The differences in call order: `handler "jwt" moved from 3rd to 1st`.
    changes: Vec<String>,
}

impl From<Reload> for Reloaded {
    fn from(Reload { generation, changes }: Reload) -> Self {
        Self { generation, changes }
    }
}

/// List what is registered
#[utoipa::path(
    get,
    path = "/api/v1/plugins",
    tag = "plugins",
    responses((status = 200, description = "All of it, and how the host is doing.", body = PluginList)),
)]
pub(super) async fn list_plugins(admin: Admin) -> Result<Json<PluginList>, Problem> {
    let host = admin.host().clone();
    let list = away(move || {
        Ok(PluginList {
            plugins: host.plugins(),
            status: host.status(),
            generation: host.generation(),
            warnings: host.warnings().iter().map(ToString::to_string).collect(),
            entries: host.entries().ok().map(|entries| entries.into_iter().map(Entry::from).collect()),
        })
    });
    list.await.map(Json)
}

/// Read the configuration and the plugins again
#[utoipa::path(
    post,
    path = "/api/v1/plugins/reload",
    tag = "plugins",
    responses(
        (status = 200, description = "What has changed.", body = Reloaded),
        (status = 422, response = ProblemResponse),
    ),
)]
pub(super) async fn reload(admin: Admin) -> Result<Json<Reloaded>, Problem> {
    let host = admin.host().clone();
    told(&admin, "a reload");
    away(move || host.reload()).await.map(|reload| Json(reload.into()))
}

/// Tell what an order of the plugins would change
///
/// Files are examined, nothing of them is loaded, and nothing is written.
#[utoipa::path(
    post,
    path = "/api/v1/plugins/plan",
    tag = "plugins",
    request_body = NewOrder,
    responses(
        (status = 200, description = "The order before and after, and the differences.", body = OrderPlan),
        (status = 409, response = ProblemResponse),
        (status = 413, response = ProblemResponse),
        (status = 415, response = ProblemResponse),
        (status = 422, response = ProblemResponse),
    ),
)]
pub(super) async fn plan_order(admin: Admin, ApiJson(order): ApiJson<NewOrder>) -> Result<Json<OrderPlan>, Problem> {
    let (host, order) = (admin.host().clone(), order.places().map_err(Problem::unprocessable)?);
    away(move || host.plan_order(&order)).await.map(Json)
}

/// Write an order of the plugins into the configuration, and reload
///
/// Comments stay, and those of an entry move with it. When the reload is refused, the old text is written back.
#[utoipa::path(
    put,
    path = "/api/v1/plugins/order",
    tag = "plugins",
    request_body = OrderToSet,
    responses(
        (status = 200, description = "What has changed.", body = Reloaded),
        (status = 409, response = ProblemResponse),
        (status = 413, response = ProblemResponse),
        (status = 415, response = ProblemResponse),
        (status = 422, response = ProblemResponse),
    ),
)]
pub(super) async fn set_order(admin: Admin, ApiJson(order): ApiJson<OrderToSet>) -> Result<Json<Reloaded>, Problem> {
    let host = admin.host().clone();
    let (order, text_sha256) = order.places().map_err(Problem::unprocessable)?;
    told(&admin, "another order of the plugins");
    away(move || host.set_order(&order, &text_sha256)).await.map(|reload| Json(reload.into()))
}

/// Whoever asks for it is in the log, as for whoever edits the file there is the system's.
fn told(admin: &Admin, what: &str) {
    tracing::info!(target: "reload", actor = admin.id(), "{what} was asked for by the API");
}
