//! [`Asker`]: who a request is from, by its token or by a trusted proxy's word.

use std::borrow::Cow;

use ::http::request::Parts;
use token_plugin_api::{Actor, Reason, ReasonKind, Verdict};

use crate::{
    authenticate::{Authenticator, Refusal, Subject, find},
    http::service::Service,
    oauth2::named_user,
    peer::Peer,
};

/// Who a request is from.
#[derive(Debug)]
pub(super) enum Asker {
    /// Nobody that is known: without a token, or with one that no handler recognizes.
    Nobody,
    /// The actor of a token.
    Token(Actor),
    /// Somebody that a trusted proxy has signed in.
    User(String),
}

impl Asker {
    /// Finds out.
    ///
    /// # Errors
    ///
    /// When there is a token, and it is bad or cannot be judged: also when somebody is signed in beside it.
    pub(super) async fn of(parts: &Parts, service: &Service, peer: Peer) -> Result<Self, Refusal> {
        let user = user(parts, service, peer);
        let token = {
            let settings = service.settings();
            find(&parts.headers, parts.uri.query(), &settings.authenticate)?.map(Cow::into_owned)
        };
        let Some(token) = token else { return Ok(user) };
        let subject = Subject::of(parts, service.client(peer, &parts.headers));
        let authenticator = service.authenticator();
        match authenticator.judge(&token, &subject).await.1 {
            Ok(Verdict::Accepted(actor)) => Ok(Self::Token(actor)),
            Ok(Verdict::Rejected(reason)) => Err(authenticator.failed(&subject, &token, told(&reason))),
            Ok(Verdict::NotRecognized) if matches!(user, Self::User(_)) => Ok(user),
            Ok(Verdict::NotRecognized) => match authenticator.failed(&subject, &token, String::new()) {
                wait @ Refusal::TooManyAttempts(_) => Err(wait),
                _ => Ok(Self::Nobody),
            },
            Err(error) => Err(Authenticator::cannot_tell(&error, &subject)),
        }
    }
}

/// Who is signed in without a token.
fn user(parts: &Parts, service: &Service, peer: Peer) -> Asker {
    let settings = service.settings();
    let name = settings.user_header.as_ref().filter(|_| peer.is_trusted(&settings.trusted_proxies));
    let user = name.and_then(|name| named_user(&parts.headers, name));
    user.map_or(Asker::Nobody, |user| Asker::User(user.to_owned()))
}

/// A handler's reason in Datasette's words, where it has some.
fn told(reason: &Reason) -> String {
    match reason.kind() {
        ReasonKind::Expired => "Token has expired".to_owned(),
        ReasonKind::BadSignature => "Invalid token signature".to_owned(),
        ReasonKind::Disabled => "Signed tokens are not enabled for this Datasette instance".to_owned(),
        _ => format!("Invalid token: {}", reason.message()),
    }
}
