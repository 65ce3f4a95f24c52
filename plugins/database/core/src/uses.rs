//! [`Uses`]: what is learned from verifications, and written later and all at once: a verification writes nothing.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
        mpsc::{RecvTimeoutError, SyncSender, sync_channel},
    },
    thread::JoinHandle,
    time::Duration,
};

use rustc_hash::FxHashMap;
use token_plugin_api::Result;

use crate::{
    digest::Digest,
    store::{Learned, Store},
};

/// What was learned and is not written yet. Written every so often by a thread, which starts with the first use; and at
/// the end.
pub(crate) struct Uses {
    pending: Arc<Pending>,
    interval: Duration,
    thread: Mutex<Option<Running>>,
    is_running: std::sync::atomic::AtomicBool,
}

struct Running {
    stop: SyncSender<()>,
    thread: JoinHandle<()>,
}

struct Pending {
    store: Arc<dyn Store>,
    /// By the lower bits of the id, so that threads seldom meet.
    uses: [Mutex<FxHashMap<i64, u64>>; SHARDS],
    digests: Mutex<HashMap<i64, (Digest, Digest)>>,
    count: AtomicUsize,
    flushing: tokio::sync::Mutex<()>,
}

const SHARDS: usize = 16;
/// More uses than these are not kept while the store cannot be written to: some 50 MB.
const MAX_PENDING: usize = 1_000_000;

impl Uses {
    pub(crate) fn new(store: Arc<dyn Store>, interval: Duration) -> Self {
        let pending = Pending {
            store,
            uses: std::array::from_fn(|_| Mutex::default()),
            digests: Mutex::default(),
            count: AtomicUsize::new(0),
            flushing: tokio::sync::Mutex::default(),
        };
        Self { pending: Arc::new(pending), interval, thread: Mutex::default(), is_running: false.into() }
    }

    /// A token was accepted at this time, in Unix seconds.
    pub(crate) fn note(&self, id: i64, at: u64) {
        if self.interval.is_zero() {
            return;
        }
        self.pending.note(id, at);
        self.start();
    }

    /// A token is to be kept under another digest than the one under which it was found.
    pub(crate) fn keep_under(&self, id: i64, found: Digest, digest: Digest) {
        lock(&self.pending.digests).insert(id, (found, digest));
        self.start();
    }

    /// Writes what was learned.
    pub(crate) async fn flush(&self) -> Result<()> {
        self.pending.flush().await
    }

    fn start(&self) {
        // Read first: all threads write to one place otherwise, with each verification.
        if self.is_running.load(Ordering::Relaxed) || self.is_running.swap(true, Ordering::Relaxed) {
            return;
        }
        let (stop, stopped) = sync_channel(0);
        let (pending, interval) = (Arc::downgrade(&self.pending), self.interval.max(Duration::from_secs(1)));
        let write = move || {
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(interval) {
                let Some(pending) = Weak::upgrade(&pending) else { return };
                if let Err(error) = pollster::block_on(pending.flush()) {
                    tracing::warn!("when tokens were last used is not written yet: {error}");
                }
            }
        };
        match std::thread::Builder::new().name("token-database-uses".to_owned()).spawn(write) {
            Ok(thread) => *lock(&self.thread) = Some(Running { stop, thread }),
            // The next use tries again.
            Err(_) => self.is_running.store(false, Ordering::Relaxed),
        }
    }
}

impl Drop for Uses {
    fn drop(&mut self) {
        if let Some(Running { stop, thread }) = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            drop(stop);
            let _ = thread.join();
        }
        if let Err(error) = pollster::block_on(self.pending.flush()) {
            tracing::warn!("when tokens were last used was not written: {error}");
        }
    }
}

impl std::fmt::Debug for Uses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Uses").field("interval", &self.interval).finish_non_exhaustive()
    }
}

impl Pending {
    fn note(&self, id: i64, at: u64) {
        let mut uses = lock(&self.uses[usize::try_from(id).unwrap_or(0) % SHARDS]);
        match uses.get_mut(&id) {
            Some(noted) => *noted = at.max(*noted),
            None if self.count.load(Ordering::Relaxed) < MAX_PENDING => {
                uses.insert(id, at);
                self.count.fetch_add(1, Ordering::Relaxed);
            }
            None => {}
        }
    }

    async fn flush(&self) -> Result<()> {
        // One at a time: who comes second finds written what the first one took.
        let _one_at_a_time = self.flushing.lock().await;
        let mut taken = self.take();
        if taken.learned == Learned::default() {
            return Ok(());
        }
        self.store.learn(taken.learned.clone()).await?;
        taken.learned = Learned::default();
        Ok(())
    }

    fn take(&self) -> Taken<'_> {
        let mut learned = Learned::default();
        for shard in &self.uses {
            learned.uses.extend(lock(shard).drain());
        }
        self.count.fetch_sub(learned.uses.len(), Ordering::Relaxed);
        learned.digests = lock(&self.digests).drain().map(|(id, (found, digest))| (id, found, digest)).collect();
        Taken { pending: self, learned }
    }
}

/// What is being written. What was not, when this is dropped, as at a deadline, is put back.
struct Taken<'p> {
    pending: &'p Pending,
    learned: Learned,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let Learned { uses, digests } = std::mem::take(&mut self.learned);
        uses.into_iter().for_each(|(id, at)| self.pending.note(id, at));
        let mut pending = lock(&self.pending.digests);
        for (id, found, digest) in digests {
            pending.entry(id).or_insert((found, digest));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
