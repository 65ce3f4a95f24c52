//! [`Metric`]: a figure that a plugin tells of itself.

use serde::{Deserialize, Serialize};

/// A figure that a plugin tells of itself, for those who run the host: how often its cache had an answer, how many
/// connections it has. Register what tells them with [`Hooks::metrics`](crate::Hooks::metrics).
///
/// Names follow Prometheus' custom: `cache_hits_total` counts, `cache_entries` is what there is now. The host says whose it
/// is. A figure has no labels: nothing that a request brings may become one.
///
/// ```
/// use token_plugin_api::Metric;
///
/// let hits = Metric::counter("cache_hits_total", "Verifications that the cache answered.", 17);
/// assert!(hits.is_sound());
/// assert!(!Metric::gauge("Cache entries", "", 1).is_sound());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Metric {
    /// 1 to 64 of `a` to `z`, `0` to `9` and `_`, not with a digit first.
    pub name: String,
    /// Whether it counts, or goes up and down.
    pub kind: MetricKind,
    /// What it is, in a sentence.
    pub help: String,
    /// How much there is.
    pub value: u64,
}

/// What a figure does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MetricKind {
    /// It only grows, from 0 at the start of the plugin.
    Counter,
    /// It goes up and down.
    Gauge,
}

impl MetricKind {
    /// Its name for Prometheus.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
        }
    }
}

impl Metric {
    /// How many a plugin may have: the host takes no more.
    pub const MOST: usize = 64;

    /// A figure that only grows.
    pub fn counter(name: impl Into<String>, help: impl Into<String>, value: u64) -> Self {
        Self { name: name.into(), kind: MetricKind::Counter, help: help.into(), value }
    }

    /// A figure that goes up and down.
    pub fn gauge(name: impl Into<String>, help: impl Into<String>, value: u64) -> Self {
        Self { name: name.into(), kind: MetricKind::Gauge, help: help.into(), value }
    }

    /// Whether its name and its help are what they may be: others are not shown.
    pub fn is_sound(&self) -> bool {
        let is_good = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
        let name = self.name.as_bytes();
        let is_name =
            (1..=64).contains(&name.len()) && !name[0].is_ascii_digit() && name.iter().all(|byte| is_good(*byte));
        is_name && self.help.len() <= 200 && !self.help.contains(char::is_control)
    }
}
