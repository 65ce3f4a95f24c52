//! [`TokenRequired`]: the service that the layer makes, and the future of its responses.

use std::{
    fmt, mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{HeaderValue, Request, Response, request::Parts};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::{ResponseBody, Terms};
use crate::authenticate::{Identity, Refusal, TOKEN_DEPRECATED};

/// A service that is called only for requests with a good token: see [`RequireToken`](super::RequireToken).
#[derive(Debug, Clone)]
pub struct TokenRequired<S> {
    inner: S,
    terms: Arc<Terms>,
}

impl<S> TokenRequired<S> {
    pub(super) fn new(inner: S, terms: Arc<Terms>) -> Self {
        Self { inner, terms }
    }
}

impl<S, B, R> Service<Request<B>> for TokenRequired<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    R: Body<Data: From<Vec<u8>>>,
{
    type Response = Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, B>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // It is this one that said it is ready, and not its clone.
        let next = self.inner.clone();
        let ready = mem::replace(&mut self.inner, next);
        let (mut parts, body) = request.into_parts();
        parts.extensions.remove::<Identity>();
        let terms = Arc::clone(&self.terms);
        let judging = Box::pin(async move {
            let judged = terms.judge(&parts).await;
            (parts, judged)
        });
        let waiting = Some(Waiting { service: ready, body, terms: Arc::clone(&self.terms) });
        ResponseFuture { state: State::Judging { judging, waiting } }
    }
}

pin_project! {
    /// The response that is to come.
    ///
    /// The verification in it is one allocation a request: what an `async fn` returns has no name and borrows the request.
    /// It costs some 50 ns; to serve a request takes microseconds.
    pub struct ResponseFuture<S, B>
    where
        S: Service<Request<B>>,
    {
        #[pin]
        state: State<S, B>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<S, B>
    where
        S: Service<Request<B>>,
    {
        Judging { judging: Judging, waiting: Option<Waiting<S, B>> },
        Serving { #[pin] serving: S::Future, is_deprecated: bool },
    }
}

/// The request's parts, and what was found out.
type Judging = Pin<Box<dyn Future<Output = (Parts, Result<Option<Identity>, Refusal>)> + Send>>;

/// What is needed once the request is judged.
struct Waiting<S, B> {
    service: S,
    body: B,
    terms: Arc<Terms>,
}

impl<S, B, R> Future for ResponseFuture<S, B>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: Body<Data: From<Vec<u8>>>,
{
    type Output = Result<Response<ResponseBody<R>>, S::Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let next = match state.as_mut().project() {
                StateProjection::Judging { judging, waiting } => {
                    let (parts, judged) = ready!(judging.as_mut().poll(context));
                    // Once it is over, it is not asked again.
                    let Some(Waiting { mut service, body, terms }) = waiting.take() else { return Poll::Pending };
                    let (identity, mut request) = match judged {
                        Ok(identity) => (identity, Request::from_parts(parts, body)),
                        Err(refusal) => {
                            let response = terms.refused(&refusal);
                            return Poll::Ready(Ok(response.map(ResponseBody::refused)));
                        }
                    };
                    let is_deprecated = identity.as_ref().is_some_and(|identity| identity.actor.is_token_deprecated());
                    let extensions = request.extensions_mut();
                    #[cfg(feature = "axum")]
                    extensions.insert(crate::axum::Judged(terms.authenticator.clone()));
                    if let Some(identity) = identity {
                        extensions.insert(identity);
                    }
                    State::Serving { serving: service.call(request), is_deprecated }
                }
                StateProjection::Serving { serving, is_deprecated } => {
                    let mut response = ready!(serving.poll(context))?;
                    if *is_deprecated {
                        response.headers_mut().insert(TOKEN_DEPRECATED, HeaderValue::from_static("true"));
                    }
                    return Poll::Ready(Ok(response.map(ResponseBody::served)));
                }
            };
            state.set(next);
        }
    }
}

impl<S: Service<Request<B>>, B> fmt::Debug for ResponseFuture<S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.state {
            State::Judging { .. } => "Judging",
            State::Serving { .. } => "Serving",
        })
    }
}
