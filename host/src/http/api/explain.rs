//! `/api/v1/explain`: what each handler says to a token, and why.

use axum::Json;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{admin::Admin, extract::ApiJson, openapi::ProblemResponse, values::TokenText};
use crate::Explanation;

/// A token that somebody wonders about.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Question {
    token: TokenText,
}

/// Tell what each handler says to a token
///
/// It is no use of the token: nothing is recorded.
#[utoipa::path(
    post,
    path = "/api/v1/explain",
    tag = "tokens",
    request_body = Question,
    responses(
        (status = 200, description = "What each said, and what came of it. Never the token.", body = Explanation),
        (status = 413, response = ProblemResponse),
        (status = 415, response = ProblemResponse),
        (status = 422, response = ProblemResponse),
    ),
)]
pub(super) async fn explain(admin: Admin, ApiJson(Question { token }): ApiJson<Question>) -> Json<Explanation> {
    Json(admin.host().explain(&token).await)
}
