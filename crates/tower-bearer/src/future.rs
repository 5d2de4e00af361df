//! The response future: unboxed while tokens are there.

use std::{
    fmt,
    future::Future,
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bearer_token::{
    Authorized, Bearer, Destination, Error, Rejection, Ticket, TokenFuture, TokenProvider,
    adapter::{Refusals, is_grpc_rejection},
};
use http::{Request, Response, Uri, Version};
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::{BoxError, FinalUri, Hooks, MapError, leaking_redirects};

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
    refusals: Refusals,
    exposes_ticket: bool,
    // Only where redirects are followed below: rare, so it costs the usual case one word.
    redirects: Option<Box<Redirects>>,
}

struct Redirects {
    asked: Uri,
    /// Whether to send the request twice is the same as to send it once (RFC 9110 section 9.2.2).
    idempotent: bool,
    final_uri: FinalUri,
}

impl Sent {
    #[inline]
    pub(crate) fn new<B>(ticket: Ticket, request: &Request<B>, hooks: &Hooks) -> Self {
        let redirects = hooks.final_uri.map(|final_uri| {
            let idempotent = request.method().is_idempotent();
            Box::new(Redirects { asked: request.uri().clone(), idempotent, final_uri })
        });
        Sent { ticket, refusals: hooks.refusals.clone(), exposes_ticket: hooks.exposes_ticket, redirects }
    }

    pub(crate) fn refusals(&self) -> Refusals {
        self.refusals.clone()
    }

    /// Whether the head of the response refuses the bearer.
    #[inline]
    fn is_refused_by<RB>(&self, response: &Response<RB>) -> bool {
        self.refusals.include(response.status(), response.headers())
            // gRPC needs HTTP/2. Other responses do not pay for a look.
            || (response.version() >= Version::HTTP_2 && is_grpc_rejection(response.headers()))
    }

    /// Leaves the ticket where the caller finds it, to report a refusal that is in the body.
    #[cold]
    fn expose_ticket<RB>(&self, response: &mut Response<RB>) {
        if let Some(ticket) = self.ticket_for(response) {
            response.extensions_mut().insert(ticket);
        }
    }

    /// The ticket, if it is this response's to reject it: one from elsewhere says nothing of the bearer.
    #[inline]
    pub(crate) fn ticket_for<RB>(&self, response: &Response<RB>) -> Option<Ticket> {
        let Some(Redirects { asked, final_uri, .. }) = self.redirects.as_deref() else { return Some(self.ticket) };
        let final_uri = final_uri(response.extensions());
        let elsewhere = final_uri.is_some_and(|uri| !Destination::from(uri).is_same_origin(asked.into()));
        (!elsewhere).then_some(self.ticket)
    }

    /// Rejects the bearer, and leaves the outcome where `Replay` or a policy of the user's finds it. With an outcome that
    /// asks for patience comes the ticket, by which the time is waited for.
    #[cold]
    pub(crate) fn reject<RB>(&self, response: &mut Response<RB>) {
        if let Some(ticket) = self.ticket_for(response) {
            let rejection = ticket.reject(response.headers());
            // The server that redirected the request may have acted on it.
            if !self.may_be_redirected(response) {
                response.extensions_mut().insert(rejection);
                if rejection == Rejection::Settling {
                    response.extensions_mut().insert(ticket);
                }
            }
        }
    }

    /// A redirect back to the URI of the request cannot be told from none, so what must not be sent twice is
    /// taken for redirected.
    fn may_be_redirected<RB>(&self, response: &Response<RB>) -> bool {
        self.redirects.as_deref().is_some_and(|Redirects { asked, idempotent, final_uri }| {
            !idempotent || final_uri(response.extensions()).is_some_and(|uri| uri != asked)
        })
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
    #[inline]
    pub(crate) fn called(response: S::Future, sent: Option<Sent>) -> Self {
        ResponseFuture { state: State::Called { response, sent } }
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
            if self.hooks.would_leak(&self.provider) {
                return Poll::Ready(Err((self.hooks.map_error)(leaking_redirects())));
            }
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
            let sent = ticket.map(|ticket| Sent::new(ticket, &request, &self.hooks));
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
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            match this.state.as_mut().project() {
                StateProjection::Called { response, sent } => {
                    return Poll::Ready(match ready!(response.poll(cx)) {
                        Ok(mut response) => {
                            if let Some(sent) = sent.as_ref().filter(|sent| sent.exposes_ticket) {
                                sent.expose_ticket(&mut response);
                            }
                            // Taken, so the trailers do not reject it once more.
                            if let Some(sent) = sent.take_if(|sent| sent.is_refused_by(&response)) {
                                sent.reject(&mut response);
                            }
                            Ok(response)
                        }
                        Err(error) => Err(error.into()),
                    });
                }
                StateProjection::Waiting { cold } => {
                    let next = match ready!(cold.poll_call(cx)) {
                        Ok((response, sent)) => State::Called { response, sent },
                        Err(error) => State::Refused { error: Some(error) },
                    };
                    this.state.set(next);
                }
                StateProjection::Refused { error } => {
                    let error = error.take().unwrap_or_else(|| POLLED_AGAIN.into());
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
