//! The response future: unboxed while tokens are there.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bearer_token::{Destination, Error, Ticket, TokenFuture, is_grpc_rejection, is_rejection};
use http::{Request, Response, Uri, Version, header::AUTHORIZATION};
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::{BoxError, FinalUri, Hooks, MapError};

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

/// What is kept of a request that carries a bearer, to reject it.
pub(crate) struct Sent {
    ticket: Ticket,
    // Only where redirects are followed below: rare, so it costs the usual case one word.
    redirects: Option<Box<(Uri, FinalUri)>>,
}

impl Sent {
    #[inline]
    pub(crate) fn new<B>(ticket: Ticket, request: &Request<B>, final_uri: Option<FinalUri>) -> Self {
        Sent { ticket, redirects: final_uri.map(|final_uri| Box::new((request.uri().clone(), final_uri))) }
    }

    /// The ticket, if it is this response's to reject it: one from elsewhere says nothing of the bearer.
    #[inline]
    pub(crate) fn ticket_for<RB>(&self, response: &Response<RB>) -> Option<Ticket> {
        let (asked, final_uri) = match self.redirects.as_deref() {
            None => return Some(self.ticket),
            Some((asked, final_uri)) => (asked, final_uri),
        };
        let answered = final_uri(response.extensions());
        let elsewhere = answered.is_some_and(|uri| !Destination::from(uri).is_same_origin(asked.into()));
        (!elsewhere).then_some(self.ticket)
    }

    #[cold]
    fn reject<RB>(&self, response: &Response<RB>) {
        if let Some(ticket) = self.ticket_for(response) {
            let _ = ticket.reject();
        }
    }
}

/// Whether the head of the response refuses the bearer.
#[inline]
fn refuses_bearer<RB>(response: &Response<RB>) -> bool {
    is_rejection(response.status(), response.headers())
        // gRPC needs HTTP/2. All others shall not pay for a look.
        || (response.version() >= Version::HTTP_2 && is_grpc_rejection(response.headers()))
}

struct Cold<S, B> {
    inner: S,
    // Both are taken when they are used up.
    request: Option<Request<B>>,
    token: Option<TokenFuture>,
    sent: Option<Sent>,
    hooks: Hooks,
}

impl<S, B> ResponseFuture<S, B>
where
    S: Service<Request<B>>,
{
    #[inline]
    pub(crate) fn called(response: S::Future, sent: Option<Sent>) -> Self {
        ResponseFuture { state: State::Called { response, sent } }
    }

    #[cold]
    pub(crate) fn waiting(inner: S, request: Request<B>, token: TokenFuture, hooks: Hooks) -> Self {
        let cold = Cold { inner, request: Some(request), token: Some(token), sent: None, hooks };
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
    S: Service<Request<B>>,
    S::Error: Into<BoxError>,
{
    fn poll_call(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<S::Future>, BoxError>> {
        if let Some(token) = &mut self.token {
            let bearer = ready!(Pin::new(token).poll(cx)).map_err(self.hooks.map_error)?;
            self.token = None;
            if let Some(request) = &mut self.request {
                request.headers_mut().insert(AUTHORIZATION, bearer.header_value().clone());
                self.sent = Some(Sent::new(bearer.ticket(), request, self.hooks.final_uri));
            }
        }
        ready!(self.inner.poll_ready(cx)).map_err(Into::into)?;
        Poll::Ready(Ok(self.request.take().map(|request| self.inner.call(request))))
    }
}

impl<S, B, RB> Future for ResponseFuture<S, B>
where
    S: Service<Request<B>, Response = Response<RB>>,
    S::Error: Into<BoxError>,
{
    type Output = Result<Response<RB>, BoxError>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            match this.state.as_mut().project() {
                StateProjection::Called { response, sent } => {
                    let result = ready!(response.poll(cx)).map_err(Into::into);
                    if let Ok(response) = &result
                        && let Some(sent) = sent.take_if(|_| refuses_bearer(response))
                    {
                        sent.reject(response);
                    }
                    return Poll::Ready(result);
                }
                StateProjection::Waiting { cold } => {
                    let response = ready!(cold.poll_call(cx))?;
                    let sent = cold.sent.take();
                    match response {
                        Some(response) => this.state.set(State::Called { response, sent }),
                        None => this.state.set(State::Refused { error: None }),
                    }
                }
                StateProjection::Refused { error } => {
                    let error = error.take().unwrap_or_else(|| "polled after completion".into());
                    return Poll::Ready(Err(error));
                }
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
