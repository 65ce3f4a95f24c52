//! The loop for a verification: asks the handlers that claim a token, in call order, inside all wrappers.
//!
//! Nothing under here knows of files, configuration, HTTP or the command line.

use std::time::{Duration, Instant};

use token_plugin_api::{PluginError, Result, Verdict};

use crate::{
    config::OnError,
    error::{Error, ErrorKind},
    handler::{Later, Said},
    registry::{HandlerSlot, Registry},
    wrap::Entered,
};

/// A verdict, and the handler that gave it, or could not.
pub(crate) struct Answer<'r> {
    pub(crate) by: Option<&'r HandlerSlot>,
    pub(crate) verdict: Result<Verdict, Error>,
}

/// Watches the loop, for `explain`.
pub(crate) trait Observer: Send {
    /// The time, when asking is to be timed.
    fn now(&self) -> Option<Instant> {
        Some(Instant::now())
    }

    fn asked(&mut self, handler: &HandlerSlot, said: &Result<Verdict>, took: Duration);
}

/// Watches nothing, at no cost.
pub(crate) struct Nobody;

impl Observer for Nobody {
    fn now(&self) -> Option<Instant> {
        None
    }

    fn asked(&mut self, _: &HandlerSlot, _: &Result<Verdict>, _: Duration) {}
}

/// Judges a token.
pub(crate) async fn verify<'r>(
    registry: &'r Registry,
    token: &str,
    context: &str,
    observer: &mut impl Observer,
) -> Answer<'r> {
    let mut entered = Entered::new(&registry.wrappers, context);
    let answer = match entered.before_verify(token) {
        Ok(()) => match Begun::new(Asking::new(registry, token), token, context, observer) {
            Begun::Over(answer) => answer,
            Begun::Waits(waiting) => waiting.finish(token, context, observer).await,
        },
        Err(error) => Answer { by: None, verdict: Err(error) },
    };
    leave(entered, token, answer)
}

/// A verification inside of the wrappers that has begun: it is over, or a handler is to be waited for.
pub(crate) enum Begun<'r> {
    Over(Answer<'r>),
    Waits(Waiting<'r>),
}

/// A verification that waits for a handler.
pub(crate) struct Waiting<'r> {
    asking: Asking<'r>,
    handler: &'r HandlerSlot,
    said: Later<'r, Verdict>,
}

/// Judges a token where there are no wrappers, as far as that goes without waiting: what is known at once costs none of
/// what waiting does.
pub(crate) fn begin<'r>(registry: &'r Registry, token: &str, context: &str) -> Begun<'r> {
    Begun::new(Asking::new(registry, token), token, context, &mut Nobody)
}

impl<'r> Begun<'r> {
    fn new(mut asking: Asking<'r>, token: &str, context: &str, observer: &mut impl Observer) -> Self {
        match asking.proceed(token, context, observer) {
            Progress::Decided(answer) => Self::Over(answer),
            Progress::Waits(handler, said) => Self::Waits(Waiting { asking, handler, said }),
        }
    }
}

impl<'r> Waiting<'r> {
    /// Waits, and asks on, until it is over.
    pub(crate) async fn finish(self, token: &str, context: &str, observer: &mut impl Observer) -> Answer<'r> {
        let Self { mut asking, mut handler, mut said } = self;
        loop {
            let asked = observer.now();
            if let Some(answer) = asking.heard(handler, said.await, asked, observer) {
                return answer;
            }
            match asking.proceed(token, context, observer) {
                Progress::Decided(answer) => return answer,
                Progress::Waits(next, later) => (handler, said) = (next, later),
            }
        }
    }
}

/// Judges a token when no handler of the registry ever waits: without what waiting costs.
pub(crate) fn verify_inline<'r>(registry: &'r Registry, token: &str, context: &str) -> Answer<'r> {
    let mut asking = Asking::new(registry, token);
    if registry.wrappers.is_empty() {
        return asking.proceed(token, context, &mut Nobody).decided();
    }
    let mut entered = Entered::new(&registry.wrappers, context);
    let answer = match entered.before_verify(token) {
        Ok(()) => asking.proceed(token, context, &mut Nobody).decided(),
        Err(error) => Answer { by: None, verdict: Err(error) },
    };
    leave(entered, token, answer)
}

fn leave<'r>(mut entered: Entered<'_>, token: &str, answer: Answer<'r>) -> Answer<'r> {
    let verdict = match entered.after_verify(token, answer.verdict) {
        // A wrapper that rejects the token has judged it.
        Err(error) => match error.kind() {
            ErrorKind::TokenInvalid(reason) => Ok(Verdict::Rejected(reason.clone())),
            _ => Err(error.into_cannot_tell()),
        },
        verdict => verdict,
    };
    Answer { by: answer.by, verdict }
}

/// The loop over the handlers that claim a token, in call order.
struct Asking<'r> {
    registry: &'r Registry,
    candidates: std::slice::Iter<'r, usize>,
    earlier_error: Option<Answer<'r>>,
}

enum Progress<'r> {
    Decided(Answer<'r>),
    /// This handler's answer is to be waited for, and then to be heard.
    Waits(&'r HandlerSlot, Later<'r, Verdict>),
}

impl<'r> Asking<'r> {
    #[inline]
    fn new(registry: &'r Registry, token: &str) -> Self {
        Self { registry, candidates: registry.candidates(token).iter(), earlier_error: None }
    }

    fn proceed(&mut self, token: &str, context: &str, observer: &mut impl Observer) -> Progress<'r> {
        while let Some(&place) = self.candidates.next() {
            let handler = &self.registry.handlers[place];
            let asked = observer.now();
            match handler.verify(token, context) {
                Said::Now(said) => {
                    if let Some(answer) = self.heard(handler, said, asked, observer) {
                        return Progress::Decided(answer);
                    }
                }
                Said::Later(said) => return Progress::Waits(handler, said),
            }
        }
        let nobody = Answer { by: None, verdict: Ok(Verdict::NotRecognized) };
        Progress::Decided(self.earlier_error.take().unwrap_or(nobody))
    }

    /// What a handler's answer means for the call; `None`: the next one is asked.
    #[inline]
    fn heard(
        &mut self,
        handler: &'r HandlerSlot,
        said: Result<Verdict>,
        asked: Option<Instant>,
        observer: &mut impl Observer,
    ) -> Option<Answer<'r>> {
        if let Some(asked) = asked {
            observer.asked(handler, &said, asked.elapsed());
        }
        let verdict = match said {
            Ok(Verdict::NotRecognized) => return None,
            Ok(verdict) => Ok(verdict),
            Err(error) => Err(handler.error("verify_token", error).into_cannot_tell()),
        };
        let accepted = matches!(verdict, Ok(Verdict::Accepted(_)));
        let may_go_on = verdict.is_err() && handler.on_error == OnError::Continue;
        let answer = Answer { by: Some(handler), verdict };
        if may_go_on {
            self.earlier_error.get_or_insert(answer);
            return None;
        }
        // "Cannot tell" is still the answer when nobody accepts.
        let earlier = self.earlier_error.take().filter(|_| !accepted);
        Some(earlier.unwrap_or(answer))
    }
}

impl<'r> Progress<'r> {
    /// The answer of a loop in which no handler ever waits.
    fn decided(self) -> Answer<'r> {
        match self {
            Self::Decided(answer) => answer,
            Self::Waits(handler, _) => {
                Answer { by: Some(handler), verdict: Err(handler.error("verify_token", waited())) }
            }
        }
    }
}

/// What the loops answer should a handler of an inline registry wait, which none does.
pub(crate) fn waited() -> PluginError {
    PluginError::failed("an inline handler was waited for")
}
