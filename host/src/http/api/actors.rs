//! `/api/v1/actors`: whose tokens are rejected, all of them.

use axum::Json;
use serde::{Deserialize, Serialize};
use token_plugin_api::{Actors, InactiveActor, ListActors, SetActors, TokenFilter, TokenSelector};
use utoipa::{IntoParams, ToSchema};

use super::{
    admin::Admin,
    extract::{ApiJson, ApiPath, ApiQuery, one, said},
    openapi::ProblemResponse,
    problem,
    tokens::{Invalidated, invalidated},
    values::{ActorId, Cursor, HandlerName, PageLimit, ReasonText},
};
use crate::http::problem::Problem;

/// Which of the deactivated actors to list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListInactive {
    /// The handler that knows of them; none: the first in call order that knows of any.
    #[serde(deserialize_with = "one")]
    #[param(nullable = false)]
    handler: Option<HandlerName>,
    /// Only this one, if it is deactivated.
    #[serde(deserialize_with = "one")]
    #[param(nullable = false)]
    actor: Option<ActorId>,
    /// Go on behind the page before: its `next`.
    #[serde(deserialize_with = "one")]
    #[param(nullable = false)]
    after: Option<Cursor>,
    /// How many at the most; none: the handler's page size.
    #[serde(deserialize_with = "one")]
    #[param(nullable = false)]
    limit: Option<PageLimit>,
}

/// A page of deactivated actors.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct InactivePage {
    actors: Vec<InactiveActor>,
    /// Where the next page begins, for `after`; null: this was the last.
    #[schema(required)]
    next: Option<String>,
}

/// Whether an actor is to be active.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ActorState {
    /// The handler whose tokens it is about; none: the first in call order that can.
    #[serde(default)]
    handler: Option<HandlerName>,
    /// `false`: all of the actor's tokens are rejected until it is active again.
    active: bool,
    #[serde(default, deserialize_with = "said")]
    #[schema(nullable = false)]
    reason: Option<ReasonText>,
}

/// Whether an actor is active now.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ActorNow {
    actor_id: String,
    active: bool,
    /// Whether that is new.
    changed: bool,
}

/// Whose tokens are to be invalidated, and why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ActorInvalidation {
    /// The handler that keeps them; none: the first in call order that can.
    #[serde(default)]
    handler: Option<HandlerName>,
    #[serde(default, deserialize_with = "said")]
    #[schema(nullable = false)]
    reason: Option<ReasonText>,
}

/// List deactivated actors
#[utoipa::path(
    get,
    path = "/api/v1/actors",
    tag = "actors",
    params(ListInactive),
    responses(
        (status = 200, description = "A page of them, by their ids.", body = InactivePage),
        (status = 501, response = ProblemResponse),
    ),
)]
pub(super) async fn list_inactive_actors(
    admin: Admin,
    ApiQuery(query): ApiQuery<ListInactive>,
) -> Result<Json<InactivePage>, Problem> {
    let mut request = ListActors::default();
    request.actor = query.actor.map(ActorId::into_string);
    request.after = query.after.map(Cursor::into_string);
    request.limit = query.limit.map(|limit| limit.0);
    let page = admin.host().list_inactive_actors(query.handler.as_deref(), &request).await.map_err(problem)?;
    Ok(Json(InactivePage { actors: page.actors, next: page.next }))
}

/// Activate or deactivate an actor
#[utoipa::path(
    put,
    path = "/api/v1/actors/{actor}",
    tag = "actors",
    params(("actor" = ActorId, Path, description = "The actor's id.")),
    request_body = ActorState,
    responses(
        (status = 200, description = "What it is now.", body = ActorNow),
        (status = 404, response = ProblemResponse),
        (status = 413, response = ProblemResponse),
        (status = 415, response = ProblemResponse),
        (status = 422, response = ProblemResponse),
        (status = 501, response = ProblemResponse),
    ),
)]
pub(super) async fn set_actor(
    admin: Admin,
    ApiPath(actor): ApiPath<ActorId>,
    ApiJson(ActorState { handler, active, reason }): ApiJson<ActorState>,
) -> Result<Json<ActorNow>, Problem> {
    let actor_id = actor.into_string();
    let reason = reason.map(ReasonText::into_string).unwrap_or_default();
    let mut request = SetActors::deactivate([actor_id.clone()], reason);
    request.active = active;
    let changed = admin.host().set_actors_in(handler.as_deref(), &request, admin.context()).await.map_err(problem)?;
    Ok(Json(ActorNow { actor_id, active, changed: !changed.is_empty() }))
}

/// Invalidate every token of an actor that was made until now
#[utoipa::path(
    post,
    path = "/api/v1/actors/{actor}/invalidate",
    tag = "actors",
    params(("actor" = ActorId, Path, description = "The actor's id.")),
    request_body = ActorInvalidation,
    responses(
        (status = 200, description = "Those that were valid before, or the time before which none is any more.", body = Invalidated),
        (status = 404, response = ProblemResponse),
        (status = 413, response = ProblemResponse),
        (status = 415, response = ProblemResponse),
        (status = 422, response = ProblemResponse),
        (status = 501, response = ProblemResponse),
    ),
)]
pub(super) async fn invalidate_actor(
    admin: Admin,
    ApiPath(actor): ApiPath<ActorId>,
    ApiJson(ActorInvalidation { handler, reason }): ApiJson<ActorInvalidation>,
) -> Result<Json<Invalidated>, Problem> {
    let tokens = TokenSelector::Filter(TokenFilter::of(Actors::These(vec![actor.into_string()])));
    invalidated(&admin, handler.as_deref(), tokens, reason).await.map(Json)
}
