//! [`run`]: accepts connections, as many as there may be, until the service stops.

use std::{
    future::Future,
    io,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    sync::{mpsc, watch},
    time::{sleep, timeout},
};

use super::{
    connection::serve,
    follow::Following,
    listen::{Listener, Socket},
    service::{App, Origin, Service},
    tls::Tls,
};

/// How long accepting pauses when the system is out of something: descriptors, memory.
const BREATH: Duration = Duration::from_millis(50);

/// Serves until `shutdown` is over; then accepts nothing more, finishes what is in flight, and returns, after
/// `stop_timeout` at the latest.
pub async fn run(listeners: Vec<Listener>, service: Service, shutdown: impl Future<Output = ()>) {
    let (stop, stopped) = watch::channel(());
    // Each connection has a sender: when all are gone, nothing is received.
    let (open, mut all_closed) = mpsc::channel::<()>(1);
    let following = tokio::spawn(Following::of(&listeners).run(service.clone()));
    let accepting: Vec<_> = listeners
        .into_iter()
        .map(|listener| tokio::spawn(accept(listener, service.clone(), stopped.clone(), open.clone())))
        .collect();
    shutdown.await;
    following.abort();
    drop((stop, stopped, open));
    for task in accepting {
        // It ends at once; one that panicked has nothing more to say.
        let _ = task.await;
    }
    let patience = service.settings().stop_timeout;
    if timeout(patience, all_closed.recv()).await.is_err() {
        let connections = service.0.counts.connections.load(Ordering::Relaxed);
        tracing::warn!(target: "http", connections, "stopped before everything was finished: `stop_timeout_ms` was over");
    }
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
        // Answers are small and whole. Where it fails the client is gone, which will show.
        let _ = stream.set_nodelay(true);
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
    // A socket's file goes with it.
    let Listener { socket, tls, .. } = listener;
    let accepting = match socket {
        Socket::Tcp(listener) => {
            let listener = listener.set_nonblocking(true).and_then(|()| tokio::net::TcpListener::from_std(listener));
            accept_all(listener, tls, service, stopped, open).await
        }
        #[cfg(unix)]
        Socket::Unix(listener) => {
            let listener = listener.set_nonblocking(true).and_then(|()| tokio::net::UnixListener::from_std(listener));
            accept_all(listener, tls, service, stopped, open).await
        }
    };
    if let Err(error) = accepting {
        tracing::error!(target: "http", "a socket cannot be served: {error}");
    }
}

async fn accept_all<L: Accept>(
    listener: io::Result<L>,
    tls: Option<Arc<Tls>>,
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
        let (mut stream, origin) = match accepted {
            Ok(accepted) => accepted,
            // A client that went away before it was accepted is nothing.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
            Err(_) => {
                // A lack of descriptors passes.
                sleep(BREATH).await;
                continue;
            }
        };
        let counts = &service.0.counts;
        if counts.connections.load(Ordering::Relaxed) >= service.settings().max_connections {
            counts.turned_away.fetch_add(1, Ordering::Relaxed);
            if tls.is_none() {
                tokio::spawn(async move {
                    let told = timeout(BREATH, stream.write_all(TOO_MANY_CONNECTIONS)).await;
                    drop((told, stream));
                });
            }
            continue;
        }
        let counted = Open::new(&service, &open);
        let (service, tls, mut stopped) = (service.clone(), tls.clone(), stopped.clone());
        tokio::spawn(async move {
            let _counted = counted;
            let Some(tls) = tls else { return serve(stream, origin, service, stopped).await };
            // On the heap, so that those without take no more room for it.
            let secured = Box::pin(async {
                tokio::select! {
                    secured = tls.accept(stream, &service) => secured,
                    _ = stopped.changed() => None,
                }
            });
            if let Some(stream) = secured.await {
                Box::pin(serve(stream, origin, service, stopped)).await;
            }
        });
    }
}

const TOO_MANY_CONNECTIONS: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// A connection that is open, and kept in the count of them.
struct Open {
    app: Arc<App>,
    _open: mpsc::Sender<()>,
}

impl Open {
    fn new(service: &Service, open: &mpsc::Sender<()>) -> Self {
        service.0.counts.connections.fetch_add(1, Ordering::Relaxed);
        Self { app: Arc::clone(&service.0), _open: open.clone() }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.app.counts.connections.fetch_sub(1, Ordering::Relaxed);
    }
}
