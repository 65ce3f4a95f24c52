//! [`Service`]: what answers requests, and how many at once.

use std::{
    fmt,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use ::http::{HeaderMap, Request, Response};
use arc_swap::Guard;
use axum::{Router, body::Body, extract::DefaultBodyLimit};
use hyper::body::Incoming;
use tower_service::Service as _;
use tracing::Span;

use super::{
    forward_auth,
    health::Readiness,
    problem::{self, Problem},
    routes, well_formed,
};
use crate::{
    authenticate::{Authenticator, client_address},
    config::HttpSettings,
    host::Host,
    introspection::Introspection,
    peer::Peer,
    registry::Registry,
};

/// What answers requests. Cheap to clone; all clones are one service.
#[derive(Clone)]
pub struct Service(pub(super) Arc<App>);

/// What all requests share.
pub(crate) struct App {
    pub(super) authenticator: Authenticator,
    introspection: Introspection,
    pub(super) readiness: Readiness,
    pub(super) counts: Counts,
    router: Router,
}

/// What is counted of requests and connections.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) requests: AtomicU64,
    pub(super) in_flight: AtomicUsize,
    /// Those of them that are none of a proxy's.
    pub(super) routed: AtomicUsize,
    pub(super) connections: AtomicUsize,
    /// Requests and connections that were one too many.
    pub(super) turned_away: AtomicU64,
}

/// Who is at the other end of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) enum Origin {
    Tcp(IpAddr),
    Unix,
}

impl Service {
    /// A service for a host, by the `[http]` table of its configuration, whose reloads it follows.
    pub fn new(host: Host) -> Self {
        let authenticator = Authenticator::new(host);
        let introspection = Introspection::new(authenticator.clone());
        let (readiness, counts) = (Readiness::default(), Counts::default());
        // The router's handlers have the service as their state: it comes with each request.
        let router = routes::router();
        Self(Arc::new(App { authenticator, introspection, readiness, counts, router }))
    }

    /// Its host.
    pub fn host(&self) -> &Host {
        self.0.authenticator.host()
    }

    /// The service's authentication, with its counts of failures.
    pub fn authenticator(&self) -> &Authenticator {
        &self.0.authenticator
    }

    /// Answers a request, whose span may be disabled.
    ///
    /// Of `max_requests`, half are for proxies alone, whose requests have no body to wait for: who sends others, slowly and
    /// without a token, does not keep out those whose proxies ask.
    pub(super) async fn respond(&self, origin: Origin, request: Request<Incoming>, span: &Span) -> Response<Body> {
        let counts = &self.0.counts;
        counts.requests.fetch_add(1, Ordering::Relaxed);
        let _in_flight = InFlight::new(&counts.in_flight);
        let most = self.settings().max_requests;
        let is_too_much = counts.in_flight.load(Ordering::Relaxed) > most;
        let path = request.uri().path();
        if let Some(caller) = forward_auth::Caller::of(path) {
            let (parts, _) = request.into_parts();
            if is_too_much {
                counts.turned_away.fetch_add(1, Ordering::Relaxed);
                return forward_auth::too_much(self, caller);
            }
            return forward_auth::respond(self, origin, &parts, caller, span).await;
        }
        // Whoever watches over the process is not kept out either.
        let routed = (path != routes::HEALTHZ).then(|| InFlight::new(&counts.routed));
        if is_too_much || (routed.is_some() && counts.routed.load(Ordering::Relaxed) > most.div_ceil(2)) {
            counts.turned_away.fetch_add(1, Ordering::Relaxed);
            return problem::too_much();
        }
        // On the heap, so that it takes no room in each connection.
        Box::pin(self.route(origin, request)).await
    }

    async fn route(&self, origin: Origin, request: Request<Incoming>) -> Response<Body> {
        let checked = well_formed::check(request.method(), request.uri(), request.version(), request.headers());
        if let Err(expected) = checked {
            return Problem::bad_request(expected).response();
        }
        let mut request = request.map(Body::new);
        let (deadline, peer) = {
            let settings = self.settings();
            DefaultBodyLimit::max(settings.max_body_bytes).apply(&mut request);
            (settings.request_timeout, origin.peer(&settings))
        };
        request.extensions_mut().insert(peer);
        request.extensions_mut().insert(self.clone());
        let answer = self.0.router.clone().call(request);
        match tokio::time::timeout(deadline, answer).await {
            Ok(Ok(response)) => response,
            Ok(Err(never)) => match never {},
            Err(_) => problem::too_slow(),
        }
    }

    /// The settings as they are now.
    pub(super) fn settings(&self) -> Settings {
        Settings(self.host().0.registry.load())
    }

    /// What others may ask of tokens.
    pub(super) fn introspection(&self) -> &Introspection {
        &self.0.introspection
    }

    /// The address of the client that a request came from.
    pub(super) fn client(&self, peer: Peer, headers: &HeaderMap) -> Option<IpAddr> {
        client_address(headers, peer, &self.settings().trusted_proxies)
    }
}

/// The settings of the present generation. Not to be held while waiting.
pub(super) struct Settings(Guard<Arc<Registry>>);

impl std::ops::Deref for Settings {
    type Target = HttpSettings;

    fn deref(&self) -> &HttpSettings {
        &self.0.http
    }
}

impl Origin {
    /// How far it is believed.
    pub(super) fn peer(self, settings: &HttpSettings) -> Peer {
        match self {
            Self::Tcp(address) => Peer::Address(address),
            Self::Unix if settings.trust_unix => Peer::Trusted,
            Self::Unix => Peer::Unknown,
        }
    }
}

/// A request that is being served, or a connection that is open.
pub(super) struct InFlight<'c>(&'c AtomicUsize);

impl<'c> InFlight<'c> {
    pub(super) fn new(count: &'c AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("host", self.host()).finish_non_exhaustive()
    }
}

/// When to come back who was one too many: what is in flight is over in much less.
pub(super) const RETRY_AFTER: Duration = Duration::from_secs(1);
