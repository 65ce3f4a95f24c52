//! [`Engine`]: what all clones of a host, and its plugins' services, share; a call from the registry to the events.

use std::{
    borrow::Cow,
    collections::HashSet,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use token_plugin_api::{
    CreateToken, CreatedToken, Event, EventKind, InvalidateTokens, Reason, ReasonKind, RequestContext, TokenSelector,
    Verdict,
};

use crate::{
    builder::{Source, StaticPlugin},
    clock::Clock,
    config::{Config, Finding, MakeSecrets},
    dispatch::{self, Answer, Begun, Nobody, Waiting},
    error::{Error, ErrorKind},
    events::EventHub,
    execute::Service,
    instance::Stops,
    load::Images,
    making,
    metrics::Metrics,
    oauth2,
    preflight::Passed,
    registry::{HandlerSlot, Registry},
    status::{Libraries, Reloads},
    watch::Seen,
    watchdog::Watchdog,
};

/// How long plugins may take to stop, all together, before the host goes on without them.
const STOP_DEADLINE: Duration = Duration::from_secs(5);

/// What all clones of a host, and its plugins' services, share.
pub(crate) struct Engine {
    pub(crate) clock: Arc<dyn Clock>,
    /// What runs preflights, unless the configuration names another.
    pub(crate) preflight_program: Option<PathBuf>,
    pub(crate) passed: Passed,
    pub(crate) service: Arc<Service>,
    pub(crate) oauth2: oauth2::Shared,
    pub(crate) metrics: Metrics,
    pub(crate) stops: Arc<Stops>,
    pub(crate) images: Images,
    pub(crate) statics: Vec<StaticPlugin>,
    pub(crate) registry: ArcSwap<Registry>,
    pub(crate) source: Source,
    pub(crate) warnings: Mutex<Vec<Finding>>,
    pub(crate) reloading: Mutex<()>,
    pub(crate) reloads: Reloads,
    /// What the configuration was made from when it was last read.
    seen: Mutex<Seen>,
    /// The bytes of superseded libraries after which the log says so, and the next time.
    superseded_warning_bytes: AtomicU64,
    warned_of_superseded: AtomicU64,
    pub(crate) events: EventHub,
    pub(crate) watchdog: Watchdog,
}

impl Engine {
    pub(crate) fn new(source: Source, clock: Arc<dyn Clock>, statics: Vec<StaticPlugin>) -> Self {
        let service = Arc::default();
        Self {
            clock,
            preflight_program: None,
            passed: Passed::default(),
            oauth2: oauth2::Shared::new(&service),
            service,
            metrics: Metrics::default(),
            stops: Arc::default(),
            images: Images::default(),
            statics,
            registry: ArcSwap::default(),
            source,
            warnings: Mutex::default(),
            reloading: Mutex::default(),
            reloads: Reloads::default(),
            seen: Mutex::default(),
            superseded_warning_bytes: AtomicU64::new(u64::MAX),
            warned_of_superseded: AtomicU64::default(),
            events: EventHub::new(),
            watchdog: Watchdog::default(),
        }
    }

    /// Reads the configuration.
    pub(crate) fn read(&self, make: MakeSecrets) -> Result<Config, Error> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let (now, read) = seen.reading(&self.source, || self.source.read(make));
        *seen = now;
        let config = read?;
        self.superseded_warning_bytes.store(config.host.superseded_warning_bytes, Ordering::Relaxed);
        Ok(config)
    }

    /// What the configuration was made from when it was last read.
    pub(crate) fn seen(&self) -> Seen {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The plugin libraries in this process.
    pub(crate) fn libraries(&self) -> Libraries {
        let registry = self.registry.load();
        let used: HashSet<[u8; 32]> = registry.instances.iter().filter_map(|instance| instance.key.sha256).collect();
        self.images.libraries(&used)
    }

    /// Says in the log that superseded libraries take more than they should; again when it is twice as much.
    pub(crate) fn warn_of_superseded(&self) {
        let Libraries { superseded, superseded_bytes, .. } = self.libraries();
        let bytes = superseded_bytes as u64;
        let warned = self.warned_of_superseded.load(Ordering::Relaxed);
        if bytes > self.superseded_warning_bytes.load(Ordering::Relaxed) && bytes >= warned.saturating_mul(2) {
            self.warned_of_superseded.store(bytes, Ordering::Relaxed);
            tracing::warn!(
                superseded,
                superseded_bytes,
                "replaced libraries cannot be unloaded: only a restart frees them"
            );
        }
    }

    pub(crate) async fn judge<'r>(
        &self,
        registry: &'r Registry,
        token: &str,
        context: Whence<'_>,
    ) -> Result<Answer<'r>, Error> {
        if registry.is_inline() || token.len() > registry.max_token_bytes {
            return self.judge_inline(registry, token, context);
        }
        let answer = dispatch::verify(registry, token, &context.text()?, &mut Nobody).await;
        self.judged(registry, &answer, context);
        Ok(answer)
    }

    /// [`Engine::judge`] as far as that goes without waiting.
    pub(crate) fn begin<'r>(
        &self,
        registry: &'r Registry,
        token: &str,
        context: Whence<'_>,
    ) -> Result<Begun<'r>, Error> {
        let begun = dispatch::begin(registry, token, &context.text()?);
        if let Begun::Over(answer) = &begun {
            self.judged(registry, answer, context);
        }
        Ok(begun)
    }

    /// The rest of what [`Engine::begin`] began.
    pub(crate) async fn finish<'r>(
        &self,
        registry: &'r Registry,
        waiting: Waiting<'r>,
        token: &str,
        context: Whence<'_>,
    ) -> Result<Answer<'r>, Error> {
        let answer = waiting.finish(token, &context.text()?, &mut Nobody).await;
        self.judged(registry, &answer, context);
        Ok(answer)
    }

    /// [`Engine::judge`] where nothing is waited for.
    #[inline]
    pub(crate) fn judge_inline<'r>(
        &self,
        registry: &'r Registry,
        token: &str,
        context: Whence<'_>,
    ) -> Result<Answer<'r>, Error> {
        let answer = if token.len() > registry.max_token_bytes {
            Answer { by: None, verdict: Ok(Verdict::Rejected(too_long(registry.max_token_bytes))) }
        } else {
            dispatch::verify_inline(registry, token, &context.text()?)
        };
        self.judged(registry, &answer, context);
        Ok(answer)
    }

    pub(crate) async fn create(
        &self,
        registry: &Registry,
        request: &CreateToken,
        context: Option<&RequestContext>,
    ) -> Result<CreatedToken, Error> {
        let (by, created) = making::create(registry, request, &Whence::from(context).text()?).await?;
        if self.events.is_watched(registry) {
            let event = self.created(by, &created, request, context);
            if let Err(error) = self.events.announce(registry, &[event]).await {
                take_back(by, &created).await;
                return Err(error);
            }
        }
        Ok(created)
    }

    /// [`Engine::create`] where nothing is waited for, neither a handler nor a sink.
    pub(crate) fn create_inline(
        &self,
        registry: &Registry,
        request: &CreateToken,
        context: Option<&RequestContext>,
    ) -> Result<CreatedToken, Error> {
        let (by, created) = making::create_inline(registry, request, &Whence::from(context).text()?)?;
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
        event.auto_generated = request.details().auto_generated;
        event
    }

    /// Tells those who watch of something that was done.
    pub(crate) async fn announce(&self, events: impl FnOnce() -> Vec<Event>) -> Result<(), Error> {
        let registry = self.registry.load_full();
        if !self.events.is_watched(&registry) {
            return Ok(());
        }
        self.events.announce(&registry, &events()).await
    }

    pub(crate) fn event(&self, kind: EventKind, context: Option<&RequestContext>) -> Event {
        let mut event = Event::new(kind, self.clock.now());
        event.context = context.cloned();
        event
    }

    /// Tells those who watch what became of a token.
    #[inline]
    fn judged(&self, registry: &Registry, answer: &Answer<'_>, context: Whence<'_>) {
        if self.events.is_watched(registry) {
            self.tell(registry, answer, context);
        }
    }

    fn tell(&self, registry: &Registry, answer: &Answer<'_>, context: Whence<'_>) {
        let mut token_id = None;
        let (kind, actor_id, reason) = match &answer.verdict {
            Ok(Verdict::Accepted(actor)) => {
                token_id = actor.token_id().map(str::to_owned);
                (EventKind::TokenUsed, Some(actor.id().to_owned()), None)
            }
            Ok(Verdict::Rejected(reason)) if reason.kind() == ReasonKind::Expired => {
                (EventKind::TokenExpired, None, Some(reason.to_string()))
            }
            Ok(Verdict::Rejected(reason)) => (EventKind::TokenRejected, None, Some(reason.to_string())),
            Ok(Verdict::NotRecognized) | Err(_) => return,
        };
        let mut event = self.event(kind, context.known().as_deref());
        event.handler = answer.by.map(|handler| handler.name().to_owned());
        (event.actor_id, event.token_id, event.reason) = (actor_id, token_id, reason);
        self.events.emit(registry, &event);
    }
}

impl Drop for Engine {
    /// Lets the plugins stop, so that what they still have to write is written.
    fn drop(&mut self) {
        self.registry.store(Arc::default());
        self.stops.wait(STOP_DEADLINE);
    }
}

/// Makes a token worthless that nobody gets to see: its creation could not be recorded, as somebody requires. Where its
/// handler cannot, it is lost all the same.
async fn take_back(by: &HandlerSlot, created: &CreatedToken) {
    let reason = "its creation could not be recorded";
    let request = InvalidateTokens::new(TokenSelector::Token(created.token.clone()), reason);
    let Ok(request) = serde_json::to_string(&request) else { return };
    if let Err(error) = by.manage("invalidate_tokens", request, "").answer().await {
        tracing::warn!(handler = by.name(), %error, "a token whose creation could not be recorded was not invalidated");
    }
}

/// Where a token came from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Whence<'c> {
    Unknown,
    Known(&'c RequestContext),
    /// The same as JSON, for callers that have it cheaper than by way of the other.
    Written(&'c str),
}

impl<'c> From<Option<&'c RequestContext>> for Whence<'c> {
    fn from(context: Option<&'c RequestContext>) -> Self {
        context.map_or(Self::Unknown, Self::Known)
    }
}

impl<'c> Whence<'c> {
    /// As plugins get it.
    #[inline]
    pub(crate) fn text(self) -> Result<Cow<'c, str>, Error> {
        match self {
            Self::Unknown => Ok(Cow::Borrowed("")),
            Self::Written(text) => Ok(Cow::Borrowed(text)),
            Self::Known(context) => serde_json::to_string(context)
                .map(Cow::Owned)
                .map_err(|error| Error::new(ErrorKind::InvalidArgument, error.to_string())),
        }
    }

    /// As events have it.
    fn known(self) -> Option<Cow<'c, RequestContext>> {
        match self {
            Self::Unknown => None,
            Self::Known(context) => Some(Cow::Borrowed(context)),
            Self::Written(text) => serde_json::from_str(text).ok().map(Cow::Owned),
        }
    }
}

/// Why a token of more bytes than this is rejected.
pub(crate) fn too_long(max_token_bytes: usize) -> Reason {
    Reason::new(ReasonKind::TooLong, format!("token is longer than {max_token_bytes} bytes"))
}
