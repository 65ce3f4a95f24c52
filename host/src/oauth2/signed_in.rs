//! Who the user in front of the browser is: by a trusted proxy's word, or by a token that the host verifies.

use http::{HeaderMap, header};
use token_plugin_api::{Actor, RequestContext};

use super::{AuthorizationServer, Peer, problem::Problem};
use crate::{authenticate::is_delegated, error::ErrorKind};

impl AuthorizationServer {
    /// The id of the signed-in user; `None`: nobody is signed in.
    pub(super) async fn signed_in(&self, headers: &HeaderMap, peer: Peer) -> Result<Option<String>, Problem> {
        if let Some(name) = &self.settings.user_header
            && peer.is_trusted(&self.settings.trusted_proxies)
            && headers.contains_key(name)
        {
            return Ok(named_user(headers, name).map(str::to_owned));
        }
        let Some(token) = self.token_of(headers) else { return Ok(None) };
        match self.host.verify_token_in(token, &RequestContext::default()).await {
            Ok(actor) => Ok(actor.filter(may_sign_in).map(|actor| actor.id().to_owned())),
            Err(error) if matches!(error.kind(), ErrorKind::TokenInvalid(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The token that came with the request.
    fn token_of<'h>(&self, headers: &'h HeaderMap) -> Option<&'h str> {
        if headers.contains_key(header::AUTHORIZATION) {
            let (scheme, token) = only(headers, &header::AUTHORIZATION)?.split_once(' ')?;
            return Some(token.trim_matches(' ')).filter(|_| scheme.eq_ignore_ascii_case("Bearer"));
        }
        let name = self.settings.user_cookie.as_deref()?;
        let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
        let cookies = lines.flat_map(|line| line.split(';')).filter_map(|cookie| cookie.trim().split_once('='));
        let mut named = cookies.filter(|(known, _)| *known == name).map(|(_, value)| value.trim_matches('"'));
        // Two of one name: another site under the same domain may have set the second.
        match (named.next(), named.next()) {
            (Some(token), None) => Some(token).filter(|token| !token.is_empty()),
            _ => None,
        }
    }
}

/// The user that this header names, once; `None`: it names nobody. Only a trusted proxy's word is to be read like this.
pub(crate) fn named_user<'h>(headers: &'h HeaderMap, name: &http::HeaderName) -> Option<&'h str> {
    only(headers, name).filter(|user| is_user_id(user))
}

/// The header's value, if there is exactly one.
fn only<'h>(headers: &'h HeaderMap, name: &http::HeaderName) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => std::str::from_utf8(value.as_bytes()).ok(),
        _ => None,
    }
}

/// Whether somebody can be called this.
pub(crate) fn is_user_id(text: &str) -> bool {
    !text.trim().is_empty() && text.len() <= 1024 && !text.chars().any(char::is_control)
}

/// Whether a token stands for its user in all things. One that a client got from the user, or that may do less than its
/// user, must not give consent to more: it would widen itself.
fn may_sign_in(actor: &Actor) -> bool {
    let is_whole = actor.restrictions().is_none() && matches!(actor.policy(), Ok(None));
    is_whole && !is_delegated(actor) && is_user_id(actor.id())
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use token_plugin_api::TokenRestrictions;

    use super::*;

    #[test]
    fn only_a_token_that_is_its_user_s_own_signs_in() {
        let actor = || Actor::new("ann", "any");
        assert!(may_sign_in(&actor()) && may_sign_in(&actor().claim("role", "editor")));
        for less in [
            actor().claim("client_id", "app"),
            actor().claim("scope", "read"),
            actor().claim("scopes", json!(["read"])),
            actor().claim("scp", json!(["read"])),
            actor().claim("azp", "app"),
            actor().claim("policy", json!({})),
            actor().restricted_to(TokenRestrictions::nothing()),
            Actor::new("", "any"),
            Actor::new("a\nb", "any"),
        ] {
            assert!(!may_sign_in(&less), "{less:?}");
        }
    }
}
