//! `/api/v1/tokens`: create, list, show, change and invalidate tokens.

use std::collections::BTreeMap;

use ::http::StatusCode;
use axum::Json;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use token_plugin_api::{
    Actors, CreateToken, Cutoff, Expires, InvalidateTokens, InvalidatedToken, InvalidatedTokens, TokenDetails,
    TokenFilter, TokenKind, TokenRecord, TokenRestrictions, TokenSelector, UpdateToken,
};
use utoipa::{IntoParams, ToSchema};

use super::{
    admin::Admin,
    extract::{ApiJson, ApiPath, ApiQuery, Object, different, one, said, several},
    openapi::ProblemResponse,
    problem,
    values::{
        ActionName, ActorId, Cursor, GeneratorId, HandlerName, Lifetime, Note, NotePart, PageLimit, ReasonText,
        TokenId, TokenText, UnixSeconds,
    },
};
use crate::http::problem::Problem;

/// The most actors of one request.
const MAX_ACTORS: usize = 1000;

/// Which tokens to list. All conditions must hold. Whose is to be said: `actor`, or `everyone`.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListTokens {
    /// The handler that keeps them; none: the first in call order that keeps any.
    #[serde(deserialize_with = "one")]
    #[param(nullable = false)]
    handler: Option<HandlerName>,
    /// Whose; may come several times.
    #[serde(deserialize_with = "several")]
    #[param(max_items = 1000, required = false)]
    actor: Vec<ActorId>,
    /// `true`: everyone's.
    #[serde(deserialize_with = "one")]
    #[param(nullable = false)]
    everyone: Option<bool>,
    /// With this text in their note.
    #[serde(deserialize_with = "one")]
    #[param(nullable = false)]
    note_contains: Option<NotePart>,
    /// Made by this generator.
    #[serde(deserialize_with = "one")]
    #[param(nullable = false)]
    token_generator_id: Option<GeneratorId>,
    /// Created before this time.
    #[serde(deserialize_with = "one")]
    #[param(nullable = false)]
    created_before: Option<UnixSeconds>,
    /// Not used since this time.
    #[serde(deserialize_with = "one")]
    #[param(nullable = false)]
    unused_since: Option<UnixSeconds>,
    /// Only expired ones, or only those that are not.
    #[serde(deserialize_with = "one")]
    #[param(nullable = false)]
    expired: Option<bool>,
    /// Only valid ones, or only invalidated ones.
    #[serde(deserialize_with = "one")]
    #[param(nullable = false)]
    valid: Option<bool>,
    /// Go on behind the page before: its `next`.
    #[serde(deserialize_with = "one")]
    #[param(nullable = false)]
    after: Option<Cursor>,
    /// How many at the most; none: the handler's page size.
    #[serde(deserialize_with = "one")]
    #[param(nullable = false)]
    limit: Option<PageLimit>,
}

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

/// A token to be made. What is not there or null is the handler's default.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewToken {
    actor_id: ActorId,
    /// The handler that is to make it; none: the first in call order that can.
    #[serde(default)]
    handler: Option<HandlerName>,
    /// Seconds until it expires.
    #[serde(default)]
    expires_after: Option<Lifetime>,
    /// What it may do; none: all that its actor may.
    #[serde(default)]
    #[schema(value_type = Option<NewRestrictions>)]
    restrictions: Option<Object<NewRestrictions>>,
    #[serde(default)]
    note: Option<Note>,
    /// A policy document of Djblets' form.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    policy: Option<Value>,
    /// The generator that is to make its value.
    #[serde(default)]
    token_generator_id: Option<GeneratorId>,
    /// What that generator needs to know.
    #[serde(default)]
    token_info: Map<String, Value>,
    /// What kind of token it is to be.
    #[serde(default)]
    #[schema(value_type = Option<NewTokenKind>)]
    kind: Option<TokenKind>,
    /// Claims that are to stand in it.
    #[serde(default)]
    claims: Map<String, Value>,
    /// Fields of the operator's own.
    #[serde(default)]
    extra: Map<String, Value>,
}

/// The kinds of token that Flask-JWT-Extended knows.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case", as = TokenKind)]
#[expect(dead_code, reason = "it is a description")]
enum NewTokenKind {
    Access,
    FreshAccess,
    Refresh,
}

/// What a token may do, in Datasette's form; an empty object is nothing at all.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewRestrictions {
    /// Actions that are allowed everywhere.
    #[serde(default)]
    a: Vec<ActionName>,
    /// Of each database.
    #[serde(default)]
    d: BTreeMap<String, Vec<ActionName>>,
    /// Of each resource of a database.
    #[serde(default)]
    r: BTreeMap<String, BTreeMap<String, Vec<ActionName>>>,
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

/// One token by its value or its id, or several by a filter.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Selection {
    Token(TokenText),
    Id(TokenId),
    #[schema(value_type = Filter)]
    Filter(Box<Object<Filter>>),
}

/// Which tokens are meant. All conditions must hold.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Filter {
    actors: Whose,
    #[serde(default)]
    note_contains: Option<NotePart>,
    #[serde(default)]
    token_generator_id: Option<GeneratorId>,
    /// Created before this time.
    #[serde(default)]
    created_before: Option<UnixSeconds>,
    /// Not used since this time.
    #[serde(default)]
    unused_since: Option<UnixSeconds>,
    #[serde(default)]
    expired: Option<bool>,
    #[serde(default)]
    valid: Option<bool>,
}

/// Whose tokens: `everyone`'s, or `these` actors'. An empty list is nobody.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Whose {
    Everyone,
    These(Vec<ActorId>),
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
    let mut filter = TokenFilter::of(match (query.everyone, query.actor) {
        (Some(true), actors) if actors.is_empty() => Actors::Everyone,
        (None | Some(false), actors) if !actors.is_empty() => {
            Actors::These(these(actors).map_err(Problem::bad_request)?)
        }
        _ => return Err(Problem::bad_request("expected `actor`, or `everyone=true`")),
    });
    filter.note_contains = query.note_contains.map(NotePart::into_string);
    filter.token_generator_id = query.token_generator_id.map(GeneratorId::into_string);
    filter.created_before = query.created_before.map(|at| at.0);
    filter.unused_since = query.unused_since.map(|at| at.0);
    (filter.expired, filter.valid) = (query.expired, query.valid);
    filter.after = query.after.map(Cursor::into_string);
    filter.limit = query.limit.map(|limit| limit.0);
    let page = admin.host().list_tokens(query.handler.as_deref(), &filter).await.map_err(problem)?;
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
    let tokens = match tokens {
        Selection::Token(token) => TokenSelector::Token(token.into_string()),
        Selection::Id(id) => TokenSelector::Id(id.into_string()),
        Selection::Filter(filter) => TokenSelector::Filter(filter.0.filter()?),
    };
    invalidated(&admin, handler.as_deref(), tokens, reason).await.map(Json)
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

impl NewToken {
    fn request(self) -> CreateToken {
        let mut details = TokenDetails::default();
        details.note = self.note.map(Note::into_string);
        details.policy = self.policy;
        details.token_generator_id = self.token_generator_id.map(GeneratorId::into_string);
        details.token_info = self.token_info;
        details.kind = self.kind;
        details.claims = self.claims;
        details.extra = self.extra;
        let mut request = CreateToken::new(self.actor_id.into_string());
        request.handler = self.handler.map(HandlerName::into_string);
        request.expires_after = self.expires_after.map(|seconds| seconds.0);
        request.restrictions = self.restrictions.map(|Object(restrictions)| restrictions.restrictions());
        request.with_details(details)
    }
}

impl NewRestrictions {
    fn restrictions(self) -> TokenRestrictions {
        let mut to = TokenRestrictions::nothing();
        for action in self.a {
            to = to.allow_all(action.into_string());
        }
        for (database, actions) in self.d {
            for action in actions {
                to = to.allow_database(database.clone(), action.into_string());
            }
        }
        for (database, resources) in self.r {
            for (resource, actions) in resources {
                for action in actions {
                    to = to.allow_resource(database.clone(), resource.clone(), action.into_string());
                }
            }
        }
        to
    }
}

impl Filter {
    fn filter(self) -> Result<TokenFilter, Problem> {
        let mut filter = TokenFilter::of(match self.actors {
            Whose::Everyone => Actors::Everyone,
            Whose::These(actors) => Actors::These(these(actors).map_err(Problem::unprocessable)?),
        });
        filter.note_contains = self.note_contains.map(NotePart::into_string);
        filter.token_generator_id = self.token_generator_id.map(GeneratorId::into_string);
        filter.created_before = self.created_before.map(|at| at.0);
        filter.unused_since = self.unused_since.map(|at| at.0);
        (filter.expired, filter.valid) = (self.expired, self.valid);
        Ok(filter)
    }
}

fn these(actors: Vec<ActorId>) -> Result<Vec<String>, &'static str> {
    match actors.len() <= MAX_ACTORS && different(&actors) {
        true => Ok(actors.into_iter().map(ActorId::into_string).collect()),
        false => Err("expected at most 1000 actors, each once"),
    }
}
