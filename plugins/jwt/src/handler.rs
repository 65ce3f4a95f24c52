//! [`Jwt`]: the handler.

use std::sync::Arc;

use token_plugin_api::{
    Actors, AsyncTokenHandler, Call, CreateToken, CreatedToken, Cutoff, Hooks, HostHandle, InvalidateTokens,
    InvalidatedTokens, PluginError, PluginErrorKind, Result, TokenFilter, TokenHandler, TokenPage, TokenRecord,
    TokenSelector, Verdict,
};

use crate::{
    config::Config,
    create::{Issuer, Settings},
    header::{Header, SeenHeaders, media_type},
    keys::{KeySet, known::Keys, settings::JwksConfig, source::Source},
    revocation::{NotRevoked, Revocations, RevokedToken},
    verify::{Judged, Rules, Verifier},
};

/// The handler. Its methods only compute, but for what is done with revocations.
#[derive(Debug)]
pub struct Jwt {
    name: String,
    verifier: Verifier,
    issuer: Issuer,
}

impl Jwt {
    /// A handler with these settings.
    ///
    /// # Errors
    ///
    /// When a setting makes no sense, a key is none or too weak, or the revoked tokens cannot be read.
    pub fn new(config: Config, host: &HostHandle) -> Result<Self> {
        config.check()?;
        let own = config.own_keys()?;
        let access_token_profile = config.requires_access_token_profile();
        let source = match config.jwks {
            Some(jwks) => Some(start_source(jwks, host)?),
            None => None,
        };
        let keys = Arc::new(Keys::new(own, source));
        let audience: Vec<String> = config.audience.iter().flat_map(|one| one.as_slice()).cloned().collect();
        let life = |seconds: u64| Some(seconds).filter(|seconds| *seconds > 0);
        let clock = host.clone();
        let revocations = Revocations::open(&config.revocation, host.plugin(), host.folder(), move || clock.now());
        let verifier = Verifier {
            keys: Arc::clone(&keys),
            rules: Rules {
                issuer: config.issuer.clone(),
                audience: audience.clone(),
                subject: config.subject.clone(),
                kind: config.kind,
                typ: config.typ.as_deref().map(|typ| media_type(typ).into()),
                access_token_profile,
                id_claim: Some(config.id_claim.clone()).filter(|name| name != "sub"),
                leeway: config.leeway_seconds,
                max_age: config.max_age_seconds,
                needs_expiry: !config.danger_allow_no_expiry,
            },
            revocations: revocations.map_err(|why| PluginError::failed(format!("`revocation`: {why}")))?,
            seen: SeenHeaders::default(),
        };
        let settings = Settings {
            issuer: config.issuer,
            audience,
            subject: config.subject,
            typ: config.typ.unwrap_or_else(|| "JWT".to_owned()),
            id_claim: config.id_claim,
            access_life: life(config.access_token_expires_seconds),
            refresh_life: life(config.refresh_token_expires_seconds),
        };
        let issuer = Issuer::new(keys, settings);
        if let Some(header) = Header::read(issuer.usual_header()) {
            verifier.seen.remember(issuer.usual_header(), &header);
        }
        Ok(Self { name: config.name, verifier, issuer })
    }

    fn get(&self, token: &TokenSelector) -> Result<Option<TokenRecord>> {
        let TokenSelector::Token(token) = token else {
            return Err(PluginError::unsupported("get_token by anything but the token itself"));
        };
        let Some(signed) = self.verifier.signed(token) else { return Ok(None) };
        let mut record = TokenRecord::new(signed.jti.clone().unwrap_or_default(), &signed.id, signed.issued_at);
        record.expires_at = signed.expires_at;
        record.restrictions.clone_from(&signed.restrictions);
        if let Some(revocations) = &self.verifier.revocations
            && revocations.is_revoked(signed.jti.as_deref(), &signed.id, signed.issued_at)
        {
            record.valid = false;
            let by_name = signed.jti.as_deref().map(|jti| revocations.revoked(jti)).transpose();
            if let Some(revoked) = by_name.map_err(PluginError::failed)?.flatten() {
                record.invalid_at = Some(revoked.revoked_at);
                record.invalid_reason = Some(revoked.reason);
            }
        }
        Ok(Some(record))
    }

    /// The tokens that were revoked singly: of the others nothing is kept.
    fn list(&self, filter: &TokenFilter) -> Result<TokenPage> {
        let mut kept = TokenFilter::of(filter.actors.clone());
        kept.valid = Some(false);
        (kept.after, kept.limit) = (filter.after.clone(), filter.limit);
        if kept != *filter || filter.actors != Actors::Everyone {
            return Err(PluginError::unsupported("list_tokens of others than everyone's invalidated ones"));
        }
        let Some(revocations) = &self.verifier.revocations else { return Ok(TokenPage::new(Vec::new(), None)) };
        let after = filter.after.as_deref().map(str::parse).transpose();
        let after = after.map_err(|_| PluginError::invalid_argument("`after` is not what a page said"))?;
        let limit = filter.limit.unwrap_or(PAGE_TOKENS).clamp(1, MAX_PAGE_TOKENS);
        let revoked = revocations.list(after, limit).map_err(PluginError::failed)?;
        let is_full = revoked.len() == limit as usize;
        let next = revoked.last().filter(|_| is_full).map(|last| last.seq.to_string());
        Ok(TokenPage::new(revoked.into_iter().map(record_of).collect(), next))
    }

    fn invalidate(&self, now: u64, request: &InvalidateTokens) -> Result<InvalidatedTokens> {
        let Some(revocations) = &self.verifier.revocations else {
            return Err(PluginError::new(
                PluginErrorKind::Disabled,
                "Revocation is not enabled for this handler (`revocation.url`)",
            ));
        };
        match &request.tokens {
            TokenSelector::Token(token) => {
                let signed = self.verifier.signed(token).ok_or_else(|| PluginError::not_found("token"))?;
                let jti = signed.jti.ok_or_else(|| {
                    PluginError::invalid_argument(
                        "the token has no `jti`; its actor's tokens can be invalidated by their age",
                    )
                })?;
                let actor = Some(signed.id.as_str());
                revoke(revocations, &jti, actor, signed.expires_at, &request.reason)
            }
            TokenSelector::Id(jti) => revoke(revocations, jti, None, None, &request.reason),
            TokenSelector::Filter(filter) => {
                check_conditions(filter)?;
                // Everything that there may be at the moment: `iat` tells seconds apart, and whose clock is ahead may be
                // ahead by the leeway.
                let until_now = now.saturating_add(1).saturating_add(self.verifier.rules.leeway);
                let before = filter.created_before.unwrap_or(until_now);
                let whom: Vec<Option<&str>> = match &filter.actors {
                    Actors::Everyone => vec![None],
                    Actors::These(actors) => actors.iter().map(|actor| Some(actor.as_str())).collect(),
                    _ => return Err(PluginError::unsupported("invalidate_tokens for these actors")),
                };
                if whom.contains(&Some("")) {
                    return Err(PluginError::invalid_argument("an actor id is empty"));
                }
                let mut invalidated = InvalidatedTokens::default();
                for actor in whom {
                    if revocations.revoke_before(actor, before, &request.reason)? {
                        invalidated.cutoffs.push(Cutoff::new(actor.map(str::to_owned), before));
                    }
                }
                Ok(invalidated)
            }
            _ => Err(PluginError::unsupported("invalidate_tokens by this selector")),
        }
    }
}

impl From<NotRevoked> for PluginError {
    fn from(error: NotRevoked) -> Self {
        match error {
            NotRevoked::Argument(message) => Self::invalid_argument(message),
            NotRevoked::Store(message) => Self::failed(message),
        }
    }
}

/// Unless a page is asked for of another length.
const PAGE_TOKENS: u32 = 100;
const MAX_PAGE_TOKENS: u32 = 1_000;

fn record_of(revoked: RevokedToken) -> TokenRecord {
    let mut record = TokenRecord::new(revoked.jti, revoked.actor_id.unwrap_or_default(), None);
    record.expires_at = revoked.expires_at;
    record.valid = false;
    record.invalid_at = Some(revoked.revoked_at);
    record.invalid_reason = Some(revoked.reason);
    record
}

fn revoke(
    revocations: &Revocations,
    jti: &str,
    actor: Option<&str>,
    expires_at: Option<u64>,
    reason: &str,
) -> Result<InvalidatedTokens> {
    let is_new = revocations.revoke_token(jti, actor, expires_at, reason)?;
    Ok(match is_new {
        true => InvalidatedTokens::new([(jti, actor.unwrap_or_default())]),
        false => InvalidatedTokens::default(),
    })
}

/// A condition that cannot be kept must not be left out: more tokens would be meant.
fn check_conditions(filter: &TokenFilter) -> Result<()> {
    let mut kept = TokenFilter::of(filter.actors.clone());
    kept.created_before = filter.created_before;
    match kept == *filter {
        true => Ok(()),
        false => Err(PluginError::unsupported("invalidate_tokens by other conditions than actors and created_before")),
    }
}

fn start_source(jwks: JwksConfig, host: &HostHandle) -> Result<Arc<Source<KeySet>>> {
    let rsa_algorithm = jwks.rsa_algorithm();
    let wrong = |why| PluginError::invalid_argument(format!("`jwks`: {why}"));
    let rsa_algorithm = rsa_algorithm.map_err(wrong)?;
    let clock = host.clone();
    let parse = move |json: &[u8]| {
        let set = KeySet::parse(json, rsa_algorithm)?;
        for why in set.skipped() {
            tracing::warn!("a key of the set is not used: {why}");
        }
        Ok(set)
    };
    Source::start(jwks, host.folder(), move || clock.now(), parse).map_err(wrong)
}

impl TokenHandler for Jwt {
    fn name(&self) -> &str {
        &self.name
    }

    fn verify_token(&self, call: &Call<'_>, token: &str) -> Result<Verdict> {
        Ok(match self.verifier.judge(call.now(), token) {
            Judged::Verdict(verdict) => verdict,
            Judged::KeyNotKnown => Verdict::NotRecognized,
        })
    }

    fn create_token(&self, call: &Call<'_>, request: &CreateToken) -> Result<CreatedToken> {
        self.issuer.create(call.now(), request)
    }

    fn get_token(&self, _: &Call<'_>, token: &TokenSelector) -> Result<Option<TokenRecord>> {
        self.get(token)
    }

    fn list_tokens(&self, _: &Call<'_>, filter: &TokenFilter) -> Result<TokenPage> {
        self.list(filter)
    }

    fn invalidate_tokens(&self, call: &Call<'_>, request: &InvalidateTokens) -> Result<InvalidatedTokens> {
        self.invalidate(call.now(), request)
    }
}

/// The handler with a key set from elsewhere: it waits for keys that it does not know.
#[derive(Debug)]
struct Waiting(Arc<Jwt>);

impl Waiting {
    /// Looks for keys that are not known.
    ///
    /// # Errors
    ///
    /// When there was never a key set. Not of the kind that counts as the plugin's failure: anybody can name a key that
    /// is not known, and secrets of our own are good all the same.
    async fn fetch_keys(&self) -> Result<()> {
        let refreshed = self.0.verifier.keys.refresh().await;
        refreshed.map_err(|why| PluginError::new(PluginErrorKind::Disabled, why.to_string()))
    }

    /// The same, if this is about a token with such a key.
    async fn fetch_keys_for(&self, selector: &TokenSelector) -> Result<()> {
        match selector {
            TokenSelector::Token(token) if self.0.verifier.lacks_key_of(token) => self.fetch_keys().await,
            _ => Ok(()),
        }
    }
}

impl AsyncTokenHandler for Waiting {
    fn name(&self) -> &str {
        &self.0.name
    }

    fn verify_at_once(&self, call: &Call<'_>, token: &str) -> Option<Result<Verdict>> {
        match self.0.verifier.judge(call.now(), token) {
            Judged::Verdict(verdict) => Some(Ok(verdict)),
            Judged::KeyNotKnown => None,
        }
    }

    async fn verify_token(&self, call: &Call<'_>, token: &str) -> Result<Verdict> {
        self.fetch_keys().await?;
        self.0.verify_token(call, token)
    }

    async fn create_token(&self, call: &Call<'_>, request: &CreateToken) -> Result<CreatedToken> {
        self.0.create_token(call, request)
    }

    async fn get_token(&self, _: &Call<'_>, token: &TokenSelector) -> Result<Option<TokenRecord>> {
        self.fetch_keys_for(token).await?;
        let (handler, token) = (Arc::clone(&self.0), token.clone());
        elsewhere(move || handler.get(&token)).await
    }

    async fn list_tokens(&self, _: &Call<'_>, filter: &TokenFilter) -> Result<TokenPage> {
        let (handler, filter) = (Arc::clone(&self.0), filter.clone());
        elsewhere(move || handler.list(&filter)).await
    }

    async fn invalidate_tokens(&self, call: &Call<'_>, request: &InvalidateTokens) -> Result<InvalidatedTokens> {
        self.fetch_keys_for(&request.tokens).await?;
        let (handler, now, request) = (Arc::clone(&self.0), call.now(), request.clone());
        elsewhere(move || handler.invalidate(now, &request)).await
    }
}

/// Does what may wait for the disk on a thread of its own: the host's, which is asking, must not wait.
async fn elsewhere<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let (done, answer) = tokio::sync::oneshot::channel();
    let thread = std::thread::Builder::new().name("token-jwt-revoke".to_owned());
    // Who asked may have gone away in the meantime; then nobody wants the answer.
    let started = thread.spawn(move || drop(done.send(work())));
    started.map_err(PluginError::failed)?;
    answer.await.map_err(|_| PluginError::failed("the thread that was asked has panicked"))?
}

/// Registers the handler: for `export_plugin!`, and for hosts that link it in.
///
/// # Errors
///
/// As [`Jwt::new`].
pub fn register(hooks: &mut Hooks, config: Config) -> Result<()> {
    let has_key_set = config.jwks.is_some();
    let handler = Jwt::new(config, hooks.host())?;
    if has_key_set {
        hooks.async_handler(Waiting(Arc::new(handler)));
    } else {
        hooks.handler(handler);
    }
    Ok(())
}
