//! [`Cache`]: what was found lately, by digest.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use quick_cache::sync::Cache as Entries;

use crate::{
    config::CacheConfig,
    cutoffs::{Cutoffs, Place},
    digest::Digest,
    judge::Judge,
    store::Known,
};

/// What was found lately.
pub(crate) struct Cache {
    entries: Entries<Digest, Entry>,
    cutoffs: Arc<Cutoffs>,
    seconds: u64,
    unknown_seconds: u64,
}

#[derive(Clone)]
struct Entry {
    found: Option<Arc<Found>>,
    read: Place,
    /// Unix seconds.
    until: u64,
}

/// A token that was found, with what is said of it each time.
pub(crate) struct Found {
    pub(crate) known: Known,
    pub(crate) claims: String,
    /// When its use was noted last, in Unix seconds.
    noted: AtomicU64,
}

impl Found {
    pub(crate) fn new(known: Known, judge: &Judge) -> Self {
        let claims = judge.claims(&known);
        Self { known, claims, noted: AtomicU64::new(0) }
    }

    /// Whether a use at this time is the first in its second: times are not noted more exactly than that.
    pub(crate) fn is_first_use_at(&self, now: u64) -> bool {
        self.noted.load(Ordering::Relaxed) != now && self.noted.swap(now, Ordering::Relaxed) != now
    }
}

impl Cache {
    /// None: the settings want none.
    pub(crate) fn new(config: CacheConfig, cutoffs: Arc<Cutoffs>) -> Option<Self> {
        let CacheConfig { tokens, seconds, unknown_seconds } = config;
        (tokens > 0).then(|| Self { entries: Entries::new(tokens), cutoffs, seconds, unknown_seconds })
    }

    /// What was found, if that still holds; outside: nothing is known here.
    pub(crate) fn get(&self, digest: &Digest, now: u64) -> Option<Option<Arc<Found>>> {
        let entry = self.entries.get(digest)?;
        let known = entry.found.as_ref().map(|found| &found.known);
        let (actor, generator) = known.map_or(("", ""), |known| (&known.actor_id, &known.generator_id));
        (now < entry.until && self.cutoffs.hold(entry.read, actor, generator)).then_some(entry.found)
    }

    /// Before the store is asked.
    pub(crate) fn begin(&self) -> Place {
        self.cutoffs.begin()
    }

    /// After it was.
    pub(crate) fn put(&self, digest: Digest, read: Place, found: Option<Arc<Found>>, now: u64) {
        let seconds = if found.is_some() { self.seconds } else { self.unknown_seconds };
        if seconds > 0 {
            self.entries.insert(digest, Entry { found, read, until: now.saturating_add(seconds) });
        }
    }
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache").field("tokens", &self.entries.len()).finish_non_exhaustive()
    }
}
