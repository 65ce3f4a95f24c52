//! [`ResponseBody`]: the inner service's body, or the host's own.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

pin_project! {
    /// The body of the inner service's response; or, of a refusal, the host's own.
    pub struct ResponseBody<R> {
        #[pin]
        kind: Kind<R>,
    }
}

pin_project! {
    #[project = KindProjection]
    enum Kind<R> {
        Served { #[pin] body: R },
        Refused { bytes: Vec<u8> },
    }
}

impl<R> ResponseBody<R> {
    pub(super) fn served(body: R) -> Self {
        Self { kind: Kind::Served { body } }
    }

    pub(super) fn refused(bytes: Vec<u8>) -> Self {
        Self { kind: Kind::Refused { bytes } }
    }
}

impl<R: Body<Data: From<Vec<u8>>>> Body for ResponseBody<R> {
    type Data = R::Data;
    type Error = R::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        match self.project().kind.project() {
            KindProjection::Served { body } => body.poll_frame(context),
            KindProjection::Refused { bytes } if bytes.is_empty() => Poll::Ready(None),
            KindProjection::Refused { bytes } => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes).into())))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Served { body } => body.is_end_stream(),
            Kind::Refused { bytes } => bytes.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Served { body } => body.size_hint(),
            Kind::Refused { bytes } => SizeHint::with_exact(bytes.len() as u64),
        }
    }
}

impl<R> fmt::Debug for ResponseBody<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.kind {
            Kind::Served { .. } => "Served",
            Kind::Refused { .. } => "Refused",
        })
    }
}
