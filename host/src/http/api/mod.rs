//! `/api/v1`: tokens, actors, plugins, events and figures, for whoever has a token that names the action `admin`.
//!
//! JSON in, JSON out, strict in what it reads; errors are problem documents (RFC 9457). What there is, is told by
//! `/api/v1/openapi.json`, which is made from the code.

mod actors;
mod admin;
mod entries;
mod events;
mod explain;
mod extract;
mod metrics;
mod new_token;
mod openapi;
mod plugins;
mod selection;
mod tokens;
mod values;

use ::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::{
    Extension, Router,
    extract::Request,
    middleware::{self, Next},
    response::Response,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use self::events::Streams;
pub(super) use self::values::Lifetime;
use super::{problem::Problem, routes as other_paths, service::Service};
use crate::error::{Error, ErrorKind};

/// Its paths.
pub(super) fn router() -> Router {
    let (router, document) = OpenApiRouter::with_openapi(openapi::frame())
        .routes(routes!(admin::me))
        .routes(routes!(tokens::list_tokens, tokens::create_token))
        .routes(routes!(tokens::show_token, tokens::update_token, tokens::invalidate_token))
        .routes(routes!(tokens::invalidate_tokens))
        .routes(routes!(actors::list_inactive_actors))
        .routes(routes!(actors::set_actor))
        .routes(routes!(actors::invalidate_actor))
        .routes(routes!(plugins::list_plugins))
        .routes(routes!(plugins::reload))
        .routes(routes!(plugins::plan_order))
        .routes(routes!(plugins::set_order))
        .routes(routes!(explain::explain))
        .routes(routes!(events::events))
        .routes(routes!(metrics::metrics))
        .routes(routes!(openapi::document))
        .split_for_parts();
    router
        .layer(Extension(openapi::Document::new(document)))
        .layer(Extension(Streams::default()))
        .method_not_allowed_fallback(other_paths::wrong_method)
        .layer(middleware::from_fn(guarded))
}

/// Lets nothing through where the API is not to be served, and tells browsers to keep nothing and to hand nothing on.
async fn guarded(Extension(service): Extension<Service>, request: Request, next: Next) -> Response {
    if !service.settings().api {
        return other_paths::nothing_here();
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(SAME_ORIGIN.0, SAME_ORIGIN.1);
    response
}

const SAME_ORIGIN: (HeaderName, HeaderValue) =
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin"));

/// An error of the host's. A token that is asked about and bad is no failure of whoever asks to say who they are.
fn problem(error: Error) -> Problem {
    match error.kind() {
        ErrorKind::TokenInvalid(_) => {
            Problem::new(StatusCode::BAD_REQUEST, "token-invalid", "Invalid token", error.to_string())
        }
        _ => Problem::from(error),
    }
}

/// Does something that waits for files and child processes, away from the threads that serve.
async fn away<T: Send + 'static>(work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Problem> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(problem),
        // It panicked, which is in the log, or the process ends.
        Err(_) => Err(Problem::unavailable()),
    }
}
