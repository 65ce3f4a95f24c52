//! [`Host`]: create, verify, manage, reload, events.

use std::{
    fmt,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use arc_swap::{ArcSwap, Guard};
use serde::{Serialize, de::DeserializeOwned};
use token_plugin_api::{
    Actor, CreateToken, CreatedToken, Event, EventKind, InvalidateTokens, InvalidatedToken, InvalidatedTokens, Reason,
    ReasonKind, RequestContext, TokenFilter, TokenPage, TokenRecord, TokenSelector, UpdateToken, Verdict,
};

use crate::{
    assemble::{self, Generation},
    builder::{HostBuilder, Source, StaticPlugin},
    clock::Clock,
    config::{Finding, MakeSecrets},
    dispatch::{self, Answer, Nobody},
    error::{Error, ErrorKind},
    events::{EventHub, Events},
    execute::{Service, block_on},
    explain::{self, Explanation},
    instance::Stops,
    load::Images,
    making,
    registry::{HandlerSlot, PluginRow, Registry},
    reload::Reload,
};

/// How long plugins may take to stop, all together, before the host goes on without them.
const STOP_DEADLINE: Duration = Duration::from_secs(5);

/// A token host: plugins in call order, and the delegation to them. Cheap to clone; all clones are one host.
#[derive(Clone)]
pub struct Host(Arc<Core>);

/// What all clones of a host, and its plugins' services, share.
pub(crate) struct Core {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) service: Arc<Service>,
    pub(crate) stops: Arc<Stops>,
    pub(crate) images: Images,
    pub(crate) statics: Vec<StaticPlugin>,
    pub(crate) registry: ArcSwap<Registry>,
    source: Source,
    warnings: Mutex<Vec<Finding>>,
    reloading: Mutex<()>,
    pub(crate) events: EventHub,
}

/// A verdict, and whose it is.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Verification {
    /// The name of the handler that decided, or could not.
    pub handler: Option<String>,
    /// That handler's plugin.
    pub plugin: Option<String>,
    /// What it said.
    pub verdict: Result<Verdict, Error>,
}

impl From<Result<Answer<'_>, Error>> for Verification {
    fn from(answer: Result<Answer<'_>, Error>) -> Self {
        match answer {
            Ok(Answer { by, verdict }) => Self {
                handler: by.map(|handler| handler.name().to_owned()),
                plugin: by.map(|handler| handler.plugin().to_owned()),
                verdict,
            },
            Err(error) => Self { handler: None, plugin: None, verdict: Err(error) },
        }
    }
}

#[inline]
fn actor(verdict: Result<Verdict, Error>) -> Result<Option<Actor>, Error> {
    match verdict? {
        Verdict::NotRecognized => Ok(None),
        Verdict::Accepted(actor) => Ok(Some(actor)),
        Verdict::Rejected(reason) => Err(Error::token_invalid(reason)),
    }
}

impl Host {
    /// The host that a `plugins.toml` describes.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] or [`ErrorKind::Admission`], with every finding at once; nothing is loaded by halves.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::builder().config_file(path).build()
    }

    /// The host that a text in the form of `plugins.toml` describes; relative paths in it are
    /// relative to the working directory.
    ///
    /// # Errors
    ///
    /// As [`Host::from_file`].
    #[allow(clippy::should_implement_trait, reason = "a host is not parsed: files are read and plugins loaded")]
    pub fn from_str(config: &str) -> Result<Self, Error> {
        Self::builder().config_text(config, ".").build()
    }

    /// A host with handlers that are linked in, a clock of your own, or both, beside a configuration.
    pub fn builder() -> HostBuilder {
        HostBuilder::default()
    }

    /// Makes a token with the handler that the request names, or else with the first in call order that can.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NoHandlers`], [`ErrorKind::UnknownHandler`], and whatever the handler answers.
    pub async fn create_token(&self, request: &CreateToken) -> Result<CreatedToken, Error> {
        self.made(request, None).await
    }

    /// [`Host::create_token`] with what is known of where the request came from.
    ///
    /// # Errors
    ///
    /// As [`Host::create_token`].
    pub async fn create_token_in(
        &self,
        request: &CreateToken,
        context: &RequestContext,
    ) -> Result<CreatedToken, Error> {
        self.made(request, Some(context)).await
    }

    async fn made(&self, request: &CreateToken, context: Option<&RequestContext>) -> Result<CreatedToken, Error> {
        let registry = self.0.registry.load();
        if registry.is_inline() && !registry.has_required_sink() {
            return self.0.create_inline(&registry, request, context);
        }
        let registry = Guard::into_inner(registry);
        if !registry.has_required_sink() {
            return Box::pin(self.0.create(&registry, request, context)).await;
        }
        let (core, request, context) = (Arc::clone(&self.0), request.clone(), context.cloned());
        Box::pin(self.finish(async move { core.create(&registry, &request, context.as_ref()).await })).await
    }

    /// Runs something to its end, recording included, also when the caller goes away in the middle of it.
    async fn finish<T: Send + 'static>(
        &self,
        future: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        let finished = self.0.service.finish(future).await;
        finished.unwrap_or_else(|stopped| Err(Error::new(ErrorKind::Internal, stopped.to_string())))
    }

    /// Judges a token: whom it stands for, or `None` when no handler recognizes it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TokenInvalid`] when a handler rejects it; [`ErrorKind::Plugin`] when a handler cannot tell.
    pub async fn verify_token(&self, token: &str) -> Result<Option<Actor>, Error> {
        self.actor(token, None).await
    }

    /// [`Host::verify_token`] with what is known of where the token came from.
    ///
    /// # Errors
    ///
    /// As [`Host::verify_token`].
    pub async fn verify_token_in(&self, token: &str, context: &RequestContext) -> Result<Option<Actor>, Error> {
        self.actor(token, Some(context)).await
    }

    async fn actor(&self, token: &str, context: Option<&RequestContext>) -> Result<Option<Actor>, Error> {
        match self.actor_inline(token, context) {
            Ok(judged) => judged,
            Err(registry) => actor(Box::pin(self.0.judge(&registry, token, context)).await?.verdict),
        }
    }

    /// Judges a token where nothing is waited for, without what waiting costs; else gives the registry to do it with.
    fn actor_inline(
        &self,
        token: &str,
        context: Option<&RequestContext>,
    ) -> Result<Result<Option<Actor>, Error>, Arc<Registry>> {
        let registry = self.0.registry.load();
        if registry.is_inline() {
            return Ok(self.0.judge_inline(&registry, token, context).and_then(|answer| actor(answer.verdict)));
        }
        // A guard that is kept while waiting would slow others down.
        Err(Guard::into_inner(registry))
    }

    /// Judges a token and says which handler did.
    pub async fn verify(&self, token: &str, context: &RequestContext) -> Verification {
        let registry = self.0.registry.load_full();
        Verification::from(Box::pin(self.0.judge(&registry, token, Some(context))).await)
    }

    /// What each handler says to a token, and why. Sends no events.
    pub async fn explain(&self, token: &str) -> Explanation {
        explain::explain(&self.0.registry.load_full(), token, "").await
    }

    /// [`Host::create_token`] for code that is not async; also to be called inside a runtime, whose
    /// thread it then blocks.
    ///
    /// # Errors
    ///
    /// As [`Host::create_token`].
    pub fn create_token_blocking(&self, request: &CreateToken) -> Result<CreatedToken, Error> {
        block_on(self.create_token(request))
    }

    /// [`Host::verify_token`] for code that is not async; also to be called inside a runtime, whose
    /// thread it then blocks while a handler waits.
    ///
    /// # Errors
    ///
    /// As [`Host::verify_token`].
    pub fn verify_token_blocking(&self, token: &str) -> Result<Option<Actor>, Error> {
        match self.actor_inline(token, None) {
            Ok(judged) => judged,
            Err(registry) => actor(block_on(self.0.judge(&registry, token, None))?.verdict),
        }
    }

    /// [`Host::verify`] for code that is not async.
    pub fn verify_blocking(&self, token: &str, context: &RequestContext) -> Verification {
        block_on(self.verify(token, context))
    }

    /// [`Host::explain`] for code that is not async.
    pub fn explain_blocking(&self, token: &str) -> Explanation {
        block_on(self.explain(token))
    }

    /// One page of the tokens that a handler keeps; no name: the first in call order that keeps any.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] when the handler keeps none, and whatever it answers.
    pub async fn list_tokens(&self, handler: Option<&str>, filter: &TokenFilter) -> Result<TokenPage, Error> {
        Ok(self.manage(handler, "list_tokens", filter).await?.1)
    }

    /// What a handler knows of one token.
    ///
    /// # Errors
    ///
    /// As [`Host::list_tokens`].
    pub async fn get_token(&self, handler: Option<&str>, token: &TokenSelector) -> Result<Option<TokenRecord>, Error> {
        Ok(self.manage(handler, "get_token", token).await?.1)
    }

    /// Invalidates tokens and returns those that were valid before.
    ///
    /// # Errors
    ///
    /// As [`Host::list_tokens`].
    pub async fn invalidate_tokens(
        &self,
        handler: Option<&str>,
        request: &InvalidateTokens,
    ) -> Result<InvalidatedTokens, Error> {
        let (host, handler, request) = (self.clone(), handler.map(str::to_owned), request.clone());
        self.finish(async move {
            let (by, invalidated): (String, InvalidatedTokens) =
                host.manage(handler.as_deref(), "invalidate_tokens", &request).await?;
            let event = |token: &InvalidatedToken| {
                let mut event = host.0.event(EventKind::TokenInvalidated, None);
                event.handler = Some(by.clone());
                event.actor_id = Some(token.actor_id.clone());
                event.token_id = Some(token.id.clone());
                event.reason = Some(request.reason.clone());
                event
            };
            host.0.announce(|| invalidated.tokens.iter().map(event).collect()).await?;
            Ok(invalidated)
        })
        .await
    }

    /// Changes a token and returns it as it is now.
    ///
    /// # Errors
    ///
    /// As [`Host::list_tokens`]; [`ErrorKind::NotFound`] when there is no such token.
    pub async fn update_token(&self, handler: Option<&str>, request: &UpdateToken) -> Result<TokenRecord, Error> {
        let (host, handler, request) = (self.clone(), handler.map(str::to_owned), request.clone());
        self.finish(async move {
            let (by, record): (String, TokenRecord) = host.manage(handler.as_deref(), "update_token", &request).await?;
            let mut event = host.0.event(EventKind::TokenUpdated, None);
            event.handler = Some(by);
            event.actor_id = Some(record.actor_id.clone());
            event.token_id = Some(record.id.clone());
            host.0.announce(|| vec![event]).await?;
            Ok(record)
        })
        .await
    }

    async fn manage<A: DeserializeOwned>(
        &self,
        handler: Option<&str>,
        operation: &'static str,
        request: &impl Serialize,
    ) -> Result<(String, A), Error> {
        let registry = self.0.registry.load_full();
        let request = serde_json::to_string(request)
            .map_err(|error| Error::new(ErrorKind::InvalidArgument, error.to_string()))?;
        let mut unsupported = None;
        for handler in registry.chosen(handler)? {
            match handler.manage(operation, request.clone(), "").answer().await {
                Ok(answer) => {
                    let answer = serde_json::from_str(&answer).map_err(token_plugin_api::PluginError::failed);
                    let answer = answer.map_err(|error| handler.error(operation, error))?;
                    return Ok((handler.name().to_owned(), answer));
                }
                Err(error) => {
                    let error = handler.error(operation, error);
                    if *error.kind() != ErrorKind::Unsupported {
                        return Err(error);
                    }
                    unsupported.get_or_insert(error);
                }
            }
        }
        Err(unsupported.unwrap_or_else(Error::no_handlers))
    }

    /// Everything that is registered: wrappers and handlers in call order, then sinks and generators.
    pub fn plugins(&self) -> Vec<PluginRow> {
        self.0.registry.load().rows.clone()
    }

    /// What the operator should know of the current configuration: warnings and notices.
    pub fn warnings(&self) -> Vec<Finding> {
        self.0.warnings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The current generation, from 1; each reload that succeeds adds one.
    pub fn generation(&self) -> u64 {
        self.0.registry.load().generation
    }

    /// The longest token that handlers see, in bytes: `max_token_bytes` of the configuration.
    pub fn max_token_bytes(&self) -> usize {
        self.0.registry.load().max_token_bytes
    }

    /// Why longer tokens are rejected, for callers that do not even read them to their end.
    pub fn too_long(&self) -> Reason {
        too_long(self.max_token_bytes())
    }

    /// How many plugin libraries are mapped, and the bytes of their files. They are never unloaded:
    /// a replaced one stays until the process ends.
    pub fn mapped_libraries(&self) -> (usize, usize) {
        self.0.images.mapped()
    }

    /// How many events were dropped because a sink was too slow, over all sinks of this generation.
    pub fn dropped_events(&self) -> u64 {
        let registry = self.0.registry.load();
        registry.sinks.iter().map(|slot| slot.instance.sinks[slot.index].dropped()).sum()
    }

    /// Reads configuration and drop-in folder again, builds a new generation, then swaps. Calls in
    /// flight finish on the old one; plugins that have not changed keep their instance and state.
    ///
    /// # Errors
    ///
    /// As [`Host::from_file`]; the old generation then goes on.
    pub fn reload(&self) -> Result<Reload, Error> {
        let core = &self.0;
        let _one_at_a_time = core.reloading.lock().unwrap_or_else(PoisonError::into_inner);
        let old = core.registry.load_full();
        let config = core.source.read(MakeSecrets::Create)?;
        let Generation { registry, warnings } = assemble::generation(core, config, &old)?;
        let reload = Reload::between(&old, &registry);
        core.registry.store(Arc::new(registry));
        *core.warnings.lock().unwrap_or_else(PoisonError::into_inner) = warnings;
        for change in &reload.changes {
            tracing::info!(generation = reload.generation, "{change}");
        }
        Ok(reload)
    }

    /// Everything that happens to tokens from now on.
    pub fn subscribe(&self) -> Events {
        self.0.events.subscribe()
    }

    pub(crate) fn new(
        source: Source,
        clock: Arc<dyn Clock>,
        statics: Vec<StaticPlugin>,
        make: MakeSecrets,
    ) -> Result<Self, Error> {
        let config = source.read(make)?;
        let core = Arc::new(Core {
            clock,
            service: Arc::default(),
            stops: Arc::default(),
            images: Images::default(),
            statics,
            registry: ArcSwap::default(),
            source,
            warnings: Mutex::default(),
            reloading: Mutex::default(),
            events: EventHub::new(),
        });
        let Generation { registry, warnings } = assemble::generation(&core, config, &Registry::default())?;
        core.registry.store(Arc::new(registry));
        *core.warnings.lock().unwrap_or_else(PoisonError::into_inner) = warnings;
        Ok(Self(core))
    }
}

impl Drop for Core {
    /// Lets the plugins stop, so that what they still have to write is written.
    fn drop(&mut self) {
        self.registry.store(Arc::default());
        self.stops.wait(STOP_DEADLINE);
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").field("generation", &self.generation()).finish_non_exhaustive()
    }
}

impl Core {
    async fn judge<'r>(
        &self,
        registry: &'r Registry,
        token: &str,
        context: Option<&RequestContext>,
    ) -> Result<Answer<'r>, Error> {
        if registry.is_inline() || token.len() > registry.max_token_bytes {
            return self.judge_inline(registry, token, context);
        }
        let answer = dispatch::verify(registry, token, &context_text(context)?, &mut Nobody).await;
        self.judged(registry, &answer, context);
        Ok(answer)
    }

    /// [`Core::judge`] where nothing is waited for.
    #[inline]
    fn judge_inline<'r>(
        &self,
        registry: &'r Registry,
        token: &str,
        context: Option<&RequestContext>,
    ) -> Result<Answer<'r>, Error> {
        let answer = if token.len() > registry.max_token_bytes {
            Answer { by: None, verdict: Ok(Verdict::Rejected(too_long(registry.max_token_bytes))) }
        } else {
            dispatch::verify_inline(registry, token, &context_text(context)?)
        };
        self.judged(registry, &answer, context);
        Ok(answer)
    }

    async fn create(
        &self,
        registry: &Registry,
        request: &CreateToken,
        context: Option<&RequestContext>,
    ) -> Result<CreatedToken, Error> {
        let (by, created) = making::create(registry, request, &context_text(context)?).await?;
        if self.events.is_watched(registry) {
            let event = self.created(by, &created, request, context);
            self.events.announce(registry, &[event]).await?;
        }
        Ok(created)
    }

    /// [`Core::create`] where nothing is waited for, neither a handler nor a sink.
    fn create_inline(
        &self,
        registry: &Registry,
        request: &CreateToken,
        context: Option<&RequestContext>,
    ) -> Result<CreatedToken, Error> {
        let (by, created) = making::create_inline(registry, request, &context_text(context)?)?;
        if self.events.is_watched(registry) {
            self.events.emit(registry, &self.created(by, &created, request, context));
        }
        Ok(created)
    }

    fn created(
        &self,
        by: &HandlerSlot,
        created: &CreatedToken,
        request: &CreateToken,
        context: Option<&RequestContext>,
    ) -> Event {
        let mut event = self.event(EventKind::TokenCreated, context);
        event.handler = Some(by.name().to_owned());
        event.actor_id = Some(request.actor_id.clone());
        event.token_id = created.id.clone();
        event.auto_generated = request.details.auto_generated;
        event
    }

    /// Tells those who watch of something that was done.
    async fn announce(&self, events: impl FnOnce() -> Vec<Event>) -> Result<(), Error> {
        let registry = self.registry.load_full();
        if self.events.is_watched(&registry) { self.events.announce(&registry, &events()).await } else { Ok(()) }
    }

    fn event(&self, kind: EventKind, context: Option<&RequestContext>) -> Event {
        let mut event = Event::new(kind, self.clock.now());
        event.context = context.cloned();
        event
    }

    /// Tells those who watch what became of a token.
    #[inline]
    fn judged(&self, registry: &Registry, answer: &Answer<'_>, context: Option<&RequestContext>) {
        if self.events.is_watched(registry) {
            self.tell(registry, answer, context);
        }
    }

    fn tell(&self, registry: &Registry, answer: &Answer<'_>, context: Option<&RequestContext>) {
        let (kind, actor_id, reason) = match &answer.verdict {
            Ok(Verdict::Accepted(actor)) => (EventKind::TokenUsed, Some(actor.id().to_owned()), None),
            Ok(Verdict::Rejected(reason)) if reason.kind() == ReasonKind::Expired => {
                (EventKind::TokenExpired, None, Some(reason.to_string()))
            }
            Ok(Verdict::Rejected(reason)) => (EventKind::TokenRejected, None, Some(reason.to_string())),
            Ok(Verdict::NotRecognized) | Err(_) => return,
        };
        let mut event = self.event(kind, context);
        event.handler = answer.by.map(|handler| handler.name().to_owned());
        (event.actor_id, event.reason) = (actor_id, reason);
        self.events.emit(registry, &event);
    }
}

#[inline]
fn context_text(context: Option<&RequestContext>) -> Result<String, Error> {
    let Some(context) = context else { return Ok(String::new()) };
    serde_json::to_string(context).map_err(|error| Error::new(ErrorKind::InvalidArgument, error.to_string()))
}

/// Why a token of more bytes than this is rejected.
pub(crate) fn too_long(max_token_bytes: usize) -> Reason {
    Reason::new(ReasonKind::TooLong, format!("token is longer than {max_token_bytes} bytes"))
}
