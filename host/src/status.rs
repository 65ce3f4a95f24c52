//! [`Status`]: how a running host is doing: its generations, its reloads, and what it cannot get rid of.

use std::sync::{Mutex, PoisonError, Weak};

use serde::Serialize;

use crate::{clock::Clock, error::Error, registry::Registry};

/// How a running host is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct Status {
    /// The current generation, from 1.
    pub generation: u64,
    /// Older generations on which calls still run.
    pub older_generations: usize,
    /// Reloads that succeeded.
    pub reloads: u64,
    /// Reloads that were refused, after which the old generation went on.
    pub failed_reloads: u64,
    /// Why the latest reload was refused; none when it succeeded, or when there was none.
    pub failed_reload: Option<FailedReload>,
    /// The plugin libraries in this process.
    pub libraries: Libraries,
    /// Events that were dropped because a sink was too slow, over all sinks of this generation.
    pub dropped_events: u64,
}

/// A reload that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct FailedReload {
    /// When, in Unix seconds.
    pub at: u64,
    /// Everything that was wrong, one finding each.
    pub findings: Vec<String>,
}

/// The plugin libraries in this process. None is ever unloaded: thread-local destructors would make that unsound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct Libraries {
    /// How many are mapped.
    pub mapped: usize,
    /// The bytes of their files, of each of which a copy is kept.
    pub mapped_bytes: usize,
    /// How many of them the current generation does not use: replaced, removed, or refused when they were loaded.
    pub superseded: usize,
    /// The bytes of those: what only a restart gives back.
    pub superseded_bytes: usize,
}

/// What became of the reloads so far.
#[derive(Debug, Default)]
pub(crate) struct Reloads(Mutex<Log>);

#[derive(Debug, Default)]
struct Log {
    succeeded: u64,
    failed: u64,
    failure: Option<FailedReload>,
    /// The generations before the current one, as long as calls run on them.
    older: Vec<Weak<Registry>>,
}

impl Reloads {
    pub(crate) fn succeeded(&self, replaced: Weak<Registry>) {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        log.succeeded += 1;
        log.failure = None;
        log.older.retain(|older| older.strong_count() > 0);
        log.older.push(replaced);
    }

    pub(crate) fn failed(&self, error: &Error, clock: &dyn Clock) {
        let findings = match error.findings() {
            [] => vec![error.to_string()],
            findings => findings.iter().map(ToString::to_string).collect(),
        };
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        log.failed += 1;
        log.failure = Some(FailedReload { at: clock.now(), findings });
    }

    pub(crate) fn status(&self, generation: u64, libraries: Libraries, dropped_events: u64) -> Status {
        let log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Status {
            generation,
            older_generations: log.older.iter().filter(|older| older.strong_count() > 0).count(),
            reloads: log.succeeded,
            failed_reloads: log.failed,
            failed_reload: log.failure.clone(),
            libraries,
            dropped_events,
        }
    }
}
