//! The futures of requests.
//!
//! They are written by hand. The future of an `async` block has room for what it captures, and once more for what
//! becomes of it, and a request is large.

use std::{
    future::{Future, pending},
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bearer_token::{Authorized, Bearer, Error, Ticket, TokenFuture, TokenProvider, adapter::Authorize};
use http::Extensions;
use reqwest::{Request, Response};
use reqwest_middleware::{Next, Result};

use crate::{BearerError, BearerMiddleware, asked::Asked, redirect::noting, sending::Outgoing};

/// What reqwest-middleware's futures are.
pub(crate) type Boxed<'a> = Pin<Box<dyn Future<Output = Result<Response>> + Send + 'a>>;

/// An authorized request that was sent. Its response is judged.
///
/// The request does not become a part of it, and neither does its URL. So one small allocation is all that a warm
/// request costs.
pub(crate) struct Sent<'a, P> {
    pub(crate) middleware: &'a BearerMiddleware<P>,
    pub(crate) response: Boxed<'a>,
    pub(crate) ticket: Ticket,
    pub(crate) asked: Asked,
    pub(crate) redirects: Redirects,
}

/// What is learned of the request's redirects beside the URL of its response.
pub(crate) enum Redirects {
    /// No policy of this middleware's is asked, so there is nothing to note.
    Unwatched,
    /// A bound request stays within its origin.
    Watched { is_bound: bool, noted: bool },
}

impl<P: Authorize> Future for Sent<'_, P> {
    type Output = Result<Response>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let response = match &mut this.redirects {
            Redirects::Unwatched => this.response.as_mut().poll(cx),
            Redirects::Watched { is_bound, noted } => {
                let (response, is_redirected) = noting(*is_bound, || this.response.as_mut().poll(cx));
                *noted |= is_redirected;
                response
            }
        };
        let response = ready!(response)?;
        if !this.middleware.is_to_look_at(response.status()) {
            return Poll::Ready(Ok(response));
        }
        // Moved first: a response whose own address is passed on is copied once more, even if nothing calls this.
        let mut moved = response;
        let may_be_redirected = match this.redirects {
            Redirects::Unwatched => !this.asked.is_idempotent,
            Redirects::Watched { noted, .. } => noted,
        };
        this.middleware.look(&mut moved, this.ticket, this.asked, may_be_redirected);
        Poll::Ready(Ok(moved))
    }
}

/// A request that waits for a token, and then for its response.
#[expect(clippy::large_enum_variant, reason = "it is in a box already")]
pub(crate) enum Waiting<'a, P> {
    Token(Cold<'a, P>),
    Response(Boxed<'a>),
}

/// What a request needs to be sent, and the token that it waits for.
pub(crate) struct Cold<'a, P> {
    pub(crate) middleware: &'a BearerMiddleware<P>,
    pub(crate) provider: TokenProvider,
    pub(crate) token: TokenFuture,
    pub(crate) request: Request,
    pub(crate) extensions: &'a mut Extensions,
    pub(crate) next: Next<'a>,
}

impl<P: Authorize> Future for Waiting<'_, P> {
    type Output = Result<Response>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let bearer = match this {
            Waiting::Token(cold) => ready!(Pin::new(&mut cold.token).poll(cx)),
            Waiting::Response(response) => return response.as_mut().poll(cx),
        };
        // What is left is never ready, if there is an error.
        if let Waiting::Token(cold) = mem::replace(this, Waiting::Response(Box::pin(pending()))) {
            *this = Waiting::Response(cold.send(&bearer.map_err(BearerError::not_sent)?)?);
        }
        Pin::new(this).poll(cx)
    }
}

impl<'a, P: Authorize> Cold<'a, P> {
    fn send(self, bearer: &Bearer) -> Result<Boxed<'a>> {
        let Cold { middleware, provider, mut request, extensions, next, .. } = self;
        match authorize_with(bearer, &provider, &mut request, extensions).map_err(BearerError::not_sent)? {
            Some(ticket) => Ok(Box::pin(middleware.send(request, ticket, extensions, next)?)),
            None => Ok(next.run(request, extensions)),
        }
    }
}

/// Authorizes a request that waited for this bearer. The provider judges the destination once more: a selector whose
/// answers change may have chosen another one before.
pub(crate) fn authorize_with(
    bearer: &Bearer,
    provider: &TokenProvider,
    request: &mut Request,
    extensions: &Extensions,
) -> std::result::Result<Option<Ticket>, Error> {
    Ok(match provider.authorize_client(&mut Outgoing { request, extensions })? {
        Authorized::Inserted(ticket) => Some(ticket),
        // It is too short-lived to be kept.
        Authorized::NotReady => bearer.attach(request.headers_mut()),
        // `Passed`, and what may be added to it.
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_waiting_request_is_held_once() {
        let beside = size_of::<Waiting<'_, TokenProvider>>() - size_of::<Request>();
        assert!(beside < size_of::<Request>(), "{beside} bytes");
        assert!(beside <= size_of::<TokenFuture>() + 6 * size_of::<usize>(), "{beside} bytes");
    }

    #[test]
    fn a_sent_request_is_not_kept() {
        let bytes = size_of::<Sent<'_, TokenProvider>>();
        assert!(bytes <= 9 * size_of::<u64>(), "{bytes} bytes");
    }
}
