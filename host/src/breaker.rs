//! [`Breaker`]: keeps a plugin that fails again and again from being called, until a probe finds it well.
//!
//! ```text
//! serving --so many failures in a row--> tripped --a pause, then the next call--> probing --answer--> serving
//!                                           ^----------------failure-----------------'
//! ```
//!
//! A tripped plugin's calls fail at once, and closed: no thread and no caller waits for it any more. One call at a time
//! probes whether it is well again; the others are refused meanwhile. A probe is over at its deadline, or when its
//! caller goes away; an inline handler has no deadline, so one that hangs keeps its probe for as long.
//!
//! Any answer ends a row of failures. What became of calls from before it tripped counts no more: only the probe decides.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use token_plugin_api::{PluginError, PluginErrorKind, Result};

use crate::config::PluginEntry;

/// When a plugin is tripped, and for how long it is left alone.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// 0: never.
    failures: u32,
    pause: Duration,
}

impl Rules {
    /// For calls that are no caller's: they trip nothing.
    pub(crate) const NEVER: Self = Self { failures: 0, pause: Duration::ZERO };

    pub(crate) fn of(entry: &PluginEntry) -> Self {
        Self { failures: entry.breaker_failures, pause: entry.breaker_pause }
    }
}

/// What came of a call, as far as it tells how the plugin is.
enum Told {
    /// It answers, whatever it said: "you may not" and "there is none" are answers.
    Well,
    /// It could not do what it was asked, or took too long.
    Ill,
    /// Nothing. A panic is about what it was asked, not about how the plugin is: were it counted, whoever finds a token
    /// that makes a plugin panic could keep everybody else out.
    Nothing,
}

impl Told {
    fn by<T>(answer: &Result<T>) -> Self {
        match answer.as_ref().map_err(PluginError::kind) {
            Err(PluginErrorKind::Failed | PluginErrorKind::DeadlineExceeded) => Self::Ill,
            Err(PluginErrorKind::Panicked | PluginErrorKind::Overloaded) => Self::Nothing,
            _ => Self::Well,
        }
    }
}

/// One plugin's breaker: it lives with the instance, so that a reload that keeps the one keeps the other.
#[derive(Debug)]
pub(crate) struct Breaker {
    plugin: String,
    /// Whether the state is any other than serving without a failure. All that a call looks at that goes well.
    is_noteworthy: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    phase: Phase,
    failures_in_a_row: u32,
    last_failure: Option<String>,
}

#[derive(Debug, Clone, Copy, Default)]
enum Phase {
    #[default]
    Serving,
    Tripped {
        until: Instant,
    },
    Probing,
}

/// What listings say of a breaker.
pub(crate) struct Condition {
    pub(crate) state: &'static str,
    pub(crate) failures_in_a_row: u32,
    pub(crate) last_failure: Option<String>,
}

impl Breaker {
    pub(crate) fn new(plugin: &str) -> Self {
        Self { plugin: plugin.to_owned(), is_noteworthy: AtomicBool::new(false), state: Mutex::default() }
    }

    /// Whether nothing has failed since the plugin last answered: then a call may be made, and its answer changes nothing.
    #[inline]
    pub(crate) fn is_untroubled(&self) -> bool {
        !self.is_noteworthy.load(Ordering::Relaxed)
    }

    /// The permit of a call that was made while nothing had failed.
    pub(crate) fn untroubled<'a>(&'a self, rules: &'a Rules) -> Permit<'a> {
        Permit { breaker: self, rules, is_probe: false }
    }

    /// Whether a call may be made.
    pub(crate) fn admit<'a>(&'a self, rules: &'a Rules) -> Result<Permit<'a>> {
        let is_probe = !self.is_untroubled() && self.claim_probe(rules)?;
        Ok(Permit { breaker: self, rules, is_probe })
    }

    /// Serving, and nothing has ever failed: for calls before the first one that is a caller's.
    pub(crate) fn forget(&self) {
        let mut state = self.lock();
        *state = State::default();
        self.is_noteworthy.store(false, Ordering::Relaxed);
    }

    pub(crate) fn condition(&self, rules: &Rules) -> Condition {
        let state = self.lock();
        Condition {
            state: match state.phase {
                // Whatever an earlier generation's rules made of it.
                _ if rules.failures == 0 => "serving",
                Phase::Serving => "serving",
                Phase::Tripped { .. } => "tripped",
                Phase::Probing => "probing",
            },
            failures_in_a_row: state.failures_in_a_row,
            last_failure: state.last_failure.clone(),
        }
    }

    /// Whether the call that is to be made is the probe, if it may be made at all.
    #[cold]
    fn claim_probe(&self, rules: &Rules) -> Result<bool> {
        let mut state = self.lock();
        match state.phase {
            Phase::Serving => Ok(false),
            _ if rules.failures == 0 => {
                state.phase = Phase::Serving;
                Ok(false)
            }
            Phase::Tripped { until } => {
                let left = until.saturating_duration_since(Instant::now());
                if !left.is_zero() {
                    return Err(state.refusal(&format!("tried again in {}", in_words(left))));
                }
                state.phase = Phase::Probing;
                Ok(true)
            }
            Phase::Probing => Err(state.refusal("another call is trying it now")),
        }
    }

    fn answered(&self, is_probe: bool) {
        if self.is_untroubled() {
            return;
        }
        let mut state = self.lock();
        let recovers = match state.phase {
            Phase::Serving => false,
            Phase::Tripped { .. } | Phase::Probing if is_probe => true,
            Phase::Tripped { .. } | Phase::Probing => return,
        };
        (state.phase, state.failures_in_a_row) = (Phase::Serving, 0);
        self.is_noteworthy.store(false, Ordering::Relaxed);
        // The log is not written to under the lock: who reads it may ask for this plugin's state.
        drop(state);
        if recovers {
            tracing::info!(plugin = self.plugin, "the plugin answers again: it is switched on");
        }
    }

    fn failed(&self, rules: &Rules, is_probe: bool, error: &PluginError) {
        let mut state = self.lock();
        let was_serving = match state.phase {
            Phase::Serving => true,
            Phase::Tripped { .. } | Phase::Probing if is_probe => false,
            Phase::Tripped { .. } | Phase::Probing => return,
        };
        state.failures_in_a_row = state.failures_in_a_row.saturating_add(1);
        state.last_failure = Some(shown(error));
        self.is_noteworthy.store(true, Ordering::Relaxed);
        let failures_in_a_row = state.failures_in_a_row;
        let is_enough = rules.failures != 0 && (failures_in_a_row >= rules.failures || !was_serving);
        state.phase = if is_enough { Phase::Tripped { until: Instant::now() + rules.pause } } else { Phase::Serving };
        drop(state);
        let plugin = self.plugin.as_str();
        if is_enough && was_serving {
            tracing::warn!(plugin, failures_in_a_row, reason = %error, "the plugin failed too often: it is switched off");
        } else if is_enough {
            tracing::debug!(plugin, failures_in_a_row, reason = %error, "the plugin failed again: it stays switched off");
        }
    }

    /// The probe's caller went away before there was an answer: the next call may probe at once.
    fn give_back(&self) {
        let mut state = self.lock();
        if let Phase::Probing = state.phase {
            state.phase = Phase::Tripped { until: Instant::now() };
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An error as others than its caller may see it, who get it as the reason for being refused.
fn shown(error: &PluginError) -> String {
    const MAX_LETTERS: usize = 200;
    let printable = |letter: char| if letter.is_control() { '?' } else { letter };
    error.to_string().chars().take(MAX_LETTERS).map(printable).collect()
}

impl State {
    /// The error of a call that is not made, with what is to come.
    fn refusal(&self, then: &str) -> PluginError {
        let Self { failures_in_a_row: count, last_failure, .. } = self;
        let failures = if *count == 1 { "failure" } else { "failures" };
        let last = last_failure.as_deref().unwrap_or_default();
        PluginError::failed(format_args!(
            "it is switched off after {count} {failures} in a row (the last: {last}); {then}"
        ))
    }
}

/// A call that may be made. Dropped before it is settled, it leaves the breaker as it found it.
pub(crate) struct Permit<'a> {
    breaker: &'a Breaker,
    rules: &'a Rules,
    is_probe: bool,
}

impl Permit<'_> {
    /// Notes what came of the call.
    pub(crate) fn settle<T>(mut self, answer: &Result<T>) {
        // Dropped as it is, it gives the probe to another.
        let told = Told::by(answer);
        if matches!(told, Told::Nothing) {
            return;
        }
        let is_probe = std::mem::take(&mut self.is_probe);
        match (told, answer) {
            (Told::Ill, Err(error)) => self.breaker.failed(self.rules, is_probe, error),
            _ => self.breaker.answered(is_probe),
        }
    }

    /// Notes what comes of the call.
    pub(crate) async fn settle_later<T>(self, answer: impl Future<Output = Result<T>>) -> Result<T> {
        let answer = answer.await;
        self.settle(&answer);
        answer
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if self.is_probe {
            self.breaker.give_back();
        }
    }
}

/// A time that is left, rounded up.
fn in_words(left: Duration) -> String {
    let milliseconds = left.as_micros().div_ceil(1000);
    if milliseconds < 1000 { format!("{milliseconds} ms") } else { format!("{} s", milliseconds.div_ceil(1000)) }
}
