//! [`Database`]: the handler.

use std::{
    borrow::Cow,
    sync::{Arc, Once},
    time::Duration,
};

use token_plugin_api::{
    ActorPage, Actors, AsyncTokenHandler, Call, Claims, CreateToken, CreatedToken, DeleteTokens, DeletedTokens, Hooks,
    HostHandle, ImportTokens, ImportedTokens, InactiveActor, InvalidateTokens, InvalidatedTokens, ListActors, Migrate,
    Migrations, PluginError, PluginErrorKind, Policy, Reason, ReasonKind, Result, Secrets, SetActors, TokenFilter,
    TokenPage, TokenRecord, TokenSelector, Trial, UpdateToken, Verdict,
};

use crate::{
    bounds,
    cache::{Cache, Found},
    config::{Config, PolicyDefault},
    cutoffs::{Cutoffs, Place},
    digest::{Digest, Digester},
    elsewhere::elsewhere,
    forms::{Forms, Look},
    generators::{self, Prefix},
    import,
    judge::{Judge, policy_text},
    store::{self, Change, Conditions, Details, Inserted, Known, NewToken, One, Page, Store, Which},
    uses::Uses,
};

/// The handler. What a verification can be told from memory, or from a file at hand, is told at once; everything else
/// waits.
#[derive(Debug)]
pub struct Database {
    name: String,
    forms: Forms,
    digester: Arc<Digester>,
    judge: Judge,
    cache: Option<Arc<Cache>>,
    cutoffs: Arc<Cutoffs>,
    following: Once,
    // Before the store: at the end it writes what it knows.
    uses: Uses,
    store: Arc<dyn Store>,
    default_generator: String,
    default_life: Option<u64>,
    policy_resources: Option<Vec<String>>,
}

/// Registers the handler, and the generators that it knows.
///
/// # Errors
///
/// When a setting makes no sense.
pub fn register(hooks: &mut Hooks, config: Config) -> Result<()> {
    generators::register(hooks, Prefix::new(&config.prefix)?);
    let handler = Database::new(config, hooks.host())?;
    let cache = handler.cache.clone();
    hooks.async_handler(handler);
    if let Some(cache) = cache {
        hooks.metrics(move || cache.metrics());
    }
    Ok(())
}

impl Database {
    /// A handler with these settings. The database is not opened before it is needed.
    ///
    /// # Errors
    ///
    /// When a setting makes no sense.
    pub fn new(config: Config, host: &HostHandle) -> Result<Self> {
        config.check()?;
        let store = store::open(&config, host.folder())?;
        let cutoffs = Arc::new(Cutoffs::default());
        let cache = Cache::new(config.cache, Arc::clone(&cutoffs)).map(Arc::new);
        let kind = if config.name == "database" { Cow::Borrowed("database") } else { Cow::Owned(config.name.clone()) };
        Ok(Self {
            name: config.name,
            forms: Forms::new(Prefix::new(&config.prefix)?, config.accept),
            digester: Arc::new(Digester::new(
                config.pepper.iter().flat_map(Secrets::iter).map(|pepper| pepper.expose()),
            )),
            judge: Judge {
                kind,
                policy_default: config.policy_default,
                deprecated: config.deprecated_token_generators,
            },
            cache,
            cutoffs,
            following: Once::new(),
            uses: Uses::new(Arc::clone(&store), Duration::from_secs(config.last_used_seconds)),
            store,
            default_generator: config.default_token_generator,
            default_life: config.default_expires_seconds,
            policy_resources: config.policy_resources,
        })
    }

    /// What has to be looked up to judge a token, with its digest where that is known already; or the verdict, when that
    /// is nothing.
    fn digests(&self, host: &HostHandle, token: &str, first: Option<Digest>) -> Result<Result<Digests<'_>, Verdict>> {
        let is_knox = match self.forms.look(host, token)? {
            Look::Foreign => return Ok(Err(Verdict::NotRecognized)),
            Look::BadChecksum => {
                let reason = Reason::new(ReasonKind::BadSignature, "the checksum of the token does not fit");
                return Ok(Err(Verdict::Rejected(reason)));
            }
            Look::Ours => false,
            Look::OursOrKnox => true,
        };
        let first = first.unwrap_or_else(|| self.digester.digest(token));
        Ok(Ok(Digests { digester: &self.digester, first, is_knox }))
    }

    fn judged(&self, now: u64, known: Option<&Known>) -> Result<Verdict> {
        let Some(known) = known else { return Ok(Verdict::NotRecognized) };
        let verdict = self.judge.judge(known, now);
        if let Ok(Verdict::Accepted(_)) = verdict {
            self.uses.note(known.id, now);
        }
        verdict
    }

    /// The same, for the next time as well.
    fn judged_and_cached(
        &self,
        cache: &Cache,
        digest: Digest,
        read: Place,
        known: Option<Known>,
        now: u64,
    ) -> Result<Verdict> {
        let found = known.map(|known| Arc::new(Found::new(known, &self.judge)));
        cache.put(digest, read, found.clone(), now);
        self.judged_from_cache(now, found.as_deref())
    }

    /// The same, of what the cache has.
    fn judged_from_cache(&self, now: u64, found: Option<&Found>) -> Result<Verdict> {
        let Some(found) = found else { return Ok(Verdict::NotRecognized) };
        let good = found.ready.as_ref().filter(|ready| ready.expires_at.is_none_or(|expires_at| now < expires_at));
        let Some(ready) = good else { return self.judged(now, Some(&found.known)) };
        if found.is_first_use_at(now) {
            self.uses.note(ready.id, now);
        }
        Ok(self.judge.accept(ready))
    }

    fn found(&self, digests: &Digests<'_>, found: Digest, known: &Known) {
        if found != digests.first {
            self.uses.keep_under(known.id, found, digests.first);
        }
    }

    async fn look_up(&self, token: &str, digests: &Digests<'_>) -> Result<Option<Known>> {
        let first = self.store.look_up(digests.first).await?;
        if first.is_some() {
            return Ok(first);
        }
        for digest in digests.others(token) {
            if let Some(known) = self.store.look_up(digest).await? {
                self.found(digests, digest, &known);
                return Ok(Some(known));
            }
        }
        // In the meantime it may have been moved from where it was looked for last to where it was looked for first.
        match digests.others(token).next() {
            Some(_) => self.store.look_up(digests.first).await,
            None => Ok(None),
        }
    }

    fn look_up_at_once(&self, token: &str, digests: &Digests<'_>) -> Option<Result<Option<Known>>> {
        match self.store.look_up_at_once(&digests.first)? {
            Ok(None) => {}
            answer => return Some(answer),
        }
        for digest in digests.others(token) {
            match self.store.look_up_at_once(&digest)? {
                Ok(None) => {}
                Ok(Some(known)) => {
                    self.found(digests, digest, &known);
                    return Some(Ok(Some(known)));
                }
                Err(error) => return Some(Err(error)),
            }
        }
        // As above.
        match digests.others(token).next() {
            Some(_) => self.store.look_up_at_once(&digests.first),
            None => Some(Ok(None)),
        }
    }

    async fn create(&self, call: &Call<'_>, request: &CreateToken) -> Result<CreatedToken> {
        let details = request.details();
        if details.is_about_the_token_itself() {
            return Err(PluginError::unsupported("create_token with a kind, claims or headers"));
        }
        let now = call.now();
        let life = request.expires_after.or(self.default_life);
        let expires_at = life.map(|seconds| bounds::time_after(now, seconds)).transpose()?;
        let policy = details.policy.as_ref().map(|policy| self.policy(policy)).transpose()?.flatten();
        let generator_id = details.token_generator_id.as_deref().unwrap_or(&self.default_generator);
        let actor_id = bounds::actor_id(&request.actor_id)?;
        let restrictions = request.restrictions.as_ref().map(bounds::json).transpose()?;
        let note = bounds::note(details.note.as_deref().unwrap_or_default())?;
        let extra = Some(&details.extra).filter(|extra| !extra.is_empty()).map(bounds::json).transpose()?;
        let kept = |value: &str| NewToken {
            digest: self.digester.digest(value),
            actor_id: actor_id.to_owned(),
            generator_id: generator_id.to_owned(),
            created_at: now,
            expires_at,
            restrictions: restrictions.clone(),
            policy: policy.clone(),
            details: Details {
                hint: generators::hint(value),
                note: note.to_owned(),
                auto_generated: details.auto_generated,
                extra: extra.clone(),
            },
        };
        let others;
        let generator = match self.forms.generator(generator_id) {
            Some(ours) => ours,
            None => {
                others = call.host().token_generator(generator_id).ok_or_else(|| {
                    tracing::error!(generator_id, "there is no such token generator");
                    generation("Could not find the token generator to generate the token.")
                })?;
                &others
            }
        };
        let mut token_info = details.token_info.clone();
        for attempt in 0..details.max_attempts {
            if let Some(noted) = token_info.get_mut("attempt") {
                *noted = attempt.into();
            }
            let value = generator.create_token(&token_info)?;
            match self.forms.look(call.host(), &value)? {
                Look::Ours | Look::OursOrKnox => {}
                Look::Foreign | Look::BadChecksum => {
                    tracing::error!(generator_id, "what the generator makes is not among what `accept` names");
                    return Err(generation("The token generator makes tokens that would not be accepted."));
                }
            }
            match self.store.insert(kept(&value)).await? {
                Inserted::As(id) => return Ok(CreatedToken::new(value).with_id(id.to_string()).expires_at(expires_at)),
                Inserted::DigestTaken => {}
            }
        }
        tracing::error!(generator_id, "no unique token after {} attempts", details.max_attempts);
        Err(generation("Could not create a unique API token. Please try again."))
    }

    /// A policy as it is kept, if it is one.
    fn policy(&self, document: &serde_json::Value) -> Result<Option<String>> {
        if document.is_null() {
            return Ok(None);
        }
        let resources = self.policy_resources.as_deref();
        let checked = match resources {
            Some(resources) => Policy::new_with_resources(document, resources),
            None => Policy::new(document),
        };
        checked.map_err(|error| PluginError::invalid_argument(error.to_string()))?;
        policy_text(document).map(|text| bounds::text("policy", &text).map(str::to_owned)).transpose()
    }

    /// One token, by its value or id; `None`: there cannot be such a token.
    fn one(&self, token: &TokenSelector) -> Result<Option<One>> {
        match token {
            TokenSelector::Token(token) => {
                let digests = Digests { digester: &self.digester, first: self.digester.digest(token), is_knox: true };
                let all = std::iter::once(digests.first).chain(digests.others(token)).collect();
                Ok(Some(One::Digests(all)))
            }
            TokenSelector::Id(id) => Ok(id.parse().ok().filter(|id: &i64| *id > 0).map(One::Id)),
            _ => Err(PluginError::unsupported("this operation on several tokens")),
        }
    }

    fn conditions(&self, filter: &TokenFilter, now: u64) -> Result<Conditions> {
        let actors = match &filter.actors {
            Actors::Everyone => None,
            Actors::These(actors) => {
                actors.iter().try_for_each(|actor| bounds::actor_id(actor).map(drop))?;
                Some(actors.clone())
            }
            _ => return Err(PluginError::unsupported("tokens of these actors")),
        };
        for text in [&filter.note_contains, &filter.token_generator_id].into_iter().flatten() {
            bounds::text("filter", text)?;
        }
        Ok(Conditions {
            actors,
            generator_id: filter.token_generator_id.clone(),
            note_contains: filter.note_contains.clone(),
            policy: filter.policy.as_ref().map(policy_text),
            created_before: filter.created_before,
            unused_since: filter.unused_since,
            expired: filter.expired.map(|expired| (expired, now)),
            valid: filter.valid,
        })
    }

    /// Writes when tokens were last used, for whoever is going to read it; where nothing depends on it, as well as that can
    /// be done.
    async fn write_uses(&self, is_needed: bool) -> Result<()> {
        match self.uses.flush().await {
            Err(error) if !is_needed => {
                tracing::warn!("when tokens were last used is not written yet: {error}");
                Ok(())
            }
            written => written,
        }
    }

    async fn list(&self, now: u64, filter: &TokenFilter) -> Result<TokenPage> {
        let conditions = self.conditions(filter, now)?;
        if conditions.actors.as_ref().is_some_and(Vec::is_empty) {
            return Ok(TokenPage::new(Vec::new(), None));
        }
        let after = filter.after.as_deref().map(str::parse).transpose();
        let after = after.map_err(|_| PluginError::invalid_argument("`after` is not what a page said"))?;
        let limit = filter.limit.unwrap_or(PAGE_TOKENS).clamp(1, MAX_PAGE_TOKENS);
        self.write_uses(conditions.unused_since.is_some()).await?;
        // One more tells whether there is another page.
        let mut tokens = self.store.list(Page { conditions, after, limit: limit + 1 }).await?;
        let is_last = tokens.len() <= limit as usize;
        tokens.truncate(limit as usize);
        tokens.iter_mut().for_each(|record| self.mark(record));
        let next = tokens.last().filter(|_| !is_last).map(|last| last.id.clone());
        Ok(TokenPage::new(tokens, next))
    }

    fn mark(&self, record: &mut TokenRecord) {
        if record.policy.is_some() && self.judge.policy_default == PolicyDefault::Deny {
            record.policy_default = Some(token_plugin_api::PolicyDefault::Deny);
        }
        record.deprecated = record.token_generator_id.as_deref().is_some_and(|id| self.judge.is_deprecated(id));
    }

    async fn invalidate(&self, now: u64, request: &InvalidateTokens) -> Result<InvalidatedTokens> {
        let which = match &request.tokens {
            TokenSelector::Filter(filter) => {
                if filter.after.is_some() || filter.limit.is_some() {
                    return Err(PluginError::unsupported("invalidate_tokens of one page"));
                }
                let conditions = self.conditions(filter, now)?;
                if conditions.actors.as_ref().is_some_and(Vec::is_empty) {
                    return Ok(InvalidatedTokens::default());
                }
                if conditions.unused_since.is_some() {
                    self.uses.flush().await?;
                }
                Which::All(conditions)
            }
            single => match self.one(single)? {
                Some(one) => Which::One(one),
                None => return Err(PluginError::not_found("token")),
            },
        };
        let reason = bounds::reason(&request.reason)?.to_owned();
        if let Which::One(one) = &which
            && self.store.record(one.clone()).await?.is_none()
        {
            return Err(PluginError::not_found("token"));
        }
        let invalidated = self.store.invalidate(which, now, reason).await?;
        Ok(InvalidatedTokens::new(invalidated.into_iter().map(|(id, actor)| (id.to_string(), actor))))
    }

    async fn update(&self, now: u64, request: &UpdateToken) -> Result<TokenRecord> {
        let change = Change {
            note: request.note.as_deref().map(|note| bounds::note(note).map(str::to_owned)).transpose()?,
            policy: request.policy.as_ref().map(|policy| self.policy(policy)).transpose()?,
            expires_at: request.expires.map(|expires| bounds::expires_at(now, expires)).transpose()?,
            valid: request.valid,
        };
        let missing = || PluginError::not_found("token");
        let one = self.one(&request.token)?.ok_or_else(missing)?;
        self.write_uses(false).await?;
        let mut record = self.store.update(one, change, now).await?.ok_or_else(missing)?;
        self.mark(&mut record);
        Ok(record)
    }
}

/// The digests under which a token may be kept.
struct Digests<'d> {
    digester: &'d Digester,
    first: Digest,
    is_knox: bool,
}

impl Digests<'_> {
    fn others(&self, token: &str) -> impl Iterator<Item = Digest> {
        self.digester.older(token).chain(self.is_knox.then(|| Digest::sha512(token)))
    }
}

fn generation(message: &'static str) -> PluginError {
    PluginError::new(PluginErrorKind::TokenGeneration, message)
}

/// Unless a page is asked for of another length.
const PAGE_TOKENS: u32 = 100;
const MAX_PAGE_TOKENS: u32 = 1_000;

impl AsyncTokenHandler for Database {
    fn name(&self) -> &str {
        &self.name
    }

    fn claims(&self) -> Claims {
        self.forms.claim().map_or_else(Claims::any, |prefix| Claims::prefixes([prefix]))
    }

    /// A token that is made to see whether that works would be left behind, and others would see it.
    fn trial(&self) -> Trial {
        Trial::VerifyOnly
    }

    fn verify_at_once(&self, call: &Call<'_>, token: &str) -> Option<Result<Verdict>> {
        let now = call.now();
        let mut first = None;
        // Before anything else is looked at: what is in the cache had the look of a token when it came there.
        if let Some(cache) = self.cache.as_ref().filter(|_| token.len() <= Forms::MAX_TOKEN_BYTES) {
            self.following.call_once(|| self.store.follow(Arc::clone(&self.cutoffs)));
            let digest = *first.insert(self.digester.digest(token));
            if let Some(found) = cache.get(&digest, now) {
                return Some(self.judged_from_cache(now, found.as_deref()));
            }
        }
        let digests = match self.digests(call.host(), token, first) {
            Ok(Ok(digests)) => digests,
            Ok(Err(verdict)) => return Some(Ok(verdict)),
            Err(error) => return Some(Err(error)),
        };
        let Some(cache) = &self.cache else {
            let found = self.look_up_at_once(token, &digests)?;
            return Some(found.and_then(|known| self.judged(now, known.as_ref())));
        };
        let read = cache.begin();
        let found = self.look_up_at_once(token, &digests)?;
        Some(found.and_then(|known| self.judged_and_cached(cache, digests.first, read, known, now)))
    }

    async fn verify_token(&self, call: &Call<'_>, token: &str) -> Result<Verdict> {
        let digests = match self.digests(call.host(), token, None)? {
            Ok(digests) => digests,
            Err(verdict) => return Ok(verdict),
        };
        let read = self.cache.as_ref().map(|cache| cache.begin());
        let known = self.look_up(token, &digests).await?;
        let now = call.now();
        match self.cache.as_ref().zip(read) {
            Some((cache, read)) => self.judged_and_cached(cache, digests.first, read, known, now),
            None => self.judged(now, known.as_ref()),
        }
    }

    async fn create_token(&self, call: &Call<'_>, request: &CreateToken) -> Result<CreatedToken> {
        self.create(call, request).await
    }

    async fn list_tokens(&self, call: &Call<'_>, filter: &TokenFilter) -> Result<TokenPage> {
        self.list(call.now(), filter).await
    }

    async fn get_token(&self, _: &Call<'_>, token: &TokenSelector) -> Result<Option<TokenRecord>> {
        let Some(one) = self.one(token)? else { return Ok(None) };
        self.write_uses(false).await?;
        let mut record = self.store.record(one).await?;
        record.iter_mut().for_each(|record| self.mark(record));
        Ok(record)
    }

    async fn invalidate_tokens(&self, call: &Call<'_>, request: &InvalidateTokens) -> Result<InvalidatedTokens> {
        self.invalidate(call.now(), request).await
    }

    async fn update_token(&self, call: &Call<'_>, request: &UpdateToken) -> Result<TokenRecord> {
        self.update(call.now(), request).await
    }

    async fn delete_tokens(&self, call: &Call<'_>, request: &DeleteTokens) -> Result<DeletedTokens> {
        if request.ended_before > call.now() {
            // Tokens that are good still would be meant.
            return Err(PluginError::invalid_argument("`ended_before` is in the future"));
        }
        Ok(DeletedTokens::new(self.store.delete(request.ended_before, request.dry_run).await?))
    }

    async fn import_tokens(&self, call: &Call<'_>, request: &ImportTokens) -> Result<ImportedTokens> {
        let (request_to_read, digester) = (request.clone(), Arc::clone(&self.digester));
        let (folder, now) = (call.host().folder().to_owned(), call.now());
        let read = move || pollster::block_on(import::read(&request_to_read, &folder, &digester, now));
        let part = elsewhere(read).await?;
        let mut imported = ImportedTokens::default();
        let (read, skipped) = (part.read, part.skipped);
        let (present, inactive) = self.store.import(part.tokens, part.inactive, request.dry_run).await?;
        (imported.total, imported.read, imported.skipped) = (part.total, read, skipped);
        imported.present = present.iter().filter(|present| **present).count() as u64;
        imported.imported = present.len() as u64 - imported.present;
        imported.inactive_actors = inactive.len() as u64;
        (imported.notes, imported.next) = (part.notes, part.next);
        Ok(imported)
    }

    async fn set_actors(&self, call: &Call<'_>, request: &SetActors) -> Result<Vec<InactiveActor>> {
        request.actors.iter().try_for_each(|actor| bounds::actor_id(actor).map(drop))?;
        if request.actors.is_empty() {
            return Ok(Vec::new());
        }
        let reason = bounds::reason(&request.reason)?.to_owned();
        let inactive = (!request.active).then(|| (call.now(), reason));
        self.store.set_actors(request.actors.clone(), inactive).await
    }

    async fn list_inactive_actors(&self, _: &Call<'_>, request: &ListActors) -> Result<ActorPage> {
        let limit = request.limit.unwrap_or(PAGE_TOKENS).clamp(1, MAX_PAGE_TOKENS);
        request.after.as_deref().map(bounds::actor_id).transpose()?;
        if let Some(actor) = &request.actor {
            let found = self.store.inactive_actor(bounds::actor_id(actor)?.to_owned()).await?;
            let is_behind = |found: &InactiveActor| request.after.as_ref().is_none_or(|after| found.actor_id > *after);
            return Ok(ActorPage::new(found.into_iter().filter(is_behind).collect(), None));
        }
        self.store.list_inactive_actors(request.after.clone(), limit).await
    }

    async fn migrate(&self, call: &Call<'_>, request: &Migrate) -> Result<Migrations> {
        self.store.migrate(request.check, call.now()).await
    }
}
