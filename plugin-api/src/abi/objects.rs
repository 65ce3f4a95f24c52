//! The boundary's traits, implemented for what an author registered: convert, enter the fence, call.

use std::sync::Arc;

use abi_stable::{
    sabi_trait::{TD_CanDowncast, TD_Opaque},
    std_types::{ROption, RResult, RStr, RString, RVec},
};
use async_ffi::{FfiFuture, FutureExt};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::{
    convert::{
        create_from_v1, created_from_v1, created_to_v1, error_to_v1, result_to_v1, verdict_from_v1, verdict_to_v1,
    },
    fence::{FencedFuture, Guarded, fenced, without_token},
    services::HostServices,
    v1,
};
use crate::{
    AsyncTokenHandler, Call, Event, EventSink, HostHandle, PluginError, Result, TokenGenerator, TokenHandler, Wrapper,
};

/// An author's value with what is needed to call it.
pub(super) struct Object<T>(Guarded<T>, HostHandle);

impl<T> Object<T> {
    pub(super) fn new(value: T, host: &HostHandle, what: &'static str) -> Self {
        Self(Guarded::new(value, Arc::clone(&host.0), what), host.clone())
    }

    /// The author's value.
    pub(super) fn value(&self) -> &T {
        &self.0
    }

    /// Runs author code about a call that came with this context.
    fn call<R>(&self, context: RStr<'_>, code: impl FnOnce(&T, &Call<'_>) -> Result<R>) -> Result<R> {
        // Nothing is cloned here: a count that all threads touch would keep them from scaling.
        fenced(self.0.services(), || code(&self.0, &Call { host: &self.1, context: context.as_str() }))
    }

    /// Runs author code that is about no call.
    fn enter<R>(&self, code: impl FnOnce(&T) -> Result<R>) -> Result<R> {
        fenced(self.0.services(), || code(&self.0))
    }
}

pub(super) fn from_json<T: DeserializeOwned>(text: RStr<'_>) -> Result<T> {
    // The error is not quoted: it would quote the text.
    serde_json::from_str(text.as_str())
        .map_err(|_| PluginError::invalid_argument("the request is not of a form that this version knows"))
}

pub(super) fn to_json<T: Serialize>(value: Result<T>) -> Result<RString> {
    serde_json::to_string(&value?).map(RString::from).map_err(PluginError::failed)
}

/// The operations of [`v1::HandlerV1::manage`].
pub(crate) mod operation {
    pub(crate) const LIST: &str = "list_tokens";
    pub(crate) const GET: &str = "get_token";
    pub(crate) const INVALIDATE: &str = "invalidate_tokens";
    pub(crate) const UPDATE: &str = "update_token";
    pub(crate) const DELETE: &str = "delete_tokens";
    pub(crate) const IMPORT: &str = "import_tokens";
    pub(crate) const SET_ACTORS: &str = "set_actors";
    pub(crate) const LIST_INACTIVE_ACTORS: &str = "list_inactive_actors";
    pub(crate) const MIGRATE: &str = "migrate";
}

impl<H: TokenHandler> v1::HandlerV1 for Object<H> {
    fn verify(&self, token: RStr<'_>, context: RStr<'_>) -> v1::VerdictV1 {
        let verdict = self.call(context, |handler, call| handler.verify_token(call, token.as_str()));
        verdict_to_v1(without_token(verdict, token.as_str()))
    }

    fn create(&self, request: v1::CreateV1<'_>, context: RStr<'_>) -> RResult<v1::CreatedV1, v1::ErrorV1> {
        created_to_v1(self.call(context, |handler, call| handler.create_token(call, &create_from_v1(request)?)))
    }

    fn manage(&self, operation: RStr<'_>, request: RStr<'_>, context: RStr<'_>) -> RResult<RString, v1::ErrorV1> {
        result_to_v1(self.call(context, |handler, call| match operation.as_str() {
            operation::LIST => to_json(handler.list_tokens(call, &from_json(request)?)),
            operation::GET => to_json(handler.get_token(call, &from_json(request)?)),
            operation::INVALIDATE => to_json(handler.invalidate_tokens(call, &from_json(request)?)),
            operation::UPDATE => to_json(handler.update_token(call, &from_json(request)?)),
            operation::DELETE => to_json(handler.delete_tokens(call, &from_json(request)?)),
            operation::IMPORT => to_json(handler.import_tokens(call, &from_json(request)?)),
            operation::SET_ACTORS => to_json(handler.set_actors(call, &from_json(request)?)),
            operation::LIST_INACTIVE_ACTORS => to_json(handler.list_inactive_actors(call, &from_json(request)?)),
            operation::MIGRATE => to_json(handler.migrate(call, &from_json(request)?)),
            _ => Err(PluginError::unsupported("this operation")),
        }))
    }
}

/// An async handler, shared with its futures.
pub(super) struct AsyncObject<H>(Arc<Guarded<H>>, HostHandle);

impl<H: AsyncTokenHandler> AsyncObject<H> {
    pub(super) fn new(handler: H, host: &HostHandle) -> Self {
        Self(Arc::new(Guarded::new(handler, Arc::clone(&host.0), "the handler")), host.clone())
    }

    /// The author's value.
    pub(super) fn value(&self) -> &H {
        &self.0
    }

    fn start<R, F>(
        &self,
        context: RStr<'_>,
        code: impl FnOnce(Arc<Guarded<H>>, HostHandle, String) -> F,
    ) -> FencedFuture<F>
    where
        F: Future<Output = Result<R>> + Send + 'static,
    {
        let (services, host) = (Arc::clone(self.0.services()), self.1.clone());
        // The author's code is not entered before the first poll: an `async` block starts lazily.
        FencedFuture::new(code(Arc::clone(&self.0), host, context.as_str().to_owned()), services)
    }
}

impl<H: AsyncTokenHandler> v1::AsyncHandlerV1 for AsyncObject<H> {
    fn verify_at_once(&self, token: RStr<'_>, context: RStr<'_>) -> ROption<v1::VerdictV1> {
        let call = Call { host: &self.1, context: context.as_str() };
        let verdict = fenced(self.0.services(), || self.0.verify_at_once(&call, token.as_str()).transpose());
        verdict.transpose().map(|verdict| verdict_to_v1(without_token(verdict, token.as_str()))).into()
    }

    fn verify(&self, token: RStr<'_>, context: RStr<'_>) -> FfiFuture<v1::VerdictV1> {
        let token = token.as_str().to_owned();
        let kept = token.clone();
        let verdict = self.start(context, |handler, host, context| async move {
            handler.verify_token(&Call { host: &host, context: &context }, &token).await
        });
        async move { verdict_to_v1(without_token(verdict.await, &kept)) }.into_ffi()
    }

    fn create(&self, request: v1::CreateV1<'_>, context: RStr<'_>) -> FfiFuture<RResult<v1::CreatedV1, v1::ErrorV1>> {
        let request = create_from_v1(request);
        let created = self.start(context, |handler, host, context| async move {
            handler.create_token(&Call { host: &host, context: &context }, &request?).await
        });
        async move { created_to_v1(created.await) }.into_ffi()
    }

    fn manage(
        &self,
        operation: RStr<'_>,
        request: RStr<'_>,
        context: RStr<'_>,
    ) -> FfiFuture<RResult<RString, v1::ErrorV1>> {
        let (operation, request) = (operation.as_str().to_owned(), request.as_str().to_owned());
        let answer = self.start(context, |handler, host, context| async move {
            let call = Call { host: &host, context: &context };
            let request = RStr::from(request.as_str());
            match operation.as_str() {
                operation::LIST => to_json(handler.list_tokens(&call, &from_json(request)?).await),
                operation::GET => to_json(handler.get_token(&call, &from_json(request)?).await),
                operation::INVALIDATE => to_json(handler.invalidate_tokens(&call, &from_json(request)?).await),
                operation::UPDATE => to_json(handler.update_token(&call, &from_json(request)?).await),
                operation::DELETE => to_json(handler.delete_tokens(&call, &from_json(request)?).await),
                operation::IMPORT => to_json(handler.import_tokens(&call, &from_json(request)?).await),
                operation::SET_ACTORS => to_json(handler.set_actors(&call, &from_json(request)?).await),
                operation::LIST_INACTIVE_ACTORS => {
                    to_json(handler.list_inactive_actors(&call, &from_json(request)?).await)
                }
                operation::MIGRATE => to_json(handler.migrate(&call, &from_json(request)?).await),
                _ => Err(PluginError::unsupported("this operation")),
            }
        });
        async move { result_to_v1(answer.await) }.into_ffi()
    }
}

impl<W: Wrapper> Object<W> {
    fn hold(&self, state: W::State) -> v1::State {
        let state = Guarded::new(state, Arc::clone(self.0.services()), "the wrapper's state");
        v1::State::from_value(HeldState(state), TD_CanDowncast)
    }
}

fn release<S: Send + 'static>(state: v1::State) -> Result<S> {
    match state.obj.downcast_into::<HeldState<S>>() {
        Ok(held) => Ok(abi_stable::std_types::RBox::into_inner(held).0.into_inner()),
        Err(_) => Err(PluginError::failed("the host handed over the state of another wrapper")),
    }
}

struct HeldState<S>(Guarded<S>);

impl<S: Send + 'static> v1::WrapperStateV1 for HeldState<S> {}

impl<W: Wrapper> v1::WrapperV1 for Object<W> {
    fn before_verify(&self, token: RStr<'_>, context: RStr<'_>) -> RResult<v1::State, v1::ErrorV1> {
        let state = self.call(context, |wrapper, call| wrapper.before_verify(call, token.as_str()));
        result_to_v1(without_token(state, token.as_str()).map(|state| self.hold(state)))
    }

    fn after_verify(
        &self,
        state: v1::State,
        token: RStr<'_>,
        context: RStr<'_>,
        outcome: v1::VerdictV1,
    ) -> v1::VerdictV1 {
        let verdict = self.call(context, |wrapper, call| {
            wrapper.after_verify(call, release(state)?, token.as_str(), verdict_from_v1(outcome))
        });
        verdict_to_v1(without_token(verdict, token.as_str()))
    }

    fn before_create(&self, request: v1::CreateV1<'_>, context: RStr<'_>) -> RResult<v1::State, v1::ErrorV1> {
        let state = self.call(context, |wrapper, call| wrapper.before_create(call, &create_from_v1(request)?));
        result_to_v1(state.map(|state| self.hold(state)))
    }

    fn after_create(
        &self,
        state: v1::State,
        request: v1::CreateV1<'_>,
        context: RStr<'_>,
        outcome: RResult<v1::CreatedV1, v1::ErrorV1>,
    ) -> RResult<v1::CreatedV1, v1::ErrorV1> {
        created_to_v1(self.call(context, |wrapper, call| {
            wrapper.after_create(call, release(state)?, &create_from_v1(request)?, created_from_v1(outcome))
        }))
    }
}

impl<S: EventSink> v1::EventSinkV1 for Object<S> {
    fn record(&self, events: RStr<'_>) -> RResult<(), v1::ErrorV1> {
        result_to_v1(self.enter(|sink| sink.record_all(&from_json::<Vec<Event>>(events)?)))
    }
}

impl<G: TokenGenerator> v1::TokenGeneratorV1 for Object<G> {
    fn create_token(&self, token_info: RStr<'_>) -> RResult<RString, v1::ErrorV1> {
        let token = self.enter(|generator| generator.create_token(&from_json::<Map<String, Value>>(token_info)?));
        result_to_v1(token.map(RString::from))
    }

    fn validate_token(&self, token: RStr<'_>, token_info: RStr<'_>) -> RResult<bool, v1::ErrorV1> {
        result_to_v1(self.enter(|generator| generator.validate_token(token.as_str(), &from_json(token_info)?)))
    }
}

struct InstanceKeeper(Arc<HostServices>);

impl v1::KeeperV1 for InstanceKeeper {
    fn faults(&self) -> RVec<RString> {
        self.0.take_faults()
    }

    fn manage(&self, _: RStr<'_>, _: RStr<'_>) -> RResult<RString, v1::ErrorV1> {
        result_to_v1(Err(PluginError::unsupported("this operation")))
    }
}

pub(super) fn keeper(services: &Arc<HostServices>) -> v1::Keeper {
    v1::Keeper::from_value(InstanceKeeper(Arc::clone(services)), TD_Opaque)
}

/// An error that answers the request for an instance.
pub(super) fn refused(error: PluginError) -> RResult<v1::InstanceV1, v1::ErrorV1> {
    RResult::RErr(error_to_v1(error))
}
