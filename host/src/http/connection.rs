//! [`serve`]: serves requests on a connection, and lets go of it when nothing happens there.
//!
//! A connection is looked at as often as `header_timeout` says. One on which no request was begun since, and none is
//! being served, is asked to end; at the next look it is dropped. So a client that sends its request byte by byte, one
//! that does not read its answer and one that sends nothing at all are the same thing, in HTTP/1.1 and in HTTP/2, and
//! none of it costs a timer for each request.

use std::{
    convert::Infallible,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::body::{Body, HttpBody};
use futures_util::StreamExt;
use http::{HeaderValue, Response, header};
use http_body_util::BodyExt;
use hyper::service::service_fn;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
    time::{Instant, sleep_until},
};

use super::{
    service::{Origin, Service},
    trace,
};

/// Streams that one connection of HTTP/2 may have at once: what a browser or a proxy uses, and no more.
const MAX_STREAMS: u32 = 128;

/// How often connections are looked at when the service stops. One that asks nothing as long is dropped: it may have sent
/// half a head.
const LAST_LOOK: Duration = Duration::from_secs(2);

/// How much longer than `stop_timeout` they go on at most: who waits for them is to see that they were not finished.
const AFTERWARDS: Duration = Duration::from_millis(50);

/// Serves until the client or the service has enough.
pub(super) async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    origin: Origin,
    service: Service,
    mut stopped: watch::Receiver<()>,
) {
    let (look, patience, max_header_bytes) = {
        let settings = service.settings();
        (settings.header_timeout, settings.stop_timeout, settings.max_header_bytes)
    };
    let activity = Arc::new(Activity::new(stopped.clone()));
    let answering = service_fn({
        let activity = Arc::clone(&activity);
        move |request| {
            let (service, busy) = (service.clone(), Busy::new(&activity));
            async move {
                let span = trace::span(&service, origin, &request);
                let response = match span.is_disabled() {
                    true => service.respond(origin, request, &span).await,
                    false => trace::respond(&service, origin, request, span).await,
                };
                Ok::<_, Infallible>(while_it_lasts(response, busy))
            }
        }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(max_header_bytes);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(u32::try_from(max_header_bytes).unwrap_or(u32::MAX));
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), answering));
    let (mut next_look, mut begun_before, mut was_asked) = (Instant::now() + look, 0, false);
    loop {
        tokio::select! {
            // What went wrong on a connection is its client's business.
            _ = connection.as_mut() => return,
            _ = stopped.changed() => break,
            () = sleep_until(next_look) => {
                let (is_idle, begun) = activity.is_idle_since(begun_before);
                if is_idle {
                    if was_asked {
                        return;
                    }
                    connection.as_mut().graceful_shutdown();
                    was_asked = true;
                }
                (next_look, begun_before) = (Instant::now() + look, begun);
            }
        }
    }
    // What has been asked is answered, and nothing more.
    connection.as_mut().graceful_shutdown();
    let end = Instant::now() + patience + AFTERWARDS;
    let mut begun_before = activity.begun.load(Ordering::Relaxed);
    loop {
        let next_look = end.min(Instant::now() + LAST_LOOK);
        tokio::select! {
            _ = connection.as_mut() => return,
            () = sleep_until(next_look) => {
                let (is_idle, begun) = activity.is_idle_since(begun_before);
                if is_idle || next_look == end {
                    return;
                }
                begun_before = begun;
            }
        }
    }
}

/// What happens on a connection.
struct Activity {
    begun: AtomicU64,
    in_flight: AtomicUsize,
    stopped: watch::Receiver<()>,
}

impl Activity {
    fn new(stopped: watch::Receiver<()>) -> Self {
        Self { begun: AtomicU64::default(), in_flight: AtomicUsize::default(), stopped }
    }

    /// Whether nothing was asked since the count was this, and nothing is being answered. Gives the count as it is now.
    fn is_idle_since(&self, begun_before: u64) -> (bool, u64) {
        let begun = self.begun.load(Ordering::Relaxed);
        (begun == begun_before && self.in_flight.load(Ordering::Relaxed) == 0, begun)
    }
}

/// A request of a connection that is being served, or its answer while that is being made.
struct Busy(Arc<Activity>);

impl Busy {
    fn new(activity: &Arc<Activity>) -> Self {
        activity.begun.fetch_add(1, Ordering::Relaxed);
        activity.in_flight.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(activity))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Keeps a connection busy while a stream goes on. What is there as a whole needs no more than to be written.
fn while_it_lasts(response: Response<Body>, busy: Busy) -> Response<Body> {
    if response.body().size_hint().exact().is_some() {
        return response;
    }
    // A stream of events has no end of its own: it ends with the service.
    let is_endless = response.headers().get(header::CONTENT_TYPE).is_some_and(is_event_stream);
    response.map(|body| {
        let mut stopped = busy.0.stopped.clone();
        let body = Body::new(body.map_frame(move |frame| {
            let _ = &busy;
            frame
        }));
        if !is_endless {
            return body;
        }
        let until_stopped = Box::pin(async move { _ = stopped.changed().await });
        Body::from_stream(body.into_data_stream().take_until(until_stopped))
    })
}

fn is_event_stream(content_type: &HeaderValue) -> bool {
    content_type.as_bytes().starts_with(b"text/event-stream")
}

#[cfg(test)]
mod tests {
    use axum::body::Bytes;
    use futures_util::stream;
    use tokio::time::timeout;

    use super::*;

    /// An answer that says something and then never ends.
    fn answer(content_type: &'static str, activity: &Arc<Activity>) -> Body {
        let said = stream::once(async { Ok::<_, Infallible>(Bytes::from_static(b"data: 1\n\n")) });
        let mut response = Response::new(Body::from_stream(said.chain(stream::pending())));
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        while_it_lasts(response, Busy::new(activity)).into_body()
    }

    #[tokio::test]
    async fn a_stream_of_events_ends_with_the_service_and_keeps_its_connection_busy_until_then() {
        let (stop, stopped) = watch::channel(());
        let activity = Arc::new(Activity::new(stopped));
        let mut events = answer("text/event-stream; charset=utf-8", &activity);
        let mut other = answer("application/json", &activity);
        for body in [&mut events, &mut other] {
            assert!(body.frame().await.unwrap().unwrap().is_data());
            assert!(timeout(Duration::from_millis(1), body.frame()).await.is_err());
        }
        assert_eq!(activity.is_idle_since(2), (false, 2));
        drop(stop);
        assert!(events.frame().await.is_none());
        assert!(timeout(Duration::from_millis(1), other.frame()).await.is_err(), "it has an end of its own");
        drop((events, other));
        assert_eq!(activity.is_idle_since(2), (true, 2));
    }
}
