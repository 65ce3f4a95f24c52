//! What a handler is asked to do: create a token, find, change and invalidate tokens.

use std::sync::LazyLock;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::{PolicyDefault, TokenRestrictions};

/// The tries that Djblets gives a generator to find a token that does not exist yet.
pub const DEFAULT_MAX_ATTEMPTS: u32 = 20;

/// A request for a token: Datasette's `create_token` and Djblets' `generate_token` in one.
///
/// ```
/// use token_plugin_api::{CreateToken, TokenRestrictions};
///
/// let request = CreateToken::new("root")
///     .expires_after(3600)
///     .restricted_to(TokenRestrictions::nothing().allow_all("view-instance"));
/// assert_eq!(request.actor_id, "root");
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct CreateToken {
    /// Whom the token stands for.
    pub actor_id: String,
    /// The name of the handler that is to make it; none: the first in call order that can.
    pub handler: Option<String>,
    /// Seconds until it expires, above 0; none: what the handler has as its default.
    pub expires_after: Option<u64>,
    /// What it may do; none: all that its actor may.
    pub restrictions: Option<TokenRestrictions>,
    /// Kept apart, and only when there is something in it: most requests have none, and are moved often.
    details: Option<Box<TokenDetails>>,
}

/// The part of a request that only some handlers know: in Djblets' words what a store keeps with a token, and what is to
/// stand in a token that carries claims (JWT).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct TokenDetails {
    /// A note that describes the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// A policy document: what the token may access in the API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<Value>,
    /// The id of the generator that is to make the token's value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_generator_id: Option<String>,
    /// What that generator needs to know.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub token_info: Map<String, Value>,
    /// Tries to find a value that is not in use yet.
    pub max_attempts: u32,
    /// Whether nobody asked for this token by hand. Only told to event sinks.
    pub auto_generated: bool,
    /// Fields of the operator's own.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
    /// What kind of token it is to be; none: the handler's usual one. A handler that has no kinds must refuse a
    /// request that names one: a refresh token is no access token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<TokenKind>,
    /// Claims that are to stand in the token beside those that the handler writes.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub claims: Map<String, Value>,
    /// Parameters that are to stand in the token's header (RFC 7515 §4) beside those that the handler writes.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub headers: Map<String, Value>,
}

/// The kinds of token that Flask-JWT-Extended knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TokenKind {
    /// For use in requests.
    Access,
    /// The same, for an actor who has just shown who they are, by a password for instance.
    FreshAccess,
    /// Only good for getting a new access token.
    Refresh,
}

impl Default for TokenDetails {
    fn default() -> Self {
        Self {
            note: None,
            policy: None,
            token_generator_id: None,
            token_info: Map::new(),
            max_attempts: DEFAULT_MAX_ATTEMPTS,
            auto_generated: false,
            extra: Map::new(),
            kind: None,
            claims: Map::new(),
            headers: Map::new(),
        }
    }
}

impl TokenDetails {
    /// Whether the token is to say something of itself that is neither its actor nor its restrictions: a kind, claims,
    /// headers. A handler whose tokens cannot must answer [`PluginError::unsupported`](crate::PluginError::unsupported).
    pub fn is_about_the_token_itself(&self) -> bool {
        self.kind.is_some() || !self.claims.is_empty() || !self.headers.is_empty()
    }

    /// Whether nothing in it differs from the default.
    pub fn is_default(&self) -> bool {
        self.note.is_none()
            && self.policy.is_none()
            && self.token_generator_id.is_none()
            && self.token_info.is_empty()
            && self.max_attempts == DEFAULT_MAX_ATTEMPTS
            && !self.auto_generated
            && self.extra.is_empty()
            && !self.is_about_the_token_itself()
    }
}

impl CreateToken {
    /// A request for an unrestricted token with the handler's default life.
    pub fn new(actor_id: impl Into<String>) -> Self {
        Self { actor_id: actor_id.into(), handler: None, expires_after: None, restrictions: None, details: None }
    }

    /// The same, made by the handler of this name.
    #[must_use]
    pub fn handler(mut self, name: impl Into<String>) -> Self {
        self.handler = Some(name.into());
        self
    }

    /// The same, expiring after so many seconds.
    #[must_use]
    pub fn expires_after(mut self, seconds: u64) -> Self {
        self.expires_after = Some(seconds);
        self
    }

    /// The same, allowed to do only this.
    #[must_use]
    pub fn restricted_to(mut self, restrictions: TokenRestrictions) -> Self {
        self.restrictions = Some(restrictions);
        self
    }

    /// The same, with these details.
    #[must_use]
    pub fn with_details(mut self, details: TokenDetails) -> Self {
        self.details = Some(details).filter(|details| !details.is_default()).map(Box::new);
        self
    }

    /// What only some handlers know of.
    pub fn details(&self) -> &TokenDetails {
        static DEFAULT: LazyLock<TokenDetails> = LazyLock::new(TokenDetails::default);
        self.details.as_deref().unwrap_or(&DEFAULT)
    }

    /// The details, unless they are all at their defaults.
    pub(crate) fn details_beyond_default(&self) -> Option<&TokenDetails> {
        self.details.as_deref()
    }
}

/// A token that was made. It prints without its value.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CreatedToken {
    /// The token, to be shown to its owner once.
    pub token: String,
    /// The id by which a store knows it.
    pub id: Option<String>,
    /// When it expires, in Unix seconds; none: never.
    pub expires_at: Option<u64>,
}

impl CreatedToken {
    /// A token that no store knows and that does not expire.
    pub fn new(token: impl Into<String>) -> Self {
        Self { token: token.into(), id: None, expires_at: None }
    }

    /// The same, known to a store by this id.
    #[must_use]
    pub fn with_id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// The same, expiring at this time in Unix seconds.
    #[must_use]
    pub fn expires_at(mut self, unix_seconds: Option<u64>) -> Self {
        self.expires_at = unix_seconds;
        self
    }
}

impl std::fmt::Debug for CreatedToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CreatedToken")
            .field("token", &"[token]")
            .field("id", &self.id)
            .field("expires_at", &self.expires_at)
            .finish()
    }
}

/// Whose tokens are meant. "Everyone" must be said: an empty list is nobody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Actors {
    /// The tokens of all actors.
    Everyone,
    /// The tokens of these actors.
    These(Vec<String>),
}

/// Which tokens are meant. All conditions must hold; times are Unix seconds.
///
/// A condition that a handler does not know is an error: without it more tokens would be meant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TokenFilter {
    /// Whose.
    pub actors: Actors,
    /// Made by this generator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_generator_id: Option<String>,
    /// With this text in their note.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note_contains: Option<String>,
    /// With this policy document; `null`: with none.
    #[serde(default, deserialize_with = "said", skip_serializing_if = "Option::is_none")]
    pub policy: Option<Value>,
    /// Created before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_before: Option<u64>,
    /// Not used since this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unused_since: Option<u64>,
    /// Only expired ones, or only those that are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expired: Option<bool>,
    /// Only valid ones, or only invalidated ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid: Option<bool>,
    /// Continue a listing behind this [`TokenPage::next`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// How many at the most; none: the handler's page size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

impl TokenFilter {
    /// All tokens of these actors.
    pub fn of(actors: Actors) -> Self {
        Self {
            actors,
            token_generator_id: None,
            note_contains: None,
            policy: None,
            created_before: None,
            unused_since: None,
            expired: None,
            valid: None,
            after: None,
            limit: None,
        }
    }
}

/// One token, or several by a filter.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TokenSelector {
    /// The token with this value.
    Token(String),
    /// The token with this id.
    Id(String),
    /// All tokens that the filter means.
    Filter(TokenFilter),
}

impl std::fmt::Debug for TokenSelector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Token(_) => f.write_str("Token([token])"),
            Self::Id(id) => f.debug_tuple("Id").field(id).finish(),
            Self::Filter(filter) => f.debug_tuple("Filter").field(filter).finish(),
        }
    }
}

/// A request to invalidate tokens. The first reason and date of a token stay.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct InvalidateTokens {
    /// Which.
    pub tokens: TokenSelector,
    /// Why; may be empty.
    pub reason: String,
}

impl InvalidateTokens {
    /// A request to invalidate these, for this reason.
    pub fn new(tokens: TokenSelector, reason: impl Into<String>) -> Self {
        Self { tokens, reason: reason.into() }
    }
}

/// Which tokens were invalidated, that were valid before.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct InvalidatedTokens {
    /// Each of them.
    pub tokens: Vec<InvalidatedToken>,
    /// Of a handler that does not keep its tokens: all that were made before a time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cutoffs: Vec<Cutoff>,
}

impl InvalidatedTokens {
    /// These tokens, each by its id and the id of its actor.
    pub fn new<I: Into<String>, A: Into<String>>(tokens: impl IntoIterator<Item = (I, A)>) -> Self {
        let token = |(id, actor_id): (I, A)| InvalidatedToken { id: id.into(), actor_id: actor_id.into() };
        Self { tokens: tokens.into_iter().map(token).collect(), cutoffs: Vec::new() }
    }
}

/// All tokens of an actor, or of everyone, that were made before a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct Cutoff {
    /// Whose; none: everyone's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor_id: Option<String>,
    /// Unix seconds.
    pub created_before: u64,
}

impl Cutoff {
    /// The tokens of this actor, or of everyone, from before this time, in Unix seconds.
    pub fn new(actor_id: Option<String>, created_before: u64) -> Self {
        Self { actor_id, created_before }
    }
}

/// A token that was invalidated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct InvalidatedToken {
    /// The id by which its store knows it.
    pub id: String,
    /// Whom it stood for; empty when its handler does not know.
    pub actor_id: String,
}

/// What of a token is to change; what is `None` stays.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct UpdateToken {
    /// Which.
    pub token: TokenSelector,
    /// Its note.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Its policy document; `null` takes it away.
    #[serde(default, deserialize_with = "said", skip_serializing_if = "Option::is_none")]
    pub policy: Option<Value>,
    /// Its expiry; `Never` takes an expiry away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Expires>,
    /// Whether it is valid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid: Option<bool>,
}

impl UpdateToken {
    /// A request that changes nothing yet.
    pub fn new(token: TokenSelector) -> Self {
        Self { token, note: None, policy: None, expires: None, valid: None }
    }
}

/// What is there, also where it is `null`: that says something else than nothing.
fn said<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// When a token expires. Exhaustive: there is no third way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expires {
    /// Never.
    Never,
    /// At this time, in Unix seconds.
    At(u64),
}

/// What a store knows of a token. Never its value. Times are Unix seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct TokenRecord {
    /// The id by which the store knows it.
    pub id: String,
    /// Whom it stands for.
    pub actor_id: String,
    /// The generator that made its value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_generator_id: Option<String>,
    /// When it was made; none: its handler does not know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<u64>,
    /// When its row was last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<u64>,
    /// When it was last accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<u64>,
    /// When it expires; none: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<u64>,
    /// Whether it was not invalidated.
    pub valid: bool,
    /// When it was invalidated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invalid_at: Option<u64>,
    /// Why it was invalidated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invalid_reason: Option<String>,
    /// What it may do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restrictions: Option<TokenRestrictions>,
    /// The note that describes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Its policy document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Value>,
    /// What becomes of that which its policy does not name; none: it is allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_default: Option<PolicyDefault>,
    /// Whether nobody asked for it by hand.
    #[serde(default)]
    pub auto_generated: bool,
    /// What tells it from others without telling it: its prefix and last characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Whether its generator is deprecated: it works, and a new one should take its place.
    #[serde(default)]
    pub deprecated: bool,
    /// Fields of the operator's own.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
}

impl TokenRecord {
    /// A valid token that never expires, made at this time, in Unix seconds, if that is known.
    pub fn new(id: impl Into<String>, actor_id: impl Into<String>, created_at: impl Into<Option<u64>>) -> Self {
        Self {
            id: id.into(),
            actor_id: actor_id.into(),
            token_generator_id: None,
            created_at: created_at.into(),
            updated_at: None,
            last_used_at: None,
            expires_at: None,
            valid: true,
            invalid_at: None,
            invalid_reason: None,
            restrictions: None,
            note: None,
            policy: None,
            policy_default: None,
            auto_generated: false,
            hint: None,
            deprecated: false,
            extra: Map::new(),
        }
    }
}

/// One page of a listing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TokenPage {
    /// The tokens, in the handler's stable order.
    pub tokens: Vec<TokenRecord>,
    /// Where the next page begins, for [`TokenFilter::after`]; none: this was the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl TokenPage {
    /// A page, and where the next one begins.
    pub fn new(tokens: Vec<TokenRecord>, next: Option<String>) -> Self {
        Self { tokens, next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_that_is_not_known_is_an_error_and_not_everyone() {
        let filter = r#"{"filter":{"actors":"everyone","colour":"red"}}"#;
        assert!(serde_json::from_str::<TokenSelector>(filter).is_err());
        assert!(serde_json::from_str::<TokenDetails>(r#"{"audience":"x"}"#).is_err());
    }

    #[test]
    fn no_policy_is_told_from_nothing_said_of_it() {
        for policy in [None, Some(Value::Null), Some(Value::from("x"))] {
            let mut filter = TokenFilter::of(Actors::Everyone);
            filter.policy.clone_from(&policy);
            let mut update = UpdateToken::new(TokenSelector::Filter(filter));
            update.policy = policy;
            let text = serde_json::to_string(&update).unwrap();
            assert_eq!(serde_json::from_str::<UpdateToken>(&text).unwrap(), update, "{text}");
        }
    }

    #[test]
    fn what_is_not_asked_for_is_not_written() {
        let filter = TokenFilter::of(Actors::These(Vec::new()));
        assert_eq!(serde_json::to_string(&filter).unwrap(), r#"{"actors":{"these":[]}}"#);
    }
}
