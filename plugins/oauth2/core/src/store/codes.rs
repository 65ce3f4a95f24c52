//! [`KeptCodes`]: the store for authorization codes.

use std::sync::Arc;

use token_plugin_api::{AUTHORIZATION_CODE, AuthCodeStore, AuthorizationCode, Consumption, PluginError, Result};

use super::{Kept, REMEMBERED_SECONDS, TRIES, crowded, kept_until, of_another_kind};
use crate::items::{CodeRecord, Item, Key, Kind, Next, Proof, Stored, is_over};

/// The store for authorization codes.
#[derive(Debug, Clone)]
pub(crate) struct KeptCodes(pub(crate) Arc<Kept>);

fn not_found() -> PluginError {
    PluginError::not_found(AUTHORIZATION_CODE)
}

fn code_key(code: &str) -> Key {
    Key::new(Kind::Code, [code])
}

impl CodeRecord {
    fn of(code: &AuthorizationCode) -> Self {
        Self {
            client_id: code.client_id.clone(),
            expires_at: code.expires_at,
            redirect_uri: code.redirect_uri.clone(),
            scopes: code.scopes.clone(),
            data: code.data.clone(),
            user_id: code.user_id.clone(),
            family_id: code.family_id.clone(),
            consumed: false,
        }
    }

    fn to_code(&self, value: &str) -> AuthorizationCode {
        let Self { client_id, expires_at, redirect_uri, family_id, .. } = self;
        let mut code = AuthorizationCode::new(client_id, value, *expires_at, redirect_uri, family_id);
        code.scopes.clone_from(&self.scopes);
        code.data.clone_from(&self.data);
        code.user_id.clone_from(&self.user_id);
        code
    }
}

impl KeptCodes {
    async fn code(&self, code: &str) -> Result<(CodeRecord, Proof)> {
        let item = self.0.items.get(code_key(code), self.0.now()).await?;
        let Item { stored, proof } = item.ok_or_else(not_found)?;
        match &*stored {
            // That it was consumed is told for longer.
            Stored::Code(record) if !record.consumed && is_over(Some(record.expires_at), self.0.now()) => {
                Err(not_found())
            }
            Stored::Code(record) => Ok((CodeRecord::clone(record), proof)),
            _ => Err(of_another_kind()),
        }
    }
}

impl AuthCodeStore for KeptCodes {
    fn name(&self) -> &str {
        &self.0.name
    }

    async fn save_code(&self, code: &AuthorizationCode) -> Result<()> {
        let value = code.code.as_deref().ok_or_else(|| PluginError::invalid_argument("the code has no value"))?;
        let kept = Stored::Code(Box::new(CodeRecord::of(code)));
        self.0.items.put(code_key(value), kept, kept_until(Some(code.expires_at)), self.0.now()).await
    }

    async fn fetch_by_code(&self, code: &str) -> Result<AuthorizationCode> {
        let (record, _) = self.code(code).await?;
        if record.consumed { Err(not_found()) } else { Ok(record.to_code(code)) }
    }

    async fn delete_code(&self, code: &str) -> Result<()> {
        let (record, proof) = self.code(code).await?;
        let is_done = !record.consumed && self.0.items.swap(code_key(code), proof, Next::Nothing, self.0.now()).await?;
        if is_done { Ok(()) } else { Err(not_found()) }
    }

    async fn consume_code(&self, code: &str, client_id: &str, redirect_uri: &str) -> Result<Consumption> {
        for _ in 0..TRIES {
            let (record, proof) = self.code(code).await?;
            if record.client_id != client_id || record.redirect_uri != redirect_uri {
                return Err(not_found());
            }
            if record.consumed {
                return Ok(Consumption::Reused { family_id: record.family_id });
            }
            let until = record.expires_at.saturating_add(REMEMBERED_SECONDS);
            let consumed = Stored::Code(Box::new(CodeRecord { consumed: true, ..record.clone() }));
            if self.0.items.swap(code_key(code), proof, Next::Is(consumed, Some(until)), self.0.now()).await? {
                return Ok(Consumption::Done(Box::new(record.to_code(code))));
            }
        }
        Err(crowded())
    }
}
