//! `/api/v1/events`: what happens to tokens, as it happens (server-sent events, as WHATWG's HTML has them).

use std::{convert::Infallible, sync::Arc, time::Duration};

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
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep_until},
};

use super::admin::{Admin, is_still_admin};
use crate::{
    events::{Events, Received},
    http::{problem::Problem, service::Service},
};

/// How many streams go on at once: each is a subscriber that every event is copied for.
const MAX_STREAMS: usize = 32;

/// How often it is looked whether whoever watches still may. What this host itself invalidates ends a stream at once.
const LOOK: Duration = Duration::from_secs(10);

/// How often something is sent where nothing happens: less than proxies wait.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

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
/// was too slow. The stream ends when the caller's token does.
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
    let watching = Watching {
        events: admin.host().subscribe(),
        service: admin.service().clone(),
        expires_at: admin.expires_at(),
        headers,
        look: Instant::now(),
        _place: place,
    };
    // So that whoever watches knows from when on nothing is missed.
    let watching = stream::unfold(Some((watching, true)), |watching| async move {
        let (mut watching, is_new) = watching?;
        if is_new {
            watching.look_again();
            return Some((Ok(sse::Event::default().comment("watching")), Some((watching, false))));
        }
        let event = watching.next().await?;
        Some((Ok::<_, Infallible>(event), Some((watching, false))))
    });
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
    Sse::new(watching).keep_alive(keep_alive).into_response()
}

/// Somebody who watches.
struct Watching {
    events: Events,
    service: Service,
    /// With the token, which is judged again.
    headers: HeaderMap,
    expires_at: Option<u64>,
    look: Instant,
    _place: OwnedSemaphorePermit,
}

impl Watching {
    /// What is to be sent next; `None`: whoever watches may no more, or the host is gone.
    async fn next(&mut self) -> Option<sse::Event> {
        loop {
            let received = tokio::select! {
                received = self.events.next_or_missed() => Some(received?),
                () = sleep_until(self.look) => None,
            };
            let is_about_validity = match &received {
                None | Some(Received::Missed(_)) => true,
                Some(Received::Event(event)) => {
                    matches!(event.kind, EventKind::TokenInvalidated | EventKind::TokenUpdated)
                }
            };
            if is_about_validity {
                if !is_still_admin(&self.headers, &self.service).await {
                    return None;
                }
                self.look_again();
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
