//! Making tokens: what their values are, what is kept of them, and what the client reads.

use http::{Response, StatusCode};
use serde_json::{Value, json};
use token_plugin_api::{AccessToken, Client, CreateToken, EventKind, TokenDetails};

use super::{AuthorizationServer, CLIENT_CREDENTIALS, REFRESH_TOKEN, problem::Problem, secrets};
use crate::{
    config::AccessTokenFormat,
    error::{Error, ErrorKind},
};

/// What new access tokens begin with: "token-host, OAuth". Refresh tokens have another beginning, so that who finds one
/// knows what it is.
pub(super) const ACCESS_TOKEN_PREFIX: &str = "tho_";
pub(super) const REFRESH_TOKEN_PREFIX: &str = "thr_";
pub(super) const CODE_PREFIX: &str = "thc_";

/// The tokens that somebody is to get.
pub(super) struct Wanted {
    pub(super) client: Client,
    pub(super) grant_type: &'static str,
    /// `None`: it is the client's own.
    pub(super) user_id: Option<String>,
    pub(super) scopes: Vec<String>,
    /// `None`: a new family.
    pub(super) family_id: Option<String>,
}

/// The tokens that somebody got.
pub(super) struct Issued {
    pub(super) token: String,
    /// Seconds.
    pub(super) expires_in: u64,
    pub(super) refresh_token: Option<String>,
    pub(super) scopes: Vec<String>,
}

impl Issued {
    /// RFC 6749 §5.1.
    pub(super) fn response(self) -> Response<Vec<u8>> {
        let mut body = json!({ "access_token": self.token, "token_type": "Bearer", "expires_in": self.expires_in });
        if let Some(refresh_token) = self.refresh_token {
            body["refresh_token"] = refresh_token.into();
        }
        if !self.scopes.is_empty() {
            body["scope"] = self.scopes.join(" ").into();
        }
        super::json(StatusCode::OK, &body)
    }
}

/// The value of a new access token, and when it expires, in Unix seconds.
pub(super) struct Made {
    pub(super) token: String,
    pub(super) expires_at: u64,
}

impl AuthorizationServer {
    /// Makes tokens and keeps them.
    pub(super) async fn issue(&self, wanted: Wanted) -> Result<Issued, Problem> {
        let made = self.access_token(&wanted.client.identifier, wanted.user_id.as_deref(), &wanted.scopes).await?;
        self.keep(wanted, made).await
    }

    /// Keeps an access token. A client that may refresh gets a refresh token with it, unless it is the client's own.
    pub(super) async fn keep(&self, wanted: Wanted, made: Made) -> Result<Issued, Problem> {
        let Wanted { client, grant_type, user_id, scopes, family_id } = wanted;
        let now = self.now();
        let mut kept = AccessToken::new(client.identifier.as_str(), grant_type, made.token);
        kept.expires_at = Some(made.expires_at);
        if grant_type != CLIENT_CREDENTIALS && client.may_use_grant(REFRESH_TOKEN) {
            kept.refresh_token = Some(secrets::random(REFRESH_TOKEN_PREFIX)?);
            kept.refresh_expires_at = Some(now.saturating_add(self.settings.refresh_token_seconds));
        }
        (kept.scopes, kept.user_id, kept.family_id) = (scopes, user_id, family_id);
        // What a handler made is known to it; only what is refreshed has to be kept as well.
        if self.settings.access_token == AccessTokenFormat::Opaque || kept.refresh_token.is_some() {
            match self.access_tokens()?.save_token(&kept).await {
                // The family was revoked in this very moment.
                Err(error) if matches!(error.kind(), ErrorKind::NotFound(_)) => return Err(Problem::Grant),
                saved => saved?,
            }
            self.recorded(&kept).await?;
        }
        Ok(Issued {
            token: kept.token.unwrap_or_default(),
            expires_in: made.expires_at.saturating_sub(now),
            refresh_token: kept.refresh_token,
            scopes: kept.scopes,
        })
    }

    /// The value of a new access token.
    pub(super) async fn access_token(
        &self,
        client_id: &str,
        user_id: Option<&str>,
        scopes: &[String],
    ) -> Result<Made, Error> {
        let life = self.settings.access_token_seconds;
        let expires_at = self.now().saturating_add(life);
        let AccessTokenFormat::Handler(handler) = &self.settings.access_token else {
            return Ok(Made { token: secrets::random(ACCESS_TOKEN_PREFIX)?, expires_at });
        };
        // RFC 9068 §2.2: a token of the client's own has the client as its subject.
        let mut details = TokenDetails::default();
        details.auto_generated = true;
        details.claims.insert("client_id".to_owned(), client_id.into());
        if !scopes.is_empty() {
            details.claims.insert("scope".to_owned(), Value::from(scopes.join(" ")));
        }
        let request = CreateToken::new(user_id.unwrap_or(client_id)).handler(handler).expires_after(life);
        let request = request.with_details(details);
        let created = match self.context.as_deref() {
            Some(context) => self.host.create_token_in(&request, context).await?,
            None => self.host.create_token(&request).await?,
        };
        Ok(Made { token: created.token, expires_at: created.expires_at.unwrap_or(expires_at) })
    }

    /// Tells those who watch that there is a new token; a handler's own it has told of. One that could not be recorded, as
    /// somebody requires, nobody gets to see.
    pub(super) async fn recorded(&self, kept: &AccessToken) -> Result<(), Problem> {
        if self.settings.access_token != AccessTokenFormat::Opaque {
            return Ok(());
        }
        let mut event = self.host.0.event(EventKind::TokenCreated, self.context.as_deref());
        event.handler = Some(self.settings.store.clone());
        event.actor_id = Some(kept.user_id.as_ref().unwrap_or(&kept.client_id).clone());
        event.auto_generated = true;
        event.extra.insert("client_id".to_owned(), kept.client_id.as_str().into());
        let Err(error) = self.host.0.announce(|| vec![event]).await else { return Ok(()) };
        // With a refresh token its whole family.
        if let Some(value) = kept.refresh_token.as_ref().or(kept.token.as_ref()) {
            self.access_tokens()?.revoke_token(value, Some(&kept.client_id)).await?;
        }
        Err(error.into())
    }

    /// Does something to its end, also when the client goes away in the middle of it.
    pub(super) async fn to_its_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Problem>> + Send + 'static,
    ) -> Result<T, Problem> {
        self.host.finish(async move { Ok(work.await) }).await?
    }
}
