//! [`Cache`]: what was found lately, by digest.

use std::{
    hash::{Hash, Hasher},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use quick_cache::sync::Cache as Entries;
use token_plugin_api::Metric;

use crate::{
    config::CacheConfig,
    cutoffs::{Cutoffs, Place},
    digest::Digest,
    judge::Judge,
    store::Known,
};

/// What was found lately.
pub(crate) struct Cache {
    entries: Entries<Key, Entry>,
    cutoffs: Arc<Cutoffs>,
    seconds: u64,
    unknown_seconds: u64,
}

/// The first 32 bytes of a digest, which is all of one that is looked for first.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Key([u8; 32]);

impl Hash for Key {
    /// The first bytes are as random as all of them: what has to be hashed is not much.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let (first, _) = self.0.split_at(8);
        state.write(first);
    }
}

#[derive(Clone)]
struct Entry {
    found: Option<Arc<Found>>,
    read: Place,
    /// Unix seconds.
    until: u64,
}

/// A token that was found, with what is said of it each time. What a good one needs comes first, and lies together: a token
/// is seldom still in a processor's cache when it is used again.
#[repr(C)]
pub(crate) struct Found {
    /// When its use was noted last, in Unix seconds.
    noted: AtomicU64,
    /// What is said of its actor while it is good.
    pub(crate) ready: Option<Ready>,
    pub(crate) known: Known,
}

/// A token that is good until it expires.
pub(crate) struct Ready {
    pub(crate) id: i64,
    pub(crate) expires_at: Option<u64>,
    /// The actor's id, and behind it the claims.
    text: Box<str>,
    actor_bytes: u32,
}

impl Ready {
    /// The actor's id and the claims.
    pub(crate) fn actor_and_claims(&self) -> (&str, &str) {
        self.text.split_at(self.actor_bytes as usize)
    }
}

impl Found {
    pub(crate) fn new(known: Known, judge: &Judge) -> Self {
        let is_plain = known.invalidated.is_none() && known.inactive_since.is_none() && known.restrictions.is_none();
        let ready = u32::try_from(known.actor_id.len()).ok().filter(|_| is_plain).map(|actor_bytes| Ready {
            id: known.id,
            expires_at: known.expires_at,
            text: format!("{}{}", known.actor_id, judge.claims(&known)).into(),
            actor_bytes,
        });
        Self { noted: AtomicU64::new(0), ready, known }
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
        let entry = self.entries.get(&key(digest)?)?;
        if now >= entry.until {
            return None;
        }
        // Whose it is is looked at only when it matters.
        if !self.cutoffs.are_unchanged_since(entry.read) {
            let known = entry.found.as_ref().map(|found| &found.known);
            let (actor, generator) = known.map_or(("", ""), |known| (&known.actor_id, &known.generator_id));
            if !self.cutoffs.hold(entry.read, actor, generator) {
                return None;
            }
        }
        Some(entry.found)
    }

    /// What there is to tell of it.
    pub(crate) fn metrics(&self) -> Vec<Metric> {
        let Self { entries, .. } = self;
        vec![
            Metric::counter("cache_hits_total", "Tokens that were found in the cache, fresh or not.", entries.hits()),
            Metric::counter("cache_misses_total", "Tokens that were not found in the cache.", entries.misses()),
            Metric::gauge("cache_entries", "Tokens in the cache.", entries.len() as u64),
        ]
    }

    /// Before the store is asked.
    pub(crate) fn begin(&self) -> Place {
        self.cutoffs.begin()
    }

    /// After it was.
    pub(crate) fn put(&self, digest: Digest, read: Place, found: Option<Arc<Found>>, now: u64) {
        let seconds = if found.is_some() { self.seconds } else { self.unknown_seconds };
        if let (1.., Some(key)) = (seconds, key(&digest)) {
            self.entries.insert(key, Entry { found, read, until: now.saturating_add(seconds) });
        }
    }
}

/// Nothing else has a digest of 32 bytes with this beginning: what is looked for first never has more.
fn key(digest: &Digest) -> Option<Key> {
    digest.as_bytes().try_into().ok().map(Key)
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache").field("tokens", &self.entries.len()).finish_non_exhaustive()
    }
}
