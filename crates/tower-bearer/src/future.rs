//! The response future: unboxed while tokens are there.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bearer_token::{Destination, Error, Ticket, TokenFuture, is_rejection};
use http::{Request, Response, Uri, header::AUTHORIZATION};
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::{BoxError, FinalUri};

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
        Refused { error: Option<Error> },
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

    #[inline]
    fn look_at<RB>(&self, response: &mut Response<RB>) {
        if is_rejection(response.status(), response.headers()) {
            self.reject(response);
        }
    }

    /// Rejects the bearer, and notes the outcome where `Replay` or a policy of the user's finds it.
    #[cold]
    fn reject<RB>(&self, response: &mut Response<RB>) {
        let mut redirected = false;
        if let Some((asked, final_uri)) = self.redirects.as_deref()
            && let Some(answered) = final_uri(response.extensions())
        {
            if !Destination::from(answered).is_same_origin(asked.into()) {
                return;
            }
            redirected = answered != asked;
        }
        let rejection = self.ticket.reject();
        // Whatever redirected the request may have acted on it.
        if !redirected {
            response.extensions_mut().insert(rejection);
        }
    }
}

struct Cold<S, B> {
    inner: S,
    // Both are taken when they are used up.
    request: Option<Request<B>>,
    token: Option<TokenFuture>,
    sent: Option<Sent>,
    final_uri: Option<FinalUri>,
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
    pub(crate) fn waiting(inner: S, request: Request<B>, token: TokenFuture, final_uri: Option<FinalUri>) -> Self {
        let cold = Cold { inner, request: Some(request), token: Some(token), sent: None, final_uri };
        ResponseFuture { state: State::Waiting { cold: Box::new(cold) } }
    }

    #[cold]
    pub(crate) fn refused(error: Error) -> Self {
        ResponseFuture { state: State::Refused { error: Some(error) } }
    }
}

impl<S, B> Cold<S, B>
where
    S: Service<Request<B>>,
    S::Error: Into<BoxError>,
{
    fn poll_call(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<S::Future>, BoxError>> {
        if let Some(token) = &mut self.token {
            let bearer = ready!(Pin::new(token).poll(cx))?;
            self.token = None;
            if let Some(request) = &mut self.request {
                request.headers_mut().insert(AUTHORIZATION, bearer.header_value().clone());
                self.sent = Some(Sent::new(bearer.ticket(), request, self.final_uri));
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
                    let mut result = ready!(response.poll(cx)).map_err(Into::into);
                    if let (Ok(response), Some(sent)) = (&mut result, sent) {
                        sent.look_at(response);
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
                    let error = error.take().map_or_else(|| "polled after completion".into(), BoxError::from);
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
