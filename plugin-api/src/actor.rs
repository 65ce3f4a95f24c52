//! [`Actor`]: who a verified token stands for.

use std::borrow::Cow;

use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::{Map, Value};

use crate::TokenRestrictions;

/// Who a verified token stands for, in the form of Datasette's actor dictionary.
///
/// As JSON it has the keys `id`, `token`, `_r`, `token_expires` and, after these, the claims.
///
/// ```
/// use token_plugin_api::{Actor, TokenRestrictions};
///
/// let actor = Actor::new("cleopaws", "dstok")
///     .expires_at(1_700_003_600)
///     .restricted_to(TokenRestrictions::nothing().allow_database("fixtures", "view-table"));
/// assert!(actor.allows("view-table", Some("fixtures"), Some("facetable")));
/// assert!(!actor.allows("insert-row", Some("fixtures"), Some("facetable")));
/// assert_eq!(
///     serde_json::to_string(&actor).unwrap(),
///     r#"{"id":"cleopaws","token":"dstok","_r":{"d":{"fixtures":["vt"]}},"token_expires":1700003600}"#
/// );
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Actor {
    pub(crate) id: String,
    pub(crate) token: Cow<'static, str>,
    pub(crate) token_expires: Option<u64>,
    /// What most actors do not have, kept apart: an actor is moved often on its way to who asked.
    more: Option<Box<More>>,
}

#[derive(Debug, Clone, Default, PartialEq)]
struct More {
    restrictions: Option<TokenRestrictions>,
    claims: Map<String, Value>,
}

impl Actor {
    /// An unrestricted actor whose token does not expire. `token` names the kind of token
    /// (Datasette's `"token": "dstok"`).
    pub fn new(id: impl Into<String>, token: impl Into<Cow<'static, str>>) -> Self {
        Self { id: id.into(), token: token.into(), token_expires: None, more: None }
    }

    /// The same, with a token that expires at this time, in Unix seconds.
    #[must_use]
    pub fn expires_at(mut self, unix_seconds: u64) -> Self {
        self.token_expires = Some(unix_seconds);
        self
    }

    /// The same, allowed to do only this.
    #[must_use]
    pub fn restricted_to(mut self, restrictions: TokenRestrictions) -> Self {
        self.more.get_or_insert_default().restrictions = Some(restrictions);
        self
    }

    /// The same, with one claim more. The keys `id`, `token`, `_r` and `token_expires` are not
    /// claims: such a claim is not added.
    #[must_use]
    pub fn claim(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        let name = name.into();
        if !Self::OWN_KEYS.contains(&name.as_str()) {
            self.more.get_or_insert_default().claims.insert(name, value.into());
        }
        self
    }

    /// The actor's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The kind of token, for instance `dstok`.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// When the token expires, in Unix seconds; `None`: never.
    pub fn token_expires(&self) -> Option<u64> {
        self.token_expires
    }

    /// What the token is restricted to; `None`: everything its actor may do.
    pub fn restrictions(&self) -> Option<&TokenRestrictions> {
        self.more.as_ref()?.restrictions.as_ref()
    }

    /// What else the handler says of the actor.
    pub fn claims(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.more.iter().flat_map(|more| &more.claims).map(|(name, value)| (name.as_str(), value))
    }

    /// Whether the token's restrictions let it do `action`: see [`TokenRestrictions::allows`].
    /// A token without restrictions may do all that its actor may.
    pub fn allows(&self, action: &str, database: Option<&str>, resource: Option<&str>) -> bool {
        self.restrictions().is_none_or(|restrictions| restrictions.allows(action, database, resource))
    }

    /// The claims, if there are any.
    pub(crate) fn claims_object(&self) -> Option<&Map<String, Value>> {
        self.more.as_deref().map(|more| &more.claims).filter(|claims| !claims.is_empty())
    }

    const OWN_KEYS: [&'static str; 4] = ["id", "token", "_r", "token_expires"];
}

impl Serialize for Actor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", &self.id)?;
        map.serialize_entry("token", &self.token)?;
        if let Some(restrictions) = self.restrictions() {
            map.serialize_entry("_r", restrictions)?;
        }
        if let Some(expires) = self.token_expires {
            map.serialize_entry("token_expires", &expires)?;
        }
        for (name, value) in self.claims() {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}
