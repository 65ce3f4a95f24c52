//! [`Pool`]: connections for one call at a time.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use token_plugin_api::{Result, runtime};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tokio_postgres::Client;

use super::connector::{Connector, Link};

/// Connections for one call at a time, opened when they are needed. When all are taken, a call waits for one.
pub(super) struct Pool {
    connector: Arc<Connector>,
    permits: Arc<Semaphore>,
    idle: Arc<Idle>,
}

/// Connections that nobody has.
type Idle = Mutex<Vec<Link>>;

/// A connection that somebody has. What a call leaves undone, as at a deadline, is waited for before it is the next
/// one's turn: a transaction is rolled back then.
pub(super) struct Lease {
    /// None: it was given back.
    held: Option<Held>,
}

struct Held {
    link: Link,
    idle: Arc<Idle>,
    _permit: OwnedSemaphorePermit,
}

impl Pool {
    /// So many. Nothing is opened yet.
    pub(super) fn new(connector: Arc<Connector>, count: usize) -> Self {
        Self { connector, permits: Arc::new(Semaphore::new(count)), idle: Arc::default() }
    }

    /// A connection for the caller alone.
    pub(super) async fn take(&self) -> Result<Lease> {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let permit = permit.map_err(|error| self.connector.error(error))?;
        let link = match self.idle() {
            Some(link) => link,
            None => {
                let connector = Arc::clone(&self.connector);
                runtime::run(async move { connector.open().await }).await??
            }
        };
        Ok(Lease { held: Some(Held { link, idle: Arc::clone(&self.idle), _permit: permit }) })
    }

    fn idle(&self) -> Option<Link> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|link| !link.client.is_closed());
        idle.pop()
    }
}

impl Lease {
    /// The connection.
    ///
    /// # Panics
    ///
    /// Never: it is held until the lease is gone.
    pub(super) fn client(&mut self) -> &mut Client {
        #[expect(clippy::expect_used, reason = "it is held until the lease is given back or dropped")]
        let held = self.held.as_mut().expect("a lease holds its connection");
        &mut held.link.client
    }

    /// Gives it back, with nothing left undone.
    pub(super) fn done(mut self) {
        if let Some(held) = self.held.take() {
            held.give_back();
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        /// As long as somebody may wait for the longest of statements. A connection that is dead is closed before.
        const PATIENCE: Duration = Duration::from_secs(60);
        let Some(held) = self.held.take() else { return };
        if held.link.client.is_closed() {
            return;
        }
        let settling = runtime::spawn(async move {
            // Answered behind all that was sent.
            if matches!(timeout(PATIENCE, held.link.client.check_connection()).await, Ok(Ok(()))) {
                held.give_back();
            }
        });
        if let Ok(settling) = settling {
            settling.detach();
        }
    }
}

impl Held {
    fn give_back(self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(self.link);
    }
}
