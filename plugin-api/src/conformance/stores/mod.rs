//! The checks of stores: what [`AccessTokenStore`](crate::AccessTokenStore), [`AuthCodeStore`](crate::AuthCodeStore) and
//! [`ClientStore`](crate::ClientStore) promise, asked for through the boundary as a host asks.

mod clients;
mod codes;
mod tokens;

use std::{sync::Arc, thread, time::Duration};

use serde::{Serialize, de::DeserializeOwned};

use super::{
    Suite,
    block_on::block_on,
    capture,
    instance::Instance,
    ledger::Ledger,
    report::{Checked, Stop, failed, skipped},
};
use crate::{
    PluginError, PluginErrorKind, Result,
    abi::{
        convert::result_from_v1,
        stores::{STORES, StoreEntryV1, StoreKind},
    },
};

/// A check of a store.
pub(super) type StoreCheck = fn(&Store<'_>) -> Checked;

/// The checks of a store of this kind.
pub(super) fn checks(kind: StoreKind) -> &'static [(&'static str, StoreCheck)] {
    match kind {
        StoreKind::AccessTokens => &tokens::CHECKS,
        StoreKind::AuthCodes => &codes::CHECKS,
        StoreKind::Clients => &clients::CHECKS,
    }
}

/// A store under test.
pub(super) struct Store<'a> {
    instance: &'a Instance,
    entry: &'a StoreEntryV1,
    deadline: Duration,
}

/// The kinds and names of the stores of an instance.
pub(super) fn stores_of(instance: &Instance) -> impl Iterator<Item = (StoreKind, &str)> {
    entries(instance).filter_map(|entry| Some((StoreKind::from_number(entry.kind)?, entry.name.as_str())))
}

fn entries(instance: &Instance) -> impl Iterator<Item = &StoreEntryV1> {
    let stores = instance.extensions.iter().filter(|extension| extension.id == STORES);
    stores.filter_map(|extension| extension.extension.downcast_ref())
}

impl<'a> Store<'a> {
    /// A store of an instance, by its place among the stores.
    pub(super) fn new(instance: &'a Instance, index: usize, suite: &Suite<'_>) -> Checked<Self> {
        match entries(instance).nth(index) {
            Some(entry) => Ok(Self { instance, entry, deadline: suite.deadline }),
            None => failed("an instance has fewer stores than another of the same settings"),
        }
    }

    fn now(&self) -> u64 {
        self.instance.recorder.now()
    }

    fn set_now(&self, unix_seconds: u64) {
        self.instance.recorder.set_now(unix_seconds);
    }

    fn ledger(&self) -> &'a Arc<Ledger> {
        &self.instance.ledger
    }

    /// A value that no other run has: stores outlive them. It is nothing that may be quoted.
    fn value(&self, what: &str) -> String {
        let value = self.name(what);
        self.ledger().made(&value);
        value
    }

    /// A name that no other run has.
    fn name(&self, what: &str) -> String {
        use std::hash::{BuildHasher, RandomState};
        let random = || RandomState::new().hash_one(std::time::Instant::now());
        format!("{what}-{:016x}{:016x}", random(), random())
    }

    /// Asks for an operation.
    fn ask<A: DeserializeOwned>(&self, operation: &'static str, request: &impl Serialize) -> Result<A> {
        let request = serde_json::to_string(request).map_err(PluginError::failed)?;
        let answer = self.entry.store.call(operation.into(), request.as_str().into());
        let answer = match block_on(answer, self.deadline) {
            Some(answer) => result_from_v1(answer),
            None => Err(PluginError::failed(format!("no answer within {} s", self.deadline.as_secs()))),
        };
        let answer = answer.inspect_err(|error| self.ledger().erred(operation, error))?;
        serde_json::from_str(&answer).map_err(|_| PluginError::failed("its answer is of another form"))
    }

    /// What is answered, which must be no error.
    fn expect<A: DeserializeOwned>(&self, operation: &'static str, request: &impl Serialize) -> Checked<A> {
        self.ask(operation, request).map_err(|error| self.unexpected(operation, &error))
    }

    /// The same; where the store does not offer the operation the check is skipped.
    fn expect_if_offered<A: DeserializeOwned>(&self, operation: &'static str, request: &impl Serialize) -> Checked<A> {
        match self.ask(operation, request) {
            Err(error) if *error.kind() == PluginErrorKind::Unsupported => {
                skipped(format!("`{operation}` is not offered"))
            }
            answer => answer.map_err(|error| self.unexpected(operation, &error)),
        }
    }

    /// That there is none.
    fn expect_none(&self, operation: &'static str, request: &impl Serialize, what: &str, when: &str) -> Checked {
        match self.ask::<serde_json::Value>(operation, request) {
            Err(error) if *error.kind() == PluginErrorKind::NotFound(what.to_owned()) => Ok(()),
            Ok(_) => failed(format!("`{operation}` finds one {when}, expected an error: not found, of `{what}`")),
            Err(error) => {
                let error = self.ledger().quotable(&format!("{:?}: {error}", error.kind()));
                failed(format!("`{operation}` {when} answers {error}, expected an error: not found, of `{what}`"))
            }
        }
    }

    fn unexpected(&self, operation: &str, error: &PluginError) -> Stop {
        Stop::Failed(format!("`{operation}` answers an error: {}", self.ledger().quotable(&error.to_string())))
    }

    /// What many threads get that ask the same at once.
    fn race<A: Send>(&self, ask: impl Fn() -> A + Sync) -> Checked<Vec<A>> {
        const THREADS: usize = 8;
        let start = std::sync::Barrier::new(THREADS);
        let answers = thread::scope(|scope| {
            let racing = || {
                capture::listening(self.ledger(), || {
                    start.wait();
                    ask()
                })
            };
            let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(racing)).collect();
            threads.into_iter().map(|thread| thread.join().ok()).collect::<Option<Vec<A>>>()
        });
        answers.map_or_else(|| failed("a thread panicked"), Ok)
    }
}

/// That something is as it was kept; what is shown names no values.
fn expect_same<T: PartialEq>(what: &str, kept: &T, found: &T) -> Checked {
    if kept == found { Ok(()) } else { failed(format!("{what} comes back changed")) }
}

/// How often races are run: often enough that a store without an atomic step has more than one winner.
const RACES: usize = 200;

/// Text of many scripts, quotes and control characters.
const UNICODE: &str = "Žlůťoučký κόσμε 日本語 🦀 \"'\\ \u{7f}\u{200b} a\tb";
