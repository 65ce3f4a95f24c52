//! What others may ask of tokens: introspection (RFC 7662), one or many at a time; revocation (RFC 7009); and Kubernetes'
//! `TokenReview`.
//!
//! ```no_run
//! use token_host::Host;
//!
//! # async fn example(request: http::Request<Vec<u8>>) -> Result<(), token_host::Error> {
//! let introspection = Host::from_file("plugins.toml")?.introspection();
//! let response = introspection.introspect(&request).await;
//! # Ok(())
//! # }
//! ```
//!
//! ```text
//! request ─▶ caller ─────────▶ Authenticator::judge ─┬▶ active      `{"active":true,...}`, or `false` alone
//!            a client, or a    the handlers          ├▶ revocation  the handler whose token it is, the store
//!            token that names                        └▶ review      a user of Kubernetes', or not
//!            the action
//! ```
//!
//! # Who may ask
//!
//! A client of the `[oauth2]` store by its secret, or whoever has a token of this very host that *names* the action in its
//! restrictions: `introspect`, `revoke` or `tokenreview`, or `admin` for all of them. A token without restrictions may do
//! all that its actor may, and is not enough all the same: every user has one, and could try out what tokens there are
//! (RFC 7662 §4). `[http.admin]` says whose tokens may name `admin`, and of which handlers.
//!
//! # What a client may know
//!
//! - An access token, whoever it was issued to: resource servers are clients, and ask about tokens of others. When it says
//!   for whom it is (`aud`), only these, and the client that it was issued to: "the authorization server MUST determine
//!   whether or not the token can be used at the resource server making the introspection call" (RFC 7662 §4). One that
//!   does not say so can be used everywhere.
//! - A refresh token, if it is its own. It is of no use at any resource server, and one that took it for an access token
//!   because it is "active" would let in whoever stole it.
//!
//! Whoever names the action may know of all access tokens, and of no refresh token.
//!
//! # Invariants
//!
//! - A caller is known before anything else of a request is looked at.
//! - What cannot be told is 503, never "not active": a resource server must not turn its users away, nor Kubernetes forget
//!   them, because a store is down.
//! - A token that is unknown, expired, revoked, rejected or none of the caller's business: `{"active":false}`, and nothing
//!   tells which of these it is.
//! - Requests and responses are plain values; whoever reads requests stops at [`MAX_BODY_BYTES`]. Tokens are in no log, no
//!   answer and no error.

mod active;
mod bulk;
mod caller;
mod introspect;
mod json_body;
mod review;
mod revoke;
mod token_review;

use std::net::IpAddr;

use http::{Request, Response};

use crate::{
    authenticate::{Authenticator, Subject},
    host::Host,
};

/// The longest body that one of the functions reads: that of [`Introspection::introspect_bulk`]. The others refuse one much
/// sooner.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;

/// How many tokens [`Introspection::introspect_bulk`] takes at once.
pub const MAX_BULK_TOKENS: usize = 100;

/// The path of [`Introspection::token_review`].
pub const TOKEN_REVIEW_PATH: &str = "/k8s/tokenreviews";

/// Answers what others ask of tokens. Cheap to clone: all clones count callers' failures together.
#[derive(Debug, Clone)]
pub struct Introspection {
    authenticator: Authenticator,
    client: Option<IpAddr>,
    system_identities: SystemIdentities,
}

/// What becomes of a user or a group that Kubernetes keeps for itself, with a name that begins with `system:`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SystemIdentities {
    Refused,
    Allowed,
}

impl Host {
    /// Introspection of this host's tokens, with or without an `[oauth2]` table.
    pub fn introspection(&self) -> Introspection {
        Introspection::new(Authenticator::new(self.clone()))
    }
}

impl Introspection {
    /// Introspection of the tokens of this authenticator's host; callers' failures count with all others.
    pub fn new(authenticator: Authenticator) -> Self {
        Self { authenticator, client: None, system_identities: SystemIdentities::Refused }
    }

    /// The same, for requests from this address.
    #[must_use]
    pub fn with_client(mut self, client: Option<IpAddr>) -> Self {
        self.client = client;
        self
    }

    /// The same, with users and groups whose names begin with `system:` let through to Kubernetes, where they are those of
    /// its own components: `system:masters` may do everything. For those who issue such tokens on purpose.
    #[must_use]
    pub fn danger_allow_system_identities(mut self) -> Self {
        self.system_identities = SystemIdentities::Allowed;
        self
    }

    /// Answers a request by its path; `None`: the path is none of these. With an `[oauth2]` table, the paths but
    /// [`TOKEN_REVIEW_PATH`] are below its issuer's.
    pub async fn serve(&self, request: &Request<Vec<u8>>) -> Option<Response<Vec<u8>>> {
        match Path::of(request.uri().path(), self.host())? {
            Path::Introspect => Some(self.introspect(request).await),
            Path::IntrospectBulk => Some(self.introspect_bulk(request).await),
            Path::Revoke => Some(self.revoke(request).await),
            Path::TokenReview => Some(self.token_review(request).await),
        }
    }

    /// Whether [`Introspection::serve`] answers requests for this path.
    pub fn is_at(&self, path: &str) -> bool {
        Path::of(path, self.host()).is_some()
    }

    fn host(&self) -> &Host {
        self.authenticator.host()
    }

    /// The request, for handlers and events.
    fn subject<'r>(&self, request: &'r Request<Vec<u8>>) -> Subject<'r> {
        Subject::of_request(request, self.client)
    }
}

enum Path {
    Introspect,
    IntrospectBulk,
    Revoke,
    TokenReview,
}

impl Path {
    fn of(path: &str, host: &Host) -> Option<Self> {
        if path == TOKEN_REVIEW_PATH {
            return Some(Self::TokenReview);
        }
        let registry = host.0.registry.load();
        let base = registry.oauth2.as_ref().map_or("", |settings| settings.issuer.path());
        match path.strip_prefix(base)? {
            "/oauth2/introspect" => Some(Self::Introspect),
            "/oauth2/introspect/bulk" => Some(Self::IntrospectBulk),
            "/oauth2/revoke" => Some(Self::Revoke),
            _ => None,
        }
    }
}
