//! An OAuth 2.0 authorization server over the host's stores: token endpoint, authorization endpoint, metadata.
//!
//! ```no_run
//! use token_host::{Host, oauth2::Peer};
//!
//! # async fn example(request: http::Request<Vec<u8>>) -> Result<(), token_host::Error> {
//! let host = Host::from_file("plugins.toml")?;
//! if let Some(server) = host.oauth2() {
//!     let response = server.serve(&request, Peer::Unknown).await;
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Invariants
//!
//! - Requests and responses are the `http` crate's plain values: nothing in here knows of a server, a connection or a
//!   runtime. Whoever reads requests stops at [`MAX_BODY_BYTES`].
//! - A client is known before anything else of a request is looked at; an unknown one and a wrong secret have one answer,
//!   and take one time.
//! - A browser is sent only to a redirect URI that is registered, character by character, for the client that asks.
//! - Every token and code is bound to its client. A refresh token and a code work once; a second use ends the whole family.
//! - A store that cannot be asked is 503, never "no such client" or "no such code".
//! - Tokens, codes, secrets and passwords are in no log, no error and no `Debug`.
//! - Nothing is to be cached: every response says so.

mod authenticate;
mod authorization_request;
mod authorize;
mod code_grant;
mod consent;
mod form;
mod issue;
mod issuer;
mod key;
mod metadata;
mod own_tokens;
mod page;
mod pkce;
mod problem;
mod redirect_uri;
mod refresh_grant;
mod scope;
mod secrets;
mod signed_in;
mod token;
mod users;

use std::{fmt, sync::Arc};

use http::{HeaderValue, Request, Response, header};

use token_plugin_api::RequestContext;

use crate::{
    authenticate::{Subject, client_address},
    config::OAuth2Settings,
    error::Error,
    execute::Service,
    host::Host,
    stores::{AccessTokens, AuthCodes, Clients},
};

pub use crate::peer::{Network, Peer};
pub(crate) use authenticate::Credentials;
pub(crate) use form::Form;
pub use issuer::Issuer;
pub(crate) use own_tokens::REASON as REVOCATION_REASON;
pub(crate) use problem::Problem;
pub use redirect_uri::{BadRedirectUri, check_redirect_uri};
pub(crate) use scope::is_scope;
pub use secrets::{hash as hash_secret, random as random_secret};
pub(crate) use signed_in::is_user_id;
#[cfg(feature = "http")]
pub(crate) use signed_in::named_user;
pub(crate) use token::{is_of_type, read_form, required};
pub use users::{UserFile, Users, UsersUnavailable};

/// The grant types that a client may be given, as RFC 6749 calls them.
pub const GRANT_TYPES: [&str; 4] = [AUTHORIZATION_CODE, CLIENT_CREDENTIALS, REFRESH_TOKEN, PASSWORD];

/// A larger body is refused. 16 KiB: a request with a JSON Web Token as refresh token, and everything else as long as it
/// can be, fits.
pub const MAX_BODY_BYTES: usize = 16 * 1024;

const AUTHORIZATION_CODE: &str = "authorization_code";
const CLIENT_CREDENTIALS: &str = "client_credentials";
const REFRESH_TOKEN: &str = "refresh_token";
const PASSWORD: &str = "password";

/// The authorization server of a host. Cheap to make and to clone: get it anew for each request, and it follows reloads.
#[derive(Clone)]
pub struct AuthorizationServer {
    host: Host,
    settings: Arc<OAuth2Settings>,
    users: Option<Arc<dyn Users>>,
    /// What is known of the request that is answered.
    context: Option<Arc<RequestContext>>,
}

/// What all authorization servers of a host share.
pub(crate) struct Shared {
    key: key::ProcessKey,
    secrets: secrets::Secrets,
}

impl Shared {
    pub(crate) fn new(service: &Arc<Service>) -> Self {
        Self { key: key::ProcessKey::default(), secrets: secrets::Secrets::new(service) }
    }
}

impl Host {
    /// The authorization server that `[oauth2]` describes; `None`: there is no such table.
    pub fn oauth2(&self) -> Option<AuthorizationServer> {
        let settings = self.0.registry.load().oauth2.clone()?;
        Some(AuthorizationServer::of(self.clone(), settings))
    }
}

impl AuthorizationServer {
    /// A server with settings of the embedder's own. It does not follow reloads.
    pub fn new(host: Host, settings: OAuth2Settings) -> Self {
        Self::of(host, Arc::new(settings))
    }

    fn of(host: Host, settings: Arc<OAuth2Settings>) -> Self {
        let users = settings.users.clone().map(|users| Arc::new(users) as Arc<dyn Users>);
        Self { host, settings, users, context: None }
    }

    /// The same, with these users in place of those of the settings.
    #[must_use]
    pub fn with_users(mut self, users: Arc<dyn Users>) -> Self {
        self.users = Some(users);
        self
    }

    /// The same, for a request of which this is known, for events.
    #[must_use]
    pub(crate) fn with_context(mut self, context: RequestContext) -> Self {
        self.context = Some(Arc::new(context));
        self
    }

    /// Its settings.
    pub fn settings(&self) -> &OAuth2Settings {
        &self.settings
    }

    /// Whether a path is one of the server's.
    pub fn is_at(&self, path: &str) -> bool {
        let issuer = &self.settings.issuer;
        [issuer.token_path(), issuer.authorize_path(), issuer.metadata_path()].iter().any(|own| own == path)
    }

    /// Answers a request by its path; `None`: the path is none of the server's.
    pub async fn serve(&self, request: &Request<Vec<u8>>, peer: Peer) -> Option<Response<Vec<u8>>> {
        let (path, issuer) = (request.uri().path(), &self.settings.issuer);
        if path == issuer.token_path() {
            Some(self.clone().with_context(self.context_of(request, peer)).token(request).await)
        } else if path == issuer.authorize_path() {
            Some(self.authorize(request, peer).await)
        } else if path == issuer.metadata_path() {
            Some(self.metadata(request))
        } else {
            None
        }
    }

    /// What is known of a request. Whose word is taken for where it came from, the `[http]` table says.
    fn context_of(&self, request: &Request<Vec<u8>>, peer: Peer) -> RequestContext {
        let proxies = &self.host.0.registry.load().http.trusted_proxies;
        Subject::of_request(request, client_address(request.headers(), peer, proxies)).request_context()
    }

    fn now(&self) -> u64 {
        self.host.0.clock.now()
    }

    fn shared(&self) -> &Shared {
        &self.host.0.oauth2
    }

    fn access_tokens(&self) -> Result<AccessTokens, Error> {
        self.host.stores().access_tokens(&self.settings.store)
    }

    fn codes(&self) -> Result<AuthCodes, Error> {
        self.host.stores().auth_codes(&self.settings.store)
    }

    fn clients(&self) -> Result<Clients, Error> {
        self.host.stores().clients(&self.settings.store)
    }

    /// Whether clients may exchange users' passwords.
    fn takes_passwords(&self) -> bool {
        self.settings.danger_allow_password_grant && self.users.is_some()
    }
}

impl fmt::Debug for AuthorizationServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizationServer").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// Marks a response as one that nobody may keep.
pub(crate) fn never_kept(response: &mut Response<Vec<u8>>) {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}

/// A JSON response.
pub(crate) fn json(status: http::StatusCode, value: &serde_json::Value) -> Response<Vec<u8>> {
    let mut response = Response::new(value.to_string().into_bytes());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    never_kept(&mut response);
    response
}

/// Whether a client, token or code can be called this (RFC 6749, appendix A): others are not even looked up.
fn is_visible(text: &str) -> bool {
    text.len() <= 8192 && text.bytes().all(|byte| (0x20..=0x7e).contains(&byte))
}
