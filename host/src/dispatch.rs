//! The loop: asks handlers in call order, inside all wrappers.
//!
//! Nothing under here knows of files, configuration, HTTP or the command line.

use std::time::{Duration, Instant};

use token_plugin_api::{CreateToken, CreatedToken, PluginErrorKind, Result, Verdict};

use crate::{
    config::OnError,
    error::{Error, ErrorKind},
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
    /// Whether asking is to be timed.
    const TIMED: bool;
    fn asked(&mut self, handler: &HandlerSlot, said: &Result<Verdict>, took: Duration);
}

/// Watches nothing, at no cost.
pub(crate) struct Nobody;

impl Observer for Nobody {
    const TIMED: bool = false;
    fn asked(&mut self, _: &HandlerSlot, _: &Result<Verdict>, _: Duration) {}
}

/// Judges a token.
pub(crate) async fn verify<'r>(
    registry: &'r Registry,
    token: &str,
    context: &str,
    observer: &mut impl Observer,
) -> Answer<'r> {
    if registry.wrappers.is_empty() {
        return ask(registry, token, context, observer).await;
    }
    let mut entered = Entered::new(&registry.wrappers, context);
    let answer = match entered.before_verify(token) {
        Ok(()) => ask(registry, token, context, observer).await,
        Err(error) => Answer { by: None, verdict: Err(error) },
    };
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

async fn ask<'r, O: Observer>(registry: &'r Registry, token: &str, context: &str, observer: &mut O) -> Answer<'r> {
    let mut earlier_error = None;
    for handler in registry.candidates(token) {
        let asked = O::TIMED.then(Instant::now);
        let said = handler.verify(token, context).await;
        if let Some(asked) = asked {
            observer.asked(handler, &said, asked.elapsed());
        }
        let verdict = match said {
            Ok(Verdict::NotRecognized) => continue,
            Ok(verdict) => Ok(verdict),
            Err(error) => Err(handler.error("verify_token", error).into_cannot_tell()),
        };
        match verdict {
            Ok(Verdict::Accepted(_)) => return Answer { by: Some(handler), verdict },
            // "Cannot tell" is still the answer when nobody accepts.
            Err(_) if handler.on_error == OnError::Continue => {
                earlier_error.get_or_insert(Answer { by: Some(handler), verdict });
            }
            _ => return earlier_error.unwrap_or(Answer { by: Some(handler), verdict }),
        }
    }
    earlier_error.unwrap_or(Answer { by: None, verdict: Ok(Verdict::NotRecognized) })
}

/// Makes a token with the handler that the request names, or with the first in call order that can.
pub(crate) async fn create<'r>(
    registry: &'r Registry,
    request: &CreateToken,
    context: &str,
) -> Result<(&'r HandlerSlot, CreatedToken), Error> {
    if request.expires_after == Some(0) {
        return Err(Error::new(ErrorKind::InvalidArgument, "expires_after is 0 s, expected at least 1 s"));
    }
    let handlers = registry.chosen(request.handler.as_deref())?;
    let mut entered = Entered::new(&registry.wrappers, context);
    let made = match entered.before_create(request) {
        Ok(()) => make(handlers, request, context).await,
        Err(error) => Err(error),
    };
    let (by, created) = match made {
        Ok((by, created)) => (Some(by), Ok(created)),
        Err(error) => (None, Err(error)),
    };
    let created = entered.after_create(request, created)?;
    if created.token.len() > registry.max_token_bytes {
        let (bytes, limit) = (created.token.len(), registry.max_token_bytes);
        let message = format!("the token would be {bytes} bytes, longer than the {limit} that this host verifies");
        return Err(Error::new(ErrorKind::InvalidArgument, message));
    }
    // A wrapper can answer with a token where no handler did: then it counts as the first one's.
    Ok((by.unwrap_or(&handlers[0]), created))
}

async fn make<'r>(
    handlers: &'r [HandlerSlot],
    request: &CreateToken,
    context: &str,
) -> Result<(&'r HandlerSlot, CreatedToken), Error> {
    let mut unsupported = None;
    for handler in handlers {
        match handler.create(request, context).await {
            Ok(created) => return Ok((handler, created)),
            Err(error) if *error.kind() == PluginErrorKind::Unsupported => {
                unsupported.get_or_insert(handler.error("create_token", error));
            }
            Err(error) => return Err(handler.error("create_token", error)),
        }
    }
    Err(unsupported.unwrap_or_else(Error::no_handlers))
}
