//! [`Instance`]: an instance of the plugin under test, whose every answer the ledger reads.

use std::sync::Arc;

use abi_stable::std_types::RString;

use super::{
    Suite,
    handler::Handler,
    ledger::{Ledger, Source},
    report::{Checked, failed},
};
use crate::{
    Result,
    abi::{
        convert::{error_from_v1, result_from_v1},
        v1,
    },
    recorder::Recorder,
};

pub(super) struct Instance {
    pub(super) handlers: Vec<v1::HandlerEntryV1>,
    pub(super) wrappers: Vec<v1::WrapperEntryV1>,
    pub(super) sinks: Vec<v1::EventSinkEntryV1>,
    pub(super) generators: Vec<Arc<v1::TokenGeneratorEntryV1>>,
    pub(super) extensions: Vec<v1::ExtensionEntryV1>,
    pub(super) recorder: Arc<Recorder>,
    pub(super) ledger: Arc<Ledger>,
    keeper: v1::Keeper,
}

impl Instance {
    pub(super) fn new(suite: &Suite<'_>, ledger: &Arc<Ledger>) -> Checked<Self> {
        let recorder = Recorder::new(Arc::<Ledger>::clone(ledger));
        let resolved: Vec<_> = suite.resolved.iter().map(|value| value.as_str().into()).collect();
        let new = v1::NewInstanceV1 {
            name: suite.name.as_str().into(),
            settings: suite.settings.as_str().into(),
            resolved: resolved.into(),
            folder: suite.folder.as_str().into(),
        };
        let made = match (suite.make)(recorder.services(), new).into_result().map_err(error_from_v1) {
            Ok(made) => made,
            Err(error) => {
                ledger.erred("the making of an instance", &error);
                return failed(format!("no instance could be made: {}", ledger.quotable(&error.to_string())));
            }
        };
        let generators: Vec<_> = made.token_generators.into_iter().map(Arc::new).collect();
        recorder.lend(&generators);
        for warning in &made.warnings {
            ledger.said(Source::Warning, warning);
        }
        Ok(Self {
            handlers: made.handlers.into_iter().collect(),
            wrappers: made.wrappers.into_iter().collect(),
            sinks: made.event_sinks.into_iter().collect(),
            generators,
            extensions: made.extensions.into_iter().collect(),
            recorder,
            ledger: Arc::clone(ledger),
            keeper: made.keeper,
        })
    }

    /// One of its handlers, by its place.
    pub(super) fn handler<'a>(&'a self, index: usize, suite: &'a Suite<'_>) -> Checked<Handler<'a>> {
        match self.handlers.get(index) {
            Some(entry) => Ok(Handler::new(self, entry, suite)),
            None => failed("another instance of the same settings lacks this handler"),
        }
    }

    /// One of its generators, by its place.
    pub(super) fn generator(&self, index: usize) -> Checked<&v1::TokenGeneratorEntryV1> {
        match self.generators.get(index) {
            Some(entry) => Ok(entry),
            None => failed("another instance of the same settings lacks this generator"),
        }
    }

    /// Has a generator make a value from no `token_info`.
    pub(super) fn generate(&self, entry: &v1::TokenGeneratorEntryV1) -> Result<String> {
        let made = result_from_v1(entry.generator.create_token("{}".into())).map(RString::into_string);
        match &made {
            Ok(value) => self.ledger.made(value),
            Err(error) => self.ledger.erred("`create_token` of a generator", error),
        }
        made
    }

    /// Asks a generator whether it could have made this value, from no `token_info`.
    pub(super) fn validate(&self, entry: &v1::TokenGeneratorEntryV1, value: &str) -> Result<bool> {
        let valid = result_from_v1(entry.generator.validate_token(value.into(), "{}".into()));
        valid.inspect_err(|error| self.ledger.erred("`validate_token` of a generator", error))
    }
}

impl Drop for Instance {
    /// In a host's order: the keeper is asked what went wrong when all other parts are gone.
    fn drop(&mut self) {
        self.handlers.clear();
        self.wrappers.clear();
        self.generators.clear();
        self.extensions.clear();
        self.sinks.clear();
        for fault in self.keeper.faults() {
            self.ledger.faulted(&fault);
        }
    }
}
