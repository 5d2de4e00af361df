//! A body that checks the trailers.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bearer_token::{
    Ticket,
    adapter::{Refusals, can_meet, tell_of_no_replay},
};
use http::StatusCode;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

pin_project! {
    /// The body of a response whose trailers may reject the bearer.
    ///
    /// All frames pass unchanged. A body that is dropped before its trailers arrive rejects nothing.
    #[derive(Debug, Default)]
    pub struct TrailersBody<B> {
        #[pin]
        body: B,
        // Taken when it is used. There is none if there is nothing to reject.
        ticket: Option<Ticket>,
        refusals: Refusals,
        status: StatusCode,
    }
}

impl<B> TrailersBody<B> {
    pub(super) fn new(body: B, ticket: Option<Ticket>, refusals: Refusals, status: StatusCode) -> Self {
        TrailersBody { body, ticket, refusals, status }
    }

    /// The wrapped body.
    pub fn get_ref(&self) -> &B {
        &self.body
    }

    /// Returns the wrapped body. Its trailers no longer reject the bearer.
    pub fn into_inner(self) -> B {
        self.body
    }
}

impl<B: Body> Body for TrailersBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    #[inline]
    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.project();
        let frame = ready!(this.body.poll_frame(cx));
        if let Some(Ok(frame)) = &frame
            && let Some(trailers) = frame.trailers_ref()
            && let Some(ticket) = this
                .ticket
                .take_if(|ticket| this.refusals.include_trailers(*this.status, trailers) || can_meet(*ticket, trailers))
        {
            tell_of_no_replay(ticket, ticket.reject(trailers));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
