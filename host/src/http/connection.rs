//! [`run`]: accepts connections, serves requests on them, and lets go of those on which nothing happens.
//!
//! A connection is looked at as often as `header_timeout` says. One on which no request was begun since, and none is
//! being served, is asked to end; at the next look it is dropped. So a client that sends its request byte by byte, one
//! that does not read its answer and one that sends nothing at all are the same thing, in HTTP/1.1 and in HTTP/2, and
//! none of it costs a timer for each request.

use std::{
    convert::Infallible,
    future::Future,
    io,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::body::{Body, HttpBody};
use http_body_util::BodyExt;
use hyper::service::service_fn;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    sync::{mpsc, watch},
    time::{Instant, sleep, sleep_until, timeout},
};

use super::{
    listen::{Listener, Socket},
    service::{InFlight, Origin, Service},
};

/// Streams that one connection of HTTP/2 may have at once: what a browser or a proxy uses, and no more.
const MAX_STREAMS: u32 = 128;

/// How long accepting pauses when the system is out of something: descriptors, memory.
const BREATH: Duration = Duration::from_millis(50);

/// Serves until `shutdown` is over; then accepts nothing more, finishes what is in flight, and returns.
pub async fn run(listeners: Vec<Listener>, service: Service, shutdown: impl Future<Output = ()>) {
    let (stop, stopped) = watch::channel(());
    // Each connection has a sender: when all are gone, nothing is received.
    let (open, mut all_closed) = mpsc::channel::<()>(1);
    let accepting: Vec<_> = listeners
        .into_iter()
        .map(|listener| tokio::spawn(accept(listener, service.clone(), stopped.clone(), open.clone())))
        .collect();
    shutdown.await;
    drop((stop, stopped, open));
    for task in accepting {
        // It ends at once; one that panicked has nothing more to say.
        let _ = task.await;
    }
    let patience = service.settings().stop_timeout;
    let _ = timeout(patience, all_closed.recv()).await;
}

/// Where connections come from.
trait Accept: Send + Sync + 'static {
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    fn accept(&self) -> impl Future<Output = io::Result<(Self::Stream, Origin)>> + Send;
}

impl Accept for tokio::net::TcpListener {
    type Stream = tokio::net::TcpStream;

    async fn accept(&self) -> io::Result<(Self::Stream, Origin)> {
        let (stream, address) = self.accept().await?;
        // Answers are small and whole.
        stream.set_nodelay(true)?;
        Ok((stream, Origin::Tcp(address.ip())))
    }
}

#[cfg(unix)]
impl Accept for tokio::net::UnixListener {
    type Stream = tokio::net::UnixStream;

    async fn accept(&self) -> io::Result<(Self::Stream, Origin)> {
        Ok((self.accept().await?.0, Origin::Unix))
    }
}

async fn accept(listener: Listener, service: Service, stopped: watch::Receiver<()>, open: mpsc::Sender<()>) {
    let accepting = match listener.socket {
        Socket::Tcp(listener) => {
            let listener = listener.set_nonblocking(true).and_then(|()| tokio::net::TcpListener::from_std(listener));
            accept_all(listener, service, stopped, open).await
        }
        #[cfg(unix)]
        Socket::Unix(listener) => {
            let listener = listener.set_nonblocking(true).and_then(|()| tokio::net::UnixListener::from_std(listener));
            accept_all(listener, service, stopped, open).await
        }
    };
    if let Err(error) = accepting {
        tracing::error!(target: "http", "a socket cannot be served: {error}");
    }
}

async fn accept_all<L: Accept>(
    listener: io::Result<L>,
    service: Service,
    mut stopped: watch::Receiver<()>,
    open: mpsc::Sender<()>,
) -> io::Result<()> {
    let listener = listener?;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            // The sender is gone.
            _ = stopped.changed() => return Ok(()),
        };
        let Ok((mut stream, origin)) = accepted else {
            // A client that went away before it was accepted is nothing; a lack of descriptors passes.
            sleep(BREATH).await;
            continue;
        };
        let counts = &service.0.counts;
        if counts.connections.load(Ordering::Relaxed) >= service.settings().max_connections {
            counts.turned_away.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(async move {
                let told = timeout(BREATH, stream.write_all(TOO_MANY_CONNECTIONS)).await;
                drop((told, stream));
            });
            continue;
        }
        let (service, stopped, open) = (service.clone(), stopped.clone(), open.clone());
        tokio::spawn(async move {
            let _open = open;
            let app = Arc::clone(&service.0);
            let _counted = InFlight::new(&app.counts.connections);
            serve(stream, origin, service, stopped).await;
        });
    }
}

const TOO_MANY_CONNECTIONS: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// What happens on a connection.
#[derive(Debug, Default)]
struct Activity {
    begun: AtomicU64,
    in_flight: AtomicUsize,
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

async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    origin: Origin,
    service: Service,
    mut stopped: watch::Receiver<()>,
) {
    let (look, patience, max_header_bytes) = {
        let settings = service.settings();
        (settings.header_timeout, settings.stop_timeout, settings.max_header_bytes)
    };
    let activity = Arc::new(Activity::default());
    let answering = service_fn({
        let activity = Arc::clone(&activity);
        move |request| {
            let (service, busy) = (service.clone(), Busy::new(&activity));
            async move {
                let response = service.respond(origin, request).await;
                Ok::<_, Infallible>(response.map(|body| while_it_lasts(body, busy)))
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
                let begun = activity.begun.load(Ordering::Relaxed);
                if begun == begun_before && activity.in_flight.load(Ordering::Relaxed) == 0 {
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
    let _ = timeout(patience, connection).await;
}

/// Keeps a connection busy while a stream goes on. What is there as a whole needs no more than to be written.
fn while_it_lasts(body: Body, busy: Busy) -> Body {
    if body.size_hint().exact().is_some() {
        return body;
    }
    Body::new(body.map_frame(move |frame| {
        let _ = &busy;
        frame
    }))
}
