//! [`PythonTokens`]: the store for access tokens.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use token_plugin_api::{
    ACCESS_TOKEN, AccessToken, AccessTokenStore, PluginError, Result, RotateRefreshToken, Rotation,
};

use super::{
    Python, TRIES, crowded,
    families::Member,
    records::{PythonToken, last},
};
use crate::items::{Key, Kind, Proof};

/// The store for access tokens. All of a user's or a client's cannot be revoked: nothing tells which they are.
#[derive(Debug, Clone)]
pub(crate) struct PythonTokens(pub(crate) Arc<Python>);

/// What that library does not keep of a refresh token.
#[derive(Clone, Serialize, Deserialize)]
struct RefreshNote {
    family_id: String,
    client_id: String,
    /// It counts when the refresh token is gone.
    is_used: bool,
}

fn not_found() -> PluginError {
    PluginError::not_found(ACCESS_TOKEN)
}

fn note_key(refresh_token: &str) -> Key {
    Key::new(Kind::RefreshToken, [refresh_token])
}

impl Python {
    /// An access token, which may have expired.
    pub(super) async fn access(&self, token: &str) -> Result<Option<AccessToken>> {
        let Some((record, _)) = self.any_record(token).await? else { return Ok(None) };
        record.to_token(None).map(Some)
    }

    async fn access_record(&self, token: &str) -> Result<Option<(PythonToken, Proof)>> {
        Ok(self.any_record(token).await?.filter(|(record, _)| !self.is_over(record.expires_at())))
    }

    /// What says of itself that it is this access token.
    async fn any_record(&self, token: &str) -> Result<Option<(PythonToken, Proof)>> {
        let found = self.read::<PythonToken>(self.theirs(token)).await?;
        Ok(found.filter(|(record, _)| record.token == token))
    }

    /// A refresh token: what says of itself that it came with this one. An access token is none.
    async fn refresh(&self, refresh_token: &str) -> Result<Option<(PythonToken, Proof)>> {
        let found = self.read::<PythonToken>(self.theirs(refresh_token)).await?;
        Ok(found.filter(|(record, _)| {
            record.refresh_token.as_deref() == Some(refresh_token) && !self.is_over(record.refresh_expires_at())
        }))
    }

    async fn note(&self, refresh_token: &str) -> Result<Option<RefreshNote>> {
        Ok(self.read(self.ours(note_key(refresh_token))).await?.map(|(note, _)| note))
    }

    /// The family of a refresh token. One that the other library made has one that follows from its value.
    async fn family_of(&self, refresh_token: &str) -> Result<String> {
        let note = self.note(refresh_token).await?;
        Ok(note.map_or_else(|| note_key(refresh_token).to_text(), |note| note.family_id))
    }

    /// Where the copy is that is asked by a client, a grant and a user. That library fails when it can have no such key, as
    /// with a blank in a user's name: then it is not missing what is kept elsewhere.
    fn last_key(&self, last: &str) -> String {
        let theirs = self.theirs(last);
        if self.values.is_key(&theirs) { theirs } else { self.ours(Key::new(Kind::LastToken, [last])) }
    }

    /// Removes an access token, and the copy that is asked by its client, grant and user; whether it was there.
    pub(super) async fn remove_access(&self, token: &str) -> Result<bool> {
        for _ in 0..TRIES {
            let Some((record, proof)) = self.access_record(token).await? else { return Ok(false) };
            if self.values.swap(self.theirs(token), proof, None).await? {
                self.remove_last(&record).await?;
                return Ok(true);
            }
        }
        Err(crowded())
    }

    async fn remove_last(&self, record: &PythonToken) -> Result<()> {
        let key = self.last_key(&record.last());
        for _ in 0..TRIES {
            // It may be a newer one's.
            let copy = self.read::<PythonToken>(key.clone()).await?.filter(|(copy, _)| copy.token == record.token);
            let Some((_, proof)) = copy else { return Ok(()) };
            if self.values.swap(key.clone(), proof, None).await? {
                return Ok(());
            }
        }
        Err(crowded())
    }

    /// Writes a token, and its refresh token with scopes of its own, in the place of others of its family.
    ///
    /// # Errors
    ///
    /// Not found, when the family was revoked: then nothing of them is left.
    async fn write_token(
        &self,
        record: &PythonToken,
        refresh_scopes: Option<Vec<String>>,
        family_id: Option<&str>,
        gone: &[Member],
    ) -> Result<()> {
        let (expires_at, mut until) = (record.expires_at(), record.expires_at());
        let mut new = vec![Member::Access(record.token.clone())];
        if let (Some(refresh_token), Some(family_id)) = (&record.refresh_token, family_id) {
            let refresh_expires_at = record.refresh_expires_at();
            until = until.zip(refresh_expires_at).map(|(one, other)| one.max(other));
            let (family_id, client_id) = (family_id.to_owned(), record.client_id.clone());
            let note = RefreshNote { family_id, client_id, is_used: false };
            self.write(self.ours(note_key(refresh_token)), &note, refresh_expires_at).await?;
            let refresh = PythonToken { scopes: refresh_scopes, ..record.clone() };
            self.write(self.theirs(refresh_token), &refresh, refresh_expires_at).await?;
            new.push(Member::Refresh(refresh_token.clone()));
        }
        self.write(self.theirs(&record.token), record, expires_at).await?;
        self.write(self.last_key(&record.last()), record, expires_at).await?;
        if let Some(family_id) = family_id
            && let Err(error) = self.name_in_family(family_id, gone, &new, until).await
        {
            self.remove_all(&new).await?;
            return Err(error);
        }
        Ok(())
    }
}

impl AccessTokenStore for PythonTokens {
    fn name(&self) -> &str {
        &self.0.name
    }

    async fn save_token(&self, token: &AccessToken) -> Result<()> {
        let record = PythonToken::of(token)?;
        // A refresh token has a family, so that a second use of it can be held against what came from the first.
        let of_refresh = token.refresh_token.as_deref().map(|refresh_token| note_key(refresh_token).to_text());
        let family_id = token.family_id.clone().or(of_refresh);
        let old = self.0.access_record(&record.token).await?.and_then(|(old, _)| old.refresh_token);
        self.0.write_token(&record, record.scopes.clone(), family_id.as_deref(), &[]).await?;
        match old.filter(|old| Some(old) != record.refresh_token.as_ref()) {
            Some(replaced) => self.0.values.remove(self.0.theirs(&replaced)).await.map(drop),
            None => Ok(()),
        }
    }

    async fn fetch_by_token(&self, token: &str) -> Result<AccessToken> {
        let (record, _) = self.0.access_record(token).await?.ok_or_else(not_found)?;
        let family_id = match &record.refresh_token {
            Some(refresh_token) => Some(self.0.family_of(refresh_token).await?),
            None => None,
        };
        record.to_token(family_id)
    }

    async fn fetch_by_refresh_token(&self, refresh_token: &str) -> Result<AccessToken> {
        let (record, _) = self.0.refresh(refresh_token).await?.ok_or_else(not_found)?;
        record.to_token(Some(self.0.family_of(refresh_token).await?))
    }

    async fn fetch_existing_token_of_user(
        &self,
        client_id: &str,
        grant_type: &str,
        user_id: &str,
    ) -> Result<AccessToken> {
        let last = last(client_id, grant_type, Some(user_id));
        let (copy, _) = self.0.read::<PythonToken>(self.0.last_key(&last)).await?.ok_or_else(not_found)?;
        let found = self.fetch_by_token(&copy.token).await?;
        let is_it =
            found.client_id == client_id && found.grant_type == grant_type && found.user_id.as_deref() == Some(user_id);
        if is_it { Ok(found) } else { Err(not_found()) }
    }

    async fn delete_refresh_token(&self, refresh_token: &str) -> Result<()> {
        for _ in 0..TRIES {
            let (record, proof) = self.0.refresh(refresh_token).await?.ok_or_else(not_found)?;
            // The access token first: cut short, this can be done again.
            self.0.remove_access(&record.token).await?;
            if self.0.values.swap(self.0.theirs(refresh_token), proof, None).await? {
                // Also when the token itself had expired.
                return self.0.remove_last(&record).await;
            }
        }
        Err(crowded())
    }

    async fn rotate_refresh_token(&self, request: &RotateRefreshToken) -> Result<Rotation> {
        let RotateRefreshToken { refresh_token, client_id, .. } = request;
        for _ in 0..TRIES {
            let Some((record, proof)) = self.0.refresh(refresh_token).await? else {
                let note = self.0.note(refresh_token).await?;
                let used = note.filter(|note| note.is_used && note.client_id == *client_id).ok_or_else(not_found)?;
                self.0.end_family(&used.family_id).await?;
                return Ok(Rotation::Reused);
            };
            if record.client_id != *client_id {
                return Err(not_found());
            }
            let granted = record.scopes.clone().unwrap_or_default();
            let scopes = request.scopes.clone().unwrap_or_else(|| granted.clone());
            if let Some(wider) = scopes.iter().find(|scope| !granted.contains(scope)) {
                return Err(PluginError::invalid_argument(format!("the scope {wider:?} was not granted")));
            }
            let family_id = self.0.family_of(refresh_token).await?;
            let (of, client_id) = (family_id.clone(), client_id.clone());
            let note = RefreshNote { family_id: of, client_id, is_used: true };
            self.0.write(self.0.ours(note_key(refresh_token)), &note, record.refresh_expires_at()).await?;
            if !self.0.values.swap(self.0.theirs(refresh_token), proof, None).await? {
                continue;
            }
            // Before the family forgets it: cut short here, it must not be left behind.
            self.0.remove_access(&record.token).await?;
            let new = PythonToken {
                token: request.new_token.clone(),
                expires_at: request.expires_at.map(Into::into),
                refresh_token: Some(request.new_refresh_token.clone()),
                refresh_expires_at: Some(request.refresh_expires_at.unwrap_or(0).into()),
                scopes: Some(scopes),
                ..record.clone()
            };
            let gone = [Member::Access(record.token.clone()), Member::Refresh(refresh_token.clone())];
            match self.0.write_token(&new, record.scopes, Some(&family_id), &gone).await {
                Ok(()) => {}
                // Somebody else used it a second time in the meantime, and revoked the family: as if that had come after
                // this. It is this caller who used it first.
                Err(error) if error == not_found() => {}
                Err(error) => return Err(error),
            }
            return Ok(Rotation::Done(Box::new(new.to_token(Some(family_id))?)));
        }
        Err(crowded())
    }

    async fn revoke_token(&self, token: &str, client_id: Option<&str>) -> Result<bool> {
        let is_theirs = |of: &str| client_id.is_none_or(|client_id| client_id == of);
        if let Some((record, _)) = self.0.access_record(token).await? {
            return if is_theirs(&record.client_id) { self.0.remove_access(token).await } else { Ok(false) };
        }
        let Some((record, _)) = self.0.refresh(token).await? else {
            let used = self.0.note(token).await?.filter(|note| note.is_used && is_theirs(&note.client_id));
            if let Some(used) = used {
                self.0.end_family(&used.family_id).await?;
            }
            return Ok(false);
        };
        if !is_theirs(&record.client_id) {
            return Ok(false);
        }
        self.0.end_family(&self.0.family_of(token).await?).await?;
        self.0.remove_all(&[Member::Refresh(token.to_owned()), Member::Access(record.token)]).await?;
        Ok(true)
    }

    async fn revoke_family(&self, family_id: &str) -> Result<()> {
        self.0.end_family(family_id).await
    }
}
