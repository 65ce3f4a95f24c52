//! What an active token's introspection says (RFC 7662 §2.2), and for whom a token is.

use serde_json::{Map, Value, json};
use token_plugin_api::{AccessToken, Actor};

use crate::{
    authenticate::scopes_of,
    error::{Error, ErrorKind},
    oauth2::{AuthorizationServer, is_scope},
};

/// The answer for every token that is not active, or none of the caller's business.
pub(super) fn inactive() -> Value {
    json!({ "active": false })
}

/// The answer for an access token. What its handler says beside what RFC 7662 has a place for stands beside it, and never
/// in its place.
///
/// # Errors
///
/// When the handler's claims cannot be read: nobody knows what the token may do.
pub(super) fn active(
    actor: &Actor,
    handler: Option<&str>,
    server: Option<&AuthorizationServer>,
) -> Result<Value, Error> {
    let Ok(Value::Object(claims)) = serde_json::to_value(actor) else {
        return Err(Error::new(ErrorKind::Internal, "the claims of a token that was accepted cannot be read"));
    };
    let text = |name: &str| claims.get(name).filter(|value| value.is_string()).cloned();
    let seconds = |name: &str| claims.get(name).and_then(whole_seconds).map(Value::from);
    let issuer = || Some(server.filter(|server| handler == Some(&server.settings().store))?.settings().issuer.as_str());
    let told = [
        ("active", Some(true.into())),
        ("sub", Some(actor.id().into())),
        ("username", text("username")),
        ("client_id", text("client_id").or_else(|| text("azp"))),
        ("scope", scope(actor)),
        ("exp", actor.token_expires().map(Value::from).or_else(|| seconds("exp"))),
        ("iat", seconds("iat")),
        ("nbf", seconds("nbf")),
        ("iss", text("iss").or_else(|| Some(issuer()?.into()))),
        ("aud", claims.get("aud").filter(|audience| is_audience(audience)).cloned()),
        ("jti", text("jti").or_else(|| Some(actor.token_id()?.into()))),
        ("token_type", Some("Bearer".into())),
        ("token_handler", handler.map(Value::from)),
        ("token_kind", Some(actor.token().into())),
    ];
    let is_taken = |name: &str| NOT_CLAIMS.contains(&name) || told.iter().any(|(known, _)| *known == name);
    let mut answer: Map<String, Value> = claims.clone().into_iter().filter(|(name, _)| !is_taken(name)).collect();
    answer.extend(told.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    Ok(Value::Object(answer))
}

/// The answer for a client's own refresh token. Without `token_type`: it is not to be used at any resource server.
pub(super) fn active_refresh_token(kept: &AccessToken, server: &AuthorizationServer) -> Value {
    let mut answer = json!({
        "active": true,
        "sub": kept.user_id.as_ref().unwrap_or(&kept.client_id),
        "client_id": kept.client_id,
        "iss": server.settings().issuer.as_str(),
        "token_handler": server.settings().store,
        "token_kind": "refresh_token",
    });
    if !kept.scopes.is_empty() {
        answer["scope"] = kept.scopes.join(" ").into();
    }
    if let Some(expires_at) = kept.refresh_expires_at {
        answer["exp"] = expires_at.into();
    }
    answer
}

/// Whom a token is for, as its claim `aud` says (RFC 7519 §4.1.3); `None`: it does not say. One that says it in another
/// form is for nobody.
pub(super) fn audience_of(actor: &Actor) -> Option<Vec<&str>> {
    let (_, audience) = actor.claims().find(|(name, _)| *name == "aud")?;
    Some(match audience {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    })
}

/// Whether a client may know of a token: it can be used there, or it was issued to it.
pub(super) fn may_know(client_id: &str, actor: &Actor) -> bool {
    audience_of(actor).is_none_or(|audience| audience.contains(&client_id)) || is_issued_to(client_id, actor)
}

/// Whether a token says that it was issued to this client.
pub(super) fn is_issued_to(client_id: &str, actor: &Actor) -> bool {
    actor.claims().any(|(name, value)| name == "client_id" && value == client_id)
}

/// What an actor has in its own keys, which the answer has under other names; and what would make an error of the answer.
const NOT_CLAIMS: [&str; 6] = ["id", "token", "token_expires", "error", "error_description", "error_uri"];

/// One that is written with a space in it would be read as two.
fn scope(actor: &Actor) -> Option<Value> {
    let mut scopes = scopes_of(actor)?;
    scopes.retain(|scope| is_scope(scope));
    (!scopes.is_empty()).then(|| scopes.join(" ").into())
}

fn is_audience(audience: &Value) -> bool {
    audience.is_string() || audience.as_array().is_some_and(|all| all.iter().all(Value::is_string))
}

/// RFC 7662 has integers, RFC 7519 any number.
fn whole_seconds(time: &Value) -> Option<u64> {
    const MAX_SECONDS: f64 = 9e15;
    let rounded = || time.as_f64().filter(|seconds| (0.0..MAX_SECONDS).contains(seconds));
    // Within the bounds of what it is cut to.
    time.as_u64().or_else(|| Some(rounded()? as u64))
}

#[cfg(test)]
mod tests {
    use token_plugin_api::TokenRestrictions;

    use super::*;

    #[test]
    fn claims_stand_where_the_rfc_has_a_place_for_them() {
        let actor = Actor::new("ann", "dstok")
            .expires_at(2000)
            .restricted_to(TokenRestrictions::nothing().allow_all("vt"))
            .claim("scope", "read write")
            .claim("scp", json!(["more", "a b", "q\"", ""]))
            .claim("iat", 1000.75)
            .claim("nbf", -1)
            .claim("aud", json!(["a", "b"]))
            .claim("azp", "app")
            .claim("token_id", "7")
            .claim("policy", json!({ "resources": {} }));
        let expected = json!({
            "active": true, "sub": "ann", "client_id": "app", "scope": "read write more", "exp": 2000, "iat": 1000,
            "aud": ["a", "b"], "jti": "7", "token_id": "7", "token_type": "Bearer", "token_handler": "signed",
            "token_kind": "dstok", "_r": { "a": ["vt"] }, "policy": { "resources": {} }, "azp": "app",
            "scp": ["more", "a b", "q\"", ""],
        });
        assert_eq!(active(&actor, Some("signed"), None).unwrap(), expected);
    }

    #[test]
    fn no_claim_takes_a_place_of_the_rfc_s() {
        let mut actor = Actor::new("ann", "jwt");
        for name in ["active", "sub", "client_id", "exp", "iat", "nbf", "token_type", "token_handler", "token_kind"] {
            actor = actor.claim(name, json!({ "evil": true }));
        }
        for name in ["username", "iss", "aud", "jti", "error", "error_description", "error_uri"] {
            actor = actor.claim(name, 5);
        }
        let told = json!({ "active": true, "sub": "ann", "token_type": "Bearer", "token_kind": "jwt" });
        assert_eq!(active(&actor, None, None).unwrap(), told);
        let actor = Actor::new("ann", "jwt").claim("sub", "bob").claim("token_type", "DPoP").claim("active", false);
        assert_eq!(active(&actor, None, None).unwrap(), told);
        assert!(active(&Actor::new("ann", "jwt").with_claims_text("no JSON"), None, None).is_err());
    }

    #[test]
    fn a_token_is_for_those_that_it_names() {
        let actor = || Actor::new("ann", "any").claim("client_id", "app");
        assert!(may_know("anybody", &actor()));
        let for_two = actor().claim("aud", json!(["rs1", "rs2"]));
        assert!(may_know("rs2", &for_two) && may_know("app", &for_two) && !may_know("rs3", &for_two));
        assert!(may_know("rs1", &actor().claim("aud", "rs1")) && !may_know("rs", &actor().claim("aud", "rs1")));
        for odd in [json!(5), Value::Null, json!([]), json!({ "rs1": true })] {
            assert!(!may_know("rs1", &actor().claim("aud", odd)));
        }
    }
}
