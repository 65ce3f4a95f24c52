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
    /// When what had expired was forgotten last, this was started, or the clock was set: whichever came last.
    since: Clocks,
    looking: Complaint,
    tidying: Complaint,
}

impl Watcher {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let since = Clocks::read(&shared);
        Self { shared, since, looking: Complaint::default(), tidying: Complaint::default() }
    }

    fn run(mut self, stopped: &Receiver<Infallible>, every: Duration) {
        while stopped.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
            self.turn();
        }
    }

    /// Looks for news and, after each hour in which the clock was not set, forgets what has expired. Never the latter
    /// without the former: an expiry may have been put off.
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
        let now = Clocks::read(&self.shared);
        // By a clock that is ahead for a moment, revocations would be deleted for good that are still needed.
        if !is_steady(self.since, now) {
            self.since = now;
        }
        if now.uptime.saturating_sub(self.since.uptime) < TIDY_EVERY {
            return;
        }
        let before = now.unix_seconds.saturating_sub(SLACK_SECONDS);
        let forgotten = self.shared.store.forget_expired(before, BATCH);
        // The next batch has its turn after the next look, so that others can write.
        if forgotten.as_ref().is_ok_and(|rows| *rows >= BATCH as usize) {
            return;
        }
        self.shared.memory.tokens.forget_expired(before);
        self.since = now;
        if let Some(error) = self.tidying.news(forgotten.map(drop)) {
            tracing::warn!(error, "revoked tokens that have expired cannot be deleted");
        }
    }
}

/// One moment, by the clock that can be set, and by the one that cannot.
#[derive(Debug, Clone, Copy)]
struct Clocks {
    unix_seconds: u64,
    uptime: Duration,
}

impl Clocks {
    fn read(shared: &Shared) -> Self {
        Self { unix_seconds: (shared.now)(), uptime: (shared.uptime)() }
    }
}

/// Whether both clocks have gone as far. After a sleep of the machine they have not, either.
fn is_steady(from: Clocks, to: Clocks) -> bool {
    let expected = from.unix_seconds.saturating_add(to.uptime.saturating_sub(from.uptime).as_secs());
    to.unix_seconds.abs_diff(expected) <= MAX_DIFFERENCE_SECONDS
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
const SLACK_SECONDS: u64 = 24 * 3600;
/// Also for how long a clock must have gone steadily, to be believed.
const TIDY_EVERY: Duration = Duration::from_secs(3600);
/// A clock that is put right by this much was not wrong.
const MAX_DIFFERENCE_SECONDS: u64 = 600;
/// Rows that are deleted at once: of a million, some 40 ms during which nobody else can write.
pub(super) const BATCH: u32 = 1000;
