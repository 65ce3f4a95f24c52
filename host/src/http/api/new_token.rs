//! [`NewToken`]: a token to be made, as requests have it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};
use token_plugin_api::{CreateToken, TokenDetails, TokenKind, TokenRestrictions};
use utoipa::ToSchema;

use super::{
    extract::Object,
    values::{ActionName, ActorId, GeneratorId, HandlerName, Lifetime, Note},
};

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
    #[schema(value_type = Option<Object>)]
    token_info: Option<Map<String, Value>>,
    /// What kind of token it is to be.
    #[serde(default)]
    #[schema(value_type = Option<NewTokenKind>)]
    kind: Option<TokenKind>,
    /// Claims that are to stand in it.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    claims: Option<Map<String, Value>>,
    /// Fields of the operator's own.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    extra: Option<Map<String, Value>>,
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

impl NewToken {
    /// What the host is asked.
    pub(super) fn request(self) -> CreateToken {
        let mut details = TokenDetails::default();
        details.note = self.note.map(Note::into_string);
        details.policy = self.policy;
        details.token_generator_id = self.token_generator_id.map(GeneratorId::into_string);
        details.token_info = self.token_info.unwrap_or_default();
        details.kind = self.kind;
        details.claims = self.claims.unwrap_or_default();
        details.extra = self.extra.unwrap_or_default();
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
