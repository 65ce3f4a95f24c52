//! [`serve`]: serves requests on a connection, and lets go of it when nothing happens there.
//!
//! A connection is looked at as often as `header_timeout` says. One on which no request was begun since, and none is
//! being served, is asked to end; at the next look it is dropped. So a client that sends its request byte by byte, one
//! that does not read its answer and one that sends nothing at all are the same thing, in HTTP/1.1 and in HTTP/2, and
//! none of it costs a timer for each request. Of a stream hyper asks for more only while it is read: so whoever makes one
//! looks after its end, and tells it by [`Streaming`].

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
use http::Response;
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
                    // On the heap, so that it takes no room in each connection.
                    false => Box::pin(trace::respond(&service, origin, request, span)).await,
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

/// Of a response that is a stream without an end of its own, as an extension: it goes on until what came with this is
/// dropped, whether or not it is read to there.
#[derive(Debug, Clone)]
pub(super) struct Streaming(watch::Receiver<()>);

/// What a stream's maker keeps while it goes on.
pub(super) type GoesOn = watch::Sender<()>;

impl Streaming {
    pub(super) fn new() -> (GoesOn, Self) {
        let (goes_on, ended) = watch::channel(());
        (goes_on, Self(ended))
    }
}

/// Keeps a connection busy while a stream goes on. What is there as a whole needs no more than to be written.
fn while_it_lasts(mut response: Response<Body>, busy: Busy) -> Response<Body> {
    if response.body().size_hint().exact().is_some() {
        return response;
    }
    let Some(Streaming(mut ended)) = response.extensions_mut().remove() else {
        let with = move |frame| {
            let _ = &busy;
            frame
        };
        return response.map(|body| Body::new(body.map_frame(with)));
    };
    // One without an end of its own ends with the service as well.
    let mut stopped = busy.0.stopped.clone();
    let mut stopped_too = stopped.clone();
    // Not in the body: that is asked for nothing while the client reads nothing.
    tokio::spawn(async move {
        tokio::select! {
            // Nothing is ever sent: the sender is gone.
            _ = ended.changed() => {}
            _ = stopped.changed() => {}
        }
        drop(busy);
    });
    let until_stopped = Box::pin(async move { _ = stopped_too.changed().await });
    response.map(|body| Body::from_stream(body.into_data_stream().take_until(until_stopped)))
}

#[cfg(test)]
mod tests {
    use axum::body::Bytes;
    use futures_util::stream;
    use tokio::time::timeout;

    use super::*;

    /// An answer that says something and then nothing more.
    fn answer(streaming: Option<Streaming>, activity: &Arc<Activity>) -> Body {
        let said = stream::once(async { Ok::<_, Infallible>(Bytes::from_static(b"data: 1\n\n")) });
        let mut response = Response::new(Body::from_stream(said.chain(stream::pending())));
        if let Some(streaming) = streaming {
            response.extensions_mut().insert(streaming);
        }
        while_it_lasts(response, Busy::new(activity)).into_body()
    }

    async fn becomes_idle(activity: &Activity) {
        let waiting = async {
            while !activity.is_idle_since(activity.begun.load(Ordering::Relaxed)).0 {
                tokio::task::yield_now().await;
            }
        };
        timeout(Duration::from_secs(60), waiting).await.expect("it is busy no more");
    }

    #[tokio::test]
    async fn a_stream_ends_with_the_service_and_keeps_its_connection_busy_until_then() {
        let (stop, stopped) = watch::channel(());
        let activity = Arc::new(Activity::new(stopped));
        let (_goes_on, streaming) = Streaming::new();
        let mut events = answer(Some(streaming), &activity);
        let mut other = answer(None, &activity);
        for body in [&mut events, &mut other] {
            assert!(body.frame().await.unwrap().unwrap().is_data());
            assert!(timeout(Duration::from_millis(1), body.frame()).await.is_err());
        }
        assert_eq!(activity.is_idle_since(2), (false, 2));
        drop(stop);
        assert!(events.frame().await.is_none());
        assert!(timeout(Duration::from_millis(1), other.frame()).await.is_err(), "it has an end of its own");
        drop((events, other));
        becomes_idle(&activity).await;
    }

    #[tokio::test]
    async fn a_stream_that_nobody_reads_keeps_its_connection_busy_until_it_ends() {
        let (_stop, stopped) = watch::channel(());
        let activity = Arc::new(Activity::new(stopped));
        let (goes_on, streaming) = Streaming::new();
        let _unread = answer(Some(streaming), &activity);
        tokio::task::yield_now().await;
        assert_eq!(activity.is_idle_since(1), (false, 1));
        drop(goes_on);
        becomes_idle(&activity).await;
    }
}
