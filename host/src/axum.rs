//! Extractors for axum: who a request is from, as an argument of a handler.
//!
//! ```no_run
//! use axum::{Router, routing::get};
//! use token_host::{Host, axum::Authenticated, tower::RequireToken};
//!
//! async fn hello(who: Authenticated) -> String {
//!     format!("hello {}", who.actor().id())
//! }
//!
//! async fn greet(who: Option<Authenticated>) -> String {
//!     who.map_or("hello, whoever you are".to_owned(), |who| format!("hello {}", who.actor().id()))
//! }
//!
//! # fn example() -> Result<Router, token_host::Error> {
//! let layer = RequireToken::new(Host::from_file("plugins.toml")?);
//! let strict = Router::new().route("/", get(hello)).layer(layer.clone());
//! let open = Router::new().route("/greet", get(greet)).layer(layer.optional());
//! Ok(strict.merge(open))
//! # }
//! ```

use std::{net::SocketAddr, ops::Deref};

use ::axum::{
    body::Body,
    extract::{ConnectInfo, FromRef, FromRequestParts, OptionalFromRequestParts},
    response::{IntoResponse, Response},
};
use http::{StatusCode, request::Parts};
use token_plugin_api::Actor;

use crate::{
    authenticate::{Authenticator, Identity, Refusal, Requirement, Subject},
    peer::Peer,
    tower::{client_of, peer_in},
};

/// Who a request is from, behind [`RequireToken`](crate::tower::RequireToken).
///
/// Without a token, which an optional layer lets through, the request is refused as RFC 6750 has it; `Option<Authenticated>`
/// is `None` then. Where there is no such layer, both answer 500: nobody has looked at the request.
#[derive(Debug, Clone)]
pub struct Authenticated(Known);

/// Who a request is from, where the state of the router has an [`Authenticator`] (`FromRef`), with or without a layer.
///
/// What a layer has found out is taken from it; else the request is judged here. `Option<AuthenticatedByState>` is `None`
/// for requests without a token; a bad token is refused.
#[derive(Debug, Clone)]
pub struct AuthenticatedByState(Known);

/// Why a request is not let through, as a response.
#[derive(Debug)]
pub struct Rejection(Box<Response>);

/// That a layer has looked at the request, and who can say so.
#[derive(Debug, Clone)]
pub(crate) struct Judged(pub(crate) Authenticator);

#[derive(Debug, Clone)]
struct Known {
    identity: Identity,
    authenticator: Authenticator,
}

/// Who is at the other end of the connection: for [`RequireToken::peer`](crate::tower::RequireToken::peer), where the
/// router is served with `into_make_service_with_connect_info::<SocketAddr>()`.
pub fn peer(parts: &Parts) -> Peer {
    let connected = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    connected.map_or_else(|| peer_in(&parts.extensions), |ConnectInfo(address)| Peer::Address(address.ip()))
}

impl Known {
    /// What a layer has found out. `Err`: there was none.
    fn by_layer(parts: &Parts) -> Result<Option<Self>, NoLayer> {
        let Judged(authenticator) = parts.extensions.get().ok_or(NoLayer)?;
        let known = |identity: &Identity| Self { identity: identity.clone(), authenticator: authenticator.clone() };
        Ok(parts.extensions.get().map(known))
    }

    async fn by_state<S>(parts: &Parts, state: &S) -> Result<Option<Self>, Rejection>
    where
        Authenticator: FromRef<S>,
    {
        if let Ok(known) = Self::by_layer(parts) {
            return Ok(known);
        }
        let authenticator = Authenticator::from_ref(state);
        let subject = Subject::of(parts, client_of(parts, peer(parts), None, &authenticator));
        match authenticator.authenticate(&subject, &Requirement::nothing()).await {
            Ok(identity) => Ok(Some(Self { identity, authenticator })),
            Err(Refusal::NoCredentials) => Ok(None),
            Err(refusal) => Err(Rejection::of(&refusal, &authenticator)),
        }
    }

    fn require(&self, requirement: &Requirement) -> Result<(), Rejection> {
        let refused = self.identity.require(requirement);
        refused.map_err(|refusal| Rejection::of(&refusal, &self.authenticator))
    }
}

struct NoLayer;

impl From<NoLayer> for Rejection {
    fn from(NoLayer: NoLayer) -> Self {
        tracing::error!(target: "authenticate", "a handler wants `Authenticated`, and there is no `RequireToken` around it");
        Self(Box::new(StatusCode::INTERNAL_SERVER_ERROR.into_response()))
    }
}

impl Rejection {
    fn of(refusal: &Refusal, authenticator: &Authenticator) -> Self {
        Self(Box::new(refusal.response(authenticator).map(Body::from)))
    }
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        *self.0
    }
}

/// What both extractors have.
macro_rules! extractor {
    ($name:ident) => {
        impl $name {
            /// The actor that the token stands for.
            pub fn actor(&self) -> &Actor {
                &self.0.identity.actor
            }

            /// Whether the token is good for this.
            ///
            /// # Errors
            ///
            /// When it is not: a response with `insufficient_scope`.
            pub fn require(&self, requirement: &Requirement) -> Result<(), Rejection> {
                self.0.require(requirement)
            }

            /// The identity alone.
            pub fn into_inner(self) -> Identity {
                self.0.identity
            }
        }

        impl Deref for $name {
            type Target = Identity;

            fn deref(&self) -> &Identity {
                &self.0.identity
            }
        }
    };
}

extractor!(Authenticated);
extractor!(AuthenticatedByState);

impl<S: Sync> FromRequestParts<S> for Authenticated {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Rejection> {
        match Known::by_layer(parts)? {
            Some(known) => Ok(Self(known)),
            None => {
                let Judged(authenticator) = parts.extensions.get().ok_or(NoLayer)?;
                Err(Rejection::of(&Refusal::NoCredentials, authenticator))
            }
        }
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for Authenticated {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Rejection> {
        Ok(Known::by_layer(parts)?.map(Self))
    }
}

impl<S: Sync> FromRequestParts<S> for AuthenticatedByState
where
    Authenticator: FromRef<S>,
{
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Rejection> {
        let known = Known::by_state(parts, state).await?;
        known.map(Self).ok_or_else(|| Rejection::of(&Refusal::NoCredentials, &Authenticator::from_ref(state)))
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for AuthenticatedByState
where
    Authenticator: FromRef<S>,
{
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Option<Self>, Rejection> {
        Ok(Known::by_state(parts, state).await?.map(Self))
    }
}
