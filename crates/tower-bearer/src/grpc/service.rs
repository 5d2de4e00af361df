//! The layer, the service and the future around the ordinary ones, for the sake of the body.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bearer_token::{
    Error, TokenProvider,
    adapter::{Authorize, is_grpc_rejection},
};
use http::{Extensions, Request, Response, Uri, Version};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::TrailersBody;
use crate::{BearerLayer, BearerService, BoxError, CloneService, ResponseFuture, sent::Sent};

impl<P: Authorize> BearerLayer<P> {
    /// Looks at the trailers of the responses too: gRPC status 16 there rejects the bearer, as it does in the headers.
    ///
    /// The body of the response becomes a [`TrailersBody`], which costs one comparison for each frame. See the
    /// [module docs](crate::grpc#what-rejects-a-bearer) for when it is worth that.
    #[must_use]
    pub fn watch_trailers(self) -> TrailersLayer<P> {
        TrailersLayer { layer: self }
    }
}

/// A [`BearerLayer`] that looks at the trailers too; made by [`BearerLayer::watch_trailers`].
#[derive(Clone, Debug)]
pub struct TrailersLayer<P = TokenProvider> {
    layer: BearerLayer<P>,
}

impl<P: Authorize> TrailersLayer<P> {
    /// See [`BearerLayer::final_uri`].
    #[must_use]
    pub fn final_uri(self, final_uri: fn(&Extensions) -> Option<&Uri>) -> Self {
        TrailersLayer { layer: self.layer.final_uri(final_uri) }
    }

    /// See [`BearerLayer::expose_ticket`].
    #[must_use]
    pub fn expose_ticket(self) -> Self {
        TrailersLayer { layer: self.layer.expose_ticket() }
    }

    /// See [`BearerLayer::map_error`].
    #[must_use]
    pub fn map_error(self, map_error: fn(Error) -> BoxError) -> Self {
        TrailersLayer { layer: self.layer.map_error(map_error) }
    }
}

impl<S: CloneService, P: Clone> Layer<S> for TrailersLayer<P> {
    type Service = TrailersService<S, P>;

    fn layer(&self, inner: S) -> Self::Service {
        TrailersService { service: self.layer.layer(inner) }
    }
}

/// A [`BearerService`] that looks at the trailers too.
///
/// See the [module docs](crate::grpc) for an example.
#[derive(Clone, Debug)]
pub struct TrailersService<S, P = TokenProvider> {
    service: BearerService<S, P>,
}

impl<S, P> TrailersService<S, P> {
    /// The wrapped service.
    pub fn get_ref(&self) -> &S {
        self.service.get_ref()
    }

    /// The wrapped service, to change it.
    pub fn get_mut(&mut self) -> &mut S {
        self.service.get_mut()
    }

    /// Returns the wrapped service.
    pub fn into_inner(self) -> S {
        self.service.into_inner()
    }
}

impl<S, P, B, RB> Service<Request<B>> for TrailersService<S, P>
where
    P: Authorize,
    S: Service<Request<B>, Response = Response<RB>> + CloneService,
    S::Error: Into<BoxError>,
{
    type Response = Response<TrailersBody<RB>>;
    type Error = BoxError;
    type Future = TrailersFuture<S, B>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.service.poll_ready(cx)
    }

    #[inline]
    fn call(&mut self, request: Request<B>) -> Self::Future {
        TrailersFuture { response: self.service.call(request) }
    }
}

pin_project! {
    /// The response of a [`TrailersService`].
    #[must_use = "futures do nothing unless polled"]
    pub struct TrailersFuture<S, B>
    where
        S: Service<Request<B>>,
    {
        #[pin]
        response: ResponseFuture<S, B>,
    }
}

impl<S, B, RB> Future for TrailersFuture<S, B>
where
    S: Service<Request<B>, Response = Response<RB>> + Clone,
    S::Error: Into<BoxError>,
{
    type Output = Result<Response<TrailersBody<RB>>, BoxError>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let mut response = ready!(this.response.as_mut().poll(cx))?;
        let mut sent = this.response.take_sent();
        // gRPC-Web uses HTTP/1.1 as well, where the service does not look.
        if response.version() < Version::HTTP_2
            && let Some(sent) = sent.take_if(|_| is_grpc_rejection(response.headers()))
        {
            sent.reject(&mut response);
        }
        let refusals = sent.as_ref().map(Sent::refusals).unwrap_or_default();
        let ticket = sent.and_then(|sent| sent.ticket_for(&response));
        let status = response.status();
        Poll::Ready(Ok(response.map(|body| TrailersBody::new(body, ticket, refusals, status))))
    }
}

impl<S, B> fmt::Debug for TrailersFuture<S, B>
where
    S: Service<Request<B>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrailersFuture").field("response", &self.response).finish()
    }
}
