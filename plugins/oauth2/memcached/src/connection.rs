//! [`Connection`]: one connection to a server, which many requests share.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use tokio::{
    runtime::Handle,
    sync::{Notify, Semaphore, TryAcquireError},
    task::AbortHandle,
    time::timeout,
};

use crate::{Error, ErrorKind, Server, Settings, driver, queue::Queue, reply::Reply, request::Request};

/// One connection to a server, which many requests share. It takes requests from the beginning, also while it is being
/// opened, and is closed when it is dropped.
pub(crate) struct Connection {
    shared: Arc<Shared>,
    driver: AbortHandle,
}

/// What those who ask share with the task that drives the connection.
pub(crate) struct Shared {
    pub(crate) server: Server,
    pub(crate) settings: Arc<Settings>,
    /// For how many requests there is room.
    pub(crate) room: Semaphore,
    /// There is something to be sent.
    pub(crate) to_send: Notify,
    /// There is somebody who waits for an answer.
    pub(crate) busy: Notify,
    queue: Mutex<Queue>,
    is_open: AtomicBool,
}

/// How far a connection has come. These are all the ways there are.
pub(crate) enum Phase {
    Opening,
    /// The server has answered.
    Open,
    Closed {
        was_open: bool,
        error: Error,
    },
}

impl Connection {
    /// Begins to open one.
    pub(crate) fn open(server: &Server, settings: &Arc<Settings>) -> Result<Self, Error> {
        let runtime = Handle::try_current().map_err(|_| {
            Error::new(ErrorKind::Unavailable, "expected to be awaited inside a tokio runtime").at(server)
        })?;
        let shared = Arc::new(Shared {
            server: server.clone(),
            settings: Arc::clone(settings),
            room: Semaphore::new(settings.max_in_flight.get() as usize),
            to_send: Notify::new(),
            busy: Notify::new(),
            queue: Mutex::new(Queue::new(server.clone(), settings.request_timeout, Instant::now())),
            is_open: AtomicBool::new(false),
        });
        let driver = runtime.spawn(driver::drive(Arc::clone(&shared))).abort_handle();
        Ok(Self { shared, driver })
    }

    /// Sends a request, and waits for its answer.
    pub(crate) async fn ask(&self, request: &Request<'_>) -> Result<Reply, Error> {
        let Shared { server, settings, room, to_send, busy, .. } = &*self.shared;
        let since = Instant::now();
        let weight = request.weight().min(settings.max_in_flight.get());
        let permit = match room.try_acquire_many(weight) {
            Err(TryAcquireError::NoPermits) => match timeout(settings.request_timeout, room.acquire_many(weight)).await
            {
                Ok(acquired) => acquired.ok(),
                Err(_) => {
                    let what =
                        format!("no room for another request within {} ms", settings.request_timeout.as_millis());
                    return Err(Error::new(ErrorKind::Unavailable, what).at(server));
                }
            },
            // It is closed. Why, the queue knows.
            acquired => acquired.ok(),
        };
        let (told, pushed) = self.shared.queue().push(request, weight, since)?;
        // It is given back with the answer, not when this future ends.
        if let Some(permit) = permit {
            permit.forget();
        }
        if pushed.is_first_to_send {
            to_send.notify_one();
        }
        if pushed.is_first_to_wait {
            busy.notify_one();
        }
        told.await.unwrap_or_else(|_| Err(driver::ended(server)))
    }

    pub(crate) fn phase(&self) -> Phase {
        let was_open = self.shared.is_open.load(Ordering::Acquire);
        match self.shared.queue().closed() {
            Some(error) => Phase::Closed { was_open, error: error.clone() },
            None if was_open => Phase::Open,
            None => Phase::Opening,
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Shared {
    pub(crate) fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The server has answered as it should, and may be sent requests.
    pub(crate) fn opened(&self, numbers_misses: bool) {
        let mut queue = self.queue();
        queue.set_numbers_misses(numbers_misses);
        queue.hear(Instant::now());
        self.is_open.store(true, Ordering::Release);
    }

    pub(crate) fn close(&self, error: Error) {
        self.queue().close(error);
        self.room.close();
    }
}
