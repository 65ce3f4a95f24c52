//! [`Watch`]: the thread that looks for what other processes have revoked.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use super::Shared;

/// The thread. It ends when this is dropped, which waits for it.
pub(super) struct Watch {
    /// Nothing is ever sent: that it is gone says all.
    stop: Option<Sender<Infallible>>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Starts it.
    ///
    /// # Errors
    ///
    /// When the system has no thread left.
    pub(super) fn start(shared: Arc<Shared>, every: Duration) -> Result<Self, String> {
        let (stop, stopped) = mpsc::channel();
        let thread = thread::Builder::new().name("token-jwt-revoked".to_owned());
        let thread = thread.spawn(move || Watcher::new(shared).run(&stopped, every));
        let thread = thread.map_err(|error| format!("no thread could be started: {error}"))?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What the thread knows from one turn to the next.
pub(super) struct Watcher {
    shared: Arc<Shared>,
    /// When what had expired was forgotten last, in Unix seconds.
    tidied_at: Option<u64>,
    looking: Complaint,
    tidying: Complaint,
}

impl Watcher {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, tidied_at: None, looking: Complaint::default(), tidying: Complaint::default() }
    }

    fn run(mut self, stopped: &Receiver<Infallible>, every: Duration) {
        while stopped.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
            self.turn();
        }
    }

    /// Looks for news and, once an hour, forgets what has expired. Never the latter without the former: an expiry may
    /// have been put off.
    pub(super) fn turn(&mut self) {
        let looked = self.shared.look();
        let current = looked.is_ok();
        if let Some(error) = self.looking.news(looked) {
            tracing::warn!(error, "cannot look for revoked tokens: those that are known stay revoked");
        }
        if current {
            self.tidy();
        }
    }

    fn tidy(&mut self) {
        let now = (self.shared.now)();
        // A clock may be set back, too.
        if self.tidied_at.is_some_and(|tidied_at| now.abs_diff(tidied_at) < TIDY_EVERY_SECONDS) {
            return;
        }
        let before = now.saturating_sub(SLACK_SECONDS);
        let forgotten = self.shared.store.forget_expired(before, BATCH);
        // The next batch has its turn after the next look, so that others can write.
        if forgotten.as_ref().is_ok_and(|rows| *rows >= BATCH as usize) {
            return;
        }
        self.shared.memory.tokens.forget_expired(before);
        self.tidied_at = Some(now);
        if let Some(error) = self.tidying.news(forgotten.map(drop)) {
            tracing::warn!(error, "revoked tokens that have expired cannot be deleted");
        }
    }
}

/// Says what is wrong, once.
#[derive(Default)]
struct Complaint(Option<String>);

impl Complaint {
    fn news(&mut self, result: Result<(), String>) -> Option<&str> {
        let error = result.err();
        if error == self.0 {
            return None;
        }
        self.0 = error;
        self.0.as_deref()
    }
}

/// For how long a revoked token is remembered after it has expired, for verifiers with a leeway and clocks that are
/// wrong by a time zone.
pub(super) const SLACK_SECONDS: u64 = 24 * 3600;
const TIDY_EVERY_SECONDS: u64 = 3600;
/// Rows that are deleted at once: of a million, some 40 ms during which nobody else can write.
pub(super) const BATCH: u32 = 1000;
