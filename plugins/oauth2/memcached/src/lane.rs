//! [`Lane`]: the way to one server, with a connection as long as there can be one.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::{
    Error, Server, Settings,
    connection::{Connection, Phase},
    reply::Reply,
    request::Request,
};

/// The way to one server. A connection is opened by the first request, and again by the first after it was lost. When it
/// could not be opened, requests are errors at once: for a while, and then all but the one that tries it again, so that a
/// server that is down costs nobody else any time.
pub(crate) struct Lane {
    server: Server,
    settings: Arc<Settings>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    connection: Option<Arc<Connection>>,
    failure: Option<Failure>,
}

/// Attempts, one behind the other, that have failed.
struct Failure {
    error: Error,
    pause: Duration,
    until: Instant,
}

impl Lane {
    pub(crate) fn new(server: Server, settings: Arc<Settings>) -> Self {
        Self { server, settings, state: Mutex::default() }
    }

    pub(crate) fn server(&self) -> &Server {
        &self.server
    }

    /// Sends a request, and waits for its answer.
    pub(crate) async fn ask(&self, request: &Request<'_>) -> Result<Reply, Error> {
        let connection = self.connection()?;
        connection.ask(request).await
    }

    fn connection(&self) -> Result<Arc<Connection>, Error> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(connection) = &state.connection {
            match (connection.phase(), &state.failure) {
                (Phase::Open, _) | (Phase::Opening, None) => return Ok(Arc::clone(connection)),
                (Phase::Opening, Some(failure)) => return Err(failure.error.clone()),
                (Phase::Closed { was_open: true, .. }, _) => state.failure = None,
                (Phase::Closed { was_open: false, error }, before) => {
                    state.failure = Some(Failure::new(error, before.as_ref()));
                }
            }
            state.connection = None;
        }
        match &state.failure {
            Some(failure) if Instant::now() < failure.until => Err(failure.error.clone()),
            _ => {
                let connection = Arc::new(Connection::open(&self.server, &self.settings)?);
                state.connection = Some(Arc::clone(&connection));
                Ok(connection)
            }
        }
    }
}

impl Failure {
    /// Another one, after those.
    fn new(error: Error, before: Option<&Self>) -> Self {
        const FIRST_PAUSE: Duration = Duration::from_millis(50);
        /// So long at the most after a server is back, it is used again.
        const LONGEST_PAUSE: Duration = Duration::from_secs(1);
        let pause = before.map_or(FIRST_PAUSE, |before| (before.pause * 2).min(LONGEST_PAUSE));
        Self { error, pause, until: Instant::now() + pause }
    }
}
