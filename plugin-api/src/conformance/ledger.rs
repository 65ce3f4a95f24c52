//! [`Ledger`]: what a plugin let out in the whole run, and what it should not have.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{
    Suite,
    report::{Checked, failed},
    secrecy::Confidential,
};
use crate::{
    CreateToken, CreatedToken, PluginError, PluginErrorKind, Reason, abi::v1::LogRecordV1, bridge::PANIC_TARGET,
    recorder::Audience,
};

pub(super) struct Ledger {
    is_linked: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The check that runs, for messages.
    check: String,
    /// Each with the check that it was first seen in.
    texts: BTreeMap<(Source, String), String>,
    panics: BTreeSet<String>,
    faults: BTreeSet<String>,
    /// Names of handlers.
    stuck: BTreeSet<String>,
    confidential: Confidential,
    /// How many tokens of this check are remembered.
    remembered: usize,
}

/// Where a text was found.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Source {
    Error(&'static str),
    Reason,
    Warning,
    Log(String),
    Event,
}

impl Ledger {
    pub(super) fn new(suite: &Suite<'_>) -> Self {
        let confidential = Confidential::new(&suite.resolved);
        Self { is_linked: suite.is_linked, state: Mutex::new(State { confidential, ..State::default() }) }
    }

    /// Whether the plugin is a part of this program.
    pub(super) fn is_linked(&self) -> bool {
        self.is_linked
    }

    /// What follows is part of this check.
    pub(super) fn begin(&self, name: &str, subject: Option<&str>) {
        let mut state = self.state();
        state.check = match subject {
            Some(subject) => format!("`{name}` of `{}`", subject.escape_debug()),
            None => format!("`{name}`"),
        };
        state.remembered = 0;
    }

    /// What was asked for is nothing that must not be told.
    pub(super) fn asked(&self, request: &CreateToken) {
        let words = request.restrictions.iter().flat_map(|restrictions| restrictions.actions());
        self.state().confidential.tell(words.chain([request.actor_id.as_str()]));
    }

    /// A token was created, which begins with a claim of so many bytes.
    pub(super) fn created(&self, created: &CreatedToken, claim_bytes: usize) {
        let mut state = self.state();
        state.confidential.tell(created.id.as_deref());
        state.remember(&created.token, claim_bytes);
    }

    /// A value of a token was made.
    pub(super) fn made(&self, value: &str) {
        self.state().remember(value, 0);
    }

    /// A token was rejected for this reason.
    pub(super) fn rejected(&self, reason: &Reason) {
        self.said(Source::Reason, reason.message());
    }

    /// A call answered with this error.
    pub(super) fn erred(&self, call: &'static str, error: &PluginError) {
        if *error.kind() == PluginErrorKind::Panicked {
            let mut state = self.state();
            let panic = format!("{call} in {} {error}", state.check);
            state.panics.insert(panic);
        }
        self.said(Source::Error(call), error.message());
    }

    /// A handler gave no answer in time.
    pub(super) fn stuck(&self, handler: &str) {
        self.state().stuck.insert(handler.to_owned());
    }

    /// Whether a handler once gave no answer in time.
    pub(super) fn is_stuck(&self, handler: &str) -> bool {
        self.state().stuck.contains(handler)
    }

    /// A part of an instance did not drop well.
    pub(super) fn faulted(&self, fault: &str) {
        self.state().faults.insert(fault.to_owned());
    }

    /// The plugin logged this.
    pub(super) fn record(&self, target: &str, message: &str, fields: &str) {
        if target == PANIC_TARGET {
            let mut state = self.state();
            let panic = format!("in {}: {message}", state.check);
            state.panics.insert(panic);
        }
        self.said(Source::Log(target.to_owned()), &format!("{message} {fields}"));
    }

    /// The plugin let this text out.
    pub(super) fn said(&self, source: Source, text: &str) {
        let mut state = self.state();
        let check = state.check.clone();
        state.texts.entry((source, text.to_owned())).or_insert(check);
    }

    /// The check `dropping`.
    pub(super) fn dropping(&self) -> Checked {
        let state = self.state();
        state.none_of(&state.faults)
    }

    /// The check `panics`.
    pub(super) fn panics(&self) -> Checked {
        let state = self.state();
        state.none_of(&state.panics)
    }

    /// The check `secrecy`.
    pub(super) fn secrecy(&self) -> Checked {
        let state = self.state();
        let pieces = state.confidential.pieces();
        let leaks = state.texts.iter().filter_map(|((source, text), check)| {
            // The text itself is not shown: a report is read by more people than a secret is for.
            Some(format!("{source} in {check} quotes {}", pieces.quoted_in(text)?))
        });
        // One of each: what tells which token it quotes is a text of its own for every token.
        let leaks: BTreeSet<_> = leaks.collect();
        if leaks.is_empty() { Ok(()) } else { failed(listed(&leaks)) }
    }

    /// A text of the plugin's, for a report: not if it quotes a token or a secret.
    pub(super) fn quotable(&self, text: &str) -> String {
        self.state().quotable(text)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Audience for Ledger {
    fn sent(&self, event: &str) {
        self.said(Source::Event, event);
    }

    fn logged(&self, record: &LogRecordV1<'_>) {
        self.record(record.target.as_str(), record.message.as_str(), record.fields.as_str());
    }
}

impl State {
    /// Bounded, since a check may create a thousand tokens: whoever quotes tokens quotes one of the first too.
    fn remember(&mut self, token: &str, claim_bytes: usize) {
        if self.remembered < REMEMBERED_TOKENS && self.confidential.remember(token, claim_bytes) {
            self.remembered += 1;
        }
    }

    fn quotable(&self, text: &str) -> String {
        match self.confidential.pieces().quoted_in(text) {
            None => text.to_owned(),
            Some(what) => format!("[a text that quotes {what}]"),
        }
    }

    fn none_of(&self, list: &BTreeSet<String>) -> Checked {
        let list: BTreeSet<_> = list.iter().map(|text| self.quotable(text)).collect();
        if list.is_empty() { Ok(()) } else { failed(listed(&list)) }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error(call) => write!(f, "an error of {call}"),
            Self::Reason => f.write_str("the reason of a rejection"),
            Self::Warning => f.write_str("a warning to the operator"),
            Self::Log(target) => write!(f, "a log record of `{}`", target.escape_debug()),
            Self::Event => f.write_str("an event"),
        }
    }
}

fn listed(list: &BTreeSet<String>) -> String {
    let shown: Vec<_> = list.iter().take(SHOWN).map(String::as_str).collect();
    match list.len().saturating_sub(SHOWN) {
        0 => shown.join("; "),
        more => format!("{}; and {more} more", shown.join("; ")),
    }
}

const REMEMBERED_TOKENS: usize = 64;

/// One cause often has many effects.
const SHOWN: usize = 5;
