//! [`Metrics`]: how many verifications came to what, and how long they took.
//!
//! Threads do not share what they count in: each counter is there several times, and a sum is made when somebody asks.

use std::{
    array,
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde::Serialize;
use token_plugin_api::Verdict;

use crate::error::Error;

/// The upper bounds of the histogram's buckets, in nanoseconds; the last bucket has none. From what a signature takes to
/// what a deadline allows.
pub const LATENCY_BOUNDS_NS: [u64; 13] = [
    500,
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    100_000,
    500_000,
    2_500_000,
    10_000_000,
    50_000_000,
    250_000_000,
    1_000_000_000,
];

/// What a verification came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judged {
    Accepted,
    Rejected,
    NotRecognized,
    Error,
}

/// The names of what a verification can come to, in the order of the counts in [`HandlerMetrics::outcomes`].
pub const OUTCOMES: [&str; 4] = ["accepted", "rejected", "not_recognized", "error"];

impl Judged {
    pub(crate) fn of(verdict: &Result<Verdict, Error>) -> Self {
        match verdict {
            Ok(Verdict::Accepted(_)) => Self::Accepted,
            Ok(Verdict::Rejected(_)) => Self::Rejected,
            Ok(Verdict::NotRecognized) => Self::NotRecognized,
            Err(_) => Self::Error,
        }
    }

    /// Its name among [`OUTCOMES`].
    pub(crate) fn name(self) -> &'static str {
        OUTCOMES[self as usize]
    }
}

/// What all verifications that an [`Authenticator`](crate::authenticate::Authenticator) made came to, handler by handler.
/// Handlers that are gone keep their counts: a counter never goes back.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    handlers: Mutex<BTreeMap<String, Arc<Counts>>>,
    /// Of tokens that no handler judged.
    nobody: Counts,
}

impl Metrics {
    /// The counts of the handler with this name.
    pub(crate) fn of(&self, handler: &str) -> Arc<Counts> {
        let mut handlers = self.handlers.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(handlers.entry(handler.to_owned()).or_default())
    }

    /// The counts of tokens that no handler judged.
    pub(crate) fn nobody(&self) -> &Counts {
        &self.nobody
    }

    /// All counts as they are now, by the handler's name; the last one is of tokens that no handler judged.
    pub(crate) fn now(&self) -> Vec<HandlerMetrics> {
        let handlers = self.handlers.lock().unwrap_or_else(PoisonError::into_inner);
        let named = handlers.iter().map(|(name, counts)| counts.sum(Some(name.clone())));
        named.chain([self.nobody.sum(None)]).collect()
    }
}

/// How a handler's verifications went so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct HandlerMetrics {
    /// The handler's name; none: tokens that no handler judged.
    pub handler: Option<String>,
    /// How many came to each of [`OUTCOMES`].
    pub outcomes: [u64; OUTCOMES.len()],
    /// How many took at most as long as each of [`LATENCY_BOUNDS_NS`] and longer than the one before; the last: longer
    /// than all of them.
    pub latencies: [u64; LATENCY_BOUNDS_NS.len() + 1],
    /// How long all of them took together, in nanoseconds.
    pub total_ns: u64,
}

/// Threads count in one of these each, as far as they go.
const SHARDS: usize = 8;

/// The counts of one handler.
#[derive(Debug, Default)]
pub(crate) struct Counts([Shard; SHARDS]);

/// On cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Shard {
    outcomes: [AtomicU64; OUTCOMES.len()],
    latencies: [AtomicU64; LATENCY_BOUNDS_NS.len() + 1],
    total_ns: AtomicU64,
}

impl Counts {
    #[inline]
    pub(crate) fn count(&self, judged: Judged, took: Duration) {
        let took_ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let shard = &self.0[shard()];
        shard.outcomes[judged as usize].fetch_add(1, Ordering::Relaxed);
        let bucket = LATENCY_BOUNDS_NS.iter().position(|bound| took_ns <= *bound).unwrap_or(LATENCY_BOUNDS_NS.len());
        shard.latencies[bucket].fetch_add(1, Ordering::Relaxed);
        shard.total_ns.fetch_add(took_ns, Ordering::Relaxed);
    }

    fn sum(&self, handler: Option<String>) -> HandlerMetrics {
        let sum = |of: &dyn Fn(&Shard) -> &AtomicU64| {
            self.0.iter().map(|shard| of(shard).load(Ordering::Relaxed)).fold(0, u64::wrapping_add)
        };
        HandlerMetrics {
            handler,
            outcomes: array::from_fn(|outcome| sum(&|shard| &shard.outcomes[outcome])),
            latencies: array::from_fn(|bucket| sum(&|shard| &shard.latencies[bucket])),
            total_ns: sum(&|shard| &shard.total_ns),
        }
    }
}

/// This thread's place.
fn shard() -> usize {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static OWN: usize = THREADS.fetch_add(1, Ordering::Relaxed) % SHARDS;
    }
    OWN.with(|own| *own)
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn what_threads_count_is_summed() {
        let metrics = Metrics::default();
        thread::scope(|scope| {
            for _ in 0..20 {
                scope.spawn(|| {
                    let counts = metrics.of("signed");
                    counts.count(Judged::Accepted, Duration::from_nanos(500));
                    counts.count(Judged::Rejected, Duration::from_nanos(501));
                    counts.count(Judged::Error, Duration::from_secs(2));
                    metrics.nobody().count(Judged::NotRecognized, Duration::ZERO);
                });
            }
        });
        let [signed, nobody] = metrics.now().try_into().unwrap();
        assert_eq!((signed.handler.as_deref(), signed.outcomes), (Some("signed"), [20, 20, 0, 20]));
        assert_eq!((signed.latencies[0], signed.latencies[1], signed.latencies[13]), (20, 20, 20));
        assert_eq!(signed.total_ns, 20 * (500 + 501 + 2_000_000_000));
        assert_eq!((nobody.handler, nobody.outcomes), (None, [0, 0, 20, 0]));
    }
}
