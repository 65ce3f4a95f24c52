//! [`RequireToken`]: a layer that lets no request through without a token (what Flask's `jwt_required` is there).
//!
//! ```no_run
//! use axum::{Extension, Router, routing::get};
//! use token_host::{
//!     Host,
//!     authenticate::{Identity, Requirement},
//!     tower::RequireToken,
//! };
//!
//! async fn hello(Extension(identity): Extension<Identity>) -> String {
//!     format!("hello {}", identity.actor.id())
//! }
//!
//! # fn example() -> Result<Router, token_host::Error> {
//! let host = Host::from_file("plugins.toml")?;
//! let layer = RequireToken::new(host).require(Requirement::action("view-instance", None, None));
//! Ok(Router::new().route("/", get(hello)).layer(layer))
//! # }
//! ```
//!
//! # Invariants
//!
//! - What is behind the layer finds an [`Identity`](crate::authenticate::Identity) in the request's extensions only when
//!   the layer has put it there: one from elsewhere is taken out first.
//! - A refusal is a refusal, whatever is made of it: its status stays 4xx or 5xx, and its challenge stays in it.
//! - The service that was ready is the one that is called, and it is called for nobody who is refused.

mod body;
mod client;
mod refused;
mod service;

use std::{fmt, sync::Arc};

use http::{Response, request::Parts};
use tower_layer::Layer;

use crate::{
    authenticate::{
        Authenticator, Found, Identity, Refusal, Requirement, Subject, Target, has_one_host, in_one_generation,
    },
    host::Host,
    peer::{Network, Peer},
};

pub use body::ResponseBody;
#[cfg(feature = "axum")]
pub(crate) use client::{client_of, peer_in};
pub use service::{ResponseFuture, TokenRequired};

/// A layer that lets no request through without a token that is good, and good for what is required. Cheap to clone.
///
/// Behind it, the request's extensions hold the [`Identity`]. Who is refused gets RFC 6750's answer with a problem
/// document (RFC 9457); a token that is to be replaced gets `X-API-Token-Deprecated: true` with the response, as Djblets
/// has it.
#[derive(Clone)]
pub struct RequireToken(Terms);

/// What the layer wants, and does.
#[derive(Clone)]
struct Terms {
    authenticator: Authenticator,
    credentials: Credentials,
    wanted: Wanted,
    peer: Arc<PeerOf>,
    /// None: those of the host's configuration.
    proxies: Option<Arc<[Network]>>,
    shape: Option<Arc<Shape>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Credentials {
    Required,
    Optional,
}

#[derive(Clone)]
enum Wanted {
    Always(Requirement),
    ByRequest(Arc<RequirementOf>),
    ByRules,
}

type RequirementOf = dyn Fn(&Parts) -> Requirement + Send + Sync;
type PeerOf = dyn Fn(&Parts) -> Peer + Send + Sync;
type Shape = dyn Fn(&Refusal, Response<Vec<u8>>) -> Response<Vec<u8>> + Send + Sync;

impl RequireToken {
    /// A layer that takes any good token, and goes by the `[http]` table of the host's configuration.
    pub fn new(host: Host) -> Self {
        Self::with_authenticator(Authenticator::new(host))
    }

    /// The same with an authenticator: layers with clones of one count failures together.
    pub fn with_authenticator(authenticator: Authenticator) -> Self {
        Self(Terms {
            authenticator,
            credentials: Credentials::Required,
            wanted: Wanted::Always(Requirement::nothing()),
            peer: Arc::new(|parts| client::peer_in(&parts.extensions)),
            proxies: None,
            shape: None,
        })
    }

    /// The same, and requests without a token pass, without an identity. One with a bad token is refused all the same, and
    /// so is one whose token is not good for what is required.
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.0.credentials = Credentials::Optional;
        self
    }

    /// The same, for tokens that are good for this. In place of what was required before.
    #[must_use]
    pub fn require(mut self, requirement: Requirement) -> Self {
        self.0.wanted = Wanted::Always(requirement);
        self
    }

    /// The same, with a requirement that depends on the request. In place of what was required before.
    ///
    /// Mind that a path can be spelt in several ways: a route in front of the layer knows which one it is, for instance with
    /// axum's `route_layer`.
    #[must_use]
    pub fn require_for(mut self, requirement: impl Fn(&Parts) -> Requirement + Send + Sync + 'static) -> Self {
        self.0.wanted = Wanted::ByRequest(Arc::new(requirement));
        self
    }

    /// The same, that goes by the rules in the `[http]` table (`[[http.rule]]`), which find what is required by a request's
    /// host, path and method. A path that programs may take for different ones is refused with 400. In place of what was
    /// required before.
    ///
    /// Put it where paths are whole: a router that nests another cuts off their beginning.
    #[must_use]
    pub fn require_by_rules(mut self) -> Self {
        self.0.wanted = Wanted::ByRules;
        self
    }

    /// The same, that asks this for who is at the other end of a request's connection.
    ///
    /// Failures are counted by the client's address. By default it is in the request's extensions, as a [`Peer`], an
    /// [`IpAddr`](std::net::IpAddr) or a [`SocketAddr`](std::net::SocketAddr); where there is none, failures are counted
    /// by token alone.
    #[must_use]
    pub fn peer(mut self, peer: impl Fn(&Parts) -> Peer + Send + Sync + 'static) -> Self {
        self.0.peer = Arc::new(peer);
        self
    }

    /// The same, that believes these, and nobody else, whom they send a request on for (`X-Forwarded-For`). By default it
    /// believes the `trusted_proxies` of the `[http]` table.
    #[must_use]
    pub fn trusted_proxies(mut self, proxies: impl IntoIterator<Item = Network>) -> Self {
        self.0.proxies = Some(proxies.into_iter().collect());
        self
    }

    /// The same, with responses of your own for who is refused: the callback gets the refusal and the response as it would
    /// be, and returns the one that is sent.
    ///
    /// It can never make a success of it: a status that is neither 4xx nor 5xx becomes the refusal's own, the challenge
    /// (`WWW-Authenticate`) is in the response whatever else is, and nobody may keep it (`Cache-Control: no-store`).
    /// Headers that frame a body (`Content-Length`, `Transfer-Encoding`) are the server's to write.
    #[must_use]
    pub fn on_refusal(
        mut self,
        shape: impl Fn(&Refusal, Response<Vec<u8>>) -> Response<Vec<u8>> + Send + Sync + 'static,
    ) -> Self {
        self.0.shape = Some(Arc::new(shape));
        self
    }
}

impl<S> Layer<S> for RequireToken {
    type Service = TokenRequired<S>;

    fn layer(&self, inner: S) -> TokenRequired<S> {
        TokenRequired::new(inner, Arc::new(self.0.clone()))
    }
}

impl Terms {
    /// Who a request is from; `None`: it has no token, and needs none.
    async fn judge(&self, parts: &Parts) -> Result<Option<Identity>, Refusal> {
        match self.wanted {
            Wanted::ByRules => in_one_generation(self.authenticator.host(), || self.judge_now(parts)).await,
            _ => self.judge_now(parts).await,
        }
    }

    async fn judge_now(&self, parts: &Parts) -> Result<Option<Identity>, Refusal> {
        let client = client::client_of(parts, (self.peer)(parts), self.proxies.as_deref(), &self.authenticator);
        let subject = Subject::of(parts, client);
        let Found { requirement, optional, .. } = match &self.wanted {
            Wanted::Always(requirement) => return self.judged(&subject, requirement, self.credentials).await,
            Wanted::ByRequest(requirement) => Found { requirement: requirement(parts), ..Found::default() },
            Wanted::ByRules => {
                let Subject { method, host, path, .. } = subject;
                let target = Target { method: Some(method), host, path: Some(path) };
                let registry = self.authenticator.host().0.registry.load();
                let rules = &registry.http.rules;
                if !rules.is_empty() && !has_one_host(parts) {
                    return Err(Refusal::Request("expected one host, found two"));
                }
                rules.find(target)?
            }
        };
        let credentials = if optional { Credentials::Optional } else { self.credentials };
        self.judged(&subject, &requirement, credentials).await
    }

    async fn judged(
        &self,
        subject: &Subject<'_>,
        requirement: &Requirement,
        credentials: Credentials,
    ) -> Result<Option<Identity>, Refusal> {
        match self.authenticator.authenticate(subject, requirement).await {
            Err(Refusal::NoCredentials) if credentials == Credentials::Optional => Ok(None),
            judged => judged.map(Some),
        }
    }
}

impl fmt::Debug for RequireToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RequireToken").field(&self.0).finish()
    }
}

impl fmt::Debug for Terms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut terms = f.debug_struct("Terms");
        terms.field("credentials", &self.credentials);
        if let Wanted::Always(requirement) = &self.wanted {
            terms.field("requirement", requirement);
        }
        terms.finish_non_exhaustive()
    }
}
