//! [`Admin`]: whoever may use the API, found out before anything else of a request is read.

use ::http::{HeaderMap, request::Parts};
use axum::{
    Json,
    body::Body,
    extract::FromRequestParts,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use token_plugin_api::{Actor, RequestContext, Verdict};
use utoipa::ToSchema;

use crate::{
    authenticate::{AuthenticateSettings, Identity, Refusal, Subject, find},
    dispatch::{self, Nobody},
    host::Host,
    http::{problem::Problem, service::Service},
    peer::Peer,
};

/// The action that a token must name.
const ACTION: &str = "admin";

/// Who asks: somebody whose token names the action `admin`. A token that is restricted to nothing at all may do whatever
/// its actor may, and is none of these.
#[derive(Debug)]
pub(super) struct Admin {
    service: Service,
    identity: Identity,
    context: RequestContext,
}

/// Whom the caller's token stands for.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Me {
    actor: Actor,
    /// The handler that accepted the token; none: a wrapper did in its place.
    handler: Option<String>,
}

/// Who the caller is
#[utoipa::path(
    get,
    path = "/api/v1/me",
    tag = "admin",
    responses((status = 200, description = "Whom the token stands for.", body = Me)),
)]
pub(super) async fn me(admin: Admin) -> Json<Me> {
    let Identity { actor, handler, .. } = admin.identity;
    Json(Me { actor, handler })
}

impl Admin {
    /// The host that is managed.
    pub(super) fn host(&self) -> &Host {
        self.service.host()
    }

    /// Where the request came from, for events: with who asks, as `by`.
    pub(super) fn context(&self) -> &RequestContext {
        &self.context
    }

    /// Who asks.
    pub(super) fn id(&self) -> &str {
        self.identity.actor.id()
    }

    /// When the caller's token expires, in Unix seconds.
    pub(super) fn expires_at(&self) -> Option<u64> {
        self.identity.actor.token_expires()
    }

    /// The service.
    pub(super) fn service(&self) -> &Service {
        &self.service
    }

    async fn of(parts: &Parts, service: &Service, peer: Peer) -> Result<Self, Refusal> {
        let Some(token) = token(&parts.headers, service)? else { return Err(Refusal::NoCredentials) };
        let subject = Subject::of(parts, service.client(peer, &parts.headers));
        let identity = service.authenticator().identify(&token, &subject).await?;
        if !may(service, &identity.actor, identity.handler.as_deref()) {
            return Err(Refusal::Scope(Some(ACTION.to_owned())));
        }
        let context = subject.context_of(identity.actor.id());
        Ok(Self { service: service.clone(), identity, context })
    }
}

impl<S: Sync> FromRequestParts<S> for Admin {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        let (Some(service), Some(peer)) = (parts.extensions.get::<Service>().cloned(), parts.extensions.get::<Peer>())
        else {
            return Err(Problem::unavailable().into_response());
        };
        let refused = |refusal: Refusal| refusal.response(service.authenticator()).map(Body::from);
        Self::of(parts, &service, *peer).await.map_err(refused)
    }
}

/// Whether there still is an API, and a request's token still is one of an admin: what a stream asks while it goes on. It is
/// no use of the token that anybody would want to be told of. Whatever cannot be told is no.
pub(super) async fn is_still_admin(headers: &HeaderMap, service: &Service) -> bool {
    if !service.settings().api {
        return false;
    }
    let Ok(Some(token)) = token(headers, service) else { return false };
    let registry = service.host().0.registry.load_full();
    let answer = dispatch::verify(&registry, &token, "", &mut Nobody).await;
    let handler = answer.by.map(|handler| handler.name());
    matches!(answer.verdict, Ok(Verdict::Accepted(actor)) if may(service, &actor, handler))
}

/// The token of a request. It comes by `Authorization` alone: nothing that a browser sends along by itself counts.
fn token(headers: &HeaderMap, service: &Service) -> Result<Option<String>, Refusal> {
    let schemes = service.settings().authenticate.schemes.clone();
    let by_header = AuthenticateSettings { schemes, ..AuthenticateSettings::default() };
    Ok(find(headers, None, &by_header)?.map(|token| token.into_owned()))
}

fn may(service: &Service, actor: &Actor, handler: Option<&str>) -> bool {
    let admin = &service.settings().admin;
    let is_one_of = |known: &Vec<String>, name: &str| known.iter().any(|known| known == name);
    actor.restrictions().is_some_and(|allowed| allowed.allows(ACTION, None, None))
        && is_one_of(&admin.actors, actor.id())
        && admin.handlers.as_ref().is_none_or(|known| handler.is_some_and(|name| is_one_of(known, name)))
}
