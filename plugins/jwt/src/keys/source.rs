//! [`Source`]: what was last read of a key set, and when it is read again.

use std::{
    fmt,
    fs::{self, File},
    io::Read,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError, Weak, mpsc},
    thread,
};

use arc_swap::ArcSwapOption;
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use zeroize::Zeroizing;

use crate::keys::{
    fetch::Fetcher,
    settings::{JwksConfig, Place, Settings},
};

/// The last good key set of one place, whatever `T` it is parsed to.
///
/// It is read again when it has become too old, and when somebody misses a key in it; both no more often than
/// `min_refresh_seconds` allows. Files are read by whoever asks, URLs on a thread that lives for one fetch. Of failures
/// nothing is seen as long as there is a set, but in the log. A set whose bytes did not change stays the same `Arc`.
///
/// Nothing waits for a fetch when this is dropped: its thread holds no more than a [`Weak`], and ends when the fetch
/// does, at its timeout at the latest.
pub(crate) struct Source<T> {
    settings: Settings,
    parse: Box<Parse<T>>,
    now: Box<dyn Fn() -> u64 + Send + Sync>,
    loaded: ArcSwapOption<Loaded<T>>,
    state: Mutex<State>,
    /// Changes when an attempt ends, and when it has taken so long that nobody waits for it any more.
    news: watch::Sender<()>,
    this: Weak<Self>,
}

type Parse<T> = dyn Fn(&[u8]) -> Result<T, String> + Send + Sync;

/// A good set.
struct Loaded<T> {
    set: Arc<T>,
    /// Of the bytes that it was parsed from.
    sha256: [u8; 32],
    /// When the attempt began that brought it, or found it unchanged, in Unix seconds.
    as_of: u64,
}

/// What attempts to read the set have come to.
#[derive(Default)]
struct State {
    activity: Activity,
    attempts: u64,
    /// When the last one began, in Unix seconds.
    attempted_at: Option<u64>,
    /// How many failed since one went well.
    failures: u32,
    /// Why the last one failed.
    error: Option<String>,
    /// What the log was last told of failures, and when.
    warned: Option<(String, u64)>,
}

#[derive(Default, PartialEq, Eq)]
enum Activity {
    #[default]
    Idle,
    UnderWay,
    /// Under way for longer than calls wait.
    Overdue,
}

/// There is no key set: for the operator, without secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unavailable(String);

impl<T: Send + Sync + 'static> Source<T> {
    /// A source; paths in `config` are relative to `folder`, `now` tells the time in Unix seconds. A file is read at
    /// once. A URL is not: a host comes up while an issuer is down.
    ///
    /// # Errors
    ///
    /// What is wrong with the settings, or with the file.
    pub(crate) fn start(
        config: JwksConfig,
        folder: &Path,
        now: impl Fn() -> u64 + Send + Sync + 'static,
        parse: impl Fn(&[u8]) -> Result<T, String> + Send + Sync + 'static,
    ) -> Result<Arc<Self>, String> {
        let settings = config.resolve(folder)?;
        let source = Arc::new_cyclic(|this| Self {
            settings,
            parse: Box::new(parse),
            now: Box::new(now),
            loaded: ArcSwapOption::empty(),
            state: Mutex::default(),
            news: watch::Sender::new(()),
            this: Weak::clone(this),
        });
        if let Place::File { path, max_bytes } = &source.settings.place {
            let now = (source.now)();
            let loaded = source.load(now, || read_file(path, *max_bytes));
            let loaded = loaded.map_err(|error| format!("`path`: {}: {error}", path.display()))?;
            source.loaded.store(Some(Arc::new(loaded)));
            source.state().attempted_at = Some(now);
        }
        Ok(source)
    }

    /// The last good set. Locks nothing while that is fresh, and waits for nothing; if it is too old, or missing, an
    /// attempt to read it again is begun.
    pub(crate) fn current(&self) -> Option<Arc<T>> {
        let now = (self.now)();
        if self.is_old(now)
            && let Some(state) = self.try_state()
            && self.may_begin(&state, now)
        {
            self.begin(state, now);
        }
        self.usable(now)
    }

    /// The set, after an attempt to get a newer one: for whoever misses a key, or has no set at all. When none is under
    /// way and none may be begun, this returns at once; in no case does it take longer than `wait_ms`.
    ///
    /// Any executor will do, and it may be dropped at any time: the attempt goes on.
    ///
    /// # Errors
    ///
    /// When there still is no set.
    pub(crate) async fn refreshed(&self) -> Result<Arc<T>, Unavailable> {
        if let Some(mut news) = self.attempt() {
            // An error would mean that the sender is gone, which is a field of `self`.
            let _ = news.changed().await;
        }
        let now = (self.now)();
        self.usable(now).ok_or_else(|| self.unavailable(now))
    }

    /// Takes part in the attempt that is under way, or begins one. The receiver hears when it is over.
    fn attempt(&self) -> Option<watch::Receiver<()>> {
        let now = (self.now)();
        let state = self.state();
        if state.activity == Activity::UnderWay {
            return Some(self.news.subscribe());
        }
        self.may_begin(&state, now).then(|| {
            let news = self.news.subscribe();
            self.begin(state, now);
            news
        })
    }

    fn may_begin(&self, state: &State, now: u64) -> bool {
        let pause = self.pause(state.failures);
        state.activity == Activity::Idle && state.attempted_at.is_none_or(|at| have_passed(pause, at, now))
    }

    /// Seconds from one attempt to the next. Twice as many after each failure, up to `refresh_seconds`: an issuer that
    /// has trouble gets room. A file that was mended is not to wait.
    fn pause(&self, failures: u32) -> u64 {
        let Settings { place, min_refresh_seconds, refresh_seconds, .. } = &self.settings;
        match place {
            Place::File { .. } => *min_refresh_seconds,
            Place::Url(_) => {
                let doublings = failures.saturating_sub(1).min(MAX_DOUBLINGS);
                (min_refresh_seconds << doublings).min(*refresh_seconds)
            }
        }
    }

    fn begin(&self, mut state: MutexGuard<'_, State>, now: u64) {
        state.activity = Activity::UnderWay;
        state.attempted_at = Some(now);
        state.attempts += 1;
        let attempt = state.attempts;
        drop(state);
        match &self.settings.place {
            Place::File { path, max_bytes } => self.finish(self.load(now, || read_file(path, *max_bytes))),
            Place::Url(fetcher) => {
                if let Err(error) = self.fetch(Arc::clone(fetcher), attempt, now) {
                    self.finish(Err(format!("no thread for it: {error}")));
                }
            }
        }
    }

    /// Fetches on one thread, and has another tell those who wait when to wait no longer: nobody else has a clock.
    fn fetch(&self, fetcher: Arc<Fetcher>, attempt: u64, now: u64) -> std::io::Result<()> {
        let (running, ended) = mpsc::channel::<()>();
        let (source, wait) = (Weak::clone(&self.this), self.settings.wait);
        thread::Builder::new().name("jwt-keys-wait".to_owned()).spawn(move || {
            let _ = ended.recv_timeout(wait);
            if let Some(source) = source.upgrade() {
                source.wait_no_longer(attempt);
            }
        })?;
        let source = Weak::clone(&self.this);
        thread::Builder::new().name("jwt-keys".to_owned()).spawn(move || {
            let body = catch_unwind(AssertUnwindSafe(|| fetcher.get()));
            if let Some(source) = source.upgrade() {
                source.finish(source.load(now, || body.unwrap_or_else(|_| Err("the fetch panicked".to_owned()))));
            }
            drop(running);
        })?;
        Ok(())
    }

    /// For an attempt that has ended there is nothing to do.
    fn wait_no_longer(&self, attempt: u64) {
        let mut state = self.state();
        if state.activity == Activity::UnderWay && state.attempts == attempt {
            state.activity = Activity::Overdue;
            // Not while it is locked: a waker may do anything.
            drop(state);
            self.news.send_replace(());
        }
    }

    /// Parses what `read` brings, unless that is known already.
    fn load<B: AsRef<[u8]>>(&self, as_of: u64, read: impl FnOnce() -> Result<B, String>) -> Result<Loaded<T>, String> {
        let body = read()?;
        let sha256 = Sha256::digest(body.as_ref()).into();
        let known = self.loaded.load().as_ref().filter(|last| last.sha256 == sha256).map(|last| Arc::clone(&last.set));
        let set = match known {
            Some(set) => set,
            // A panic must not leave an attempt under way for ever.
            None => catch_unwind(AssertUnwindSafe(|| (self.parse)(body.as_ref())))
                .unwrap_or_else(|_| Err("reading it panicked".to_owned()))
                .map(Arc::new)?,
        };
        Ok(Loaded { set, sha256, as_of })
    }

    fn finish(&self, outcome: Result<Loaded<T>, String>) {
        let now = (self.now)();
        let mut state = self.state();
        state.activity = Activity::Idle;
        let report = match outcome {
            Ok(loaded) => {
                self.loaded.store(Some(Arc::new(loaded)));
                state.failures = 0;
                state.error = None;
                state.warned.take().map(|_| Report::Recovered)
            }
            Err(error) => {
                state.failures = state.failures.saturating_add(1);
                state.error = Some(error.clone());
                let known =
                    state.warned.as_ref().is_some_and(|(last, at)| *last == error && !have_passed(HOUR, *at, now));
                (!known).then(|| {
                    state.warned = Some((error.clone(), now));
                    Report::Failed(error)
                })
            }
        };
        drop(state);
        self.news.send_replace(());
        if let Some(report) = report {
            self.report(report, now);
        }
    }

    fn report(&self, report: Report, now: u64) {
        let place = &self.settings.place;
        match (report, self.age(now)) {
            (Report::Recovered, _) => tracing::info!(%place, "the key set can be read again"),
            (Report::Failed(error), None) => tracing::warn!(%place, %error, "there is no key set yet"),
            (Report::Failed(error), Some(age_seconds)) => {
                tracing::warn!(%place, %error, age_seconds, "the key set cannot be read again, the last good one stays");
            }
        }
    }

    fn unavailable(&self, now: u64) -> Unavailable {
        let place = &self.settings.place;
        let state = self.state();
        let error = match (&state.activity, &state.error) {
            (_, Some(error)) => error,
            (Activity::Idle, None) => "nobody asked for it",
            (_, None) => "it is still being fetched",
        };
        Unavailable(match self.age(now) {
            None => format!("no key set yet from {place}: {error}"),
            Some(age) => format!("key set from {place} is {age} s old, more than `max_stale_seconds`: {error}"),
        })
    }

    /// The last good set, unless `max_stale_seconds` forbids.
    fn usable(&self, now: u64) -> Option<Arc<T>> {
        let limit = self.settings.max_stale_seconds.unwrap_or(u64::MAX);
        let loaded = self.loaded.load();
        loaded.as_ref().filter(|loaded| now.saturating_sub(loaded.as_of) <= limit).map(|loaded| Arc::clone(&loaded.set))
    }

    fn is_old(&self, now: u64) -> bool {
        let loaded = self.loaded.load();
        loaded.as_ref().is_none_or(|loaded| have_passed(self.settings.refresh_seconds, loaded.as_of, now))
    }

    /// How many seconds old the set is.
    fn age(&self, now: u64) -> Option<u64> {
        self.loaded.load().as_ref().map(|loaded| now.saturating_sub(loaded.as_of))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing while another has it: that one sees to what is to be done.
    fn try_state(&self) -> Option<MutexGuard<'_, State>> {
        match self.state.try_lock() {
            Ok(state) => Some(state),
            Err(TryLockError::Poisoned(error)) => Some(error.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

enum Report {
    Recovered,
    Failed(String),
}

/// From a moment that lies ahead nothing has passed, if it is near: another thread looked at the clock a little later.
/// Far ahead, the clock was set back, and tells nothing of how long it has been: then they have.
fn have_passed(seconds: u64, since: u64, now: u64) -> bool {
    if now >= since { now - since >= seconds } else { since - now > NEAR }
}

/// A regular file, up to a size. There may be secrets in it.
fn read_file(path: &Path, max_bytes: usize) -> Result<Zeroizing<Vec<u8>>, String> {
    let read = || {
        let metadata = fs::metadata(path)?;
        if !metadata.is_file() {
            return Err(std::io::Error::other("expected a regular file"));
        }
        // Room for all of it, and for one byte that tells that there is more: no copy is left behind by growing.
        let most = max_bytes as u64 + 1;
        let mut bytes = Zeroizing::new(Vec::with_capacity(metadata.len().min(max_bytes as u64) as usize + 1));
        File::open(path)?.take(most).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().map_err(|error| error.to_string())?;
    if bytes.len() > max_bytes {
        return Err(format!("it has more than {max_bytes} bytes (`max_bytes`)"));
    }
    Ok(bytes)
}

impl<T> fmt::Debug for Source<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Source")
            .field("place", &format_args!("{}", self.settings.place))
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Unavailable {}

/// A failure that lasts is told again after so long: then the set's age is of interest.
const HOUR: u64 = 3600;
/// More than a thread is ever late, in seconds; set back by less, a clock has caught up soon.
const NEAR: u64 = 60;
/// No setting is larger than a day, which 17 doublings of a second exceed.
const MAX_DOUBLINGS: u32 = 17;

#[cfg(test)]
#[path = "source_tests.rs"]
mod tests;
