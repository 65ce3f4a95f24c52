//! The handlers: one type for inline and blocking execution, one for async. Both do the same deeds.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Duration,
};

use token_plugin_api::{
    ActorPage, AsyncTokenHandler, Call, Claims, CreateToken, CreatedToken, DeleteTokens, DeletedTokens, ImportTokens,
    ImportedTokens, InactiveActor, InvalidateTokens, InvalidatedTokens, ListActors, Migrate, Migrations, PluginError,
    Result, SetActors, TokenFilter, TokenHandler, TokenPage, TokenRecord, TokenSelector, Trial, UpdateToken, Verdict,
    runtime,
};

use crate::{
    deed::{CreateDeed, VerifyDeed},
    fuse::{Fuse, wait_for},
    harm::hang,
    journal::Journal,
    settings::HandlerSettings,
    store::Store,
};

/// What both kinds of handler have.
pub(crate) struct Handler {
    settings: HandlerSettings,
    journal: Journal,
    store: Store,
    /// How often it was asked to verify: state that a reload may or may not keep.
    calls: AtomicU64,
    _fuse: Fuse,
}

impl Handler {
    pub(crate) fn new(settings: HandlerSettings, journal: Journal) -> Self {
        let fuse = Fuse(settings.drop.clone());
        let store = Store::new(settings.store.clone(), settings.pages, settings.page_size);
        Self { settings, journal, store, calls: AtomicU64::new(0), _fuse: fuse }
    }

    fn name(&self) -> &str {
        self.settings.naming.of(&self.settings.name)
    }

    fn claims(&self) -> Claims {
        Claims::prefixes(self.settings.claims.iter().map(String::as_str))
    }

    fn slowness(&self) -> Duration {
        Duration::from_millis(self.settings.slow_ms)
    }

    fn slow(&self) {
        thread::sleep(self.slowness());
        self.settings.slow_until.iter().for_each(|path| wait_for(path));
    }

    /// Takes its time without holding a thread. The timer is made within the plugin's runtime, which alone has one.
    async fn slow_async(&self) -> Result<()> {
        let (slowness, until) = (self.slowness(), self.settings.slow_until.clone());
        runtime::run(async move {
            tokio::time::sleep(slowness).await;
            while until.as_ref().is_some_and(|path| !path.exists()) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
        .await
    }

    fn verify_deed(&self, token: &str) -> Result<VerifyDeed> {
        self.journal.note(&self.settings.name, "verify", token.len())?;
        self.settings.verify.for_token(token)
    }

    fn verify(&self, deed: VerifyDeed, call: &Call<'_>, token: &str) -> Result<Verdict> {
        deed.act(&self.settings, call, token, self.calls.fetch_add(1, Ordering::Relaxed))
    }

    fn create_deed(&self, request: &CreateToken) -> Result<CreateDeed> {
        self.journal.note(&self.settings.name, "create", request.actor_id.as_str())?;
        self.settings.create.for_actor(&request.actor_id)
    }

    fn create(&self, deed: CreateDeed, call: &Call<'_>, request: &CreateToken) -> Result<CreatedToken> {
        self.store.keep(call, request, deed.act(&self.settings, call, request)?)
    }

    fn import(&self, request: &ImportTokens) -> Result<ImportedTokens> {
        let request_as_told = serde_json::to_value(request).map_err(PluginError::failed)?;
        self.journal.note(&self.settings.name, "import", request_as_told)?;
        self.store.import(request)
    }
}

impl TokenHandler for Handler {
    fn name(&self) -> &str {
        self.name()
    }

    fn claims(&self) -> Claims {
        self.claims()
    }

    fn trial(&self) -> Trial {
        self.settings.trial
    }

    fn verify_token(&self, call: &Call<'_>, token: &str) -> Result<Verdict> {
        let deed = self.verify_deed(token)?;
        match deed {
            VerifyDeed::Hang | VerifyDeed::Block => hang(),
            VerifyDeed::Slow => self.slow(),
            _ => {}
        }
        self.verify(deed, call, token)
    }

    fn create_token(&self, call: &Call<'_>, request: &CreateToken) -> Result<CreatedToken> {
        let deed = self.create_deed(request)?;
        match deed {
            CreateDeed::Hang => hang(),
            CreateDeed::Slow => self.slow(),
            _ => {}
        }
        self.create(deed, call, request)
    }

    fn list_tokens(&self, call: &Call<'_>, filter: &TokenFilter) -> Result<TokenPage> {
        self.store.list(call, filter)
    }

    fn get_token(&self, call: &Call<'_>, token: &TokenSelector) -> Result<Option<TokenRecord>> {
        self.store.find(call, token)
    }

    fn invalidate_tokens(&self, call: &Call<'_>, request: &InvalidateTokens) -> Result<InvalidatedTokens> {
        self.store.invalidate(call, request)
    }

    fn update_token(&self, call: &Call<'_>, request: &UpdateToken) -> Result<TokenRecord> {
        self.store.update(call, request)
    }

    fn delete_tokens(&self, _: &Call<'_>, request: &DeleteTokens) -> Result<DeletedTokens> {
        self.store.delete(request)
    }

    fn import_tokens(&self, _: &Call<'_>, request: &ImportTokens) -> Result<ImportedTokens> {
        self.import(request)
    }

    fn set_actors(&self, call: &Call<'_>, request: &SetActors) -> Result<Vec<InactiveActor>> {
        self.store.set_actors(call, request)
    }

    fn list_inactive_actors(&self, _: &Call<'_>, request: &ListActors) -> Result<ActorPage> {
        self.store.list_actors(request)
    }

    fn migrate(&self, _: &Call<'_>, request: &Migrate) -> Result<Migrations> {
        self.store.migrate(*request)
    }
}

/// A handler whose futures wait, panic, and are dropped half-way.
pub(crate) struct AsyncHandler(Handler);

impl AsyncHandler {
    pub(crate) fn new(settings: HandlerSettings, journal: Journal) -> Self {
        Self(Handler::new(settings, journal))
    }

    /// What the future holds while it waits, so that its `Drop` is seen at a deadline.
    fn held(&self) -> Held {
        Held {
            journal: self.0.journal.clone(),
            who: self.0.settings.name.clone(),
            _fuse: Fuse(self.0.settings.drop.clone()),
        }
    }
}

impl AsyncTokenHandler for AsyncHandler {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn claims(&self) -> Claims {
        self.0.claims()
    }

    fn trial(&self) -> Trial {
        self.0.settings.trial
    }

    async fn verify_token(&self, call: &Call<'_>, token: &str) -> Result<Verdict> {
        let deed = self.0.verify_deed(token)?;
        match deed {
            VerifyDeed::Hang => {
                let _held = self.held();
                std::future::pending::<()>().await;
            }
            VerifyDeed::Block => hang(),
            VerifyDeed::Slow => self.0.slow_async().await?,
            _ => {}
        }
        self.0.verify(deed, call, token)
    }

    async fn create_token(&self, call: &Call<'_>, request: &CreateToken) -> Result<CreatedToken> {
        let deed = self.0.create_deed(request)?;
        match deed {
            CreateDeed::Hang => {
                let _held = self.held();
                std::future::pending::<()>().await;
            }
            CreateDeed::Slow => self.0.slow_async().await?,
            _ => {}
        }
        self.0.create(deed, call, request)
    }

    async fn list_tokens(&self, call: &Call<'_>, filter: &TokenFilter) -> Result<TokenPage> {
        self.0.store.list(call, filter)
    }

    async fn get_token(&self, call: &Call<'_>, token: &TokenSelector) -> Result<Option<TokenRecord>> {
        self.0.store.find(call, token)
    }

    async fn invalidate_tokens(&self, call: &Call<'_>, request: &InvalidateTokens) -> Result<InvalidatedTokens> {
        self.0.store.invalidate(call, request)
    }

    async fn update_token(&self, call: &Call<'_>, request: &UpdateToken) -> Result<TokenRecord> {
        self.0.store.update(call, request)
    }

    async fn delete_tokens(&self, _: &Call<'_>, request: &DeleteTokens) -> Result<DeletedTokens> {
        self.0.store.delete(request)
    }

    async fn import_tokens(&self, _: &Call<'_>, request: &ImportTokens) -> Result<ImportedTokens> {
        self.0.import(request)
    }

    async fn set_actors(&self, call: &Call<'_>, request: &SetActors) -> Result<Vec<InactiveActor>> {
        self.0.store.set_actors(call, request)
    }

    async fn list_inactive_actors(&self, _: &Call<'_>, request: &ListActors) -> Result<ActorPage> {
        self.0.store.list_actors(request)
    }

    async fn migrate(&self, _: &Call<'_>, request: &Migrate) -> Result<Migrations> {
        self.0.store.migrate(*request)
    }
}

struct Held {
    journal: Journal,
    who: String,
    _fuse: Fuse,
}

impl Drop for Held {
    fn drop(&mut self) {
        // The test reads the journal; a journal that cannot be written shows there, too.
        let _ = self.journal.note(&self.who, "dropped_future", ());
    }
}
