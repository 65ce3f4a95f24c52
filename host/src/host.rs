//! [`Host`]: what embedders and the command line use.

use std::{
    fmt,
    path::Path,
    sync::{Arc, PoisonError},
};

use arc_swap::Guard;
use token_plugin_api::{Actor, CreateToken, CreatedToken, Metric, Reason, RequestContext, Verdict};

use crate::{
    assemble::{self, Generation},
    builder::HostBuilder,
    config::{Finding, MakeSecrets},
    dispatch::{Answer, Begun},
    engine::{Engine, Whence, too_long},
    error::{Error, ErrorKind},
    events::Events,
    execute::block_on,
    explain::{self, Explanation},
    metrics::HandlerMetrics,
    registry::{PluginRow, Registry},
    reload::Reload,
    status::Status,
};

/// What the log calls the events of reloads.
const LOG_TARGET: &str = "reload";

/// A token host: plugins in call order, and the delegation to them. Cheap to clone; all clones are one host.
#[derive(Clone)]
pub struct Host(pub(crate) Arc<Engine>);

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
        let (engine, request, context) = (Arc::clone(&self.0), request.clone(), context.cloned());
        Box::pin(self.finish(async move { engine.create(&registry, &request, context.as_ref()).await })).await
    }

    /// Runs something to its end, recording included, also when the caller goes away in the middle of it.
    pub(crate) async fn finish<T: Send + 'static>(
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
        let context = Whence::from(context);
        match self.actor_inline(token, context) {
            Ok(judged) => judged,
            Err(registry) if !registry.wrappers.is_empty() => {
                actor(Box::pin(self.0.judge(&registry, token, context)).await?.verdict)
            }
            Err(registry) => match self.0.begin(&registry, token, context)? {
                Begun::Over(answer) => actor(answer.verdict),
                Begun::Waits(waiting) => {
                    actor(Box::pin(self.0.finish(&registry, waiting, token, context)).await?.verdict)
                }
            },
        }
    }

    /// Judges a token, and has `then` make something of the answer while it is at hand.
    pub(crate) async fn judge_then<T>(
        &self,
        token: &str,
        context: Whence<'_>,
        then: impl FnOnce(Result<Answer<'_>, Error>) -> T,
    ) -> T {
        let registry = {
            let registry = self.0.registry.load();
            if registry.is_inline() || token.len() > registry.max_token_bytes {
                return then(self.0.judge_inline(&registry, token, context));
            }
            // A guard that is kept while waiting would slow others down.
            Guard::into_inner(registry)
        };
        if !registry.wrappers.is_empty() {
            return then(Box::pin(self.0.judge(&registry, token, context)).await);
        }
        match self.0.begin(&registry, token, context) {
            Ok(Begun::Over(answer)) => then(Ok(answer)),
            Ok(Begun::Waits(waiting)) => then(Box::pin(self.0.finish(&registry, waiting, token, context)).await),
            Err(error) => then(Err(error)),
        }
    }

    /// Judges a token where nothing is waited for, without what waiting costs; else gives the registry to do it with.
    fn actor_inline(&self, token: &str, context: Whence<'_>) -> Result<Result<Option<Actor>, Error>, Arc<Registry>> {
        let registry = self.0.registry.load();
        if registry.is_inline() || token.len() > registry.max_token_bytes {
            return Ok(self.0.judge_inline(&registry, token, context).and_then(|answer| actor(answer.verdict)));
        }
        // A guard that is kept while waiting would slow others down.
        Err(Guard::into_inner(registry))
    }

    /// Judges a token and says which handler did.
    pub async fn verify(&self, token: &str, context: &RequestContext) -> Verification {
        let registry = self.0.registry.load_full();
        Verification::from(Box::pin(self.0.judge(&registry, token, Whence::Known(context))).await)
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
        match self.actor_inline(token, Whence::Unknown) {
            Ok(judged) => judged,
            Err(_) => block_on(self.verify_token(token)),
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

    /// Everything that is registered: wrappers and handlers in call order, then sinks and generators;
    /// with how the handlers fare right now.
    pub fn plugins(&self) -> Vec<PluginRow> {
        self.0.registry.load().rows_now()
    }

    /// The figures that plugins tell of themselves, each with its plugin's name.
    pub fn plugin_metrics(&self) -> Vec<(String, Metric)> {
        let registry = self.0.registry.load_full();
        let told = registry.instances.iter().flat_map(|instance| {
            instance.told_metrics().into_iter().map(|metric| (instance.plugin().to_owned(), metric))
        });
        told.collect()
    }

    /// How the verifications that authenticators made of it went so far, by handler; the last one is of tokens that no
    /// handler judged.
    pub fn metrics(&self) -> Vec<HandlerMetrics> {
        self.0.metrics.now()
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

    fn dropped_events(&self) -> u64 {
        let registry = self.0.registry.load();
        registry.sinks.iter().map(|slot| slot.instance.sinks[slot.index].dropped()).sum()
    }

    /// Reads configuration and drop-in folder again, builds a new generation, tries it, then swaps.
    /// Calls in flight finish on the old one; plugins that have not changed keep their instance and state.
    ///
    /// # Errors
    ///
    /// As [`Host::from_file`]; the old generation then goes on. It is logged and counted as well: see
    /// [`Host::status`].
    pub fn reload(&self) -> Result<Reload, Error> {
        let _one_at_a_time = self.0.reloading.lock().unwrap_or_else(PoisonError::into_inner);
        self.reload_alone()
    }

    /// [`Host::reload`] for whoever holds the lock that lets one reload at a time.
    pub(crate) fn reload_alone(&self) -> Result<Reload, Error> {
        let engine = &self.0;
        let old = engine.registry.load_full();
        match self.next_generation(&old) {
            Ok(reload) => {
                for change in &reload.changes {
                    tracing::info!(target: LOG_TARGET, generation = reload.generation, "{change}");
                }
                engine.reloads.succeeded(Arc::downgrade(&old));
                engine.warn_of_superseded();
                Ok(reload)
            }
            Err(error) => {
                let generation = old.generation;
                tracing::error!(target: LOG_TARGET, generation, "the change is refused, and nothing changes: {error}");
                engine.reloads.failed(&error, &*engine.clock);
                Err(error)
            }
        }
    }

    fn next_generation(&self, old: &Registry) -> Result<Reload, Error> {
        let engine = &self.0;
        let config = engine.read(MakeSecrets::Create)?;
        let Generation { registry, warnings } = assemble::generation(engine, &config, old)?;
        let reload = Reload::between(old, &registry);
        engine.watchdog.watch(registry.watched());
        engine.registry.store(Arc::new(registry));
        *engine.warnings.lock().unwrap_or_else(PoisonError::into_inner) = warnings;
        Ok(reload)
    }

    /// How the host is doing: generations, reloads, and what cannot be unloaded.
    pub fn status(&self) -> Status {
        self.0.reloads.status(self.generation(), self.0.libraries(), self.dropped_events())
    }

    /// Everything that happens to tokens from now on.
    pub fn subscribe(&self) -> Events {
        self.0.events.subscribe()
    }

    pub(crate) fn start(engine: Arc<Engine>, make: MakeSecrets) -> Result<Self, Error> {
        let config = engine.read(make)?;
        let Generation { registry, warnings } = assemble::generation(&engine, &config, &Registry::default())?;
        engine.watchdog.watch(registry.watched());
        engine.registry.store(Arc::new(registry));
        *engine.warnings.lock().unwrap_or_else(PoisonError::into_inner) = warnings;
        Ok(Self(engine))
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").field("generation", &self.generation()).finish_non_exhaustive()
    }
}
