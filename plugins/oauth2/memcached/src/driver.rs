//! Drives a connection: opens it, sends what its queue has, reads answers, and ends it when none come.

use std::{
    convert::Infallible,
    future::{Future, poll_fn},
    io,
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Instant,
};

use secrecy::ExposeSecret;
use tokio::{
    io::AsyncWriteExt,
    net::{
        TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    task::yield_now,
    time::{sleep_until, timeout},
};

use crate::{
    Error, ErrorKind, Server,
    connection::Shared,
    incoming::Incoming,
    queue::{Delivery, Look, no_answer},
    reply::{self, Answer, Unexpected},
};

/// Drives a connection until it is closed, and then tells all that wait why it is.
pub(crate) async fn drive(shared: Arc<Shared>) {
    let closing = Closing(&shared);
    let Err(error) = first_of(serve(&shared), watch(&shared)).await;
    closing.0.close(error);
}

/// For those that wait when the runtime ends, or the client does.
pub(crate) fn ended(server: &Server) -> Error {
    Error::new(ErrorKind::Unavailable, "the connection was given up, since its runtime has ended").at(server)
}

/// Closes the queue in any case.
struct Closing<'s>(&'s Shared);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.close(ended(&self.0.server));
    }
}

/// What goes on until it fails.
type Endless = Result<Infallible, Error>;

async fn serve(shared: &Shared) -> Endless {
    let mut stream = connect(shared).await?;
    let (mut read, mut write) = stream.split();
    let mut incoming = Incoming::new(shared.settings.max_value_bytes);
    greet(shared, &mut incoming, &mut read, &mut write).await?;
    first_of(receive(shared, incoming, read), send(shared, write)).await
}

async fn connect(shared: &Shared) -> Result<TcpStream, Error> {
    let unavailable = |what: String| Error::new(ErrorKind::Unavailable, what).at(&shared.server);
    let connecting = TcpStream::connect((shared.server.host(), shared.server.port()));
    let limit = shared.settings.connect_timeout;
    let stream = match timeout(limit, connecting).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(unavailable("it cannot be reached".to_owned()).because(error)),
        Err(_) => return Err(unavailable(format!("it cannot be reached within {} ms", limit.as_millis()))),
    };
    // A request is not to wait for the next.
    stream.set_nodelay(true).map_err(|error| lost(shared, error))?;
    Ok(stream)
}

/// Authenticates, and asks the version before anything else is sent: what does not know the meta protocol would take the
/// bytes of a value for commands.
async fn greet(
    shared: &Shared,
    incoming: &mut Incoming,
    read: &mut ReadHalf<'_>,
    write: &mut WriteHalf<'_>,
) -> Result<(), Error> {
    if let Some(credentials) = &shared.settings.credentials {
        let command = credentials.command();
        write.write_all(command.expose_secret().as_bytes()).await.map_err(|error| lost(shared, error))?;
        let line = line(shared, incoming, read).await?;
        match &*line {
            b"STORED" => {}
            b"CLIENT_ERROR authentication failure" => {
                return Err(unauthenticated(shared, "it knows no such user and password"));
            }
            _ => return Err(strange(shared, reply::refused(&line))),
        }
    }
    write.write_all(b"version\r\n").await.map_err(|error| lost(shared, error))?;
    let line = line(shared, incoming, read).await?;
    if line == b"CLIENT_ERROR unauthenticated" {
        return Err(unauthenticated(shared, "it expects a user and a password"));
    }
    let version = line.strip_prefix(b"VERSION ").ok_or_else(|| strange(shared, reply::refused(&line)))?;
    let version = Version::read(version);
    if version < Version::OLDEST {
        let what = "expected memcached 1.6.13 or newer, and its version is another";
        return Err(Error::new(ErrorKind::Protocol, what).at(&shared.server));
    }
    shared.opened(version >= Version::NUMBERS_MISSES);
    Ok(())
}

async fn line(shared: &Shared, incoming: &mut Incoming, read: &mut ReadHalf<'_>) -> Result<Vec<u8>, Error> {
    loop {
        if let Some(line) = incoming.line().map_err(|what| strange(shared, what))? {
            return Ok(line);
        }
        incoming.receive(read, 0).await.map_err(|error| lost(shared, error))?;
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Version([u32; 3]);

impl Version {
    /// The meta protocol is as it is now since 1.6.10; what it says of `cas` is right since this one.
    const OLDEST: Self = Self([1, 6, 13]);
    const NUMBERS_MISSES: Self = Self([1, 6, 18]);

    /// What is no number is 0.
    fn read(text: &[u8]) -> Self {
        let text = String::from_utf8_lossy(text);
        let mut parts = text.trim().splitn(3, '.').map(|part| {
            let end = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
            part[..end].parse().unwrap_or(0)
        });
        Self([(); 3].map(|()| parts.next().unwrap_or(0)))
    }
}

async fn send(shared: &Shared, mut write: WriteHalf<'_>) -> Endless {
    /// A buffer that had to be larger is not kept.
    const KEPT_BYTES: usize = 256 * 1024;
    let mut batch = Vec::new();
    loop {
        shared.to_send.notified().await;
        // Whoever is about to ask does so first, and it is sent together: three times as many requests of 256 tasks.
        yield_now().await;
        loop {
            shared.queue().take_outgoing(&mut batch);
            if batch.is_empty() {
                break;
            }
            write.write_all(&batch).await.map_err(|error| lost(shared, error))?;
            batch.clear();
            if batch.capacity() > KEPT_BYTES {
                batch = Vec::new();
            }
        }
    }
}

async fn receive(shared: &Shared, mut incoming: Incoming, mut read: ReadHalf<'_>) -> Endless {
    let (mut answers, mut deliveries) = (Vec::new(), Vec::new());
    loop {
        let expected = incoming.answers(&mut answers).map_err(|what| strange(shared, what));
        let found = find(shared, answers.drain(..), &mut deliveries);
        // Told when the queue is free again: those who are, ask again.
        let mut weight = 0;
        for delivery in deliveries.drain(..) {
            weight += delivery.weight as usize;
            delivery.tell();
        }
        shared.room.add_permits(weight);
        found?;
        incoming.receive(&mut read, expected?).await.map_err(|error| lost(shared, error))?;
        shared.queue().hear(Instant::now());
    }
}

/// Finds who waits for answers, up to one that is for nobody.
fn find(shared: &Shared, answers: impl Iterator<Item = Answer>, deliveries: &mut Vec<Delivery>) -> Result<(), Error> {
    let mut queue = shared.queue();
    for answer in answers {
        deliveries.push(queue.answer(answer)?);
    }
    Ok(())
}

/// Tells those that have waited for too long, and fails when the server does not answer at all.
async fn watch(shared: &Shared) -> Endless {
    loop {
        let look = shared.queue().expire(Instant::now());
        match look {
            Look::At(time) => sleep_until(time.into()).await,
            Look::WhenBusy => shared.busy.notified().await,
            Look::Never => return Err(no_answer(shared.settings.request_timeout).at(&shared.server)),
        }
    }
}

fn lost(shared: &Shared, error: io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, "the connection was lost").at(&shared.server).because(error)
}

fn strange(shared: &Shared, Unexpected(what): Unexpected) -> Error {
    Error::new(ErrorKind::Protocol, what).at(&shared.server)
}

fn unauthenticated(shared: &Shared, what: &'static str) -> Error {
    Error::new(ErrorKind::Unauthenticated, what).at(&shared.server)
}

/// What comes of the one that is ready first; the other is dropped. Both run in one task: there is no lock between them,
/// and they end together.
async fn first_of<T>(one: impl Future<Output = T>, other: impl Future<Output = T>) -> T {
    let (mut one, mut other) = (pin!(one), pin!(other));
    poll_fn(|context| match one.as_mut().poll(context) {
        Poll::Pending => other.as_mut().poll(context),
        ready => ready,
    })
    .await
}
