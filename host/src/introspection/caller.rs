//! [`Caller`]: who asks, and whether they may (RFC 7662 §2.1, RFC 7009 §2.1).

use std::sync::LazyLock;

use http::{HeaderValue, Request, Response, StatusCode, header};
use serde_json::json;
use token_plugin_api::Client;

use super::Introspection;
use crate::{
    authenticate::{self, AuthenticateSettings, Identity, Refusal},
    error::Error,
    oauth2::{self, AuthorizationServer, Credentials, Form, Problem},
};

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Endpoint {
    Introspection,
    Revocation,
    TokenReview,
}

/// Somebody who may ask.
pub(super) struct Caller {
    /// The authorization server, where the host is one.
    pub(super) server: Option<AuthorizationServer>,
    /// The client that asks; `None`: whoever has a token that names the action.
    pub(super) client: Option<Client>,
    /// The client's id, or that of the token's actor.
    pub(super) by: String,
}

/// Why somebody gets no answer.
#[derive(Debug)]
pub(super) enum Refused {
    /// The request is wrong, or cannot be answered.
    Problem(Problem),
    /// Nobody known asks.
    Unknown(Ways),
    /// The caller's token is no good, or not for this.
    Token { refusal: Refusal, status: StatusCode, challenge: Option<HeaderValue> },
}

/// How callers can be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ways {
    Tokens,
    ClientsAndTokens,
}

impl Endpoint {
    /// The action that a token must name; or [`ADMIN`].
    fn action(self) -> &'static [&'static str] {
        match self {
            Self::Introspection => &["introspect"],
            Self::Revocation => &["revoke"],
            // Who reviews a token learns less of it than by introspection.
            Self::TokenReview => &["tokenreview", "introspect"],
        }
    }

    /// The status for a token that is not good for this.
    fn insufficient(self) -> StatusCode {
        match self {
            // RFC 7662 §2.3 has it so.
            Self::Introspection => StatusCode::UNAUTHORIZED,
            Self::Revocation | Self::TokenReview => StatusCode::FORBIDDEN,
        }
    }
}

/// What may be named in place of each action.
const ADMIN: &str = "admin";

impl Introspection {
    /// Who asks. `form` is that of the request, or an empty one.
    pub(super) async fn caller(
        &self,
        request: &Request<Vec<u8>>,
        form: &Form,
        endpoint: Endpoint,
    ) -> Result<Caller, Refused> {
        let server = self.host().oauth2().filter(|_| endpoint != Endpoint::TokenReview);
        if let Some(token) = authenticate::find(request.headers(), None, &BEARER_ALONE).map_err(malformed)? {
            if form.value("client_id").or(form.value("client_secret")).is_some() {
                return Err(Problem::Request("expected one way of client authentication, found two").into());
            }
            let identity = self.authenticator.identify(&token, &self.subject(request)).await;
            let identity = identity.map_err(|refusal| self.refused(refusal))?;
            if !self.names(&identity, endpoint) {
                let wanted = endpoint.action()[0].to_owned();
                let mut refused = self.refused(Refusal::Scope(Some(wanted)));
                if let Refused::Token { status, .. } = &mut refused {
                    *status = endpoint.insufficient();
                }
                return Err(refused);
            }
            return Ok(Caller { server, client: None, by: identity.actor.id().to_owned() });
        }
        let Some(server) = server else { return Err(Refused::Unknown(Ways::Tokens)) };
        let client = match Credentials::read(request.headers(), form) {
            Ok(credentials) => server.authenticated(credentials).await,
            Err(problem) => Err(problem),
        };
        match client {
            // Who has no secret has shown nothing: anybody can say that they are this client. Its own tokens may end all
            // the same (RFC 7009 §2.1): whoever has them could do worse.
            Ok(client) if client.secret.is_none() && endpoint != Endpoint::Revocation => {
                Err(Refused::Unknown(Ways::ClientsAndTokens))
            }
            Ok(client) => Ok(Caller { server: Some(server), by: client.identifier.clone(), client: Some(client) }),
            Err(Problem::Client { .. }) => Err(Refused::Unknown(Ways::ClientsAndTokens)),
            Err(problem) => Err(problem.into()),
        }
    }

    /// Whether a token names what is asked for.
    fn names(&self, identity: &Identity, endpoint: Endpoint) -> bool {
        let Identity { actor, handler, .. } = identity;
        let registry = self.host().0.registry.load();
        let admin = &registry.http.admin;
        let is_one_of = |known: &Vec<String>, name: &str| known.iter().any(|known| known == name);
        let names = |action: &str| actor.restrictions().is_some_and(|allowed| allowed.allows(action, None, None));
        // A handler that takes tokens of others takes their word for what is in them.
        let may_name =
            admin.handlers.as_ref().is_none_or(|known| handler.as_ref().is_some_and(|h| is_one_of(known, h)));
        let is_admin = names(ADMIN) && is_one_of(&admin.actors, actor.id());
        let may_call = admin.callers.as_ref().is_none_or(|known| is_one_of(known, actor.id()));
        may_name && (is_admin || (may_call && endpoint.action().iter().any(|action| names(action))))
    }

    fn refused(&self, refusal: Refusal) -> Refused {
        let registry = self.host().0.registry.load();
        let challenge = refusal.challenge(BEARER, &registry.http.authenticate.realm);
        Refused::Token { status: refusal.status(), refusal, challenge }
    }
}

fn malformed(refusal: Refusal) -> Refused {
    match refusal {
        Refusal::Request(expected) => Problem::Request(expected).into(),
        _ => Problem::Request("expected a token").into(),
    }
}

const BEARER: &str = "Bearer";

/// Where callers' tokens are looked for: not where a browser or a link could put them.
static BEARER_ALONE: LazyLock<AuthenticateSettings> =
    LazyLock::new(|| AuthenticateSettings { schemes: vec![BEARER.to_owned()], ..AuthenticateSettings::default() });

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

/// What cannot be told, for reasons that are in the log.
impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Problem(error.into())
    }
}

impl Refused {
    /// The response, in the form of RFC 6749 §5.2 with the challenges of RFC 6749 and RFC 6750.
    pub(super) fn response(self) -> Response<Vec<u8>> {
        match self {
            Self::Problem(problem) => problem.response(),
            Self::Unknown(ways) => {
                let mut response = Problem::Client { by_header: true }.response();
                let challenges = response.headers_mut();
                if ways == Ways::Tokens {
                    challenges.remove(header::WWW_AUTHENTICATE);
                }
                challenges.append(header::WWW_AUTHENTICATE, HeaderValue::from_static(r#"Bearer realm="token-host""#));
                response
            }
            Self::Token { refusal: Refusal::Unavailable(_), .. } => Problem::Unavailable.response(),
            Self::Token { refusal, status, challenge } => {
                // Too many attempts have no code.
                let code = refusal.code().unwrap_or("temporarily_unavailable");
                let body = json!({ "error": code, "error_description": refusal.description() });
                let mut response = oauth2::json(status, &body);
                let retry_after = refusal.retry_after_header();
                let headers = [(header::WWW_AUTHENTICATE, challenge), (header::RETRY_AFTER, retry_after)];
                for (name, value) in headers.into_iter().filter_map(|(name, value)| Some((name, value?))) {
                    response.headers_mut().insert(name, value);
                }
                response
            }
        }
    }
}
