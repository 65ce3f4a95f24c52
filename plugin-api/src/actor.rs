//! [`Actor`]: who a verified token stands for.

use std::{borrow::Cow, fmt, sync::OnceLock};

use abi_stable::std_types::RString;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, Visitor},
    ser::{Error as _, SerializeMap},
};
use serde_json::{Map, Value, value::RawValue};

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

    /// Whether it has claims of which one may be called this. False is certain; true is not, since claims that nobody has
    /// asked for yet are not read for it.
    pub fn may_claim(&self, name: &str) -> bool {
        self.more.as_ref().is_some_and(|more| more.claims.may_have(name))
    }

    /// The actor as JSON, as serde would write it: for those who have to be quick. Claims that nobody has asked for yet are
    /// passed on as they are written.
    ///
    /// # Errors
    ///
    /// When the claims are no JSON object.
    pub fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        let Some(unread) = self.more.as_ref().and_then(|more| more.claims.unread()) else {
            return serde_json::to_vec(self);
        };
        let claims = serde_json::from_str(unread)?;
        let mut json = Vec::with_capacity(self.id.len() + unread.len() + 64);
        ActorWith { actor: self, claims: &claims }.serialize(&mut serde_json::Serializer::new(&mut json))?;
        Ok(json)
    }

    fn get(&self, claim: &str) -> Option<&Value> {
        let claims = &self.more.as_ref()?.claims;
        // To read all of them takes longer than many a verification.
        if claims.may_have(claim) { claims.map().ok()?.get(claim) } else { None }
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

impl Actor {
    /// All but the claims.
    fn serialize_own<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        map.serialize_entry("id", &self.id)?;
        map.serialize_entry("token", &self.token)?;
        if let Some(restrictions) = self.restrictions() {
            map.serialize_entry("_r", restrictions)?;
        }
        match self.token_expires {
            Some(expires) => map.serialize_entry("token_expires", &expires),
            None => Ok(()),
        }
    }
}

/// An actor with claims that were not read.
struct ActorWith<'a> {
    actor: &'a Actor,
    claims: &'a WrittenClaims<'a>,
}

impl Serialize for ActorWith<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.actor.serialize_own(&mut map)?;
        for (name, value) in &self.claims.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// Claims as they are written: of several with one name the last, as everywhere.
struct WrittenClaims<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for WrittenClaims<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Claims;
        impl<'de> Visitor<'de> for Claims {
            type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut claims: Self::Value = Vec::with_capacity(8);
                while let Some((Name(name), value)) = map.next_entry()? {
                    if Actor::OWN_KEYS.contains(&&*name) {
                        continue;
                    }
                    match claims.iter_mut().find(|(known, _)| *known == name) {
                        Some(claim) => claim.1 = value,
                        None => claims.push((name, value)),
                    }
                }
                Ok(claims)
            }
        }
        deserializer.deserialize_map(Claims).map(Self)
    }
}

/// Borrowed where it has no escapes.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl Serialize for Actor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.serialize_own(&mut map)?;
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

    /// The text, when nobody has asked yet what is in it.
    fn unread(&self) -> Option<&str> {
        self.text.as_deref().filter(|_| self.map.get().is_none())
    }

    fn may_have(&self, name: &str) -> bool {
        match self.unread() {
            // A name may be written with escapes.
            Some(text) => text.contains(name) || text.contains('\\'),
            None => self.map().is_ok_and(|map| map.contains_key(name)),
        }
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
    fn claims_that_nobody_read_are_passed_on_as_they_are_written() {
        for text in [
            "{}",
            r#"{"sub":"ann","exp":17,"nested":{"a":[1,"x\u0041"],"id":2}}"#,
            r#" { "b" : 1 , "a" : "é\"" } "#,
            r#"{"id":"root","_r":{},"token_expires":1,"\u0069d":"root","x":1,"tok\u0065n":2}"#,
            r#"{"a":1,"b":2,"a":3}"#,
        ] {
            let actor = Actor::new("ann\"", "jwt").expires_at(17).with_claims_text(text);
            let read: Value = serde_json::from_str(&serde_json::to_string(&actor.clone()).unwrap()).unwrap();
            let quick: Value = serde_json::from_slice(&actor.to_json().unwrap()).unwrap();
            assert_eq!(quick, read, "{text}");
            let _ = actor.claims().count();
            assert_eq!(serde_json::from_slice::<Value>(&actor.to_json().unwrap()).unwrap(), read, "{text}");
        }
        for bad in ["", "[]", "{", r#"{"a":1} x"#, r#"{"a":01}"#] {
            assert!(Actor::new("ann", "jwt").with_claims_text(bad).to_json().is_err(), "{bad}");
        }
        assert!(Actor::new("ann", "jwt").to_json().unwrap().starts_with(b"{\"id\""));
    }

    #[test]
    fn a_claim_that_may_be_there_is_never_denied() {
        let actor = Actor::new("ann", "jwt").with_claims_text(r#"{"scope":"read","x":1}"#);
        assert!(actor.may_claim("scope") && !actor.may_claim("policy"));
        assert_eq!(actor.claims().count(), 2);
        assert!(actor.may_claim("scope") && !actor.may_claim("scop"));
        assert!(Actor::new("ann", "jwt").with_claims_text(r#"{"sc\u006fpe":"read"}"#).may_claim("scope"));
        assert!(!Actor::new("ann", "jwt").may_claim("scope"));
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
