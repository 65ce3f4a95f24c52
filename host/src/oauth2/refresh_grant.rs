//! The grant `refresh_token` (RFC 6749 §6, RFC 9700 §4.14.2): a refresh token works once, and another comes back.

use token_plugin_api::{AccessToken, Client, RotateRefreshToken, Rotation};

use super::{
    AuthorizationServer,
    form::Form,
    is_visible,
    issue::{ACCESS_TOKEN_PREFIX, Issued, REFRESH_TOKEN_PREFIX},
    problem::Problem,
    scope, secrets,
    token::required,
};
use crate::error::ErrorKind;

impl AuthorizationServer {
    /// Everything is held against the token before it is used up.
    pub(super) async fn refresh_grant(&self, client: Client, form: &Form) -> Result<Issued, Problem> {
        let refresh_token = required(form, "refresh_token", "expected refresh_token")?;
        if !is_visible(refresh_token) {
            return Err(Problem::Grant);
        }
        let kept = match self.access_tokens()?.fetch_by_refresh_token(refresh_token).await {
            Ok(kept) if kept.client_id == client.identifier => kept,
            Ok(_) => return Err(Problem::Grant),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound(_)) => {
                return self.used_up(&client, refresh_token).await;
            }
            Err(error) => return Err(error.into()),
        };
        let mut scopes = scope::narrowed(form.value("scope"), &kept.scopes)?;
        // What the client may not have any more, it does not get by having had it.
        scopes.retain(|scope| scope::may_have(&client, &self.settings.scopes, scope));
        let made = self.access_token(&client.identifier, kept.user_id.as_deref(), &scopes).await?;
        let new_refresh_token = secrets::random(REFRESH_TOKEN_PREFIX)?;
        let mut request = RotateRefreshToken::new(refresh_token, &*client.identifier, made.token, new_refresh_token);
        request.expires_at = Some(made.expires_at);
        request.refresh_expires_at = Some(self.now().saturating_add(self.settings.refresh_token_seconds));
        request.scopes = Some(scopes.clone()).filter(|scopes| *scopes != kept.scopes);
        let expires_in = made.expires_at.saturating_sub(self.now());
        let rotated = self.rotated(request).await?;
        let (token, refresh_token) = (rotated.token.unwrap_or_default(), rotated.refresh_token);
        Ok(Issued { token, expires_in, refresh_token, scopes })
    }

    /// A refresh token that is not there: its store knows whether it was, and ends its family if so.
    async fn used_up(&self, client: &Client, refresh_token: &str) -> Result<Issued, Problem> {
        let (token, new_refresh_token) =
            (secrets::random(ACCESS_TOKEN_PREFIX)?, secrets::random(REFRESH_TOKEN_PREFIX)?);
        let mut request = RotateRefreshToken::new(refresh_token, &*client.identifier, token, new_refresh_token);
        // Should it be there after all, nobody gets to see what comes of it, and it is over at once.
        let now = self.now();
        (request.expires_at, request.refresh_expires_at) = (Some(now), Some(now));
        self.rotated(request).await?;
        Err(Problem::Grant)
    }

    /// The new tokens, as whoever asked is to get them.
    async fn rotated(&self, request: RotateRefreshToken) -> Result<AccessToken, Problem> {
        let server = self.clone();
        let rotated = self.to_its_end(async move {
            match server.access_tokens()?.rotate_refresh_token(&request).await {
                Ok(Rotation::Done(mut kept)) => {
                    // The store has digests alone, and need not say more.
                    (kept.token, kept.refresh_token) = (Some(request.new_token), Some(request.new_refresh_token));
                    server.recorded(&kept).await?;
                    Ok(*kept)
                }
                Ok(Rotation::Reused) => {
                    let client_id = request.client_id;
                    tracing::warn!(target: "oauth2", client_id, "a refresh token was used again: its family is revoked");
                    Err(Problem::Grant)
                }
                Err(error) if matches!(error.kind(), ErrorKind::NotFound(_)) => Err(Problem::Grant),
                Err(error) => Err(error.into()),
            }
        });
        rotated.await
    }
}
