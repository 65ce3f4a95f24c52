//! [`TokenSession`]: a session that a token signed in (Djblets' `login_with_credentials`), and that ends with it.
//!
//! ```no_run
//! use token_host::{ErrorKind, Host, session::TokenSession};
//!
//! # async fn example(host: &Host, token: &str) -> Result<(), token_host::Error> {
//! let session = host.session(token).await?.expect("the token is ours");
//! let kept = serde_json::to_string(&session).expect("it is plain data");
//! // At each request from then on:
//! let session: TokenSession = serde_json::from_str(&kept).expect("it is what was kept");
//! match session.check(host).await {
//!     Ok(actor) => println!("it is {}", actor.id()),
//!     Err(error) if matches!(error.kind(), ErrorKind::TokenInvalid(_)) => println!("the session is over: {error}"),
//!     Err(error) => println!("nobody can tell at the moment: {error}"),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Invariants
//!
//! - A session never holds the token, nor what it may do: the handler is asked for both at each use.
//! - It may never do more than the token that it was made from: a handler whose records do not tell all that narrows its
//!   tokens makes no sessions.
//! - "Cannot tell" is an error of its own, and never a session that goes on.

use serde::{Deserialize, Serialize};
use token_plugin_api::{
    Actor, ListActors, PolicyDefault, Reason, ReasonKind, RequestContext, TokenRecord, TokenSelector, Verdict,
};

use crate::{
    authenticate::{Identity, scopes_of},
    error::{Error, ErrorKind},
    host::Host,
};

/// A session that a token signed in. It is valid as long as the token is: [`TokenSession::check`] asks at each use.
///
/// It is no secret and no proof: keep it where its user cannot change it, on the server or in a cookie that is signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenSession {
    handler: String,
    token_id: String,
    actor_id: String,
    token_kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<u64>,
}

impl Host {
    /// A session that this token signs in; `None`: no handler recognizes it.
    ///
    /// # Errors
    ///
    /// As [`Host::verify_token`] and [`Host::session_of`].
    pub async fn session(&self, token: &str) -> Result<Option<TokenSession>, Error> {
        let verification = self.verify(token, &RequestContext::default()).await;
        match verification.verdict? {
            Verdict::NotRecognized => Ok(None),
            Verdict::Rejected(reason) => Err(Error::token_invalid(reason)),
            Verdict::Accepted(actor) => {
                let identity = Identity { actor, handler: verification.handler };
                self.session_of(&identity).await.map(Some)
            }
        }
    }

    /// A session that a token has signed in which was just verified.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] when the token has no id, its handler cannot look it up by that, or what it tells of it
    /// leaves out what the token is restricted to. As [`TokenSession::check`] otherwise.
    pub async fn session_of(&self, identity: &Identity) -> Result<TokenSession, Error> {
        let actor = &identity.actor;
        let handler = identity.handler.clone().ok_or_else(|| unsupported("no handler answers for the token"))?;
        let token_id = actor.token_id().ok_or_else(|| unsupported("the token has no id"))?;
        let session = TokenSession {
            handler,
            token_id: token_id.to_owned(),
            actor_id: actor.id().to_owned(),
            token_kind: actor.token().to_owned(),
            expires_at: actor.token_expires(),
        };
        let told = session.check(self).await?;
        match is_no_wider(&told, actor) {
            true => Ok(session),
            false => Err(unsupported("its handler does not tell what the token is restricted to")),
        }
    }
}

impl TokenSession {
    /// The handler that keeps the token.
    pub fn handler(&self) -> &str {
        &self.handler
    }

    /// The id by which that handler knows the token.
    pub fn token_id(&self) -> &str {
        &self.token_id
    }

    /// Who is signed in.
    pub fn actor_id(&self) -> &str {
        &self.actor_id
    }

    /// When the session ends at the latest, in Unix seconds: when its token was to expire as it was made. `None`: it has
    /// no end of its own.
    pub fn expires_at(&self) -> Option<u64> {
        self.expires_at
    }

    /// Asks the handler whether the token is valid still. The actor is what the token may do now: its restrictions and its
    /// policy, as they are kept at this moment, and its scopes. Other claims it does not have.
    ///
    /// Wrappers are not asked, nor do events tell of it: no token is verified.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TokenInvalid`] when the token was revoked, has expired, is gone or is another actor's, when its actor
    /// is deactivated, and when its handler is no longer there. Any other kind: it cannot be told, and the session must not
    /// be used either.
    pub async fn check(&self, host: &Host) -> Result<Actor, Error> {
        let now = host.0.clock.now();
        let is_over = |expires_at: Option<u64>| expires_at.is_some_and(|expires_at| now >= expires_at);
        if is_over(self.expires_at) {
            return Err(Error::token_invalid(Reason::expired()));
        }
        let selector = TokenSelector::Id(self.token_id.clone());
        let record = host.get_token(Some(&self.handler), &selector).await.or_else(nothing_is_known)?;
        let Some(record) = record.filter(|record| record.id == self.token_id) else {
            return Err(invalid(ReasonKind::Revoked, "the session's token is gone"));
        };
        if record.actor_id != self.actor_id {
            return Err(invalid(ReasonKind::Revoked, "the session's token is another actor's"));
        }
        if !record.valid {
            return Err(invalid(ReasonKind::Revoked, "the session's token was revoked"));
        }
        if is_over(record.expires_at) {
            return Err(Error::token_invalid(Reason::expired()));
        }
        if self.is_actor_inactive(host).await? {
            return Err(invalid(ReasonKind::Disabled, "the session's actor is deactivated"));
        }
        Ok(self.actor(record))
    }

    /// Whether the handler has deactivated the actor. One that cannot do that has none.
    async fn is_actor_inactive(&self, host: &Host) -> Result<bool, Error> {
        let mut request = ListActors::default();
        request.actor = Some(self.actor_id.clone());
        for _ in 0..MAX_PAGES {
            let page = match host.list_inactive_actors(Some(&self.handler), &request).await {
                Err(error) if *error.kind() == ErrorKind::Unsupported => return Ok(false),
                page => page?,
            };
            if page.actors.iter().any(|inactive| inactive.actor_id == self.actor_id) {
                return Ok(true);
            }
            match page.next {
                None => return Ok(false),
                // A handler that lists all the others as well.
                next => request.after = next,
            }
        }
        let told = format!("handler \"{}\" lists deactivated actors without an end", self.handler);
        Err(Error::new(ErrorKind::Plugin, told))
    }

    fn actor(&self, record: TokenRecord) -> Actor {
        let mut actor = Actor::new(record.actor_id, self.token_kind.clone()).claim("token_id", record.id);
        if let Some(expires_at) = record.expires_at {
            actor = actor.expires_at(expires_at);
        }
        if let Some(restrictions) = record.restrictions {
            actor = actor.restricted_to(restrictions);
        }
        if let Some(policy) = record.policy {
            actor = actor.claim("policy", policy);
            if record.policy_default == Some(PolicyDefault::Deny) {
                actor = actor.claim("policy_default", "deny");
            }
        }
        if record.deprecated {
            actor = actor.claim("token_deprecated", true);
        }
        let extra = record.extra.into_iter().filter(|(name, _)| NARROWING_CLAIMS.contains(&name.as_str()));
        extra.fold(actor, |actor, (name, value)| actor.claim(name, value))
    }
}

/// More pages than any handler needs that tells of one actor alone.
const MAX_PAGES: usize = 100;

/// Claims that say that a token may do less than its actor: whose client's it is, and for what.
const NARROWING_CLAIMS: [&str; 5] = ["client_id", "azp", "scope", "scopes", "scp"];

/// Whether a session's actor may do no more than the token that it was made from.
fn is_no_wider(session: &Actor, token: &Actor) -> bool {
    let claim = |actor: &Actor, wanted: &str| {
        let mut claims = actor.claims();
        claims.find(|(name, _)| *name == wanted).map(|(_, value)| value.clone())
    };
    let is_restricted_alike = token.restrictions().is_none() || session.restrictions() == token.restrictions();
    let has_policy_alike = match (session.policy(), token.policy()) {
        (Ok(_), Ok(None)) => true,
        (Ok(session), Ok(token)) => session == token,
        // Nobody knows what it may do.
        _ => false,
    };
    let has_scopes_alike = scopes_of(token).is_none_or(|scopes| scopes_of(session) == Some(scopes));
    let has_client_alike = ["client_id", "azp"].iter().all(|name| {
        let of_token = claim(token, name);
        of_token.is_none() || claim(session, name) == of_token
    });
    is_restricted_alike && has_policy_alike && has_scopes_alike && has_client_alike
}

/// Nobody keeps the token any more: that is an answer, unlike a store that is down.
fn nothing_is_known(error: Error) -> Result<Option<TokenRecord>, Error> {
    match error.kind() {
        ErrorKind::NotFound(_) => Ok(None),
        ErrorKind::UnknownHandler | ErrorKind::NoHandlers => {
            Err(invalid(ReasonKind::Disabled, "the handler of the session's token is not there any more"))
        }
        _ => Err(error),
    }
}

fn invalid(kind: ReasonKind, message: &'static str) -> Error {
    Error::token_invalid(Reason::new(kind, message))
}

fn unsupported(why: &str) -> Error {
    Error::new(ErrorKind::Unsupported, format!("this token can make no session: {why}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use token_plugin_api::TokenRestrictions;

    use super::*;

    #[test]
    fn a_session_may_do_less_than_its_token_and_never_more() {
        let plain = || Actor::new("ann", "any");
        let policy = || json!({ "resources": { "*": { "allow": ["GET"] } } });
        for narrowed in [
            plain().restricted_to(TokenRestrictions::nothing()),
            plain().claim("policy", policy()),
            plain().claim("scope", "read"),
            plain().claim("scope", ""),
            plain().claim("client_id", "app"),
        ] {
            assert!(is_no_wider(&narrowed, &narrowed) && is_no_wider(&narrowed, &plain()), "{narrowed:?}");
            assert!(!is_no_wider(&plain(), &narrowed), "{narrowed:?}");
        }
        let denying = plain().claim("policy", policy()).claim("policy_default", "deny");
        assert!(!is_no_wider(&plain().claim("policy", policy()), &denying));
        let unreadable = plain().claim("policy", "none");
        assert!(!is_no_wider(&unreadable, &unreadable) && !is_no_wider(&plain(), &unreadable));
        assert!(!is_no_wider(&plain().claim("scope", "read write"), &plain().claim("scope", "read")));
    }

    #[test]
    fn a_session_is_read_as_it_was_written_and_strictly() {
        let session = TokenSession {
            handler: "tokens".to_owned(),
            token_id: "7".to_owned(),
            actor_id: "ann".to_owned(),
            token_kind: "tokens".to_owned(),
            expires_at: None,
        };
        let text = serde_json::to_string(&session).unwrap();
        assert_eq!(text, r#"{"handler":"tokens","token_id":"7","actor_id":"ann","token_kind":"tokens"}"#);
        assert_eq!(serde_json::from_str::<TokenSession>(&text).unwrap(), session);
        for bad in ["{}", r#"{"handler":"a","token_id":"7","actor_id":"b","token_kind":"c","more":1}"#] {
            assert!(serde_json::from_str::<TokenSession>(bad).is_err(), "{bad}");
        }
    }
}
