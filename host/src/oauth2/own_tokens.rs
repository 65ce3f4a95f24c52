//! What clients are told of tokens that the store keeps, and how these are revoked.

use token_plugin_api::{AccessToken, Client, EventKind};

use super::{AuthorizationServer, is_visible, problem::Problem};
use crate::{
    config::AccessTokenFormat,
    error::{Error, ErrorKind},
};

impl AuthorizationServer {
    /// What is kept of a client's refresh token; `None`: it is none, is over, or is another client's.
    pub(crate) async fn own_refresh_token(&self, client: &Client, token: &str) -> Result<Option<AccessToken>, Problem> {
        let kept = self.refresh_token(token).await?;
        let is_over = |kept: &AccessToken| kept.refresh_expires_at.is_some_and(|expires_at| self.now() >= expires_at);
        Ok(kept.filter(|kept| kept.client_id == client.identifier && !is_over(kept)))
    }

    /// Whether this handler judges the access tokens that the server issues, or issued before its settings were changed.
    pub(crate) fn issues_tokens_of(&self, handler: &str) -> bool {
        let issues = |format: &AccessTokenFormat| matches!(format, AccessTokenFormat::Handler(name) if name == handler);
        handler == self.settings.store || issues(&self.settings.access_token)
    }

    /// Revokes a token that the store keeps, a refresh token with its whole family; with a client: only if it is that
    /// client's. One that is not there is as good as revoked.
    pub(crate) async fn revoke(&self, client: Option<&Client>, token: &str) -> Result<(), Problem> {
        if !is_visible(token) {
            return Ok(());
        }
        let (server, token) = (self.clone(), token.to_owned());
        let client_id = client.map(|client| client.identifier.clone());
        let revoked = self.to_its_end(async move {
            let kept = match server.access_token_kept(&token).await? {
                Some(kept) => Some(kept),
                None => server.refresh_token(&token).await?,
            };
            // Also one of which nothing is told: who shows a refresh token that was used up wants its family to end.
            if !server.access_tokens()?.revoke_token(&token, client_id.as_deref()).await? {
                return Ok(());
            }
            let mut event = server.host.0.event(EventKind::TokenInvalidated, server.context.as_deref());
            event.handler = Some(server.settings.store.clone());
            event.reason = Some(REASON.to_owned());
            if let Some(kept) = kept {
                event.extra.insert("client_id".to_owned(), kept.client_id.as_str().into());
                event.actor_id = Some(kept.user_id.unwrap_or(kept.client_id));
            }
            Ok(server.host.0.announce(|| vec![event]).await?)
        });
        revoked.await
    }

    async fn access_token_kept(&self, token: &str) -> Result<Option<AccessToken>, Error> {
        found(self.access_tokens()?.fetch_by_token(token).await)
    }

    async fn refresh_token(&self, token: &str) -> Result<Option<AccessToken>, Error> {
        if !is_visible(token) {
            return Ok(None);
        }
        found(self.access_tokens()?.fetch_by_refresh_token(token).await)
    }
}

/// Why a token is invalid that was revoked by RFC 7009.
pub(crate) const REASON: &str = "revoked at the revocation endpoint";

fn found(fetched: Result<AccessToken, Error>) -> Result<Option<AccessToken>, Error> {
    match fetched {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound(_)) => Ok(None),
        fetched => fetched.map(Some),
    }
}
