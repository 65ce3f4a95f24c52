//! From the parts of a request to who it is from: one core for the HTTP service, the tower layer and whoever has a
//! request.
//!
//! ```no_run
//! use token_host::{
//!     Host,
//!     authenticate::{Authenticator, Requirement, Subject},
//! };
//!
//! # async fn example(request: http::Request<()>) -> Result<(), token_host::Error> {
//! let authenticator = Authenticator::new(Host::from_file("plugins.toml")?);
//! let (parts, _) = request.into_parts();
//! let subject = Subject::of(&parts, None);
//! match authenticator.authenticate(&subject, &Requirement::action("view-instance", None, None)).await {
//!     Ok(identity) => println!("it is {}", identity.actor.id()),
//!     Err(refusal) => println!("{}: {}", refusal.status(), refusal.description()),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! ```text
//! headers, query ─▶ credentials ─▶ Host::verify ─▶ requirement ─▶ Identity
//!                   one, or none   the handlers    action, policy,
//!                                                  scopes
//!                        │              │ bad: counted     │
//!                        ▼              ▼                  ▼
//!                     Refusal: 401, 400   401, 429, 503     403
//! ```
//!
//! # Invariants
//!
//! - Answers are RFC 6750's: no token is 401 without an error code, two are 400, a bad one is 401 `invalid_token`, one
//!   that is not good for what is asked is 403 `insufficient_scope`. "Cannot tell" is 503, never one of these.
//! - A good token is never kept out by others' failures: see [`AuthenticateSettings::failures_per_address`].
//! - Tokens are in no log, no error and no `Debug`. What a client is told is the handler's reason, which by contract holds
//!   no part of a token.
//! - Nothing in here knows of a server or a connection.

mod credentials;
mod limits;
mod path_pattern;
mod problem;
mod refusal;
mod requirement;
mod rules;
mod settings;
mod subject;

use std::{fmt, sync::Arc, time::Duration, time::Instant};

use arc_swap::ArcSwap;
use token_plugin_api::{Actor, Verdict};
use tracing::{Instrument as _, field::Empty};

use self::limits::FailureLimits;
use crate::{dispatch::Answer, engine::Whence, error::Error, host::Host, metrics::Judged};

#[cfg(feature = "http")]
pub(crate) use credentials::decoded;
pub(crate) use credentials::find;
pub use path_pattern::PathPattern;
#[cfg(feature = "tower")]
pub(crate) use problem::TOKEN_DEPRECATED;
pub use refusal::Refusal;
pub use requirement::{OWN_ACTIONS, RequiredAction, RequiredResource, Requirement};
pub(crate) use requirement::{is_delegated, scopes_of};
pub use rules::{Found, HostPattern, Rule, Rules, Target};
pub use settings::AuthenticateSettings;
#[cfg(feature = "tower")]
pub(crate) use subject::has_one_host;
pub use subject::{Subject, client_address};
#[cfg(feature = "http")]
pub(crate) use subject::{beginning_of_path, trace_id};

/// When to ask again where it cannot be told: as long as a plugin that was tripped is left alone by default.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Finds out who requests are from. Cheap to clone; all clones count failures together.
#[derive(Clone)]
pub struct Authenticator {
    host: Host,
    /// The embedder's own; none: those of the `[http]` table, as it is when a request comes.
    settings: Option<Arc<AuthenticateSettings>>,
    limits: Arc<ArcSwap<FailureLimits>>,
}

/// Who a request is from.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Identity {
    /// The actor that its token stands for.
    pub actor: Actor,
    /// The handler that accepted the token; none: a wrapper did in its place.
    pub handler: Option<String>,
}

impl Identity {
    /// Whether its token is good for this.
    ///
    /// # Errors
    ///
    /// When it is not.
    pub fn require(&self, requirement: &Requirement) -> Result<(), Refusal> {
        match requirement.is_met_by(&self.actor) {
            true => Ok(()),
            false => Err(Refusal::Scope(requirement.scope_text())),
        }
    }
}

impl Authenticator {
    /// One that goes by the `[http]` table of the host's configuration, and follows its reloads.
    pub fn new(host: Host) -> Self {
        let limits = FailureLimits::new(&host.0.registry.load().http.authenticate);
        Self { host, settings: None, limits: Arc::new(ArcSwap::from_pointee(limits)) }
    }

    /// One with settings of the embedder's own.
    pub fn with_settings(host: Host, settings: AuthenticateSettings) -> Self {
        let limits = Arc::new(ArcSwap::from_pointee(FailureLimits::new(&settings)));
        Self { host, settings: Some(Arc::new(settings)), limits }
    }

    /// Its host.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Finds out who a request is from, and whether its token is good for what is required.
    ///
    /// # Errors
    ///
    /// Why it is not let through.
    pub async fn authenticate(&self, subject: &Subject<'_>, requirement: &Requirement) -> Result<Identity, Refusal> {
        let Some(token) = self.with(|settings| credentials::find(subject.headers, subject.query, settings))? else {
            return Err(Refusal::NoCredentials);
        };
        let identity = self.identify(&token, subject).await?;
        identity.require(requirement)?;
        Ok(identity)
    }

    /// The value of `WWW-Authenticate` for a refusal, where there is to be one.
    pub fn challenge(&self, refusal: &Refusal) -> Option<http::HeaderValue> {
        self.with(|settings| {
            refusal.challenge(settings.schemes.first().map_or("Bearer", String::as_str), &settings.realm)
        })
    }

    /// Judges a token that a request is from, and counts what it came to, and when it failed.
    pub(crate) async fn identify(&self, token: &str, subject: &Subject<'_>) -> Result<Identity, Refusal> {
        match self.judge(token, subject).await {
            (handler, Ok(Verdict::Accepted(actor))) => Ok(Identity { actor, handler }),
            (_, Ok(Verdict::Rejected(reason))) => Err(self.failed(subject, token, reason.message().to_owned())),
            (_, Ok(Verdict::NotRecognized)) => Err(self.failed(subject, token, "token is not known".to_owned())),
            (_, Err(error)) => Err(Self::cannot_tell(&error, subject)),
        }
    }

    /// Judges a token, and counts what it came to. The handler that did, and its verdict.
    pub(crate) async fn judge(&self, token: &str, subject: &Subject<'_>) -> (Option<String>, Result<Verdict, Error>) {
        let span = tracing::info_span!(
            target: "token_host::authenticate",
            "verify_token",
            token_host.handler = Empty,
            token_host.outcome = Empty
        );
        let began = Instant::now();
        let metrics = &self.host.0.metrics;
        let context = subject.context();
        let count = |answer: Result<Answer<'_>, Error>| {
            let took = began.elapsed();
            let (by, verdict) = match answer {
                Ok(Answer { by, verdict }) => (by, verdict),
                Err(error) => (None, Err(error)),
            };
            let judged = Judged::of(&verdict);
            by.map_or(metrics.nobody(), |handler| &handler.metrics).count(judged, took);
            let handler = by.map(|handler| handler.name().to_owned());
            if !span.is_disabled() {
                span.record("token_host.handler", handler.as_deref());
                span.record("token_host.outcome", judged.name());
            }
            (handler, verdict)
        };
        let whence = Whence::Written(&context);
        if span.is_disabled() {
            self.host.judge_then(token, whence, count).await
        } else {
            // On the heap, so that those without a span take no more room for it.
            Box::pin(self.host.judge_then(token, whence, count)).instrument(span.clone()).await
        }
    }

    /// Counts a failure: the refusal that it comes to.
    pub(crate) fn failed(&self, subject: &Subject<'_>, token: &str, reason: String) -> Refusal {
        let wait = self.limits().failed(subject.client, token);
        wait.map_or_else(|| Refusal::Token(reason.into()), Refusal::TooManyAttempts)
    }

    /// The refusal where a handler could not tell, and a line in the log.
    pub(crate) fn cannot_tell(error: &Error, subject: &Subject<'_>) -> Refusal {
        tracing::error!(
            target: "authenticate",
            trace_id = subject.trace_id(),
            "a token could not be judged: {error}"
        );
        Refusal::Unavailable(RETRY_AFTER)
    }

    fn with<T>(&self, ask: impl FnOnce(&AuthenticateSettings) -> T) -> T {
        match &self.settings {
            Some(settings) => ask(settings),
            None => ask(&self.host.0.registry.load().http.authenticate),
        }
    }

    /// The counts, made anew when a reload has changed the limits.
    fn limits(&self) -> Arc<FailureLimits> {
        let limits = self.limits.load_full();
        if self.with(|settings| limits.is_of(settings)) {
            return limits;
        }
        let new = Arc::new(self.with(FailureLimits::new));
        self.limits.store(Arc::clone(&new));
        new
    }
}

/// Judges by rules and by handlers, again when a reload came between the two: what is new with a handler and a rule for its
/// tokens must not pass by the old rules.
///
/// # Errors
///
/// Those of the judgement; [`Refusal::Unavailable`] when reloads do not end.
#[cfg(feature = "tower")]
pub(crate) async fn in_one_generation<T, J>(host: &Host, judge: impl Fn() -> J) -> Result<T, Refusal>
where
    J: Future<Output = Result<T, Refusal>>,
{
    for _ in 0..3 {
        let generation = host.generation();
        let judged = judge().await;
        if host.generation() == generation {
            return judged;
        }
    }
    Err(Refusal::Unavailable(RETRY_AFTER))
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticator").field("host", &self.host).finish_non_exhaustive()
    }
}
