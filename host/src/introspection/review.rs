//! [`Reviewer`]: which user of Kubernetes' a good token stands for, if any.

use serde_json::{Value, json};
use token_plugin_api::Actor;

use super::{SystemIdentities, active::audience_of};
use crate::{
    authenticate::{is_delegated, scopes_of},
    oauth2::is_user_id,
};

/// What became of a review.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Review {
    /// It may be another authenticator's: an error would fill the API server's log.
    Unknown,
    /// It is known, and not to be let in: why, for whoever reads the API server's log.
    Refused(String),
    /// It stands for somebody.
    Authenticated(User),
}

/// Somebody, as Kubernetes' `UserInfo` has it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct User {
    name: String,
    groups: Vec<String>,
    extra: Vec<(&'static str, Vec<String>)>,
    /// The audiences that were asked for, and that the token is for. Empty: it says nothing of any.
    audiences: Vec<String>,
}

/// What a token is reviewed by.
pub(super) struct Reviewer<'r> {
    /// As whom the API server, or who asks it, knows itself; empty: it does not say.
    pub(super) audiences: &'r [String],
    pub(super) system_identities: SystemIdentities,
}

/// What a token must name that may do less than its actor, to be let in all the same: Kubernetes knows nothing of
/// restrictions and scopes, and would let it do all that the actor may.
const ACTION: &str = "kubernetes";

/// What the names begin with that Kubernetes keeps for itself.
const SYSTEM: &str = "system:";

impl Reviewer<'_> {
    /// The user that a good token stands for.
    pub(super) fn review(&self, actor: &Actor, handler: Option<&str>) -> Review {
        let refused = |why: &str| Review::Refused(why.to_owned());
        let audiences = match self.audiences_for(actor) {
            Ok(audiences) => audiences,
            Err(why) => return refused(why),
        };
        if !is_whole(actor, !audiences.is_empty()) {
            return refused("the token may do less than its actor, and does not name kubernetes");
        }
        if !is_user_id(actor.id()) {
            return refused("the actor has no id that could be a user's name");
        }
        let groups = groups_of(actor);
        let is_system = actor.id().starts_with(SYSTEM) || groups.iter().any(|group| group.starts_with(SYSTEM));
        if is_system && self.system_identities == SystemIdentities::Refused {
            return refused("a user or a group is named as Kubernetes' own are");
        }
        let scopes: Vec<String> = scopes_of(actor).unwrap_or_default().into_iter().map(str::to_owned).collect();
        let one = |text: Option<&str>| text.map(str::to_owned).into_iter().collect();
        let extra = [
            ("token-host/handler", one(handler)),
            ("token-host/scopes", scopes),
            ("token-host/token-id", one(actor.token_id())),
        ];
        let extra = extra.into_iter().filter(|(_, values): &(_, Vec<String>)| !values.is_empty()).collect();
        Review::Authenticated(User { name: actor.id().to_owned(), groups, extra, audiences })
    }

    /// The audiences that both sides name.
    ///
    /// A token that names none is answered without any: to the API server that means "for me", and it is refused for every
    /// other audience. To answer with what was asked for would make it good for all of them.
    ///
    /// # Errors
    ///
    /// Why it is not for whoever asks. One that names some, where whoever asks names none, may be for somebody else, and
    /// to be answered without any would be made good for the API server.
    fn audiences_for(&self, actor: &Actor) -> Result<Vec<String>, &'static str> {
        let Some(audience) = audience_of(actor) else { return Ok(Vec::new()) };
        if self.audiences.is_empty() {
            return Err("the token is for certain audiences, and the review names none");
        }
        let both: Vec<String> =
            self.audiences.iter().filter(|asked| audience.contains(&asked.as_str())).cloned().collect();
        if both.is_empty() { Err("the token is for other audiences") } else { Ok(both) }
    }
}

/// Whether a token may do all that its actor may, or was made for Kubernetes. Scopes, and what a client got without any,
/// are for the audience that the token names; restrictions and policies hold everywhere.
fn is_whole(actor: &Actor, is_for_the_audience: bool) -> bool {
    let has_scope = || scopes_of(actor).is_some_and(|scopes| scopes.contains(&ACTION));
    let names_it = match actor.restrictions() {
        Some(restrictions) => restrictions.allows(ACTION, None, None),
        None => !is_delegated(actor) || is_for_the_audience || has_scope(),
    };
    names_it && matches!(actor.policy(), Ok(None))
}

/// The claim `groups`.
fn groups_of(actor: &Actor) -> Vec<String> {
    let named = actor.claims().find(|(name, _)| *name == "groups");
    let groups = named.and_then(|(_, groups)| groups.as_array()).into_iter().flatten();
    groups.filter_map(Value::as_str).filter(|group| !group.is_empty()).map(str::to_owned).collect()
}

impl Review {
    /// The `status` of the answer.
    pub(super) fn status(self) -> Value {
        let User { name, groups, extra, audiences } = match self {
            Self::Unknown => return json!({ "authenticated": false }),
            Self::Refused(why) => return json!({ "authenticated": false, "error": why }),
            Self::Authenticated(user) => user,
        };
        let extra: Value = extra.into_iter().map(|(name, values)| (name.to_owned(), Value::from(values))).collect();
        let user = json!({ "username": name, "uid": name, "groups": groups, "extra": extra });
        let mut status = json!({ "authenticated": true, "user": user });
        if !audiences.is_empty() {
            status["audiences"] = audiences.into();
        }
        status
    }
}

#[cfg(test)]
mod tests {
    use token_plugin_api::TokenRestrictions;

    use super::*;

    fn review_for(actor: &Actor, audiences: &[&str], system_identities: SystemIdentities) -> Value {
        let audiences: Vec<String> = audiences.iter().map(|&audience| audience.to_owned()).collect();
        Reviewer { audiences: &audiences, system_identities }.review(actor, Some("any")).status()
    }

    fn review(actor: &Actor, audiences: &[&str]) -> Value {
        review_for(actor, audiences, SystemIdentities::Refused)
    }

    fn ann() -> Actor {
        Actor::new("ann", "any")
    }

    #[track_caller]
    fn is_refused(status: &Value) {
        assert_eq!(status["authenticated"], false, "{status}");
        assert!(status["error"].is_string() && status.get("user").is_none(), "{status}");
    }

    #[test]
    fn a_user_is_told_as_kubernetes_reads_it() {
        let actor = ann().claim("groups", json!(["dev", 5, "", "ops"])).claim("jti", "7");
        let extra = json!({ "token-host/handler": ["any"], "token-host/token-id": ["7"] });
        let user = json!({ "username": "ann", "uid": "ann", "groups": ["dev", "ops"], "extra": extra });
        assert_eq!(review(&actor, &["https://k8s"]), json!({ "authenticated": true, "user": user }), "no audiences");
        assert_eq!(review(&ann().claim("groups", "dev"), &[])["user"]["groups"], json!([]), "expected a list");
    }

    #[test]
    fn audiences_are_those_that_both_sides_name() {
        let for_both = ann().claim("aud", json!(["a", "b", 5]));
        assert_eq!(review(&for_both, &["b", "c", "a"])["audiences"], json!(["b", "a"]));
        assert_eq!(review(&ann().claim("aud", "a"), &["a"])["audiences"], json!(["a"]));
        for audiences in [&["c"][..], &[], &["A"]] {
            is_refused(&review(&for_both, audiences));
        }
        for odd in [json!([]), json!(5), json!({ "a": 1 }), Value::Null, json!("")] {
            is_refused(&review(&ann().claim("aud", odd), &["a"]));
        }
    }

    #[test]
    fn nobody_becomes_a_part_of_kubernetes() {
        for actor in [
            Actor::new("system:admin", "any"),
            Actor::new("system:", "any"),
            ann().claim("groups", json!(["dev", "system:masters"])),
        ] {
            is_refused(&review(&actor, &[]));
            assert_eq!(review_for(&actor, &[], SystemIdentities::Allowed)["authenticated"], true);
        }
        for nameless in ["", " ", "a\nb"] {
            is_refused(&review_for(&Actor::new(nameless, "any"), &[], SystemIdentities::Allowed));
        }
    }

    #[test]
    fn a_token_that_may_do_less_is_no_user() {
        let restricted = |action| ann().restricted_to(TokenRestrictions::nothing().allow_all(action));
        is_refused(&review(&restricted("view-table"), &[]));
        is_refused(&review(&restricted("view-table").claim("aud", "a"), &["a"]));
        assert_eq!(review(&restricted("kubernetes"), &[])["authenticated"], true);
        is_refused(&review(&ann().claim("scope", "read"), &[]));
        is_refused(&review(&ann().claim("scope", ""), &[]));
        is_refused(&review(&ann().claim("client_id", "app"), &[]));
        is_refused(&review(&ann().claim("azp", "app"), &["a"]));
        let delegated = review(&ann().claim("scope", "read kubernetes"), &[]);
        assert_eq!(delegated["user"]["extra"]["token-host/scopes"], json!(["read", "kubernetes"]));
        assert_eq!(review(&ann().claim("scope", "read").claim("aud", "a"), &["a"])["authenticated"], true);
        for policy in [json!({}), Value::Null, json!({ "resources": { "*": { "allow": ["*"] } } })] {
            is_refused(&review(&ann().claim("policy", policy), &[]));
        }
        is_refused(&review(&ann().with_claims_text("no JSON"), &[]));
    }
}
