//! [`Oauth2`]: the handler, which judges tokens by what the store knows of them.

use std::{borrow::Cow, sync::Arc};

use serde::Deserialize;
use serde_json::{Map, Value};
use token_plugin_api::{
    AccessToken, AccessTokenStore, Actor, Actors, AsyncTokenHandler, Call, Claims, CreateToken, CreatedToken, Hooks,
    InvalidateTokens, InvalidatedTokens, Migrate, Migrations, PluginError, Reason, Result, TokenFilter,
    TokenRecord as ShownToken, TokenRestrictions, TokenSelector, Trial, Verdict,
};

use crate::{
    config::{Config, Layout},
    forms::Forms,
    items::{Key, Kind, Stored, TokenRecord, is_over},
    python::{self, Python},
    store::{Kept, KeptTokens, Stores},
};

/// The handler of tokens that a store keeps.
#[derive(Debug)]
pub(crate) struct Oauth2 {
    issuing: Issuing,
    kept: Arc<Kept>,
}

/// What tokens look like and stand for, whatever keeps them.
#[derive(Debug)]
pub(crate) struct Issuing {
    kind: Cow<'static, str>,
    pub(crate) forms: Forms,
    default_life: u64,
    default_client_id: String,
    client_actor_prefix: String,
}

/// Where restrictions stand in a token's data.
const RESTRICTIONS: &str = "_r";

/// Registers the handler, and the stores that it looks into.
///
/// # Errors
///
/// When a setting makes no sense.
pub fn register(hooks: &mut Hooks, config: Config) -> Result<()> {
    let forms = Forms::new(&config.prefix, config.token, &config.accept)?;
    if config.default_expires_seconds == 0 {
        return Err(PluginError::invalid_argument("`default_expires_seconds`: expected at least 1"));
    }
    let (name, host) = (config.name.clone(), hooks.host().clone());
    let issuing = Issuing {
        kind: if name == "oauth2" { Cow::Borrowed("oauth2") } else { Cow::Owned(name.clone()) },
        forms,
        default_life: config.default_expires_seconds,
        default_client_id: config.default_client_id.clone(),
        client_actor_prefix: config.client_actor_prefix.clone(),
    };
    match config.layout {
        Layout::TokenHost => {
            let stores = Stores::new(&config, &host)?;
            hooks.access_token_store(stores.access_tokens());
            hooks.auth_code_store(stores.auth_codes());
            hooks.client_store(stores.clients());
            hooks.async_handler(Oauth2 { issuing, kept: stores.0 });
        }
        Layout::PythonOauth2 => {
            let values = config.values(&host)?;
            python::register(hooks, issuing, Python { name, values, prefix: config.key_prefix, host });
        }
    }
    Ok(())
}

impl Issuing {
    /// What is not there may be another's: nothing of an opaque token tells whose it is.
    pub(crate) fn judged(&self, now: u64, token: &str, found: Option<&Stored>) -> Result<Verdict> {
        match found {
            None => Ok(Verdict::NotRecognized),
            Some(Stored::Token(record)) if is_over(record.expires_at, now) => Ok(Verdict::Rejected(Reason::expired())),
            Some(Stored::Token(record)) => self.actor(&id_of(token), record).map(Verdict::Accepted),
            Some(_) => Err(PluginError::failed("an item is of another kind than its key")),
        }
    }

    /// The user, or the client whose own token it is.
    fn actor(&self, id: &str, record: &TokenRecord) -> Result<Actor> {
        let actor_id = self.actor_id(record);
        let mut actor = Actor::new(actor_id, self.kind.clone())
            .claim("token_id", id)
            .claim("client_id", &*record.client_id)
            // RFC 9068 §2.2.3
            .claim("scope", record.scopes.join(" "));
        if let Some(expires_at) = record.expires_at {
            actor = actor.expires_at(expires_at);
        }
        if let Some(restrictions) = restrictions(record)? {
            actor = actor.restricted_to(restrictions);
        }
        Ok(actor)
    }

    pub(crate) fn actor_id(&self, record: &TokenRecord) -> String {
        match &record.user_id {
            Some(user_id) => user_id.clone(),
            None => format!("{}{}", self.client_actor_prefix, record.client_id),
        }
    }

    /// A token of a user, with a client and scopes from the request's extra fields `client_id` and `scope`.
    pub(crate) fn token(&self, now: u64, request: &CreateToken) -> Result<(String, AccessToken)> {
        let details = request.details();
        if details.is_about_the_token_itself() || details.policy.is_some() || details.token_generator_id.is_some() {
            let what = "create_token with a kind, claims, headers, a policy or a generator";
            return Err(PluginError::unsupported(what));
        }
        if request.actor_id.is_empty() {
            return Err(PluginError::invalid_argument("the actor's id is empty"));
        }
        let text = |name: &str| match details.extra.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(PluginError::invalid_argument(format!("the extra field `{name}` is no text"))),
        };
        let client_id = text("client_id")?.unwrap_or_else(|| self.default_client_id.clone());
        let scopes = text("scope")?.unwrap_or_default();
        let value = self.forms.create()?;
        let mut token = AccessToken::new(client_id, "direct", value.as_str());
        token.user_id = Some(request.actor_id.clone());
        token.scopes = scopes.split_ascii_whitespace().map(str::to_owned).collect();
        let life = request.expires_after.unwrap_or(self.default_life);
        let expires_at = now.checked_add(life);
        token.expires_at =
            Some(expires_at.ok_or_else(|| PluginError::invalid_argument("the token would never expire"))?);
        token.data = data(request)?;
        Ok((value, token))
    }

    /// What is shown of a token.
    pub(crate) fn shown(&self, key: Key, record: TokenRecord) -> Result<ShownToken> {
        let mut shown = ShownToken::new(id_of_key(key), self.actor_id(&record), 0);
        shown.created_at = None;
        shown.expires_at = record.expires_at;
        shown.restrictions = restrictions(&record)?;
        shown.note = record.data.get("note").and_then(Value::as_str).map(str::to_owned);
        shown.extra.insert("client_id".to_owned(), (*record.client_id).into());
        shown.extra.insert("grant_type".to_owned(), (*record.grant_type).into());
        shown.extra.insert("scope".to_owned(), record.scopes.join(" ").into());
        Ok(shown)
    }
}

impl Oauth2 {
    /// The key that a token is kept under, when it is one of ours.
    fn key(selector: &TokenSelector) -> Result<Option<Key>> {
        match selector {
            TokenSelector::Token(token) => Ok(Some(Key::new(Kind::Token, [token]))),
            TokenSelector::Id(id) => Ok(Key::from_text(&format!("t:{id}"))),
            _ => Err(PluginError::unsupported("this operation on several tokens")),
        }
    }

    async fn record(&self, key: Key, now: u64) -> Result<Option<TokenRecord>> {
        let Some(item) = self.kept.items.get(key, now).await? else { return Ok(None) };
        match &*item.stored {
            Stored::Token(record) if is_over(record.expires_at, now) => Ok(None),
            Stored::Token(record) => Ok(Some(TokenRecord::clone(record))),
            _ => Err(PluginError::failed("an item is of another kind than its key")),
        }
    }

    async fn invalidate_users(&self, filter: &TokenFilter) -> Result<InvalidatedTokens> {
        let Actors::These(actors) = &filter.actors else {
            return Err(PluginError::unsupported("invalidate_tokens of everyone"));
        };
        if *filter != TokenFilter::of(Actors::These(actors.clone())) {
            return Err(PluginError::unsupported("invalidate_tokens with such a filter"));
        }
        let mut invalidated = Vec::new();
        for actor in actors {
            let mut removed = self.kept.revoke_user(actor).await?;
            if let Some(client_id) = actor.strip_prefix(&*self.issuing.client_actor_prefix) {
                removed.extend(self.kept.revoke_own_of_client(client_id).await?);
            }
            let tokens = removed.into_iter().filter(|key| key.kind() == Kind::Token);
            invalidated.extend(tokens.map(|key| (id_of_key(key), actor.clone())));
        }
        Ok(InvalidatedTokens::new(invalidated))
    }
}

/// The id by which a token is known: its digest.
pub(crate) fn id_of(token: &str) -> String {
    id_of_key(Key::new(Kind::Token, [token]))
}

pub(crate) fn id_of_key(key: Key) -> String {
    key.to_text().split_off("t:".len())
}

impl AsyncTokenHandler for Oauth2 {
    fn name(&self) -> &str {
        &self.kept.name
    }

    fn claims(&self) -> Claims {
        self.issuing.forms.claims().map_or_else(Claims::any, Claims::prefixes)
    }

    /// A token that is made to see whether that works would be left behind, and others would see it.
    fn trial(&self) -> Trial {
        Trial::VerifyOnly
    }

    fn verify_at_once(&self, call: &Call<'_>, token: &str) -> Option<Result<Verdict>> {
        if !self.issuing.forms.accepts(token) {
            return Some(Ok(Verdict::NotRecognized));
        }
        Some(self.kept.token_at_once(token)?.and_then(|found| self.issuing.judged(call.now(), token, found.as_deref())))
    }

    async fn verify_token(&self, call: &Call<'_>, token: &str) -> Result<Verdict> {
        if !self.issuing.forms.accepts(token) {
            return Ok(Verdict::NotRecognized);
        }
        let found = self.kept.token(token).await?;
        self.issuing.judged(call.now(), token, found.as_deref())
    }

    async fn create_token(&self, call: &Call<'_>, request: &CreateToken) -> Result<CreatedToken> {
        let (value, token) = self.issuing.token(call.now(), request)?;
        KeptTokens(Arc::clone(&self.kept)).save_token(&token).await?;
        Ok(CreatedToken::new(value.clone()).with_id(id_of(&value)).expires_at(token.expires_at))
    }

    async fn migrate(&self, call: &Call<'_>, request: &Migrate) -> Result<Migrations> {
        self.kept.items.migrate(request.check, call.now()).await
    }

    async fn get_token(&self, call: &Call<'_>, token: &TokenSelector) -> Result<Option<ShownToken>> {
        let Some(key) = Self::key(token)? else { return Ok(None) };
        let Some(record) = self.record(key, call.now()).await? else { return Ok(None) };
        self.issuing.shown(key, record).map(Some)
    }

    async fn invalidate_tokens(&self, call: &Call<'_>, request: &InvalidateTokens) -> Result<InvalidatedTokens> {
        if let TokenSelector::Filter(filter) = &request.tokens {
            return self.invalidate_users(filter).await;
        }
        let not_found = || PluginError::not_found("token");
        let key = Self::key(&request.tokens)?.ok_or_else(not_found)?;
        let record = self.record(key, call.now()).await?.ok_or_else(not_found)?;
        match self.kept.items.remove(key, call.now()).await? {
            true => Ok(InvalidatedTokens::new([(id_of_key(key), self.issuing.actor_id(&record))])),
            false => Err(not_found()),
        }
    }
}

/// What a token is restricted to, as it is kept.
fn restrictions(record: &TokenRecord) -> Result<Option<TokenRestrictions>> {
    // The error is not told: it would quote what the token may do.
    let unreadable = |_| PluginError::failed("the restrictions of a token cannot be read");
    record.data.get(RESTRICTIONS).map(TokenRestrictions::deserialize).transpose().map_err(unreadable)
}

/// What is kept with a token beside what it is for.
fn data(request: &CreateToken) -> Result<Map<String, Value>> {
    let details = request.details();
    let mut data = Map::new();
    if let Some(note) = &details.note {
        data.insert("note".to_owned(), note.as_str().into());
    }
    for (name, value) in details.extra.iter().filter(|(name, _)| *name != "client_id" && *name != "scope") {
        data.insert(name.clone(), value.clone());
    }
    // Last, so that no field takes their place.
    data.remove(RESTRICTIONS);
    if let Some(restrictions) = &request.restrictions {
        let restrictions = serde_json::to_value(restrictions).map_err(PluginError::failed)?;
        data.insert(RESTRICTIONS.to_owned(), restrictions);
    }
    Ok(data)
}
