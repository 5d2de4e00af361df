//! The response future. It is boxed only if it has to wait for a token.

use std::{
    fmt,
    future::Future,
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bearer_token::{Authorized, Bearer, Error, TokenFuture, TokenProvider};
use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::{
    BoxError,
    hooks::{Hooks, MapError},
    sent::Sent,
};

pin_project! {
    /// The response of a [`BearerService`](crate::BearerService).
    #[must_use = "futures do nothing unless polled"]
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
        // The inner service has been called.
        Called {
            #[pin]
            response: S::Future,
            sent: Option<Sent>,
        },
        // The request waits for a token, then for the inner service. In a box: rare, and large.
        Waiting { cold: Box<Cold<S, B>> },
        // The request must not be sent.
        Refused { error: Option<BoxError> },
    }
}

struct Cold<S, B> {
    inner: S,
    provider: TokenProvider,
    hooks: Hooks,
    // Taken when the request is sent.
    request: Option<Request<B>>,
    awaited: Awaited,
}

const POLLED_AGAIN: &str = "polled after completion";

/// A call of the inner service, and what is kept of its request.
type Call<F> = (F, Option<Sent>);

/// What a cold request waits for before it waits for the inner service.
enum Awaited {
    Token(TokenFuture),
    /// It was in service when it arrived, unless it is too short-lived to be kept.
    Bearer {
        bearer: Bearer,
        kept: bool,
    },
}

impl<S, B> ResponseFuture<S, B>
where
    S: Service<Request<B>>,
{
    /// The inner service is called in here, so its future is made in its place and not moved there.
    #[inline]
    pub(crate) fn called(inner: &mut S, request: Request<B>, sent: Option<Sent>) -> Self {
        ResponseFuture { state: State::Called { sent, response: inner.call(request) } }
    }

    #[cold]
    pub(crate) fn waiting(inner: S, request: Request<B>, provider: TokenProvider, hooks: Hooks) -> Self {
        let awaited = Awaited::Token(provider.token());
        let cold = Cold { inner, provider, hooks, request: Some(request), awaited };
        ResponseFuture { state: State::Waiting { cold: Box::new(cold) } }
    }

    #[cold]
    pub(crate) fn refused(error: Error, map_error: MapError) -> Self {
        ResponseFuture { state: State::Refused { error: Some(map_error(error)) } }
    }

    /// What is still known of the request, once its response has come and did not reject its bearer.
    #[inline]
    pub(crate) fn take_sent(self: Pin<&mut Self>) -> Option<Sent> {
        match self.project().state.project() {
            StateProjection::Called { sent, .. } => sent.take(),
            _ => None,
        }
    }
}

impl<S, B> Cold<S, B>
where
    S: Service<Request<B>> + Clone,
    S::Error: Into<BoxError>,
{
    fn poll_call(&mut self, cx: &mut Context<'_>) -> Poll<Result<Call<S::Future>, BoxError>> {
        loop {
            if let Awaited::Token(token) = &mut self.awaited {
                let bearer = ready!(Pin::new(token).poll(cx)).map_err(self.hooks.map_error)?;
                let kept = self.provider.cached().is_some();
                self.awaited = Awaited::Bearer { bearer, kept };
            }
            ready!(self.inner.poll_ready(cx)).map_err(Into::into)?;
            let Some(mut request) = self.request.take() else { return Poll::Ready(Err(POLLED_AGAIN.into())) };
            // The inner service may have taken its time: what is in service now counts.
            let authorized = self.provider.authorize(&mut request).map_err(self.hooks.map_error)?;
            let ticket = match (authorized, &self.awaited) {
                (Authorized::Inserted(ticket), _) => Some(ticket),
                (Authorized::NotReady, Awaited::Bearer { bearer, kept: false }) if self.provider.may_send(bearer) => {
                    bearer.attach(request.headers_mut())
                }
                (Authorized::NotReady, _) => {
                    // It has expired or was rejected meanwhile. Again nothing is held while waiting.
                    let fresh = self.inner.clone();
                    drop(mem::replace(&mut self.inner, fresh));
                    self.request = Some(request);
                    self.awaited = Awaited::Token(self.provider.token());
                    continue;
                }
                // `Passed`, and what may be added to it.
                _ => None,
            };
            let sent = ticket.map(|ticket| self.hooks.sent(ticket, &request, &self.provider)).transpose();
            let sent = sent.map_err(self.hooks.map_error)?;
            return Poll::Ready(Ok((self.inner.call(request), sent)));
        }
    }
}

impl<S, B, RB> Future for ResponseFuture<S, B>
where
    S: Service<Request<B>, Response = Response<RB>> + Clone,
    S::Error: Into<BoxError>,
{
    type Output = Result<Response<RB>, BoxError>;

    /// A call of its own. Inlined into a caller that converts the result, it copies the response more often, and with
    /// loads for which the processor waits.
    #[inline(never)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        match this.state.as_mut().project() {
            StateProjection::Called { response, sent } => poll_called(response, sent, cx),
            StateProjection::Waiting { .. } | StateProjection::Refused { .. } => poll_cold(this.state, cx),
        }
    }
}

/// Polls the inner service's future, and looks at its response.
#[inline]
fn poll_called<F, RB, E>(
    future: Pin<&mut F>,
    sent: &mut Option<Sent>,
    cx: &mut Context<'_>,
) -> Poll<Result<Response<RB>, BoxError>>
where
    F: Future<Output = Result<Response<RB>, E>>,
    E: Into<BoxError>,
{
    match ready!(future.poll(cx)) {
        // By value: a response whose address is passed on has to be copied once more.
        Ok(response) => match sent {
            Some(kept) if kept.is_to_look_at(&response) => look(response, sent),
            _ => Poll::Ready(Ok(response)),
        },
        Err(error) => Poll::Ready(Err(error.into())),
    }
}

/// Handles a response that may refuse its bearer.
#[inline(never)]
fn look<RB>(mut response: Response<RB>, sent: &mut Option<Sent>) -> Poll<Result<Response<RB>, BoxError>> {
    if let Some(kept) = sent
        && kept.is_to_handle(&response)
        && kept.handle(&mut response)
    {
        // The trailers are not to reject it once more.
        *sent = None;
    }
    Poll::Ready(Ok(response))
}

#[cold]
fn poll_cold<S, B, RB>(mut state: Pin<&mut State<S, B>>, cx: &mut Context<'_>) -> Poll<Result<Response<RB>, BoxError>>
where
    S: Service<Request<B>, Response = Response<RB>> + Clone,
    S::Error: Into<BoxError>,
{
    loop {
        match state.as_mut().project() {
            StateProjection::Called { response, sent } => return poll_called(response, sent, cx),
            StateProjection::Waiting { cold } => {
                let next = match ready!(cold.poll_call(cx)) {
                    Ok((response, sent)) => State::Called { response, sent },
                    Err(error) => State::Refused { error: Some(error) },
                };
                state.set(next);
            }
            StateProjection::Refused { error } => {
                let error = error.take().unwrap_or_else(|| POLLED_AGAIN.into());
                return Poll::Ready(Err(error));
            }
        }
    }
}

impl<S, B> fmt::Debug for ResponseFuture<S, B>
where
    S: Service<Request<B>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Called { .. } => "called",
            State::Waiting { .. } => "waiting for a token",
            State::Refused { .. } => "refused",
        };
        f.debug_struct("ResponseFuture").field("state", &state).finish_non_exhaustive()
    }
}
