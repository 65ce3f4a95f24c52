//! The endpoints that are plain functions over whole requests: the authorization server's, and what others may ask.

use ::http::{Request, StatusCode};
use axum::{
    body::Body,
    extract::Extension,
    response::{IntoResponse, Response},
};
use http_body_util::{BodyExt, Limited};

use super::{problem::Problem, routes, service::Service};
use crate::{introspection, oauth2, peer::Peer};

/// Answers at the paths of the authorization server, where there is one, and of introspection.
pub(super) async fn serve(
    Extension(service): Extension<Service>,
    Extension(peer): Extension<Peer>,
    request: Request<Body>,
) -> Response {
    let path = request.uri().path();
    let introspection = service.introspection();
    if introspection.is_at(path) {
        return match whole(&service, request, introspection::MAX_BODY_BYTES).await {
            Ok(request) => {
                let client = service.client(peer, request.headers());
                answered(introspection.clone().with_client(client).serve(&request).await)
            }
            Err(problem) => problem.into_response(),
        };
    }
    let Some(server) = service.host().oauth2().filter(|server| server.is_at(path)) else {
        return routes::nothing_here();
    };
    match whole(&service, request, oauth2::MAX_BODY_BYTES).await {
        Ok(request) => answered(server.serve(&request, peer).await),
        Err(problem) => problem.into_response(),
    }
}

fn answered(response: Option<::http::Response<Vec<u8>>>) -> Response {
    response.map_or_else(routes::nothing_here, |response| response.map(Body::from))
}

/// The request with its body, which may have so many bytes, and no more than `max_body_bytes`.
pub(super) async fn whole(service: &Service, request: Request<Body>, most: usize) -> Result<Request<Vec<u8>>, Problem> {
    let most = most.min(service.settings().max_body_bytes);
    let (parts, body) = request.into_parts();
    let collected = Limited::new(body, most).collect().await;
    match collected {
        Ok(body) => Ok(Request::from_parts(parts, body.to_bytes().into())),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => {
            let status = StatusCode::PAYLOAD_TOO_LARGE;
            Err(Problem::new(
                status,
                "too-large",
                "Too large",
                format!("the body must not be longer than {most} bytes"),
            ))
        }
        Err(_) => Err(Problem::bad_request("the body ended before its end")),
    }
}
