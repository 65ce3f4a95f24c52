//! [`Handler`]: a handler under test, called as a host calls it.

use std::{sync::Arc, time::Duration};

use super::{
    Suite,
    block_on::block_on,
    instance::Instance,
    ledger::Ledger,
    report::{Checked, failed, skipped},
};
use crate::{
    CreateToken, CreatedToken, PluginError, PluginErrorKind, Result, TokenRestrictions, Verdict,
    abi::{
        convert::{CreateText, created_from_v1, verdict_from_v1},
        v1,
    },
};

#[derive(Clone, Copy)]
pub(super) struct Handler<'a> {
    instance: &'a Instance,
    entry: &'a v1::HandlerEntryV1,
    template: &'a CreateToken,
    deadline: Duration,
}

impl<'a> Handler<'a> {
    pub(super) fn new(instance: &'a Instance, entry: &'a v1::HandlerEntryV1, suite: &'a Suite<'_>) -> Self {
        Self { instance, entry, template: &suite.template, deadline: suite.deadline }
    }

    pub(super) fn ledger(&self) -> &'a Arc<Ledger> {
        &self.instance.ledger
    }

    /// Prefixes; none: every token.
    pub(super) fn claims(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.entry.claims.iter().map(|claim| claim.as_str())
    }

    /// The instance's clock, in Unix seconds.
    pub(super) fn now(&self) -> u64 {
        self.instance.recorder.now()
    }

    /// Sets the instance's clock, in Unix seconds.
    pub(super) fn set_now(&self, unix_seconds: u64) {
        self.instance.recorder.set_now(unix_seconds);
    }

    /// A request that there is nothing odd about.
    pub(super) fn request(&self) -> CreateToken {
        self.template.clone()
    }

    /// The same for another actor.
    pub(super) fn request_for(&self, actor_id: impl Into<String>) -> CreateToken {
        let mut request = self.request();
        request.actor_id = actor_id.into();
        request
    }

    /// Has it judge a token.
    pub(super) fn verify(&self, token: &str) -> Result<Verdict> {
        let verdict = match &self.entry.handler {
            v1::HandlerKindV1::Inline(handler) | v1::HandlerKindV1::Blocking(handler) => {
                verdict_from_v1(handler.verify(token.into(), "".into()))
            }
            v1::HandlerKindV1::Async(handler) => match handler.verify_at_once(token.into(), "".into()).into_option() {
                Some(verdict) => verdict_from_v1(verdict),
                None => self.answer(|| handler.verify(token.into(), "".into())).and_then(verdict_from_v1),
            },
        };
        match &verdict {
            Ok(Verdict::Rejected(reason)) => self.ledger().rejected(reason),
            Err(error) => self.ledger().erred("`verify_token`", error),
            _ => {}
        }
        verdict
    }

    /// Has it make a token.
    pub(super) fn create(&self, request: &CreateToken) -> Result<CreatedToken> {
        let text = CreateText::new(request)?;
        let created = match &self.entry.handler {
            v1::HandlerKindV1::Inline(handler) | v1::HandlerKindV1::Blocking(handler) => {
                created_from_v1(handler.create(text.view(), "".into()))
            }
            v1::HandlerKindV1::Async(handler) => {
                self.answer(|| handler.create(text.view(), "".into())).and_then(created_from_v1)
            }
        };
        self.ledger().asked(request);
        match &created {
            Ok(created) => self.ledger().created(created, self.claim_of(&created.token)),
            Err(error) => self.ledger().erred("`create_token`", error),
        }
        created
    }

    /// A token that is accepted, for checks that begin with one. That a handler makes none, or none that is good, is
    /// for `create_then_verify` to judge: here it is a reason to skip.
    pub(super) fn good_token(&self, request: &CreateToken) -> Checked<CreatedToken> {
        let created = match self.create(request) {
            Ok(created) => created,
            Err(error) => return self.cannot_create(&error, skipped),
        };
        match self.verify(&created.token) {
            Ok(Verdict::Accepted(_)) => Ok(created),
            _ => skipped("its token is not accepted to begin with: see `create_then_verify`"),
        }
    }

    /// What follows from its not making a token: not to offer it is fine, and all else as the caller says.
    pub(super) fn cannot_create<T>(&self, error: &PluginError, otherwise: fn(String) -> Checked<T>) -> Checked<T> {
        match error.kind() {
            PluginErrorKind::Unsupported => skipped("it creates no tokens"),
            PluginErrorKind::Disabled => skipped("its settings have it create no tokens"),
            PluginErrorKind::MissingTokenInfo(key) => skipped(format!(
                "it creates no tokens without the `token_info` key `{key}`: start from a request with it"
            )),
            _ => otherwise(format!("no token could be created: {}", self.quotable(error))),
        }
    }

    /// A token that is asked for in a special way, which a handler may refuse.
    pub(super) fn unless_refused(&self, request: &CreateToken, what: &str) -> Checked<CreatedToken> {
        match self.create(request) {
            Ok(created) => Ok(created),
            Err(error) if is_refusal(&error) => skipped(format!("it refuses {what}")),
            Err(error) => failed(format!("creation with {what} got an error: {}", self.quotable(&error))),
        }
    }

    /// A request with these restrictions.
    pub(super) fn restricted(&self, restrictions: TokenRestrictions) -> CreateToken {
        self.request().restricted_to(restrictions)
    }

    /// An error's text, for a report.
    pub(super) fn quotable(&self, error: &PluginError) -> String {
        self.ledger().quotable(&error.to_string())
    }

    /// What an async handler answers in time. One that once did not is not asked again: the run would take hours.
    fn answer<F: Future>(&self, start: impl FnOnce() -> F) -> Result<F::Output> {
        let (ledger, name) = (self.ledger(), self.entry.name.as_str());
        let answer = if ledger.is_stuck(name) { None } else { block_on(start(), self.deadline) };
        answer.ok_or_else(|| {
            ledger.stuck(name);
            let message = format!("no answer within {} ms", self.deadline.as_millis());
            PluginError::new(PluginErrorKind::DeadlineExceeded, message)
        })
    }

    /// How long the claim is that the token starts with.
    fn claim_of(&self, token: &str) -> usize {
        self.claims().filter(|claim| token.starts_with(claim)).map(str::len).max().unwrap_or(0)
    }
}

/// Whether an error says that what was asked for makes no sense to a handler, or is not offered.
pub(super) fn is_refusal(error: &PluginError) -> bool {
    matches!(error.kind(), PluginErrorKind::InvalidArgument | PluginErrorKind::Unsupported)
}
