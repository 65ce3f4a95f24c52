//! [`Figures`]: what a plugin tells of itself, asked so that a plugin that does not answer keeps nobody.

use std::{
    collections::HashSet,
    fmt::Display,
    sync::{
        Arc, Mutex, Once, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use token_plugin_api::{Metric, MetricKind, Result, abi::metrics::MetricsEntryV1};

use crate::execute::{Lane, Service};

/// What a plugin tells of itself.
pub(crate) struct Figures {
    plugin: String,
    telling: Arc<Telling>,
    /// Of its own, with one thread for one call at a time: a call that never ends takes no thread that a handler needs, and
    /// no second one.
    lane: Lane,
    has_failed: AtomicBool,
    told_of_repeated: Once,
    told_of_another_kind: Once,
}

/// What tells them, and whether it does so right now.
#[derive(Default)]
struct Telling {
    entries: Vec<MetricsEntryV1>,
    now: Mutex<Now>,
}

/// What a plugin that tells figures is doing.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Now {
    #[default]
    Idle,
    Telling,
    /// It tells, and somebody has waited for it for too long.
    Late,
}

impl Figures {
    pub(crate) fn new(entries: Vec<MetricsEntryV1>, plugin: &str, service: &Arc<Service>) -> Self {
        Self {
            plugin: plugin.to_owned(),
            telling: Arc::new(Telling { entries, now: Mutex::default() }),
            lane: Lane::new(1, service),
            has_failed: AtomicBool::new(false),
            told_of_repeated: Once::new(),
            told_of_another_kind: Once::new(),
        }
    }

    /// The figures as they are now, each name once. A plugin that cannot tell is logged, and tells none; so does one that
    /// takes longer than the deadline, which is not asked again until it has answered.
    pub(crate) async fn now(&self, deadline: Duration) -> Vec<Metric> {
        if self.telling.entries.is_empty() || self.telling.is(Now::Late) {
            return Vec::new();
        }
        let telling = Arc::clone(&self.telling);
        match self.lane.blocking(deadline, move || telling.tell()).await {
            Ok(told) => self.each_once(told),
            Err(stopped) => {
                self.telling.is_waited_for_no_longer();
                self.cannot_be_had(&stopped);
                Vec::new()
            }
        }
    }

    fn each_once(&self, told: Vec<Result<Vec<Metric>>>) -> Vec<Metric> {
        if told.iter().all(Result::is_ok) {
            self.has_failed.store(false, Ordering::Relaxed);
        }
        let told = told.into_iter().filter_map(|told| told.map_err(|error| self.cannot_be_had(&error)).ok());
        let mut names = HashSet::new();
        let is_first = |metric: &Metric| {
            let is_first = names.insert(metric.name.clone());
            if !is_first {
                self.told_of_repeated.call_once(|| {
                    let (plugin, name) = (self.plugin.as_str(), metric.name.as_str());
                    tracing::warn!(target: LOG_TARGET, plugin, "it tells the metric `{name}` twice: the first one counts");
                });
            }
            is_first
        };
        told.flatten().filter(is_first).take(Metric::MOST).collect()
    }

    /// Says in the log why there are none. Once, until it is well again: whoever asks for a page of metrics needs no token,
    /// and must not fill the log.
    fn cannot_be_had(&self, why: &dyn Display) {
        if !self.has_failed.swap(true, Ordering::Relaxed) {
            tracing::warn!(target: LOG_TARGET, plugin = self.plugin, "its metrics cannot be had: {why}");
        }
    }

    /// Says in the log that a figure is left out, since another plugin's of this name is of this kind.
    #[cfg_attr(
        not(feature = "http"),
        expect(dead_code, reason = "only a page puts figures of several plugins together")
    )]
    pub(crate) fn is_of_another_kind(&self, metric: &Metric, kind: MetricKind) {
        self.told_of_another_kind.call_once(|| {
            let (plugin, name) = (self.plugin.as_str(), metric.name.as_str());
            let (own, other) = (metric.kind.name(), kind.name());
            tracing::warn!(
                target: LOG_TARGET,
                plugin,
                "its metric `{name}` is left out: it is a {own}, and another plugin's is a {other}"
            );
        });
    }

    /// What is to be dropped with the plugin's other parts.
    pub(super) fn take(&mut self) -> impl Send + use<> {
        std::mem::take(&mut self.telling)
    }
}

impl Telling {
    fn tell(&self) -> Vec<Result<Vec<Metric>>> {
        self.set(Now::Telling);
        let told = self.entries.iter().map(MetricsEntryV1::now).collect();
        self.set(Now::Idle);
        told
    }

    fn is(&self, what: Now) -> bool {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) == what
    }

    fn set(&self, what: Now) {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = what;
    }

    /// When it tells at this time, it is late.
    fn is_waited_for_no_longer(&self) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        if *now == Now::Telling {
            *now = Now::Late;
        }
    }
}

/// What the log calls what plugins are to mend.
const LOG_TARGET: &str = "plugin";

/// How long a plugin may take to tell its figures: as long as a call may by default. Figures are counts that are at hand,
/// and those who collect them do not wait for long either.
pub(crate) const TELLING_DEADLINE: Duration = Duration::from_secs(1);
