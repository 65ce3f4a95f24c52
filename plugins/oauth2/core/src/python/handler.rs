//! [`PythonOauth2`]: the handler of tokens in that layout.

use std::sync::Arc;

use token_plugin_api::{
    AccessToken, AccessTokenStore, AsyncTokenHandler, Call, Claims, CreateToken, CreatedToken, InvalidateTokens,
    InvalidatedTokens, PluginError, Result, TokenRecord as ShownToken, TokenSelector, Trial, Verdict,
};

use super::{Python, PythonTokens};
use crate::{
    handler::{Issuing, id_of},
    items::{Key, Kind, Stored, TokenRecord, is_over},
};

/// The handler. A token is found by its value alone: what is kept has no other key.
#[derive(Debug)]
pub(crate) struct PythonOauth2 {
    pub(super) issuing: Issuing,
    pub(super) python: Arc<Python>,
}

impl PythonOauth2 {
    async fn record(&self, selector: &TokenSelector, now: u64) -> Result<Option<(Key, TokenRecord, String)>> {
        let TokenSelector::Token(token) = selector else {
            return Err(PluginError::unsupported("this operation on tokens but by their value"));
        };
        let found = self.python.access(token).await?.filter(|found| !is_over(found.expires_at, now));
        Ok(found.map(|found| (Key::new(Kind::Token, [token]), record(found), token.clone())))
    }
}

fn record(token: AccessToken) -> TokenRecord {
    TokenRecord {
        client_id: token.client_id.into(),
        grant_type: token.grant_type.into(),
        data: token.data,
        expires_at: token.expires_at,
        refresh_expires_at: token.refresh_expires_at,
        scopes: token.scopes.into(),
        user_id: token.user_id,
        family_id: None,
        refresh: None,
    }
}

impl AsyncTokenHandler for PythonOauth2 {
    fn name(&self) -> &str {
        &self.python.name
    }

    fn claims(&self) -> Claims {
        self.issuing.forms.claims().map_or_else(Claims::any, Claims::prefixes)
    }

    /// A token that is made to see whether that works would be left behind, and others would see it.
    fn trial(&self) -> Trial {
        Trial::VerifyOnly
    }

    async fn verify_token(&self, call: &Call<'_>, token: &str) -> Result<Verdict> {
        if !self.issuing.forms.accepts(token) {
            return Ok(Verdict::NotRecognized);
        }
        let found = self.python.access(token).await?.map(|found| Stored::Token(Box::new(record(found))));
        self.issuing.judged(call.now(), token, found.as_ref())
    }

    async fn create_token(&self, call: &Call<'_>, request: &CreateToken) -> Result<CreatedToken> {
        let (value, token) = self.issuing.token(call.now(), request)?;
        PythonTokens(Arc::clone(&self.python)).save_token(&token).await?;
        Ok(CreatedToken::new(value.clone()).with_id(id_of(&value)).expires_at(token.expires_at))
    }

    async fn get_token(&self, call: &Call<'_>, token: &TokenSelector) -> Result<Option<ShownToken>> {
        let found = self.record(token, call.now()).await?;
        found.map(|(key, record, _)| self.issuing.shown(key, record)).transpose()
    }

    async fn invalidate_tokens(&self, call: &Call<'_>, request: &InvalidateTokens) -> Result<InvalidatedTokens> {
        let not_found = || PluginError::not_found("token");
        let (_, record, token) = self.record(&request.tokens, call.now()).await?.ok_or_else(not_found)?;
        match self.python.remove_access(&token).await? {
            true => Ok(InvalidatedTokens::new([(id_of(&token), self.issuing.actor_id(&record))])),
            false => Err(not_found()),
        }
    }
}
