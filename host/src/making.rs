//! The loop for a creation: the handler that is named, or the first in call order that can.

use token_plugin_api::{CreateToken, CreatedToken, PluginErrorKind, Result};

use crate::{
    dispatch::waited,
    error::{Error, ErrorKind},
    handler::{Later, Said},
    registry::{HandlerSlot, Registry},
    wrap::Entered,
};

/// Makes a token with the handler that the request names, or with the first in call order that can.
pub(crate) async fn create<'r>(
    registry: &'r Registry,
    request: &CreateToken,
    context: &str,
) -> Result<(&'r HandlerSlot, CreatedToken), Error> {
    let mut making = Making::new(registry, request)?;
    let mut entered = Entered::new(&registry.wrappers, context);
    let made = match entered.before_create(request) {
        Ok(()) => loop {
            match making.proceed(request, context) {
                Made::Decided(made) => break made,
                Made::Waits(handler, created) => {
                    if let Some(made) = making.heard(handler, created.await) {
                        break made;
                    }
                }
            }
        },
        Err(error) => Err(error),
    };
    making.leave(entered, request, made)
}

/// Makes a token when no handler of the registry ever waits: without what waiting costs.
pub(crate) fn create_inline<'r>(
    registry: &'r Registry,
    request: &CreateToken,
    context: &str,
) -> Result<(&'r HandlerSlot, CreatedToken), Error> {
    let mut making = Making::new(registry, request)?;
    if registry.wrappers.is_empty() {
        let (by, created) = making.proceed(request, context).decided()?;
        return making.bounded(by, created);
    }
    let mut entered = Entered::new(&registry.wrappers, context);
    let made = match entered.before_create(request) {
        Ok(()) => making.proceed(request, context).decided(),
        Err(error) => Err(error),
    };
    making.leave(entered, request, made)
}

/// The loop over the handlers that may make a token, in call order.
struct Making<'r> {
    max_token_bytes: usize,
    first: &'r HandlerSlot,
    handlers: std::slice::Iter<'r, HandlerSlot>,
    unsupported: Option<Error>,
}

enum Made<'r> {
    Decided(Result<(&'r HandlerSlot, CreatedToken), Error>),
    /// This handler's answer is to be waited for, and then to be heard.
    Waits(&'r HandlerSlot, Later<'r, CreatedToken>),
}

impl<'r> Making<'r> {
    fn new(registry: &'r Registry, request: &CreateToken) -> Result<Self, Error> {
        if request.expires_after == Some(0) {
            return Err(Error::new(ErrorKind::InvalidArgument, "expires_after is 0 s, expected at least 1 s"));
        }
        let handlers = registry.chosen(request.handler.as_deref())?;
        let first = handlers.first().ok_or_else(Error::no_handlers)?;
        Ok(Self { max_token_bytes: registry.max_token_bytes, first, handlers: handlers.iter(), unsupported: None })
    }

    fn proceed(&mut self, request: &CreateToken, context: &str) -> Made<'r> {
        while let Some(handler) = self.handlers.next() {
            match handler.create(request, context) {
                Said::Now(created) => {
                    if let Some(made) = self.heard(handler, created) {
                        return Made::Decided(made);
                    }
                }
                Said::Later(created) => return Made::Waits(handler, created),
            }
        }
        Made::Decided(Err(self.unsupported.take().unwrap_or_else(Error::no_handlers)))
    }

    /// What a handler's answer means for the call; `None`: the next one is asked.
    fn heard(
        &mut self,
        handler: &'r HandlerSlot,
        created: Result<CreatedToken>,
    ) -> Option<Result<(&'r HandlerSlot, CreatedToken), Error>> {
        match created {
            Ok(created) => Some(Ok((handler, created))),
            Err(error) if *error.kind() == PluginErrorKind::Unsupported => {
                self.unsupported.get_or_insert_with(|| handler.error("create_token", error));
                None
            }
            Err(error) => Some(Err(handler.error("create_token", error))),
        }
    }

    fn leave(
        self,
        mut entered: Entered<'_>,
        request: &CreateToken,
        made: Result<(&'r HandlerSlot, CreatedToken), Error>,
    ) -> Result<(&'r HandlerSlot, CreatedToken), Error> {
        let (by, created) = match made {
            Ok((by, created)) => (by, Ok(created)),
            // A wrapper may answer with a token where no handler did: then it counts as the first one's.
            Err(error) => (self.first, Err(error)),
        };
        let created = entered.after_create(request, created)?;
        self.bounded(by, created)
    }

    /// A token that the host would refuse to verify is not made.
    fn bounded(&self, by: &'r HandlerSlot, created: CreatedToken) -> Result<(&'r HandlerSlot, CreatedToken), Error> {
        if created.token.len() > self.max_token_bytes {
            let (bytes, limit) = (created.token.len(), self.max_token_bytes);
            let message = format!("the token would be {bytes} bytes, longer than the {limit} that this host verifies");
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        Ok((by, created))
    }
}

impl<'r> Made<'r> {
    /// The answer of a loop in which no handler ever waits.
    fn decided(self) -> Result<(&'r HandlerSlot, CreatedToken), Error> {
        match self {
            Self::Decided(made) => made,
            Self::Waits(handler, _) => Err(handler.error("create_token", waited())),
        }
    }
}
