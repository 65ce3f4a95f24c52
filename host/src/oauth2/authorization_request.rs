//! [`AuthorizationRequest`]: what a client asks a user for (RFC 6749 §4.1.1), and where it is to be told if that is wrong.

use http::StatusCode;
use token_plugin_api::Client;

use super::{
    AUTHORIZATION_CODE, AuthorizationServer, form::Form, is_visible, pkce, problem::Problem,
    redirect_uri::check_redirect_uri, scope,
};

/// Everything that the request is made of; anything else in it is ignored (RFC 6749 §3.1).
pub(super) const PARAMETERS: [&str; 7] =
    ["client_id", "redirect_uri", "response_type", "scope", "state", "code_challenge", "code_challenge_method"];

/// A request that a user can be asked about.
#[derive(Debug)]
pub(super) struct AuthorizationRequest {
    pub(super) client: Client,
    pub(super) to: Back,
    /// Whether the request named the redirect URI.
    pub(super) is_named: bool,
    pub(super) scopes: Vec<String>,
    pub(super) challenge: Option<String>,
}

impl AuthorizationRequest {
    /// What users decide about, of which a request may leave something open: the scopes, and where the answer goes.
    pub(super) fn shown(&self) -> String {
        format!("{} {}", self.scopes.join(" "), self.to.redirect_uri)
    }
}

/// Where the answer goes: a redirect URI that is registered, and what is to be handed back there.
#[derive(Debug, Clone)]
pub(super) struct Back {
    pub(super) redirect_uri: String,
    pub(super) state: Option<String>,
}

/// Why the user is not asked.
#[derive(Debug)]
pub(super) enum Refusal {
    /// Nobody knows whether the client's address is the client's: only the user is told.
    Told(StatusCode, &'static str),
    /// It cannot be told whose address it is.
    Unavailable,
    /// The client is told.
    SentBack(Back, Fault),
}

/// An error code of RFC 6749 §4.1.2.1, and a description.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fault(pub(super) &'static str, pub(super) &'static str);

/// What is asked for, once it is known by whom.
struct Contents {
    scopes: Vec<String>,
    challenge: Option<String>,
}

impl From<Problem> for Refusal {
    fn from(_: Problem) -> Self {
        Self::Unavailable
    }
}

impl AuthorizationServer {
    /// Reads a request. Client and redirect URI come first: until both are known, nobody is sent anywhere.
    pub(super) async fn authorization_request(&self, form: &Form) -> Result<AuthorizationRequest, Refusal> {
        let told = |text| Refusal::Told(StatusCode::BAD_REQUEST, text);
        let client_id = form.value("client_id").filter(|_| !form.repeats("client_id"));
        let client_id = client_id.ok_or(told("The application did not say which one it is."))?;
        let client = self.client(client_id).await.map_err(Problem::from)?;
        let client = client.ok_or(told("The application is not known here."))?;
        let named = form.value("redirect_uri");
        let redirect_uri = match (named, client.redirect_uris.as_slice()) {
            _ if form.repeats("redirect_uri") => None,
            (Some(named), _) => Some(named).filter(|named| client.has_redirect_uri(named)),
            (None, [only]) => Some(only.as_str()),
            (None, _) => None,
        };
        // Another system's store may hold anything.
        let redirect_uri = redirect_uri.filter(|uri| check_redirect_uri(uri).is_ok());
        let redirect_uri =
            redirect_uri.ok_or(told("The application wants the answer at an address that is not its own."))?;
        let state = form.value("state").filter(|_| !form.repeats("state")).map(str::to_owned);
        let (to, is_named) = (Back { redirect_uri: redirect_uri.to_owned(), state }, named.is_some());
        match self.contents(&client, form) {
            Ok(Contents { scopes, challenge }) => Ok(AuthorizationRequest { client, to, is_named, scopes, challenge }),
            Err(fault) => Err(Refusal::SentBack(to, fault)),
        }
    }

    fn contents(&self, client: &Client, form: &Form) -> Result<Contents, Fault> {
        let invalid = |expected| Fault("invalid_request", expected);
        if form.has_repeated() {
            return Err(invalid("a parameter is there more than once"));
        }
        match form.value("response_type") {
            None => return Err(invalid("expected response_type")),
            Some("code") => {}
            Some(_) => return Err(Fault("unsupported_response_type", "expected response_type code")),
        }
        if !client.may_ask_for("code") || !client.may_use_grant(AUTHORIZATION_CODE) {
            return Err(Fault("unauthorized_client", "the client may not ask for codes"));
        }
        if !form.value("state").is_none_or(is_visible) {
            return Err(invalid("expected a state of printable ASCII"));
        }
        let challenge = match (form.value("code_challenge"), form.value("code_challenge_method")) {
            (Some(challenge), Some(pkce::S256)) if pkce::is_challenge(challenge) => Some(challenge.to_owned()),
            (Some(_), Some(pkce::S256)) => return Err(invalid("expected a code_challenge of SHA-256 in base64url")),
            (None, None) if client.secret.is_some() => None,
            (None, None) => return Err(invalid("expected a code_challenge (RFC 7636)")),
            // No method means `plain`.
            _ => return Err(invalid("expected a code_challenge with the code_challenge_method S256")),
        };
        let (known, default) = (&self.settings.scopes, &self.settings.default_scopes);
        let scopes = scope::asked_for(form.value("scope"), client, known, default);
        let more = Fault("invalid_scope", "the scope is malformed, unknown, or more than may be granted");
        Ok(Contents { scopes: scopes.map_err(|_| more)?, challenge })
    }
}
