//! Requests about tokens, as resource servers, clients and API servers send them.

use base64::{Engine, engine::general_purpose::STANDARD};
use http::Request;
use serde_json::Value;
use token_host::{CreateToken, TokenRestrictions};

use crate::{OAuth2, Pairs, Reply, form_in};

impl OAuth2 {
    /// Posts a form to a path, with these values of `Authorization`.
    pub fn post_form(&self, path: &str, authorizations: &[&str], form: Pairs<'_>) -> Reply {
        self.introspection(&form_in(authorized(Request::post(path), authorizations), form))
    }

    /// Posts JSON to a path.
    ///
    /// # Panics
    ///
    /// When the request is none.
    pub fn post_json(&self, path: &str, authorizations: &[&str], body: &Value) -> Reply {
        let request = authorized(Request::post(path), authorizations).header("content-type", "application/json");
        self.introspection(&request.body(body.to_string().into_bytes()).unwrap())
    }

    /// What whoever this is, by a value of `Authorization`, is told of a token.
    ///
    /// # Panics
    ///
    /// When it is not told anything.
    pub fn told(&self, authorization: &str, token: &str) -> Value {
        let reply = self.post_form("/oauth2/introspect", &[authorization], &[("token", token)]);
        assert_eq!((reply.status, reply.header("cache-control")), (200, "no-store"), "{reply:?}");
        assert_eq!(reply.header("content-type"), "application/json");
        reply.json()
    }

    /// `Authorization` with a token that names these actions, and nothing else.
    ///
    /// # Panics
    ///
    /// When it cannot be made.
    pub fn naming(&self, actor: &str, actions: &[&str]) -> String {
        let restrictions = actions.iter().fold(TokenRestrictions::nothing(), |to, action| to.allow_all(*action));
        let request = CreateToken::new(actor).handler("signed").restricted_to(restrictions);
        format!("Bearer {}", self.host.create_token_blocking(&request).unwrap().token)
    }
}

/// `Authorization` of a client.
pub fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
}

fn authorized(request: http::request::Builder, authorizations: &[&str]) -> http::request::Builder {
    authorizations.iter().fold(request, |request, value| request.header("authorization", *value))
}
