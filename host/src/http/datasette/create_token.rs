//! `/-/create-token`: somebody who is signed in without a token makes one.

use ::http::{HeaderValue, Method, Request, StatusCode, header, request::Parts};
use axum::{
    body::Body,
    extract::Extension,
    response::{IntoResponse, Response},
};
use token_plugin_api::RequestContext;

use super::{
    answer::{Form, error, never_kept, options, refused, wrong_method},
    asker::Asker,
    same_origin::is_from_here,
    token_form::TokenForm,
    token_page::{Before, token_page},
};
use crate::{
    authenticate::Subject,
    error::{Error, ErrorKind},
    host::Host,
    http::{oauth2::whole, problem::Problem, service::Service},
    oauth2::is_of_type,
    peer::Peer,
};

/// A form with a thousand restrictions of common length fits.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// GET shows the form, POST makes the token and shows it.
pub(super) async fn create_token(
    Extension(service): Extension<Service>,
    Extension(peer): Extension<Peer>,
    request: Request<Body>,
) -> Response {
    let (parts, body) = request.into_parts();
    let form = Form::wanted(&parts.headers);
    let is_post = match parts.method {
        Method::GET | Method::HEAD => false,
        Method::POST => true,
        Method::OPTIONS => return options(),
        _ => return wrong_method(form, "GET, HEAD, POST, OPTIONS"),
    };
    if is_post && !is_from_here(&parts, peer, &service.settings().trusted_proxies) {
        return error(form, StatusCode::FORBIDDEN, "This was not sent by a page of this site");
    }
    let user = match Asker::of(&parts, &service, peer).await {
        Ok(Asker::User(user)) => user,
        Ok(Asker::Nobody) => return error(form, StatusCode::FORBIDDEN, "You must be logged in to create a token"),
        Ok(Asker::Token(_)) => {
            let told = "Token authentication cannot be used to create additional tokens";
            return error(form, StatusCode::FORBIDDEN, told);
        }
        Err(refusal) => return refused(&refusal, service.authenticator()),
    };
    if !is_post {
        return shown(&user, &Before::Nothing);
    }
    let context = {
        let subject = Subject::of(&parts, service.client(peer, &parts.headers));
        subject.request_context()
    };
    match filled_in(&service, parts, body).await {
        Ok(filled_in) => made(service.host(), &user, &filled_in, &context, form).await,
        Err(Refused::Told(told)) => error(form, StatusCode::BAD_REQUEST, told),
        Err(Refused::Problem(problem)) => problem.into_response(),
    }
}

/// Why a body is not read.
enum Refused {
    Told(&'static str),
    Problem(Problem),
}

async fn filled_in(service: &Service, parts: Parts, body: Body) -> Result<TokenForm, Refused> {
    if !is_of_type(&parts.headers, "application/x-www-form-urlencoded") {
        return Err(Refused::Told("Expected application/x-www-form-urlencoded"));
    }
    let request = whole(service, Request::from_parts(parts, body), MAX_BODY_BYTES).await.map_err(Refused::Problem)?;
    TokenForm::parse(request.body()).map_err(Refused::Told)
}

async fn made(host: &Host, user: &str, filled_in: &TokenForm, context: &RequestContext, form: Form) -> Response {
    let wanted = match filled_in.wanted(user) {
        Ok(wanted) => wanted,
        Err(mistakes) => return shown(user, &Before::Mistakes(&mistakes, filled_in)),
    };
    match host.create_token_in(&wanted, context).await {
        Ok(token) => shown(user, &Before::Made(&wanted, &token, host.0.clock.now())),
        Err(refused) => match refused.kind() {
            ErrorKind::Disabled => error(form, StatusCode::FORBIDDEN, &refused.to_string()),
            ErrorKind::InvalidArgument | ErrorKind::Unsupported => {
                shown(user, &Before::Mistakes(&[refused.to_string()], filled_in))
            }
            _ => unavailable(refused, form),
        },
    }
}

/// By the design's table of errors; what a plugin could not do is in the log.
fn unavailable(refused: Error, form: Form) -> Response {
    let problem = Problem::from(refused);
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    let mut response = error(form, status, &problem.detail);
    response.headers_mut().extend(problem.retry_after.map(|after| (header::RETRY_AFTER, HeaderValue::from(after))));
    response
}

fn shown(user: &str, before: &Before<'_>) -> Response {
    never_kept(token_page(user, before).map(Body::from))
}
