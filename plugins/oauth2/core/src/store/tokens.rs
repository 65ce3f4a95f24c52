//! [`KeptTokens`]: the store for access tokens.

use std::sync::Arc;

use futures_util::future::try_join_all;
use token_plugin_api::{
    ACCESS_TOKEN, AccessToken, AccessTokenStore, PluginError, Result, RotateRefreshToken, Rotation,
};

use super::{Kept, TRIES, crowded, families::Members, kept_until, of_another_kind};
use crate::items::{Answer, Item, Key, Kind, Next, Proof, RefreshRecord, Stored, TokenRecord, is_over};

/// The store for access tokens.
#[derive(Debug, Clone)]
pub(crate) struct KeptTokens(pub(crate) Arc<Kept>);

/// A refresh token as it was read.
struct Refresh {
    key: Key,
    record: RefreshRecord,
    proof: Proof,
}

fn not_found() -> PluginError {
    PluginError::not_found(ACCESS_TOKEN)
}

fn token_key(token: &str) -> Key {
    Key::new(Kind::Token, [token])
}

fn refresh_key(refresh_token: &str) -> Key {
    Key::new(Kind::RefreshToken, [refresh_token])
}

fn last_token_key(client_id: &str, grant_type: &str, user_id: &str) -> Key {
    Key::new(Kind::LastToken, [client_id, grant_type, user_id])
}

/// The later of two expiries, of which none is the latest.
fn later(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    one.zip(other).map(|(one, other)| one.max(other))
}

impl TokenRecord {
    fn of(token: &AccessToken, refresh: Option<Key>) -> Self {
        // A refresh token has a family, so that a second use of it can be held against what came from the first.
        let family_id = token.family_id.clone().or_else(|| refresh.map(Key::to_text));
        Self {
            client_id: token.client_id.as_str().into(),
            grant_type: token.grant_type.as_str().into(),
            data: token.data.clone(),
            expires_at: token.expires_at,
            refresh_expires_at: refresh.and(token.refresh_expires_at),
            scopes: token.scopes.as_slice().into(),
            user_id: token.user_id.clone(),
            family_id,
            refresh,
        }
    }

    /// The token, without its value and that of its refresh token, of which nothing is known here.
    fn into_token(self) -> AccessToken {
        let mut token = AccessToken::new(&*self.client_id, &*self.grant_type, "");
        token.token = None;
        token.data = self.data;
        (token.expires_at, token.refresh_expires_at) = (self.expires_at, self.refresh_expires_at);
        token.scopes = self.scopes.to_vec();
        (token.user_id, token.family_id) = (self.user_id, self.family_id);
        token
    }
}

impl Kept {
    /// What is kept of an access token, when nothing has to be waited for.
    pub(crate) fn token_at_once(&self, token: &str) -> Option<Result<Option<Arc<Stored>>>> {
        let found = self.items.get_at_once(&token_key(token), self.now())?;
        Some(found.map(|item| item.map(|item| item.stored)))
    }

    /// What is kept of an access token.
    pub(crate) async fn token(&self, token: &str) -> Result<Option<Arc<Stored>>> {
        Ok(self.items.get(token_key(token), self.now()).await?.map(|item| item.stored))
    }

    async fn token_by_key(&self, key: Key) -> Result<AccessToken> {
        let item = self.items.get(key, self.now()).await?.ok_or_else(not_found)?;
        match Arc::unwrap_or_clone(item.stored) {
            Stored::Token(record) if is_over(record.expires_at, self.now()) => Err(not_found()),
            Stored::Token(record) => Ok(record.into_token()),
            _ => Err(of_another_kind()),
        }
    }

    async fn refresh(&self, refresh_token: &str) -> Result<Option<Refresh>> {
        self.refresh_by_key(refresh_key(refresh_token)).await
    }

    async fn refresh_by_key(&self, key: Key) -> Result<Option<Refresh>> {
        let Some(Item { stored, proof }) = self.items.get(key, self.now()).await? else { return Ok(None) };
        match &*stored {
            Stored::RefreshToken(record) if is_over(record.token.refresh_expires_at, self.now()) => Ok(None),
            Stored::RefreshToken(record) => Ok(Some(Refresh { key, record: RefreshRecord::clone(record), proof })),
            _ => Err(of_another_kind()),
        }
    }

    /// Writes a token, and a refresh token with scopes of its own, in the place of others of its family.
    ///
    /// # Errors
    ///
    /// Not found, when the family was revoked: then nothing of them is left.
    async fn write(&self, key: Key, record: TokenRecord, refresh_scopes: Arc<[String]>, gone: &[Key]) -> Result<()> {
        let now = self.now();
        let mut new = vec![key];
        // None of these depends on another, and nobody knows the token yet.
        let mut writes = self.notes(&record, key, record.expires_at);
        let stored = Stored::Token(Box::new(record.clone()));
        writes.push(self.items.put(key, stored, kept_until(record.expires_at), now));
        if let Some(refresh) = record.refresh {
            new.push(refresh);
            writes.extend(self.notes(&record, refresh, record.refresh_expires_at));
            let token = TokenRecord { scopes: refresh_scopes, refresh: None, ..record.clone() };
            let stored = Stored::RefreshToken(Box::new(RefreshRecord { token, access: key, used: false }));
            writes.push(self.items.put(refresh, stored, kept_until(record.refresh_expires_at), now));
        }
        if let Some(user_id) = &record.user_id {
            let last = last_token_key(&record.client_id, &record.grant_type, user_id);
            writes.push(self.items.put(last, Stored::LastToken(key), kept_until(record.expires_at), now));
        }
        try_join_all(writes).await?;
        let Some(family_id) = &record.family_id else { return Ok(()) };
        let until = match record.refresh {
            Some(_) => later(record.expires_at, record.refresh_expires_at),
            None => record.expires_at,
        };
        let change = Members { gone, new: &new, until: kept_until(until) };
        if let Err(error) = self.name_in_family(family_id, &change).await {
            self.remove_all(&new).await?;
            return Err(error);
        }
        Ok(())
    }

    /// Notes whose a token is: whoever revokes all of a user's finds it.
    fn notes(&self, record: &TokenRecord, key: Key, expires_at: Option<u64>) -> Vec<Answer<'_, ()>> {
        let user = record.user_id.as_ref().map(|user_id| Key::new(Kind::TokensOfUser, [user_id]));
        let sets = [Some(Key::new(Kind::TokensOfClient, [&*record.client_id])), user];
        let note = |set| self.items.note(set, key, kept_until(expires_at), self.now());
        sets.into_iter().flatten().map(note).collect()
    }

    /// Revokes all tokens of a user; which access and refresh tokens there were.
    pub(crate) async fn revoke_user(&self, user_id: &str) -> Result<Vec<Key>> {
        self.revoke_set(Key::new(Kind::TokensOfUser, [user_id])).await
    }

    /// Revokes those tokens of a client that no user gave to it; which there were.
    pub(crate) async fn revoke_own_of_client(&self, client_id: &str) -> Result<Vec<Key>> {
        let mut removed = Vec::new();
        for key in self.items.members(Key::new(Kind::TokensOfClient, [client_id]), self.now()).await? {
            let Some(Item { stored, .. }) = self.items.get(key, self.now()).await? else { continue };
            let record = match &*stored {
                Stored::Token(record) => record,
                Stored::RefreshToken(refresh) => &refresh.token,
                _ => return Err(of_another_kind()),
            };
            if record.user_id.is_none() {
                if let Some(family_id) = &record.family_id {
                    removed.extend(self.end_family(family_id).await?);
                }
                removed.extend(self.remove_all(&[key]).await?);
            }
        }
        Ok(removed)
    }

    async fn revoke_set(&self, set: Key) -> Result<Vec<Key>> {
        let members = self.items.members(set, self.now()).await?;
        let mut removed = Vec::new();
        for key in &members {
            if key.kind() == Kind::RefreshToken
                && let Some(Refresh { record, .. }) = self.refresh_by_key(*key).await?
                && let Some(family_id) = &record.token.family_id
            {
                // Whoever is using it at this moment must not come out with new ones.
                removed.extend(self.end_family(family_id).await?);
            }
        }
        removed.extend(self.remove_all(&members).await?);
        // What was not there may be about to come: its place in the set is for the next who revokes.
        let gone = members.into_iter().filter(|member| removed.contains(member)).collect();
        self.items.forget(set, gone, self.now()).await?;
        Ok(removed)
    }
}

impl AccessTokenStore for KeptTokens {
    fn name(&self) -> &str {
        &self.0.name
    }

    async fn save_token(&self, token: &AccessToken) -> Result<()> {
        let value = token.token.as_deref().ok_or_else(|| PluginError::invalid_argument("the token has no value"))?;
        let (key, refresh) = (token_key(value), token.refresh_token.as_deref().map(refresh_key));
        let record = TokenRecord::of(token, refresh);
        let replaced = match self.0.items.get(key, self.0.now()).await? {
            Some(Item { stored, .. }) => match &*stored {
                Stored::Token(old) => old.refresh.filter(|old| Some(*old) != refresh),
                _ => return Err(of_another_kind()),
            },
            None => None,
        };
        let scopes = Arc::clone(&record.scopes);
        self.0.write(key, record, scopes, &[]).await?;
        if let Some(replaced) = replaced {
            self.0.items.remove(replaced, self.0.now()).await?;
        }
        Ok(())
    }

    async fn fetch_by_token(&self, token: &str) -> Result<AccessToken> {
        let mut found = self.0.token_by_key(token_key(token)).await?;
        found.token = Some(token.to_owned());
        Ok(found)
    }

    async fn fetch_by_refresh_token(&self, refresh_token: &str) -> Result<AccessToken> {
        let refresh = self.0.refresh(refresh_token).await?.filter(|refresh| !refresh.record.used);
        let mut found = refresh.ok_or_else(not_found)?.record.token.into_token();
        found.refresh_token = Some(refresh_token.to_owned());
        Ok(found)
    }

    async fn fetch_existing_token_of_user(
        &self,
        client_id: &str,
        grant_type: &str,
        user_id: &str,
    ) -> Result<AccessToken> {
        let last = last_token_key(client_id, grant_type, user_id);
        let item = self.0.items.get(last, self.0.now()).await?.ok_or_else(not_found)?;
        match &*item.stored {
            Stored::LastToken(key) => self.0.token_by_key(*key).await,
            _ => Err(of_another_kind()),
        }
    }

    async fn delete_refresh_token(&self, refresh_token: &str) -> Result<()> {
        for _ in 0..TRIES {
            let refresh = self.0.refresh(refresh_token).await?.filter(|refresh| !refresh.record.used);
            let Refresh { key, record, proof } = refresh.ok_or_else(not_found)?;
            // The access token first: cut short, this can be done again.
            self.0.remove_all(&[record.access]).await?;
            if self.0.items.swap(key, proof, Next::Nothing, self.0.now()).await? {
                return Ok(());
            }
        }
        Err(crowded())
    }

    async fn rotate_refresh_token(&self, request: &RotateRefreshToken) -> Result<Rotation> {
        for _ in 0..TRIES {
            let Refresh { key, record, proof } = self.0.refresh(&request.refresh_token).await?.ok_or_else(not_found)?;
            let token = &record.token;
            if *token.client_id != *request.client_id {
                return Err(not_found());
            }
            let family_id = token.family_id.as_deref().ok_or_else(of_another_kind)?;
            if record.used {
                self.0.end_family(family_id).await?;
                return Ok(Rotation::Reused);
            }
            let scopes = request.scopes.as_deref().map_or_else(|| Arc::clone(&token.scopes), Arc::from);
            if let Some(wider) = scopes.iter().find(|scope| !token.scopes.contains(scope)) {
                return Err(PluginError::invalid_argument(format!("the scope {wider:?} was not granted")));
            }
            let used = RefreshRecord { used: true, ..record.clone() };
            let next = Next::Is(Stored::RefreshToken(Box::new(used)), kept_until(token.refresh_expires_at));
            if !self.0.items.swap(key, proof, next, self.0.now()).await? {
                continue;
            }
            // Before the family forgets it: cut short here, it must not be left behind.
            self.0.remove_all(&[record.access]).await?;
            let (access, refresh) = (token_key(&request.new_token), refresh_key(&request.new_refresh_token));
            let new = TokenRecord {
                expires_at: request.expires_at,
                refresh_expires_at: request.refresh_expires_at,
                scopes,
                refresh: Some(refresh),
                ..token.clone()
            };
            let mut rotated = new.clone().into_token();
            match self.0.write(access, new, token.scopes.clone(), &[key, record.access]).await {
                Ok(()) => {}
                // Somebody else used it a second time in the meantime, and revoked the family: as if that had come after
                // this. It is this caller who used it first.
                Err(error) if error == not_found() => {}
                Err(error) => return Err(error),
            }
            rotated.token = Some(request.new_token.clone());
            rotated.refresh_token = Some(request.new_refresh_token.clone());
            return Ok(Rotation::Done(Box::new(rotated)));
        }
        Err(crowded())
    }

    async fn revoke_token(&self, token: &str, client_id: Option<&str>) -> Result<bool> {
        let is_theirs = |record: &TokenRecord| client_id.is_none_or(|client_id| *client_id == *record.client_id);
        if let Some(found) = self.0.token(token).await? {
            return match &*found {
                Stored::Token(record) if is_theirs(record) && !is_over(record.expires_at, self.0.now()) => {
                    Ok(!self.0.remove_all(&[token_key(token)]).await?.is_empty())
                }
                Stored::Token(_) => Ok(false),
                _ => Err(of_another_kind()),
            };
        }
        let Some(Refresh { key, record, .. }) = self.0.refresh(token).await? else { return Ok(false) };
        if !is_theirs(&record.token) {
            return Ok(false);
        }
        let family_id = record.token.family_id.as_deref().ok_or_else(of_another_kind)?;
        self.0.end_family(family_id).await?;
        self.0.remove_all(&[key]).await?;
        Ok(!record.used)
    }

    async fn revoke_tokens_of_user(&self, user_id: &str) -> Result<u64> {
        Ok(self.0.revoke_user(user_id).await?.len() as u64)
    }

    async fn revoke_tokens_of_client(&self, client_id: &str) -> Result<u64> {
        let revoked = self.0.revoke_set(Key::new(Kind::TokensOfClient, [client_id])).await?;
        Ok(revoked.len() as u64)
    }

    async fn revoke_family(&self, family_id: &str) -> Result<()> {
        self.0.end_family(family_id).await.map(drop)
    }
}
