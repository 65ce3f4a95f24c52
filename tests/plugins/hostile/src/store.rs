//! The tokens that a handler keeps, in memory.

use std::sync::{Mutex, MutexGuard, PoisonError};

use token_plugin_api::{
    Actors, Call, CreateToken, CreatedToken, Expires, InvalidateTokens, InvalidatedTokens, PluginError, Result,
    TokenFilter, TokenPage, TokenRecord, TokenSelector, UpdateToken,
};

use crate::settings;

/// Tokens in the order of their creation, each token's value being its id; or why there are none.
pub(crate) struct Store(Result<Mutex<Vec<TokenRecord>>, Fault>);

/// What an operation is answered with.
type Fault = fn(&'static str) -> PluginError;

impl Store {
    pub(crate) fn new(kind: &settings::Store) -> Self {
        Self(match kind {
            settings::Store::None => Err(PluginError::unsupported),
            settings::Store::Memory => Ok(Mutex::default()),
            settings::Store::Fail => Err(|_| PluginError::failed("it was told to fail")),
        })
    }

    /// The token that is kept in place of this one; a handler that keeps none answers with it.
    pub(crate) fn keep(&self, call: &Call<'_>, request: &CreateToken, created: CreatedToken) -> CreatedToken {
        let Ok(mut kept) = self.kept("create_token") else { return created };
        let id = format!("kept-{}", kept.len() + 1);
        let mut record = TokenRecord::new(&id, &request.actor_id, call.now());
        record.note.clone_from(&request.details().note);
        kept.push(record);
        CreatedToken::new(&id).with_id(&id)
    }

    pub(crate) fn list(&self, filter: &TokenFilter) -> Result<TokenPage> {
        let kept = self.kept("list_tokens")?;
        let selector = TokenSelector::Filter(filter.clone());
        let meant = meant(&selector)?;
        Ok(TokenPage::new(kept.iter().filter(|record| meant(record)).cloned().collect(), None))
    }

    pub(crate) fn find(&self, token: &TokenSelector) -> Result<Option<TokenRecord>> {
        let kept = self.kept("get_token")?;
        let meant = meant(token)?;
        Ok(kept.iter().find(|record| meant(record)).cloned())
    }

    pub(crate) fn invalidate(&self, call: &Call<'_>, request: &InvalidateTokens) -> Result<InvalidatedTokens> {
        let mut kept = self.kept("invalidate_tokens")?;
        let meant = meant(&request.tokens)?;
        let invalidated = kept.iter_mut().filter(|record| record.valid && meant(record)).map(|record| {
            record.valid = false;
            record.invalid_at = Some(call.now());
            record.invalid_reason = Some(request.reason.clone());
            (record.id.clone(), record.actor_id.clone())
        });
        Ok(InvalidatedTokens::new(invalidated))
    }

    pub(crate) fn update(&self, call: &Call<'_>, request: &UpdateToken) -> Result<TokenRecord> {
        let mut kept = self.kept("update_token")?;
        let meant = meant(&request.token)?;
        let record = kept.iter_mut().find(|record| meant(record)).ok_or_else(|| PluginError::not_found("token"))?;
        record.updated_at = Some(call.now());
        if request.note.is_some() {
            record.note.clone_from(&request.note);
        }
        if request.policy.is_some() {
            record.policy.clone_from(&request.policy);
        }
        record.valid = request.valid.unwrap_or(record.valid);
        match request.expires {
            None => {}
            Some(Expires::Never) => record.expires_at = None,
            Some(Expires::At(at)) => record.expires_at = Some(at),
        }
        Ok(record.clone())
    }

    fn kept(&self, operation: &'static str) -> Result<MutexGuard<'_, Vec<TokenRecord>>> {
        let kept = self.0.as_ref().map_err(|fault| fault(operation))?;
        Ok(kept.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Whether a token is meant. Of all conditions it knows whose and whether valid.
fn meant(selector: &TokenSelector) -> Result<impl Fn(&TokenRecord) -> bool> {
    if let TokenSelector::Filter(filter) = selector {
        let mut known = TokenFilter::of(filter.actors.clone());
        known.valid = filter.valid;
        if *filter != known {
            return Err(PluginError::invalid_argument("it was asked for a condition that it does not know"));
        }
    }
    Ok(move |record: &TokenRecord| match selector {
        TokenSelector::Token(id) | TokenSelector::Id(id) => record.id == *id,
        TokenSelector::Filter(filter) => {
            let whose = match &filter.actors {
                Actors::Everyone => true,
                Actors::These(ids) => ids.contains(&record.actor_id),
                _ => false,
            };
            whose && filter.valid.is_none_or(|valid| valid == record.valid)
        }
        _ => false,
    })
}
