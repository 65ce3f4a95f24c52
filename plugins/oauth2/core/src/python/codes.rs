//! [`PythonCodes`]: the store for authorization codes.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use token_plugin_api::{AUTHORIZATION_CODE, AuthCodeStore, AuthorizationCode, Consumption, PluginError, Result};

use super::{Python, REMEMBERED_SECONDS, TRIES, crowded, records::PythonCode};
use crate::items::{Key, Kind, Proof};

/// The store for authorization codes.
#[derive(Debug, Clone)]
pub(crate) struct PythonCodes(pub(crate) Arc<Python>);

/// What that library does not keep of a code.
#[derive(Clone, Serialize, Deserialize)]
struct CodeNote {
    family_id: String,
    client_id: String,
    redirect_uri: String,
    is_consumed: bool,
}

fn not_found() -> PluginError {
    PluginError::not_found(AUTHORIZATION_CODE)
}

fn note_key(code: &str) -> Key {
    Key::new(Kind::Code, [code])
}

impl PythonCodes {
    async fn code(&self, code: &str) -> Result<Option<(PythonCode, Proof)>> {
        let found = self.0.read::<PythonCode>(self.0.theirs(code)).await?;
        Ok(found.filter(|(found, _)| found.code == code && !self.0.is_over(Some(found.expires_at()))))
    }

    async fn note(&self, code: &str) -> Result<Option<CodeNote>> {
        Ok(self.0.read(self.0.ours(note_key(code))).await?.map(|(note, _)| note))
    }

    async fn write_note(&self, code: &str, note: &CodeNote, expires_at: u64) -> Result<()> {
        let until = expires_at.saturating_add(REMEMBERED_SECONDS);
        self.0.write(self.0.ours(note_key(code)), note, Some(until)).await
    }

    /// The family of a code. One that the other library made has one that follows from its value.
    async fn family_id(&self, code: &str) -> Result<String> {
        Ok(self.note(code).await?.map_or_else(|| note_key(code).to_text(), |note| note.family_id))
    }
}

impl AuthCodeStore for PythonCodes {
    fn name(&self) -> &str {
        &self.0.name
    }

    async fn save_code(&self, code: &AuthorizationCode) -> Result<()> {
        let record = PythonCode::of(code)?;
        let note = CodeNote {
            family_id: code.family_id.clone(),
            client_id: code.client_id.clone(),
            redirect_uri: code.redirect_uri.clone(),
            is_consumed: false,
        };
        // First: whoever finds the code finds its family.
        self.write_note(&record.code, &note, code.expires_at).await?;
        self.0.write(self.0.theirs(&record.code), &record, Some(code.expires_at)).await
    }

    async fn fetch_by_code(&self, code: &str) -> Result<AuthorizationCode> {
        let (record, _) = self.code(code).await?.ok_or_else(not_found)?;
        record.to_code(self.family_id(code).await?)
    }

    async fn delete_code(&self, code: &str) -> Result<()> {
        let (_, proof) = self.code(code).await?.ok_or_else(not_found)?;
        let is_done = self.0.values.swap(self.0.theirs(code), proof, None).await?;
        if is_done { Ok(()) } else { Err(not_found()) }
    }

    async fn consume_code(&self, code: &str, client_id: &str, redirect_uri: &str) -> Result<Consumption> {
        for _ in 0..TRIES {
            let Some((record, proof)) = self.code(code).await? else {
                let note = self.note(code).await?.filter(|note| note.is_consumed);
                let note = note.filter(|note| note.client_id == client_id && note.redirect_uri == redirect_uri);
                return note.map(|note| Consumption::Reused { family_id: note.family_id }).ok_or_else(not_found);
            };
            if record.client_id != client_id || record.redirect_uri.as_deref().unwrap_or_default() != redirect_uri {
                return Err(not_found());
            }
            let family_id = self.family_id(code).await?;
            let note = CodeNote {
                family_id: family_id.clone(),
                client_id: client_id.to_owned(),
                redirect_uri: redirect_uri.to_owned(),
                is_consumed: true,
            };
            self.write_note(code, &note, record.expires_at()).await?;
            if self.0.values.swap(self.0.theirs(code), proof, None).await? {
                return Ok(Consumption::Done(Box::new(record.to_code(family_id)?)));
            }
        }
        Err(crowded())
    }
}
