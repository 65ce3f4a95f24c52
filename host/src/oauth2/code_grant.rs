//! The grant `authorization_code` (RFC 6749 §4.1.3, RFC 7636 §4.6): a code is exchanged for tokens, once.

use token_plugin_api::{AuthorizationCode, Client, Consumption};

use super::{
    AUTHORIZATION_CODE, AuthorizationServer,
    form::Form,
    is_visible,
    issue::{Issued, Wanted},
    pkce,
    problem::Problem,
    token::required,
};
use crate::error::ErrorKind;

/// Where a code's challenge is kept, and whether its request named a redirect URI.
pub(super) const CHALLENGE: &str = "code_challenge";
pub(super) const NAMED_REDIRECT_URI: &str = "redirect_uri_named";

impl AuthorizationServer {
    /// Everything is held against the code before it is consumed, so that who fails does not use up what is another's.
    pub(super) async fn code_grant(&self, client: Client, form: &Form) -> Result<Issued, Problem> {
        let code = required(form, "code", "expected code")?.to_owned();
        let named = form.value("redirect_uri");
        if !is_visible(&code) || !named.is_none_or(is_visible) {
            return Err(Problem::Grant);
        }
        let kept = match self.codes()?.fetch_by_code(&code).await {
            Ok(kept) => Some(kept),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound(_)) => None,
            Err(error) => return Err(error.into()),
        };
        let Some(kept) = kept else { return self.used_code(client, code, named).await };
        if kept.is_expired(self.now()) || !fits(&kept, &client, named, form.value("code_verifier")) {
            return Err(Problem::Grant);
        }
        // A handler that cannot make a token must not cost the code.
        let made = self.access_token(&client.identifier, kept.user_id.as_deref(), &kept.scopes).await?;
        let server = self.clone();
        let exchanged = self.to_its_end(async move {
            let code = server.consumed(&client, &code, &kept.redirect_uri).await?;
            let AuthorizationCode { scopes, user_id, family_id, .. } = code;
            let (grant_type, family_id) = (AUTHORIZATION_CODE, Some(family_id));
            server.keep(Wanted { client, grant_type, user_id, scopes, family_id }, made).await
        });
        exchanged.await
    }

    /// A code that is not there: its store knows whether it was used.
    async fn used_code(&self, client: Client, code: String, named: Option<&str>) -> Result<Issued, Problem> {
        let redirect_uri = match (named, client.redirect_uris.as_slice()) {
            (Some(named), _) => named.to_owned(),
            (None, [only]) => only.clone(),
            (None, _) => return Err(Problem::Grant),
        };
        let server = self.clone();
        self.to_its_end(async move { server.consumed(&client, &code, &redirect_uri).await }).await?;
        Err(Problem::Grant)
    }

    /// Takes a code; what came of one that was taken before is revoked.
    async fn consumed(&self, client: &Client, code: &str, redirect_uri: &str) -> Result<AuthorizationCode, Problem> {
        match self.codes()?.consume_code(code, &client.identifier, redirect_uri).await {
            Ok(Consumption::Done(consumed)) => Ok(*consumed),
            Ok(Consumption::Reused { family_id }) => {
                tracing::warn!(target: "oauth2", client_id = client.identifier, "a code was used a second time");
                self.access_tokens()?.revoke_family(&family_id).await?;
                Err(Problem::Grant)
            }
            Err(error) if matches!(error.kind(), ErrorKind::NotFound(_)) => Err(Problem::Grant),
            Err(error) => Err(error.into()),
        }
    }
}

/// Whether a code was issued to this client, for a request like this.
fn fits(kept: &AuthorizationCode, client: &Client, named: Option<&str>, verifier: Option<&str>) -> bool {
    let was_named = kept.data.get(NAMED_REDIRECT_URI).is_some_and(|named| *named == true);
    let fits_redirect_uri = match named {
        Some(named) => named == kept.redirect_uri,
        None => !was_named,
    };
    let challenge = kept.data.get(CHALLENGE);
    let fits_verifier = match (challenge.map(|challenge| challenge.as_str().unwrap_or_default()), verifier) {
        (Some(challenge), Some(verifier)) => pkce::fits(challenge, verifier),
        // Without a challenge, who stole the code would be as good as the client.
        (None, None) => client.secret.is_some(),
        // A verifier for a code without challenge: somebody took the challenge away (RFC 9700 §4.8).
        _ => false,
    };
    kept.client_id == client.identifier && fits_redirect_uri && fits_verifier
}
