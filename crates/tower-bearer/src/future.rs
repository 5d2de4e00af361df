//! The response future. It is boxed only if it has to wait for a token.

use std::{
    fmt,
    future::Future,
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bearer_token::{Authorized, Bearer, TokenFuture, TokenProvider, adapter::RefusedRequest};
use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::{BoxError, hooks::Hooks, sent::Sent};

pin_project! {
    /// The response of a [`BearerService`](crate::BearerService).
    // Its parts are side by side. In an enum, the first word of the rare state would share its place with the second word
    // of the response, which is then written in other pieces than it is read in, and the processor waits for them.
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<S, B>
    where
        S: Service<Request<B>>,
    {
        // Once the inner service has been called.
        #[pin]
        response: Option<S::Future>,
        sent: Option<Sent>,
        // Until then. In a box: rare, and large.
        rare: Option<Box<Rare<S, B>>>,
    }
}

/// A request that is not sent at once.
#[expect(clippy::large_enum_variant, reason = "it is in a box already")]
pub(crate) enum Rare<S, B> {
    /// It waits for a token, then for the inner service.
    Waiting(Cold<S, B>),
    /// It must not be sent.
    Refused(Option<BoxError>),
}

pub(crate) struct Cold<S, B> {
    inner: S,
    provider: TokenProvider,
    hooks: Hooks,
    // Taken when the request is sent.
    request: Option<Request<B>>,
    /// What the request was refused as before, if it is a replay.
    refused: Option<RefusedRequest>,
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
    ///
    /// Always inlined, like its caller. The compiler takes both for large, but most of their code is cold.
    #[inline(always)]
    pub(crate) fn called(inner: &mut S, request: Request<B>, sent: Option<Sent>) -> Self {
        ResponseFuture { sent, rare: None, response: Some(inner.call(request)) }
    }

    #[inline]
    pub(crate) fn rare(rare: Box<Rare<S, B>>) -> Self {
        ResponseFuture { sent: None, rare: Some(rare), response: None }
    }

    /// What is still known of the request, once its response has come and did not reject its bearer.
    #[inline]
    pub(crate) fn take_sent(self: Pin<&mut Self>) -> Option<Sent> {
        self.project().sent.take()
    }
}

impl<S, B> Rare<S, B> {
    pub(crate) fn waiting(
        inner: S,
        request: Request<B>,
        refused: Option<RefusedRequest>,
        provider: TokenProvider,
        hooks: Hooks,
    ) -> Box<Self> {
        let awaited = Awaited::Token(provider.token());
        Box::new(Rare::Waiting(Cold { inner, provider, hooks, request: Some(request), refused, awaited }))
    }

    pub(crate) fn refused(error: BoxError) -> Box<Self> {
        Box::new(Rare::Refused(Some(error)))
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
            if let Some(refused) = self.refused.take() {
                refused.set_sent_again(true);
            }
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

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.as_mut().project();
        match this.response.as_mut().as_pin_mut() {
            Some(response) => poll_called(response, this.sent, cx),
            None => poll_rare(self, cx),
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
        Ok(response) => match sent {
            Some(kept) if kept.is_to_look_at(&response) => {
                // Moved first: a response whose own address is passed on is copied once more, even if nothing calls this.
                let mut moved = response;
                look(&mut moved, sent);
                Poll::Ready(Ok(moved))
            }
            _ => Poll::Ready(Ok(response)),
        },
        Err(error) => Poll::Ready(Err(error.into())),
    }
}

/// Handles a response that may refuse its bearer.
#[inline(never)]
fn look<RB>(response: &mut Response<RB>, sent: &mut Option<Sent>) {
    if let Some(kept) = sent
        && kept.is_to_handle(response)
        && kept.handle(response)
    {
        // The trailers are not to reject it once more.
        *sent = None;
    }
}

#[cold]
fn poll_rare<S, B, RB>(
    mut future: Pin<&mut ResponseFuture<S, B>>,
    cx: &mut Context<'_>,
) -> Poll<Result<Response<RB>, BoxError>>
where
    S: Service<Request<B>, Response = Response<RB>> + Clone,
    S::Error: Into<BoxError>,
{
    let mut this = future.as_mut().project();
    let called = match this.rare.as_deref_mut() {
        Some(Rare::Waiting(cold)) => ready!(cold.poll_call(cx)),
        Some(Rare::Refused(error)) => Err(error.take().unwrap_or_else(|| POLLED_AGAIN.into())),
        None => Err(POLLED_AGAIN.into()),
    };
    match called {
        Ok((response, sent)) => {
            *this.rare = None;
            *this.sent = sent;
            this.response.set(Some(response));
            future.poll(cx)
        }
        Err(error) => {
            *this.rare = None;
            Poll::Ready(Err(error))
        }
    }
}

impl<S, B> fmt::Debug for ResponseFuture<S, B>
where
    S: Service<Request<B>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.rare.as_deref() {
            None => "called",
            Some(Rare::Waiting(_)) => "waiting for a token",
            Some(Rare::Refused(_)) => "refused",
        };
        f.debug_struct("ResponseFuture").field("state", &state).finish_non_exhaustive()
    }
}
