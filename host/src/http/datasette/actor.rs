//! `/-/actor.json`: whom the request's token stands for.

use ::http::{Method, Request, StatusCode};
use axum::{body::Body, extract::Extension, response::Response};
use serde::Serialize;
use serde_json::{Map, Value};
use token_plugin_api::Actor;

use super::{
    answer::{Form, json, options, refused, wrong_method},
    asker::Asker,
};
use crate::{http::service::Service, peer::Peer};

/// `{"ok": true, "actor": {...}}`, where nobody is `null`.
pub(super) async fn actor(
    Extension(service): Extension<Service>,
    Extension(peer): Extension<Peer>,
    request: Request<Body>,
) -> Response {
    let (parts, _) = request.into_parts();
    match parts.method {
        // A body is left out by who sends it.
        Method::GET | Method::HEAD => {}
        Method::OPTIONS => return options(),
        _ => return wrong_method(Form::Json, "GET, HEAD, OPTIONS"),
    }
    match Asker::of(&parts, &service, peer).await {
        Ok(asker) => json(StatusCode::OK, &Written { ok: true, actor: Whom::from(asker) }),
        Err(refusal) => refused(&refusal, service.authenticator()),
    }
}

#[derive(Serialize)]
struct Written {
    ok: bool,
    actor: Whom,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Whom {
    Nobody(()),
    Actor(Actor),
    User(Map<String, Value>),
}

impl From<Asker> for Whom {
    fn from(asker: Asker) -> Self {
        match asker {
            Asker::Nobody => Self::Nobody(()),
            Asker::Token(actor) => Self::Actor(actor),
            Asker::User(id) => Self::User(Map::from_iter([("id".to_owned(), id.into())])),
        }
    }
}
