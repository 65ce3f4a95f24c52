//! [`Requirement`]: what a token must be good for, and whether it is.

use serde_json::Value;
use token_plugin_api::{Actor, action_abbreviation};

/// What a token must be good for, beside being good. All that is named must hold; the default names nothing.
///
/// Actions are Datasette's, a policy's resources and methods Djblets', scopes those of OAuth 2.0 (RFC 6749 §3.3).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Requirement {
    /// An action that the token's restrictions must allow.
    pub action: Option<RequiredAction>,
    /// A method on an API's resource that the token's policy must allow.
    pub policy: Option<RequiredResource>,
    /// Scopes that the token must have, each of them.
    pub scopes: Vec<String>,
}

/// An action, on everything, a database, or a resource of one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequiredAction {
    /// Its name, or Datasette's abbreviation of it.
    pub action: String,
    /// The database.
    pub database: Option<String>,
    /// The resource (a table, a view, a query) of the database.
    pub resource: Option<String>,
}

/// A method on a resource of an API, or on one item of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequiredResource {
    /// The resource's policy id.
    pub resource: String,
    /// The method, as the policy writes it.
    pub method: String,
    /// The item's id.
    pub id: Option<String>,
}

impl Requirement {
    /// Any good token.
    pub fn nothing() -> Self {
        Self::default()
    }

    /// A token that may do this action; see [`Actor::allows`].
    pub fn action(action: impl Into<String>, database: Option<&str>, resource: Option<&str>) -> Self {
        let (database, resource) = (database.map(str::to_owned), resource.map(str::to_owned));
        Self { action: Some(RequiredAction { action: action.into(), database, resource }), ..Self::default() }
    }

    /// A token whose policy allows this method; see [`Actor::allows_resource`].
    pub fn resource(resource: impl Into<String>, method: impl Into<String>, id: Option<&str>) -> Self {
        let id = id.map(str::to_owned);
        let policy = RequiredResource { resource: resource.into(), method: method.into(), id };
        Self { policy: Some(policy), ..Self::default() }
    }

    /// A token that has this scope.
    pub fn scope(scope: impl Into<String>) -> Self {
        Self { scopes: vec![scope.into()], ..Self::default() }
    }

    /// Whether nothing is required beyond a good token.
    pub fn is_nothing(&self) -> bool {
        self.action.is_none() && self.policy.is_none() && self.scopes.is_empty()
    }

    /// Whether a token is good for it.
    ///
    /// A token with scopes and no restrictions was made for less than all that its actor may do, and nobody wrote down
    /// which actions its scopes stand for: it may do an action when one of its scopes is the action's name.
    ///
    /// A policy is compared as it is written; and where it has a rule for the resource, or the item, in letters of another
    /// case, it does not allow this one: what blocks `user` must not be passed as `User`, which is the same to some.
    pub fn is_met_by(&self, actor: &Actor) -> bool {
        if self.is_nothing() {
            return true;
        }
        let scopes = scopes_of(actor);
        let has_scope = |wanted: &str| scopes.as_ref().is_some_and(|scopes| scopes.contains(&wanted));
        let may_act = self.action.as_ref().is_none_or(|RequiredAction { action, database, resource }| {
            let is_within_scopes = scopes.is_none()
                || actor.restrictions().is_some()
                || has_scope(action)
                || action_abbreviation(action).is_some_and(has_scope);
            is_within_scopes && actor.allows(action, database.as_deref(), resource.as_deref())
        });
        let may_use = self.policy.as_ref().is_none_or(|RequiredResource { resource, method, id }| {
            let id = id.as_deref();
            actor.allows_resource(resource, method, id) && !policy_knows_in_other_letters(actor, resource, id)
        });
        may_act && may_use && self.scopes.iter().all(|scope| has_scope(scope))
    }

    /// What a client may be told that it needs (RFC 6750 §3, `scope`); `None`: nothing that is a scope.
    pub(crate) fn scope_text(&self) -> Option<String> {
        let is_scope =
            |text: &&str| !text.is_empty() && text.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e));
        let action = self.action.iter().map(|required| required.action.as_str());
        let all: Vec<&str> = action.chain(self.scopes.iter().map(String::as_str)).filter(is_scope).collect();
        (!all.is_empty()).then(|| all.join(" "))
    }
}

/// Whether the token's policy has rules for a resource, or an item of it, that is written like this one but for the case of
/// letters, and none for this one.
fn policy_knows_in_other_letters(actor: &Actor, resource: &str, id: Option<&str>) -> bool {
    fn knows(named: &Value, name: &str) -> bool {
        let has =
            |is_it: &dyn Fn(&str) -> bool| named.as_object().is_some_and(|named| named.keys().any(|key| is_it(key)));
        !has(&|key| key == name) && has(&|key| key.eq_ignore_ascii_case(name))
    }
    let policy = actor.claims().find(|(name, _)| *name == "policy");
    let Some(resources) = policy.and_then(|(_, policy)| policy.get("resources")) else { return false };
    let is_item = |id| resources.get(resource).is_some_and(|items| knows(items, id));
    knows(resources, resource) || id.is_some_and(is_item)
}

/// The actions that a token must name to be good for the host itself. Who makes tokens of their own must not name them.
pub const OWN_ACTIONS: [&str; 5] = ["admin", "introspect", "revoke", "tokenreview", "kubernetes"];

/// Whether a token was made for less than all that its actor may do, without restrictions or a policy: it has scopes, or a
/// client got it from its user.
pub(crate) fn is_delegated(actor: &Actor) -> bool {
    scopes_of(actor).is_some() || actor.claims().any(|(name, _)| matches!(name, "client_id" | "azp"))
}

/// The claims that hold scopes.
const SCOPE_CLAIMS: [&str; 3] = ["scope", "scopes", "scp"];

/// The scopes that a token says it has: the claim `scope` (RFC 8693 §4.2, RFC 9068), `scopes` or `scp`, a text or a list.
/// `None`: it does not speak of scopes. One that speaks of them in another form has none.
pub(crate) fn scopes_of(actor: &Actor) -> Option<Vec<&str>> {
    let mut found = None;
    // To read all claims takes longer than to judge the token.
    if !SCOPE_CLAIMS.iter().any(|name| actor.may_claim(name)) {
        return None;
    }
    for (name, value) in actor.claims() {
        if SCOPE_CLAIMS.contains(&name) {
            let scopes: &mut Vec<&str> = found.get_or_insert_default();
            match value {
                Value::String(text) => scopes.extend(text.split(' ').filter(|scope| !scope.is_empty())),
                Value::Array(list) => scopes.extend(list.iter().filter_map(Value::as_str)),
                _ => {}
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use token_plugin_api::TokenRestrictions;

    use super::*;

    #[test]
    fn restrictions_policies_and_scopes_must_all_allow_it() {
        let restricted = Actor::new("ann", "any").restricted_to(TokenRestrictions::nothing().allow_all("view-table"));
        let view = Requirement::action("view-table", Some("db"), None);
        assert!(view.is_met_by(&restricted) && view.is_met_by(&Actor::new("ann", "any")));
        assert!(!Requirement::action("insert-row", Some("db"), None).is_met_by(&restricted));
        let policy = json!({ "resources": { "review": { "*": { "block": ["PUT"] } } } });
        let with_policy = restricted.clone().claim("policy", policy);
        let put = Requirement::resource("review", "PUT", Some("1"));
        assert!(!put.is_met_by(&with_policy) && put.is_met_by(&restricted));
        let both = Requirement { policy: put.policy, ..view };
        assert!(!both.is_met_by(&with_policy) && both.is_met_by(&restricted));
    }

    #[test]
    fn what_a_policy_blocks_cannot_be_had_in_other_letters() {
        let blocked = json!({ "*": { "block": ["*"] } });
        let policy = json!({ "resources": { "user": blocked, "review": { "a1": { "block": ["*"] } } } });
        let actor = Actor::new("ann", "any").claim("policy", policy);
        let may = |resource: &str, id| Requirement::resource(resource, "GET", Some(id)).is_met_by(&actor);
        assert!(may("group", "1") && may("review", "1"));
        assert!(!may("user", "1") && !may("User", "1") && !may("review", "a1") && !may("review", "A1"));
    }

    #[test]
    fn a_token_with_scopes_does_what_they_name() {
        let reader = Actor::new("ann", "any").claim("scope", "read view-table");
        assert!(Requirement::scope("read").is_met_by(&reader) && !Requirement::scope("write").is_met_by(&reader));
        assert!(!Requirement::scope("read").is_met_by(&Actor::new("ann", "any")), "it has no scopes");
        assert!(Requirement::action("view-table", None, None).is_met_by(&reader));
        assert!(!Requirement::action("drop-table", None, None).is_met_by(&reader));
        let short = Actor::new("ann", "any").claim("scp", json!(["vt", 5]));
        assert!(Requirement::action("view-table", None, None).is_met_by(&short));
        let odd = Actor::new("ann", "any").claim("scopes", json!({ "read": true }));
        assert!(!Requirement::scope("read").is_met_by(&odd) && scopes_of(&odd) == Some(Vec::new()));
    }

    #[test]
    fn a_client_is_told_of_scopes_alone() {
        let odd = Requirement::action("view table\"", None, None);
        let both = Requirement { scopes: vec!["read".to_owned()], ..odd };
        assert_eq!(both.scope_text().as_deref(), Some("read"));
        assert_eq!(Requirement::resource("review", "GET", None).scope_text(), None);
    }
}
