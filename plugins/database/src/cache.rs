//! [`Cache`]: what was found lately, by digest.

use std::sync::Arc;

use quick_cache::sync::Cache as Entries;

use crate::{
    config::CacheConfig,
    cutoffs::{Cutoffs, Place},
    digest::Digest,
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
    found: Option<Arc<Known>>,
    read: Place,
    /// Unix seconds.
    until: u64,
}

impl Cache {
    /// None: the settings want none.
    pub(crate) fn new(config: CacheConfig, cutoffs: Arc<Cutoffs>) -> Option<Self> {
        let CacheConfig { tokens, seconds, unknown_seconds } = config;
        (tokens > 0).then(|| Self { entries: Entries::new(tokens), cutoffs, seconds, unknown_seconds })
    }

    /// What was found, if that still holds; outside: nothing is known here.
    pub(crate) fn get(&self, digest: &Digest, now: u64) -> Option<Option<Arc<Known>>> {
        let entry = self.entries.get(digest)?;
        let (actor, generator) = entry.found.as_ref().map_or(("", ""), |known| (&known.actor_id, &known.generator_id));
        (now < entry.until && self.cutoffs.hold(entry.read, actor, generator)).then_some(entry.found)
    }

    /// Before the store is asked.
    pub(crate) fn begin(&self) -> Place {
        self.cutoffs.begin()
    }

    /// After it was.
    pub(crate) fn put(&self, digest: Digest, read: Place, found: Option<Arc<Known>>, now: u64) {
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
