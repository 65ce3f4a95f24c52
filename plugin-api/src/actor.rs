//! [`Actor`]: who a verified token stands for.

use std::{borrow::Cow, sync::OnceLock};

use abi_stable::std_types::RString;
use serde::{
    Deserialize, Serialize, Serializer,
    ser::{Error as _, SerializeMap},
};
use serde_json::{Map, Value};

use crate::{Policy, PolicyDefault, PolicyError, TokenRestrictions};

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
    claims: ClaimSet,
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

    /// The same, with the claims of this JSON object, but for those that an actor may not have: see
    /// [`claim`](Self::claim). Claims that it had are lost.
    ///
    /// The text is read when somebody asks for a claim, which most callers never do: for handlers whose tokens carry
    /// claims as JSON, and who have read it already. A text that is no JSON object has no claims, and an actor with one
    /// cannot be serialized.
    #[must_use]
    pub fn with_claims_text(mut self, json: impl Into<String>) -> Self {
        self.more.get_or_insert_default().claims = ClaimSet::of_text(json.into().into());
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
        let claims = self.more.iter().flat_map(|more| more.claims.map().ok());
        claims.flatten().map(|(name, value)| (name.as_str(), value))
    }

    /// The id by which a store knows the token: the claim `token_id`, or else `jti` (RFC 7519).
    pub fn token_id(&self) -> Option<&str> {
        ["token_id", "jti"].iter().find_map(|name| self.get(name)?.as_str())
    }

    /// Whether the token works but should be replaced by a new one: the claim `token_deprecated` is true (Djblets'
    /// `X-API-Token-Deprecated`).
    pub fn is_token_deprecated(&self) -> bool {
        self.get("token_deprecated").is_some_and(|deprecated| *deprecated == Value::Bool(true))
    }

    /// The token's policy: the document in the claim `policy`, and for what it does not name the claim `policy_default`
    /// (`allow` or `deny`); `None`: it has none. It is read anew at each call: keep it for several questions.
    ///
    /// # Errors
    ///
    /// When the claims are no policy, or cannot be read: nobody knows then what the token may do.
    pub fn policy(&self) -> Result<Option<Policy>, PolicyError> {
        let Some(more) = &self.more else { return Ok(None) };
        let claims = more.claims.map().map_err(|Unreadable| PolicyError::new("The claims must be a JSON object."))?;
        let Some(document) = claims.get("policy") else { return Ok(None) };
        let default = claims.get("policy_default").map_or(Ok(PolicyDefault::default()), PolicyDefault::deserialize);
        let default = default.map_err(|_| PolicyError::new(r#"The policy's default must be "allow" or "deny"."#))?;
        Policy::new(document).map(|policy| Some(policy.default_to(default)))
    }

    fn get(&self, claim: &str) -> Option<&Value> {
        self.more.as_ref()?.claims.map().ok()?.get(claim)
    }

    /// Whether the token's restrictions let it do `action`: see [`TokenRestrictions::allows`].
    /// A token without restrictions may do all that its actor may.
    pub fn allows(&self, action: &str, database: Option<&str>, resource: Option<&str>) -> bool {
        self.restrictions().is_none_or(|restrictions| restrictions.allows(action, database, resource))
    }

    /// Whether the token's policy lets it use `method` on a resource of an API, or on one item of it: see
    /// [`Policy::allows`]. A token without a policy may do all that its actor may; one whose policy cannot be read may do
    /// nothing.
    pub fn allows_resource(&self, resource: &str, method: &str, id: Option<&str>) -> bool {
        let allows = |policy: Option<Policy>| policy.is_none_or(|policy| policy.allows(resource, method, id));
        self.policy().is_ok_and(allows)
    }

    /// The claims, if there are any, as they cross.
    pub(crate) fn take_claims(&mut self) -> Option<Result<RString, serde_json::Error>> {
        std::mem::take(&mut self.more.as_deref_mut()?.claims).into_text()
    }

    /// The same, with claims that came across.
    pub(crate) fn with_claims_that_crossed(mut self, json: RString) -> Self {
        self.more.get_or_insert_default().claims = ClaimSet::of_text(json);
        self
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
        if let Some(more) = &self.more {
            let claims = more.claims.map().map_err(|Unreadable| S::Error::custom("the claims are no JSON object"))?;
            for (name, value) in claims {
                map.serialize_entry(name, value)?;
            }
        }
        map.end()
    }
}

/// The claims of an actor: text until somebody asks what is in it.
#[derive(Debug, Clone, Default)]
struct ClaimSet {
    /// As it crosses the boundary: to copy it costs more than to keep it, and who made it has to free it.
    text: Option<RString>,
    map: OnceLock<Result<Map<String, Value>, Unreadable>>,
}

/// The text is no JSON object.
#[derive(Debug, Clone, Copy)]
struct Unreadable;

impl ClaimSet {
    fn of_text(text: RString) -> Self {
        Self { text: Some(text), map: OnceLock::new() }
    }

    fn map(&self) -> Result<&Map<String, Value>, Unreadable> {
        let map = self.map.get_or_init(|| {
            let Some(text) = &self.text else { return Ok(Map::new()) };
            let mut map: Map<String, Value> = serde_json::from_str(text).map_err(|_| Unreadable)?;
            map.retain(|name, _| !Actor::OWN_KEYS.contains(&name.as_str()));
            Ok(map)
        });
        map.as_ref().map_err(|unreadable| *unreadable)
    }

    /// To what cannot be read nothing is added: it goes on to be an error.
    fn insert(&mut self, name: String, value: Value) {
        let Ok(mut map) = self.map().cloned() else { return };
        map.insert(name, value);
        *self = Self { text: None, map: OnceLock::from(Ok(map)) };
    }

    fn into_text(self) -> Option<Result<RString, serde_json::Error>> {
        if let Some(text) = self.text {
            return Some(Ok(text));
        }
        let map = self.map().ok().filter(|map| !map.is_empty())?;
        Some(serde_json::to_string(map).map(RString::from))
    }
}

impl PartialEq for ClaimSet {
    fn eq(&self, other: &Self) -> bool {
        self.map().ok() == other.map().ok()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_policy_comes_from_the_claims() {
        let none = Actor::new("root", "tok").claim("policy_default", "deny");
        assert!(none.policy().unwrap().is_none() && none.allows_resource("user", "PUT", None));
        let policy = json!({ "resources": { "user": { "*": { "allow": ["GET"], "block": ["PUT"] } } } });
        let actor = Actor::new("root", "tok").claim("policy", policy);
        assert!(actor.allows_resource("user", "GET", Some("1")) && !actor.allows_resource("user", "PUT", Some("1")));
        assert!(actor.allows_resource("review", "GET", None));
        let strict = actor.claim("policy_default", "deny");
        assert!(strict.allows_resource("user", "GET", Some("1")) && !strict.allows_resource("review", "GET", None));
    }

    #[test]
    fn a_policy_that_cannot_be_read_allows_nothing() {
        let actor = Actor::new("root", "tok");
        for unreadable in [
            actor.clone().claim("policy", Value::Null),
            actor.clone().claim("policy", "{}"),
            actor.clone().claim("policy", json!({ "resources": {} })),
            actor.clone().claim("policy", json!({})).claim("policy_default", "Deny"),
            actor.clone().claim("policy", json!({})).claim("policy_default", Value::Null),
            actor.with_claims_text(r#"{"policy": {}"#),
        ] {
            assert!(unreadable.policy().is_err(), "{unreadable:?}");
            assert!(!unreadable.allows_resource("user", "GET", None), "{unreadable:?}");
        }
    }
}
