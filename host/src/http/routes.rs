//! The table of paths, but for `/auth`.

use ::http::StatusCode;
use axum::{
    Router,
    response::{IntoResponse, Response},
    routing::{any, get},
};

use super::{api, console, datasette, health, metrics, oauth2, problem::Problem, trace};

/// All paths but `/auth`. The service itself comes with each request, as an extension.
pub(super) fn router() -> Router {
    let router = Router::new()
        .route(HEALTHZ, get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(metrics::metrics))
        .merge(api::router())
        .merge(console::router())
        .merge(datasette::router());
    trace::named(router)
        // Their paths depend on the issuer.
        .fallback(any(oauth2::serve))
        .method_not_allowed_fallback(wrong_method)
}

/// Where the process says that it is there.
pub(super) const HEALTHZ: &str = "/healthz";

/// The answer where nothing is.
pub(super) fn nothing_here() -> Response {
    Problem::new(StatusCode::NOT_FOUND, "not-found", "Not found", "nothing is here").into_response()
}

pub(super) async fn wrong_method() -> Response {
    let told = "the method is not one of those that are allowed here";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "wrong-method", "Wrong method", told).into_response()
}
