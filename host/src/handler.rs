//! [`Handler`]: one of a plugin's handlers, inline, blocking or async, and what is asked of it.
//!
//! Whether it is asked at all is for its plugin's [`Breaker`](crate::breaker::Breaker) to say.

use std::{pin::Pin, sync::Arc, time::Duration};

use abi_stable::std_types::RString;
use async_ffi::FfiFuture;
use token_plugin_api::{
    CreateToken, CreatedToken, PluginError, PluginErrorKind, Result, Trial, Verdict,
    abi::{
        convert::{CreateText, HandlerDetails, created_from_v1, result_from_v1, verdict_from_v1},
        v1,
    },
};

use crate::{
    breaker::{Permit, Rules},
    execute::Stopped,
    inside::{self, Tag},
    instance::Instance,
    watchdog::{Part, Watched},
};

/// One of a plugin's handlers.
pub(crate) struct Handler {
    pub(crate) name: String,
    pub(crate) claims: Vec<String>,
    /// What may be tried before it serves.
    pub(crate) trial: Trial,
    /// What runs on the caller's task alone, and so has no deadline: inline handlers, and what async ones answer at once.
    pub(crate) watched: Option<Arc<Watched>>,
    object: Object,
}

enum Object {
    Inline(Arc<v1::Handler>, Tag),
    Blocking(Arc<v1::Handler>),
    Async(v1::AsyncHandler, Tag),
}

impl Handler {
    pub(crate) fn new(entry: v1::HandlerEntryV1, plugin: &str) -> Self {
        let name = String::from(entry.name);
        let claims = entry.claims.into_iter().map(Into::into).collect();
        let trial = HandlerDetails::from_v1(&entry.details).trial;
        let watched = Watched::new(plugin, Part::Handler, &name);
        let (object, watched) = match entry.handler {
            v1::HandlerKindV1::Inline(handler) => (Object::Inline(Arc::new(handler), watched.tag), Some(watched)),
            v1::HandlerKindV1::Blocking(handler) => (Object::Blocking(Arc::new(handler)), None),
            v1::HandlerKindV1::Async(handler) => (Object::Async(handler, watched.tag), Some(watched)),
        };
        Self { name, claims, trial, watched, object }
    }

    /// How it runs, as listings say it.
    pub(crate) fn execution(&self) -> &'static str {
        match self.object {
            Object::Inline(..) => "inline",
            Object::Blocking(_) => "blocking",
            Object::Async(..) => "async",
        }
    }

    pub(crate) fn is_inline(&self) -> bool {
        matches!(self.object, Object::Inline(..))
    }
}

impl Object {
    /// What it says without being waited for, if it does.
    #[inline]
    fn verify_at_once(&self, token: &str, context: &str) -> Option<v1::VerdictV1> {
        match self {
            Self::Inline(handler, tag) => {
                let _inside = inside::enter(*tag);
                Some(handler.verify(token.into(), context.into()))
            }
            Self::Async(handler, tag) => {
                let _inside = inside::enter(*tag);
                handler.verify_at_once(token.into(), context.into()).into_option()
            }
            Self::Blocking(_) => None,
        }
    }
}

/// An answer that is there, or that is waited for. Calls to inline handlers so cost neither an
/// allocation nor the room that waiting would need.
pub(crate) enum Said<'a, T> {
    Now(Result<T>),
    Later(Later<'a, T>),
}

/// An answer that is waited for.
pub(crate) type Later<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

impl<T> Said<'_, T> {
    pub(crate) async fn answer(self) -> Result<T> {
        match self {
            Self::Now(answer) => answer,
            Self::Later(answer) => answer.await,
        }
    }
}

impl Instance {
    /// Asks one of its handlers to judge a token.
    #[inline]
    pub(crate) fn verify<'a>(
        &'a self,
        handler: usize,
        deadline: Duration,
        rules: &'a Rules,
        token: &str,
        context: &str,
    ) -> Said<'a, Verdict> {
        // The usual case by itself. The verdict is looked at before it is read: once read it would have to be moved for
        // that, which costs more than breaker and watchdog together.
        if self.breaker.is_untroubled()
            && let Some(verdict) = self.handlers[handler].object.verify_at_once(token, context)
        {
            if is_answer(&verdict) {
                return Said::Now(verdict_from_v1(verdict));
            }
            return self.verified(rules, verdict);
        }
        self.verify_or_refuse(handler, deadline, rules, token, context)
    }

    /// A verdict that was there at once, and may be an error.
    #[cold]
    #[inline(never)]
    fn verified(&self, rules: &Rules, verdict: v1::VerdictV1) -> Said<'_, Verdict> {
        let verdict = verdict_from_v1(verdict);
        self.breaker.untroubled(rules).settle(&verdict);
        Said::Now(verdict)
    }

    /// Any handler's, in whatever state the breaker is.
    #[inline(never)]
    fn verify_or_refuse<'a>(
        &'a self,
        handler: usize,
        deadline: Duration,
        rules: &'a Rules,
        token: &str,
        context: &str,
    ) -> Said<'a, Verdict> {
        let permit = match self.breaker.admit(rules) {
            Ok(permit) => permit,
            Err(refusal) => return Said::Now(Err(refusal)),
        };
        match &self.handlers[handler].object {
            Object::Inline(handler, tag) => {
                let _inside = inside::enter(*tag);
                let verdict = verdict_from_v1(handler.verify(token.into(), context.into()));
                permit.settle(&verdict);
                Said::Now(verdict)
            }
            Object::Blocking(handler) => {
                let (handler, token, context) = (Arc::clone(handler), token.to_owned(), context.to_owned());
                self.blocking(permit, deadline, move || {
                    verdict_from_v1(handler.verify(token.as_str().into(), context.as_str().into()))
                })
            }
            Object::Async(handler, _) => {
                self.future(permit, deadline, handler.verify(token.into(), context.into()), verdict_from_v1)
            }
        }
    }

    /// Asks one of its handlers to make a token.
    pub(crate) fn create<'a>(
        &'a self,
        handler: usize,
        deadline: Duration,
        rules: &'a Rules,
        request: &CreateToken,
        context: &str,
    ) -> Said<'a, CreatedToken> {
        let admitted = CreateText::new(request).and_then(|text| Ok((text, self.breaker.admit(rules)?)));
        let (text, permit) = match admitted {
            Ok(admitted) => admitted,
            Err(error) => return Said::Now(Err(error)),
        };
        match &self.handlers[handler].object {
            Object::Inline(handler, tag) => {
                let _inside = inside::enter(*tag);
                let created = created_from_v1(handler.create(text.view(), context.into()));
                permit.settle(&created);
                Said::Now(created)
            }
            Object::Blocking(handler) => {
                let (handler, request, context) = (Arc::clone(handler), request.clone(), context.to_owned());
                self.blocking(permit, deadline, move || {
                    created_from_v1(handler.create(CreateText::new(&request)?.view(), context.as_str().into()))
                })
            }
            Object::Async(handler, _) => {
                self.future(permit, deadline, handler.create(text.view(), context.into()), created_from_v1)
            }
        }
    }

    /// Asks one of its handlers for an operation on tokens that it keeps; request and answer are JSON.
    /// Inline handlers are asked on the plugin's threads, too: what they keep may lie on a disk.
    pub(crate) fn manage<'a>(
        &'a self,
        handler: usize,
        deadline: Duration,
        rules: &'a Rules,
        operation: &'static str,
        request: String,
        context: &str,
    ) -> Said<'a, String> {
        let permit = match self.breaker.admit(rules) {
            Ok(permit) => permit,
            Err(refusal) => return Said::Now(Err(refusal)),
        };
        let read = |answer| result_from_v1(answer).map(RString::into_string);
        match &self.handlers[handler].object {
            Object::Inline(handler, _) | Object::Blocking(handler) => {
                let (handler, context) = (Arc::clone(handler), context.to_owned());
                self.blocking(permit, deadline, move || {
                    read(handler.manage(operation.into(), request.as_str().into(), context.as_str().into()))
                })
            }
            Object::Async(handler, _) => {
                let answer = handler.manage(operation.into(), request.as_str().into(), context.into());
                self.future(permit, deadline, answer, read)
            }
        }
    }

    /// Asks one of its stores for an operation; request and answer are JSON.
    pub(crate) fn ask_store<'a>(
        &'a self,
        store: usize,
        deadline: Duration,
        rules: &'a Rules,
        operation: &'static str,
        request: String,
    ) -> Said<'a, String> {
        let permit = match self.breaker.admit(rules) {
            Ok(permit) => permit,
            Err(refusal) => return Said::Now(Err(refusal)),
        };
        let answer = self.stores[store].object.call(operation.into(), request.as_str().into());
        self.future(permit, deadline, answer, |answer| result_from_v1(answer).map(RString::into_string))
    }

    fn blocking<'a, T: Send + 'static>(
        &'a self,
        permit: Permit<'a>,
        deadline: Duration,
        call: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Said<'a, T> {
        let answer = self.lane.blocking(deadline, call);
        Said::Later(Box::pin(permit.settle_later(async move { answer.await.map_err(stopped(deadline))? })))
    }

    fn future<'a, A: Send + 'static, T: 'a>(
        &'a self,
        permit: Permit<'a>,
        deadline: Duration,
        future: FfiFuture<A>,
        read: impl FnOnce(A) -> Result<T> + Send + 'a,
    ) -> Said<'a, T> {
        let answer = self.lane.future(deadline, future);
        Said::Later(Box::pin(permit.settle_later(async move { read(answer.await.map_err(stopped(deadline))?) })))
    }
}

/// Whether it is certain to be read as an answer: it is no error, and there is nothing in it that might be unreadable.
#[inline]
fn is_answer(verdict: &v1::VerdictV1) -> bool {
    match verdict {
        v1::VerdictV1::NotRecognized | v1::VerdictV1::Rejected(_) => true,
        v1::VerdictV1::Accepted(actor) => {
            actor.more.as_ref().into_option().is_none_or(|more| more.restrictions.is_none())
        }
        v1::VerdictV1::Failed(_) => false,
    }
}

pub(crate) fn stopped(deadline: Duration) -> impl Fn(Stopped) -> PluginError {
    move |stopped| match stopped {
        Stopped::Deadline => PluginError::new(
            PluginErrorKind::DeadlineExceeded,
            format!("no answer within its deadline of {} ms", deadline.as_millis()),
        ),
        Stopped::Crowded => PluginError::new(PluginErrorKind::Overloaded, Stopped::Crowded.to_string()),
        Stopped::Failed(why) => PluginError::failed(why),
    }
}
