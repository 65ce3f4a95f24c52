//! `/api/v1/tokens`: create, list, show, change and invalidate tokens.

use ::http::StatusCode;
use axum::Json;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use token_plugin_api::{
    Cutoff, Expires, InvalidateTokens, InvalidatedToken, InvalidatedTokens, TokenRecord, TokenSelector, UpdateToken,
};
use utoipa::{IntoParams, ToSchema};

use super::{
    admin::Admin,
    extract::{ApiJson, ApiPath, ApiQuery, one, said},
    new_token::NewToken,
    openapi::ProblemResponse,
    problem,
    selection::{ListTokens, Selection},
    values::{HandlerName, Note, ReasonText, TokenId, UnixSeconds},
};
use crate::http::problem::Problem;

/// The handler that is meant.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ByHandler {
    /// The handler that keeps the token; none: the first in call order that knows it.
    #[serde(deserialize_with = "one")]
    #[param(nullable = false)]
    handler: Option<HandlerName>,
}

/// The handler that is meant, and why.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct WithReason {
    /// The handler that keeps the token; none: the first in call order that can.
    #[serde(deserialize_with = "one")]
    #[param(nullable = false)]
    handler: Option<HandlerName>,
    /// Why; the first reason of a token stays.
    #[serde(deserialize_with = "one")]
    #[param(nullable = false)]
    reason: Option<ReasonText>,
}

/// A page of tokens.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TokenPage {
    tokens: Vec<TokenRecord>,
    /// Where the next page begins, for `after`; null: this was the last.
    #[schema(required)]
    next: Option<String>,
}

/// A token that was made. It is told this once.
#[derive(Serialize, ToSchema)]
pub(super) struct MadeToken {
    token: String,
    /// The id by which its handler knows it; null: it keeps none.
    #[schema(required)]
    id: Option<String>,
    /// When it expires, in Unix seconds; null: never.
    #[schema(required)]
    expires_at: Option<u64>,
}

/// What of a token is to change; what is not there stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TokenChanges {
    #[serde(default, deserialize_with = "said")]
    #[schema(nullable = false)]
    note: Option<Note>,
    /// A policy document of Djblets' form; null takes it away.
    #[serde(default, deserialize_with = "said")]
    #[schema(value_type = Option<Object>)]
    policy: Option<Value>,
    #[serde(default, deserialize_with = "said")]
    #[schema(nullable = false)]
    expires: Option<NewExpiry>,
    /// Whether it is valid.
    #[serde(default, deserialize_with = "said")]
    #[schema(nullable = false)]
    valid: Option<bool>,
}

/// When a token is to expire: `never`, or `at` a time.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum NewExpiry {
    Never,
    At(UnixSeconds),
}

/// Tokens to be invalidated.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Invalidation {
    /// The handler that keeps them; none: the first in call order that can.
    #[serde(default)]
    handler: Option<HandlerName>,
    tokens: Selection,
    #[serde(default, deserialize_with = "said")]
    #[schema(nullable = false)]
    reason: Option<ReasonText>,
}

/// Which tokens were invalidated, that were valid before.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Invalidated {
    tokens: Vec<InvalidatedToken>,
    /// Of a handler that does not keep its tokens: all that were made before a time.
    cutoffs: Vec<Cutoff>,
}

/// List tokens
#[utoipa::path(
    get,
    path = "/api/v1/tokens",
    tag = "tokens",
    params(ListTokens),
    responses(
        (status = 200, description = "A page of them, in the handler's stable order.", body = TokenPage),
        (status = 501, response = ProblemResponse),
    ),
)]
pub(super) async fn list_tokens(
    admin: Admin,
    ApiQuery(query): ApiQuery<ListTokens>,
) -> Result<Json<TokenPage>, Problem> {
    let (handler, filter) = query.filter()?;
    let page = admin.host().list_tokens(handler.as_deref(), &filter).await.map_err(problem)?;
    Ok(Json(TokenPage { tokens: page.tokens, next: page.next }))
}

/// Create a token
#[utoipa::path(
    post,
    path = "/api/v1/tokens",
    tag = "tokens",
    request_body = NewToken,
    responses(
        (status = 201, description = "The token, told this once.", body = MadeToken),
        (status = 413, response = ProblemResponse),
        (status = 415, response = ProblemResponse),
        (status = 422, response = ProblemResponse),
        (status = 501, response = ProblemResponse),
    ),
)]
pub(super) async fn create_token(
    admin: Admin,
    ApiJson(new): ApiJson<NewToken>,
) -> Result<(StatusCode, Json<MadeToken>), Problem> {
    let made = admin.host().create_token_in(&new.request(), admin.context()).await.map_err(problem)?;
    let made = MadeToken { token: made.token, id: made.id, expires_at: made.expires_at };
    Ok((StatusCode::CREATED, Json(made)))
}

/// Show a token
#[utoipa::path(
    get,
    path = "/api/v1/tokens/{id}",
    tag = "tokens",
    params(("id" = TokenId, Path, description = "The token's id."), ByHandler),
    responses(
        (status = 200, description = "What is kept of it.", body = TokenRecord),
        (status = 404, response = ProblemResponse),
        (status = 501, response = ProblemResponse),
    ),
)]
pub(super) async fn show_token(
    admin: Admin,
    ApiPath(id): ApiPath<TokenId>,
    ApiQuery(ByHandler { handler }): ApiQuery<ByHandler>,
) -> Result<Json<TokenRecord>, Problem> {
    let token = TokenSelector::Id(id.into_string());
    let record = admin.host().get_token(handler.as_deref(), &token).await.map_err(problem)?;
    record.map(Json).ok_or_else(|| Problem::not_found("token"))
}

/// Change a token
#[utoipa::path(
    patch,
    path = "/api/v1/tokens/{id}",
    tag = "tokens",
    params(("id" = TokenId, Path, description = "The token's id."), ByHandler),
    request_body = TokenChanges,
    responses(
        (status = 200, description = "It as it is now.", body = TokenRecord),
        (status = 404, response = ProblemResponse),
        (status = 413, response = ProblemResponse),
        (status = 415, response = ProblemResponse),
        (status = 422, response = ProblemResponse),
        (status = 501, response = ProblemResponse),
    ),
)]
pub(super) async fn update_token(
    admin: Admin,
    ApiPath(id): ApiPath<TokenId>,
    ApiQuery(ByHandler { handler }): ApiQuery<ByHandler>,
    ApiJson(changes): ApiJson<TokenChanges>,
) -> Result<Json<TokenRecord>, Problem> {
    let mut request = UpdateToken::new(TokenSelector::Id(id.into_string()));
    request.note = changes.note.map(Note::into_string);
    request.policy = changes.policy;
    request.expires = changes.expires.map(|expires| match expires {
        NewExpiry::Never => Expires::Never,
        NewExpiry::At(at) => Expires::At(at.0),
    });
    request.valid = changes.valid;
    let updated = admin.host().update_token_in(handler.as_deref(), &request, admin.context()).await;
    updated.map(Json).map_err(problem)
}

/// Invalidate a token
#[utoipa::path(
    delete,
    path = "/api/v1/tokens/{id}",
    tag = "tokens",
    params(("id" = TokenId, Path, description = "The token's id."), WithReason),
    responses(
        (status = 200, description = "The token, when it was valid before.", body = Invalidated),
        (status = 404, response = ProblemResponse),
        (status = 501, response = ProblemResponse),
    ),
)]
pub(super) async fn invalidate_token(
    admin: Admin,
    ApiPath(id): ApiPath<TokenId>,
    ApiQuery(WithReason { handler, reason }): ApiQuery<WithReason>,
) -> Result<Json<Invalidated>, Problem> {
    let token = TokenSelector::Id(id.into_string());
    let invalidated = invalidated(&admin, handler.as_deref(), token.clone(), reason).await?;
    // One that was invalid is told from one that is not there, where its handler keeps any.
    if invalidated.tokens.is_empty()
        && invalidated.cutoffs.is_empty()
        && let Ok(None) = admin.host().get_token(handler.as_deref(), &token).await
    {
        return Err(Problem::not_found("token"));
    }
    Ok(Json(invalidated))
}

/// Invalidate one token or many
#[utoipa::path(
    post,
    path = "/api/v1/tokens/invalidate",
    tag = "tokens",
    request_body = Invalidation,
    responses(
        (status = 200, description = "Those that were valid before.", body = Invalidated),
        (status = 404, response = ProblemResponse),
        (status = 413, response = ProblemResponse),
        (status = 415, response = ProblemResponse),
        (status = 422, response = ProblemResponse),
        (status = 501, response = ProblemResponse),
    ),
)]
pub(super) async fn invalidate_tokens(
    admin: Admin,
    ApiJson(Invalidation { handler, tokens, reason }): ApiJson<Invalidation>,
) -> Result<Json<Invalidated>, Problem> {
    invalidated(&admin, handler.as_deref(), tokens.selector()?, reason).await.map(Json)
}

/// Invalidates tokens as whoever asks.
pub(super) async fn invalidated(
    admin: &Admin,
    handler: Option<&str>,
    tokens: TokenSelector,
    reason: Option<ReasonText>,
) -> Result<Invalidated, Problem> {
    let request = InvalidateTokens::new(tokens, reason.map(ReasonText::into_string).unwrap_or_default());
    let done = admin.host().invalidate_tokens_in(handler, &request, admin.context()).await;
    let InvalidatedTokens { tokens, cutoffs, .. } = done.map_err(problem)?;
    Ok(Invalidated { tokens, cutoffs })
}
