//! [`Entered`]: the wrappers around one call, set up in call order and torn down in reverse.
//!
//! As with pluggy 1.7's `wrapper=True`: a wrapper that fails at set-up is not torn down, those
//! entered before it are, and each may replace the outcome. When the caller goes away in the middle
//! of a call, they are told so.

use abi_stable::std_types::RResult;
use token_plugin_api::{
    CreateToken, CreatedToken, PluginError, PluginErrorKind, Result, Verdict,
    abi::{
        convert::{CreateText, created_from_v1, created_to_v1, result_from_v1, verdict_from_v1, verdict_to_v1},
        v1,
    },
};

use crate::{
    error::{Error, ErrorKind},
    inside,
    instance::Wrapper,
    registry::Slot,
};

/// The wrappers that were set up around a call.
pub(crate) struct Entered<'r> {
    wrappers: &'r [Slot],
    context: &'r str,
    states: Vec<v1::State>,
    call: Option<Around>,
}

/// What the wrappers are around, kept for the case that the caller goes away.
enum Around {
    Verify(String),
    Create(Box<CreateToken>),
}

impl<'r> Entered<'r> {
    pub(crate) fn new(wrappers: &'r [Slot], context: &'r str) -> Self {
        Self { wrappers, context, states: Vec::new(), call: None }
    }

    /// Sets up all wrappers for a verification, or as many as succeed.
    pub(crate) fn before_verify(&mut self, token: &str) -> Result<(), Error> {
        if self.wrappers.is_empty() {
            return Ok(());
        }
        self.call = Some(Around::Verify(token.to_owned()));
        self.enter(|wrapper, context| wrapper.object.before_verify(token.into(), context.into()), "before_verify")
    }

    /// Sets up all wrappers for a creation, or as many as succeed.
    pub(crate) fn before_create(&mut self, request: &CreateToken) -> Result<(), Error> {
        if self.wrappers.is_empty() {
            return Ok(());
        }
        self.call = Some(Around::Create(Box::new(request.clone())));
        let text = text(request)?;
        self.enter(|wrapper, context| wrapper.object.before_create(text.view(), context.into()), "before_create")
    }

    fn enter(
        &mut self,
        before: impl Fn(&Wrapper, &str) -> RResult<v1::State, v1::ErrorV1>,
        operation: &str,
    ) -> Result<(), Error> {
        for slot in self.wrappers {
            let wrapper = slot.wrapper();
            let inside = inside::enter(wrapper.watched.tag);
            let state = result_from_v1(before(wrapper, self.context));
            drop(inside);
            match state {
                Ok(state) => self.states.push(state),
                Err(error) => return Err(failed(slot, operation, error)),
            }
        }
        Ok(())
    }

    /// Tears down what was set up: each wrapper sees the outcome of what is inside of it, and answers.
    pub(crate) fn after_verify(&mut self, token: &str, outcome: Result<Verdict, Error>) -> Result<Verdict, Error> {
        self.call = None;
        let after = |wrapper: &Wrapper, state, context: &str, inner| {
            let inner = verdict_to_v1(inner);
            verdict_from_v1(wrapper.object.after_verify(state, token.into(), context.into(), inner))
        };
        self.leave(outcome, after, "after_verify")
    }

    /// The same for a creation.
    pub(crate) fn after_create(
        &mut self,
        request: &CreateToken,
        outcome: Result<CreatedToken, Error>,
    ) -> Result<CreatedToken, Error> {
        self.call = None;
        if self.states.is_empty() {
            return outcome;
        }
        let text = text(request)?;
        let after = |wrapper: &Wrapper, state, context: &str, inner| {
            let inner = created_to_v1(inner);
            created_from_v1(wrapper.object.after_create(state, text.view(), context.into(), inner))
        };
        self.leave(outcome, after, "after_create")
    }

    fn leave<T>(
        &mut self,
        mut outcome: Result<T, Error>,
        after: impl Fn(&Wrapper, v1::State, &str, Result<T>) -> Result<T>,
        operation: &str,
    ) -> Result<T, Error> {
        while let Some(state) = self.states.pop() {
            let slot = &self.wrappers[self.states.len()];
            let told = outcome.as_ref().err().map(plugin_error);
            let earlier = outcome.as_ref().err().cloned();
            let (wrapper, inner) = (slot.wrapper(), outcome.map_err(|error| plugin_error(&error)));
            let inside = inside::enter(wrapper.watched.tag);
            let answer = after(wrapper, state, self.context, inner);
            drop(inside);
            outcome = match answer {
                Ok(answer) => Ok(answer),
                // What a wrapper only passes on stays the error of where it came from.
                Err(error) if Some(&error) == told.as_ref() => {
                    Err(earlier.unwrap_or_else(|| failed(slot, operation, error)))
                }
                Err(error) => Err(failed(slot, operation, error)),
            };
        }
        outcome
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        let cancelled = || {
            let error = PluginError::new(PluginErrorKind::Cancelled, "the caller went away");
            Error::from_plugin("", "", "wait", error)
        };
        match self.call.take() {
            Some(Around::Verify(token)) => drop(self.after_verify(&token, Err(cancelled()))),
            Some(Around::Create(request)) => drop(self.after_create(&request, Err(cancelled()))),
            None => {}
        }
    }
}

fn failed(slot: &Slot, operation: &str, error: PluginError) -> Error {
    let part = format!("wrapper \"{}\"", slot.wrapper().name);
    Error::from_plugin(slot.instance.plugin(), &part, operation, error)
}

fn text(request: &CreateToken) -> Result<CreateText<'_>, Error> {
    CreateText::new(request).map_err(|error| Error::new(ErrorKind::InvalidArgument, error.to_string()))
}

/// An error as the wrappers are told it.
fn plugin_error(error: &Error) -> PluginError {
    error.plugin_error().cloned().unwrap_or_else(|| PluginError::failed(error))
}
