//! Which tokens are meant: by a query's conditions, by a value, an id, or a filter.

use serde::Deserialize;
use token_plugin_api::{Actors, TokenFilter, TokenSelector};
use utoipa::{IntoParams, ToSchema};

use super::{
    extract::{Object, different, one, several},
    values::{ActorId, Cursor, GeneratorId, HandlerName, NotePart, PageLimit, TokenId, TokenText, UnixSeconds},
};
use crate::http::problem::Problem;

/// The most actors of one request.
const MAX_ACTORS: usize = 1000;

/// Which tokens to list. All conditions must hold. Whose is to be said: `actor`, or `everyone`.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListTokens {
    /// The handler that keeps them; none: the first in call order that keeps any.
    #[serde(deserialize_with = "one")]
    #[param(nullable = false)]
    handler: Option<HandlerName>,
    /// Whose; may come several times.
    #[serde(deserialize_with = "several")]
    #[param(max_items = 1000, required = false)]
    actor: Vec<ActorId>,
    /// `true`: everyone's.
    #[serde(deserialize_with = "one")]
    #[param(nullable = false)]
    everyone: Option<bool>,
    /// With this text in their note.
    #[serde(deserialize_with = "one")]
    #[param(nullable = false)]
    note_contains: Option<NotePart>,
    /// Made by this generator.
    #[serde(deserialize_with = "one")]
    #[param(nullable = false)]
    token_generator_id: Option<GeneratorId>,
    /// Created before this time.
    #[serde(deserialize_with = "one")]
    #[param(nullable = false)]
    created_before: Option<UnixSeconds>,
    /// Not used since this time.
    #[serde(deserialize_with = "one")]
    #[param(nullable = false)]
    unused_since: Option<UnixSeconds>,
    /// Only expired ones, or only those that are not.
    #[serde(deserialize_with = "one")]
    #[param(nullable = false)]
    expired: Option<bool>,
    /// Only valid ones, or only invalidated ones.
    #[serde(deserialize_with = "one")]
    #[param(nullable = false)]
    valid: Option<bool>,
    /// Go on behind the page before: its `next`.
    #[serde(deserialize_with = "one")]
    #[param(nullable = false)]
    after: Option<Cursor>,
    /// How many at the most; none: the handler's page size.
    #[serde(deserialize_with = "one")]
    #[param(nullable = false)]
    limit: Option<PageLimit>,
}

/// One token by its value or its id, or several by a filter.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Selection {
    Token(TokenText),
    Id(TokenId),
    #[schema(value_type = Filter)]
    Filter(Box<Object<Filter>>),
}

/// Which tokens are meant. All conditions must hold.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    actors: Whose,
    #[serde(default)]
    note_contains: Option<NotePart>,
    #[serde(default)]
    token_generator_id: Option<GeneratorId>,
    /// Created before this time.
    #[serde(default)]
    created_before: Option<UnixSeconds>,
    /// Not used since this time.
    #[serde(default)]
    unused_since: Option<UnixSeconds>,
    #[serde(default)]
    expired: Option<bool>,
    #[serde(default)]
    valid: Option<bool>,
}

/// Whose tokens: `everyone`'s, or `these` actors'. An empty list is nobody.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Whose {
    Everyone,
    These(Vec<ActorId>),
}

impl ListTokens {
    /// The handler that is meant, and which of its tokens.
    pub(super) fn filter(self) -> Result<(Option<HandlerName>, TokenFilter), Problem> {
        let mut filter = TokenFilter::of(match (self.everyone, self.actor) {
            (Some(true), actors) if actors.is_empty() => Actors::Everyone,
            (None | Some(false), actors) if !actors.is_empty() => {
                Actors::These(these(actors).map_err(Problem::bad_request)?)
            }
            _ => return Err(Problem::bad_request("expected `actor`, or `everyone=true`")),
        });
        filter.note_contains = self.note_contains.map(NotePart::into_string);
        filter.token_generator_id = self.token_generator_id.map(GeneratorId::into_string);
        filter.created_before = self.created_before.map(|at| at.0);
        filter.unused_since = self.unused_since.map(|at| at.0);
        (filter.expired, filter.valid) = (self.expired, self.valid);
        filter.after = self.after.map(Cursor::into_string);
        filter.limit = self.limit.map(|limit| limit.0);
        Ok((self.handler, filter))
    }
}

impl Selection {
    pub(super) fn selector(self) -> Result<TokenSelector, Problem> {
        Ok(match self {
            Self::Token(token) => TokenSelector::Token(token.into_string()),
            Self::Id(id) => TokenSelector::Id(id.into_string()),
            Self::Filter(filter) => TokenSelector::Filter(filter.0.filter()?),
        })
    }
}

impl Filter {
    fn filter(self) -> Result<TokenFilter, Problem> {
        let mut filter = TokenFilter::of(match self.actors {
            Whose::Everyone => Actors::Everyone,
            Whose::These(actors) => Actors::These(these(actors).map_err(Problem::unprocessable)?),
        });
        filter.note_contains = self.note_contains.map(NotePart::into_string);
        filter.token_generator_id = self.token_generator_id.map(GeneratorId::into_string);
        filter.created_before = self.created_before.map(|at| at.0);
        filter.unused_since = self.unused_since.map(|at| at.0);
        (filter.expired, filter.valid) = (self.expired, self.valid);
        Ok(filter)
    }
}

fn these(actors: Vec<ActorId>) -> Result<Vec<String>, &'static str> {
    match actors.len() <= MAX_ACTORS && different(&actors) {
        true => Ok(actors.into_iter().map(ActorId::into_string).collect()),
        false => Err("expected at most 1000 actors, each once"),
    }
}
