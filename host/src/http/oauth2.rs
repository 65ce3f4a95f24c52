//! The endpoints that are plain functions over whole requests: those of the authorization server.

use ::http::{Request, StatusCode};
use axum::{
    body::{Body, Bytes},
    extract::Extension,
    response::{IntoResponse, Response},
};
use http_body_util::{BodyExt, Limited};

use super::{problem::Problem, routes, service::Service};
use crate::{oauth2::MAX_BODY_BYTES, peer::Peer};

/// Answers at the paths of the authorization server, where there is one.
pub(super) async fn serve(
    Extension(service): Extension<Service>,
    Extension(peer): Extension<Peer>,
    request: Request<Body>,
) -> Response {
    let Some(server) = service.host().oauth2().filter(|server| server.is_at(request.uri().path())) else {
        return routes::nothing_here();
    };
    let request = match whole(request, MAX_BODY_BYTES).await {
        Ok(request) => request,
        Err(problem) => return problem.into_response(),
    };
    match server.serve(&request, peer).await {
        Some(response) => response.map(Body::from),
        None => routes::nothing_here(),
    }
}

/// The request with its body, which may have so many bytes.
pub(super) async fn whole(request: Request<Body>, most: usize) -> Result<Request<Vec<u8>>, Problem> {
    let (parts, body) = request.into_parts();
    let collected = Limited::new(body, most).collect().await;
    match collected {
        Ok(body) => Ok(Request::from_parts(parts, Bytes::from(body.to_bytes()).into())),
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
