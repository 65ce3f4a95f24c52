//! `/api/v1/events`: what happens to tokens, as it happens (server-sent events, as WHATWG's HTML has them).

use std::{convert::Infallible, pin::pin, sync::Arc, time::Duration};

use ::http::HeaderMap;
use axum::{
    Extension,
    response::{
        IntoResponse, Response,
        sse::{self, KeepAlive, Sse},
    },
};
use futures_util::stream;
use serde_json::json;
use token_plugin_api::{Event, EventKind};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::{Instant, sleep_until},
};

use super::admin::{Admin, is_still_admin};
use crate::{
    events::{Events, Received},
    http::{
        connection::{GoesOn, Streaming},
        problem::Problem,
        service::Service,
    },
};

/// How many streams go on at once: each is a subscriber that every event is copied for.
const MAX_STREAMS: usize = 32;

/// How often it is looked whether whoever watches still may. What this host itself invalidates ends a stream at once.
const LOOK: Duration = Duration::from_secs(10);

/// How often something is sent where nothing happens: less than proxies wait.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How many events are ready before they are read. All others wait where every subscriber's do.
const AHEAD: usize = 16;

/// The streams that may still begin.
#[derive(Debug, Clone)]
pub(super) struct Streams(Arc<Semaphore>);

impl Default for Streams {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_STREAMS)))
    }
}

/// Watch what happens to tokens
///
/// Each event is named by its `kind`, and its data is an `Event`; `missed` tells how many were lost, since whoever watches
/// was too slow. The stream ends when the caller's token does, and when nothing is read of it for longer than
/// `header_timeout_ms`.
#[utoipa::path(
    get,
    path = "/api/v1/events",
    tag = "events",
    responses((status = 200, description = "A stream of events.", body = Event, content_type = "text/event-stream")),
)]
pub(super) async fn events(admin: Admin, Extension(streams): Extension<Streams>, headers: HeaderMap) -> Response {
    let Ok(place) = streams.0.try_acquire_owned() else {
        let mut problem = Problem::unavailable();
        problem.detail = format!("{MAX_STREAMS} streams of events go on already");
        return problem.into_response();
    };
    let (goes_on, streaming) = Streaming::new();
    let (sender, receiver) = mpsc::channel(AHEAD);
    let watching = Watching {
        events: admin.host().subscribe(),
        service: admin.service().clone(),
        expires_at: admin.expires_at(),
        headers,
        to: sender,
        look: Instant::now(),
        generation: 0,
        _place: place,
        _goes_on: goes_on,
    };
    // Not in the stream itself: that is asked for nothing while the client reads nothing.
    tokio::spawn(watching.tell());
    let stream = stream::unfold(receiver, |mut receiver| async move {
        let event = receiver.recv().await?;
        Some((Ok::<_, Infallible>(event), receiver))
    });
    let mut response = Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response();
    response.extensions_mut().insert(streaming);
    response
}

/// Somebody who watches.
struct Watching {
    events: Events,
    service: Service,
    /// With the token, which is judged again.
    headers: HeaderMap,
    expires_at: Option<u64>,
    to: mpsc::Sender<sse::Event>,
    look: Instant,
    /// The generation whose settings the token was judged by.
    generation: u64,
    _place: OwnedSemaphorePermit,
    _goes_on: GoesOn,
}

impl Watching {
    /// Tells what happens, while whoever watches may, is there, and reads.
    async fn tell(mut self) {
        self.look_again();
        // So that whoever watches knows from when on nothing is missed.
        let mut told = sse::Event::default().comment("watching");
        while self.sends(told).await {
            let Some(next) = self.next().await else { return };
            told = next;
        }
    }

    /// Whether an event could be sent: whoever watches reads what came before, and still may.
    async fn sends(&mut self, event: sse::Event) -> bool {
        let to = self.to.clone();
        let mut room = pin!(to.reserve());
        let end = Instant::now() + self.service.settings().header_timeout;
        loop {
            tokio::select! {
                room = room.as_mut() => return room.map(|room| room.send(event)).is_ok(),
                () = sleep_until(end) => return false,
                () = sleep_until(self.look) => {
                    if !self.still_may().await {
                        return false;
                    }
                }
            }
        }
    }

    /// What is to be sent next; `None`: whoever watches may no more, or they or the host are gone.
    async fn next(&mut self) -> Option<sse::Event> {
        loop {
            let received = tokio::select! {
                received = self.events.next_or_missed() => Some(received?),
                () = sleep_until(self.look) => None,
                () = self.to.closed() => return None,
            };
            let is_about_validity = match &received {
                None | Some(Received::Missed(_)) => true,
                Some(Received::Event(event)) => {
                    matches!(event.kind, EventKind::TokenInvalidated | EventKind::TokenUpdated)
                        || self.generation != self.service.host().0.registry.load().generation
                }
            };
            if is_about_validity && !self.still_may().await {
                return None;
            }
            match received {
                Some(Received::Event(event)) => return Some(told(&event)),
                Some(Received::Missed(missed)) => {
                    let missed = json!({ "missed": missed }).to_string();
                    return Some(sse::Event::default().event("missed").data(missed));
                }
                None => {}
            }
        }
    }

    /// Judges the token again, by the settings as they are now.
    async fn still_may(&mut self) -> bool {
        self.generation = self.service.host().0.registry.load().generation;
        self.look_again();
        is_still_admin(&self.headers, &self.service).await
    }

    /// Sets when to look next: when the token expires, or before.
    fn look_again(&mut self) {
        let now = self.service.host().0.clock.now();
        let left = self.expires_at.map_or(LOOK, |at| Duration::from_secs(at.saturating_sub(now).max(1)));
        self.look = Instant::now() + LOOK.min(left);
    }
}

fn told(event: &Event) -> sse::Event {
    // Plain data with text for keys: writing it cannot fail.
    let kind = serde_json::to_value(event.kind).unwrap_or_default();
    let data = serde_json::to_string(event).unwrap_or_default();
    sse::Event::default().event(kind.as_str().unwrap_or("unknown")).data(data)
}
