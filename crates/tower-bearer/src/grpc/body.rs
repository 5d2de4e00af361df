//! The body that looks at the trailers.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bearer_token::{Ticket, adapter::is_grpc_rejection};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

pin_project! {
    /// The body of a response whose trailers may reject the bearer.
    ///
    /// Everything passes through as it comes. A body that is dropped before its trailers have come rejects nothing.
    #[derive(Debug, Default)]
    pub struct TrailersBody<B> {
        #[pin]
        body: B,
        // Taken when it is used up, or where there is none to reject.
        ticket: Option<Ticket>,
    }
}

impl<B> TrailersBody<B> {
    pub(super) fn new(body: B, ticket: Option<Ticket>) -> Self {
        TrailersBody { body, ticket }
    }

    /// The body as it came.
    pub fn get_ref(&self) -> &B {
        &self.body
    }

    /// Gives the body back as it came. Nobody looks at its trailers then.
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
            && let Some(ticket) = this.ticket.take_if(|_| is_grpc_rejection(trailers))
        {
            let _ = ticket.reject(trailers);
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
