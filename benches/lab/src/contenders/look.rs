//! The least layer that notices whether its token was refused.

use std::{
    convert::Infallible,
    future::Future,
    hint::black_box,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{HeaderValue, Request, Response, StatusCode, header::AUTHORIZATION};
use pin_project_lite::pin_project;
use tower::Service;

use crate::warm::{Noop, Reply};

/// Sets a constant header, and looks at the status of the response in place.
///
/// `AddAuthorization` in a `MapResponse` does the same, but moves the response once more.
#[derive(Clone)]
pub(super) struct Looking {
    inner: Noop,
    value: HeaderValue,
}

impl Looking {
    pub(super) fn new(value: HeaderValue) -> Self {
        Looking { inner: Noop::new(), value }
    }
}

impl Service<Request<()>> for Looking {
    type Response = Reply;
    type Error = Infallible;
    type Future = Look<<Noop as Service<Request<()>>>::Future>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    #[inline]
    fn call(&mut self, mut request: Request<()>) -> Self::Future {
        request.headers_mut().insert(AUTHORIZATION, self.value.clone());
        Look { response: self.inner.call(request) }
    }
}

pin_project! {
    /// The response, looked at before it is returned.
    pub(super) struct Look<F> {
        #[pin]
        response: F,
    }
}

impl<F, B, E> Future for Look<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let output = ready!(self.project().response.poll(cx));
        if let Ok(response) = &output
            && response.status() == StatusCode::UNAUTHORIZED
        {
            refused();
        }
        Poll::Ready(output)
    }
}

#[cold]
fn refused() {
    black_box(());
}
