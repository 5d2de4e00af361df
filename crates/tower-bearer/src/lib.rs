//! A [tower](https://docs.rs/tower) layer that puts a cached, self-refreshing bearer token into outgoing requests.
//!
//! It fits any client service of `http::Request<B>`, whatever the body: hyper-util's legacy client, tonic's channel,
//! or a stack of layers around one. While a usable token is there, a request pays about what a static header costs.
//!
//! ```
//! use bearer_token::{StaticToken, TokenProvider};
//! use bytes::Bytes;
//! use http_body_util::Full;
//! use hyper_util::{client::legacy::Client, rt::TokioExecutor};
//! use tower::ServiceBuilder;
//! use tower_bearer::BearerLayer;
//!
//! # fn main() -> Result<(), bearer_token::Error> {
//! let provider = TokenProvider::builder(StaticToken::new("2YotnFZFEjr1zCsicMWpAA"))
//!     .allow_origin("https://api.example.com")
//!     .build()?;
//!
//! let hyper = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
//! let client = ServiceBuilder::new().layer(BearerLayer::new(provider)).service(hyper);
//! # let _ = client; Ok(()) }
//! ```
//!
//! # What it does with a request
//!
//! - **A bearer is there:** it is inserted, and the inner service is called.
//! - **None is there:** the request waits for the fetch that is in progress or starts it. Meanwhile it holds nothing
//!   of the stack below: the readiness that it had is given up, and when the token is there, a fresh clone of the
//!   inner service is made ready and called. Should that take so long that the token expires, it waits for another.
//! - **None can be had:** the request is not sent, and fails with the [`bearer_token::Error`] (in a box).
//! - **It has an `Authorization` of its own** (or the header that [`Sending`](bearer_token::Sending) names), carries
//!   [`PassThrough`](bearer_token::PassThrough), or goes to an origin
//!   that gets no token: it goes out as it is.
//! - **The response is a 401** with a challenge that means the bearer, or gRPC status 16, or what
//!   [`Sending`](bearer_token::Sending) declares: the bearer is rejected, and the next request gets a new one. The
//!   [`Rejection`](bearer_token::Rejection) is left among the extensions of the response, unless the request was
//!   redirected below. The rejected request is not resent unless you opt in: `Replay` (feature `replay`).
//!
//! For tonic there is more to know: see [`grpc`].
//!
//! # The service must be `Clone`
//!
//! A waiting request needs a service of its own. Clients are cheap to clone; a service that is not can be put behind
//! [`tower::buffer::Buffer`](https://docs.rs/tower/latest/tower/buffer/struct.Buffer.html). See [`CloneService`].
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `replay` | | `Replay`, which sends a rejected request once more; needs tower's `retry` |
#![cfg_attr(docsrs, feature(doc_cfg))]

use std::{
    fmt, mem,
    task::{Context, Poll},
};

use bearer_token::{
    Authorized, Error, RequestHead, TokenProvider,
    adapter::{Authorize, RefusedRequest},
};
use http::{Extensions, Request, Response, Uri};
use tower_layer::Layer;
use tower_service::Service;

mod clone_service;
mod future;
pub mod grpc;
mod hooks;
#[cfg(feature = "replay")]
mod replay;
mod sent;

pub use bearer_token;

#[cfg(feature = "replay")]
pub use self::replay::{BeforeReplay, Cloning, Replay};
pub use self::{clone_service::CloneService, future::ResponseFuture, sent::tell_of_replay};
use self::{future::Rare, hooks::Hooks, sent::Sent};

/// The error of a [`BearerService`]: that of the inner service, or a [`bearer_token::Error`] to downcast to.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Puts the bearers of a provider into the requests of a service.
///
/// See the [module docs](crate) for an example. In place of a provider it takes several, with a selector that chooses
/// one by the head of the request: see [`KeyedProviders::select`](bearer_token::KeyedProviders::select).
#[derive(Clone)]
pub struct BearerLayer<P = TokenProvider> {
    provider: P,
    hooks: Hooks,
}

impl<P: Authorize> BearerLayer<P> {
    /// A layer that takes its bearers from this provider, or from the one that a [selector](bearer_token::Select)
    /// chooses. Clones share one cache.
    pub fn new(provider: P) -> Self {
        let hooks = Hooks::new(provider.refusals());
        BearerLayer { provider, hooks }
    }

    /// Tells where a response is from, if a layer *below* this one follows redirects.
    ///
    /// Then a 401 from another origin than the one that the bearer was sent to says nothing of the bearer. For
    /// tower-http's `FollowRedirect`:
    ///
    /// ```
    /// # use bearer_token::TokenProvider;
    /// # use tower_bearer::BearerLayer;
    /// use tower_http::follow_redirect::RequestUri;
    ///
    /// # fn example(provider: TokenProvider) -> BearerLayer {
    /// BearerLayer::new(provider).final_uri(|extensions| extensions.get::<RequestUri>().map(|uri| &uri.0))
    /// # }
    /// ```
    ///
    /// It must be tower-http 0.7 or newer: below this layer, the redirects of 0.6 bring the header back at a second hop
    /// within another origin. Better, put the redirect layer *around* this one: then each hop is judged by itself, and
    /// no hook is needed.
    ///
    /// With this hook, a provider that sends its token in [another header](bearer_token::Sending) is refused, request
    /// by request: no redirect layer would remove that header at another origin.
    ///
    /// A request that was redirected below is not replayed either: the server that redirected it may have acted on it. A
    /// redirect back to the URI of the request cannot be noticed. So with this hook no request is replayed whose method is
    /// not idempotent (RFC 9110 section 9.2.2), such as `POST` and `PATCH`.
    #[must_use]
    pub fn final_uri(mut self, final_uri: fn(&Extensions) -> Option<&Uri>) -> Self {
        self.hooks.unusual_mut().final_uri = Some(final_uri);
        self
    }

    /// Leaves the [`Ticket`](bearer_token::Ticket) of each request among the extensions of its response. So the caller
    /// can report a refusal that is in the body.
    ///
    /// An extension costs an allocation, so this is off by default. A response that came from another origin, after a
    /// redirect below, has none. If status and headers show the refusal, declare it to the provider with
    /// [`reject_if`](bearer_token::TokenProviderBuilder::reject_if) instead.
    ///
    /// ```
    /// # use bearer_token::{Ticket, TokenProvider};
    /// # use http::{HeaderMap, Response};
    /// # fn example(response: Response<String>) {
    /// if response.body().contains("InvalidSessionId")
    ///     && let Some(ticket) = response.extensions().get::<Ticket>()
    /// {
    ///     ticket.reject(&HeaderMap::new());
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn expose_ticket(mut self) -> Self {
        self.hooks.unusual_mut().exposes_ticket = true;
        self
    }

    /// Turns a token error into the error that callers are to see, when no token could be had. Errors of the inner
    /// service are left alone. Default: the [`bearer_token::Error`] itself, in a box.
    ///
    /// Keep the error as the [`source`](std::error::Error::source) of yours. Then it can still be found.
    ///
    /// ```
    /// # use bearer_token::TokenProvider;
    /// # use tower_bearer::BearerLayer;
    /// # fn example(provider: TokenProvider) -> BearerLayer {
    /// BearerLayer::new(provider).map_error(|error| std::io::Error::other(error).into())
    /// # }
    /// ```
    ///
    /// For tonic, see [`grpc`].
    #[must_use]
    pub fn map_error(mut self, map_error: fn(Error) -> BoxError) -> Self {
        self.hooks.map_error = map_error;
        self
    }
}

impl<S: CloneService, P: Clone> Layer<S> for BearerLayer<P> {
    type Service = BearerService<S, P>;

    fn layer(&self, inner: S) -> Self::Service {
        BearerService { inner, provider: self.provider.clone(), hooks: self.hooks.clone() }
    }
}

impl<P: fmt::Debug> fmt::Debug for BearerLayer<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BearerLayer").field("provider", &self.provider).finish_non_exhaustive()
    }
}

/// A service whose requests carry the bearers of a provider.
///
/// See the [module docs](crate) for an example.
#[derive(Clone)]
pub struct BearerService<S, P = TokenProvider> {
    inner: S,
    provider: P,
    hooks: Hooks,
}

impl<S, P> BearerService<S, P> {
    /// Wraps a service, as [`BearerLayer`] does.
    pub fn new(inner: S, provider: P) -> Self
    where
        S: CloneService,
        P: Authorize,
    {
        BearerLayer::new(provider).layer(inner)
    }

    /// The wrapped service.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The wrapped service, to change it.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// Returns the wrapped service.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, P, B, RB> Service<Request<B>> for BearerService<S, P>
where
    P: Authorize,
    S: Service<Request<B>, Response = Response<RB>> + CloneService,
    S::Error: Into<BoxError>,
{
    type Response = Response<RB>;
    type Error = BoxError;
    type Future = ResponseFuture<S, B>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        // Never waits for a token: an error here would end the service, and a token that is there now may have expired
        // when the request comes.
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    // Always: see `ResponseFuture::called`.
    #[inline(always)]
    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        // Most requests: a fresh bearer, and its ticket in a register.
        let sent = if self.hooks.are_usual()
            && let Some(ticket) = self.provider.insert_fresh(&mut request)
        {
            Some(Sent::new(ticket))
        } else {
            match self.prepare(&mut request) {
                Ok(sent) => sent,
                Err(held) => return ResponseFuture::rare(self.hold(held, request)),
            }
        };
        ResponseFuture::called(&mut self.inner, request, sent)
    }
}

/// Why a request is not sent at once.
enum Held {
    /// It waits for a bearer of this provider.
    NotReady(TokenProvider),
    Refused(Error),
}

impl From<Error> for Held {
    fn from(error: Error) -> Self {
        Held::Refused(error)
    }
}

impl<S, P> BearerService<S, P> {
    /// Prepares a request that does not go the short way: with a selector or settings of its own, or without a
    /// fresh bearer. Returns what is kept of it.
    ///
    /// The result is a few words. A future, or anything that holds one, would be moved once more by every request.
    #[inline(never)]
    fn prepare<B>(&self, request: &mut Request<B>) -> Result<Option<Sent>, Held>
    where
        P: Authorize,
    {
        match self.provider.authorize(request)? {
            Authorized::Inserted(ticket) => Ok(Some(self.hooks.sent(ticket, request, &self.provider)?)),
            // The selector may choose differently now.
            Authorized::NotReady => match self.provider.provider(RequestHead::from(&*request))? {
                Some(provider) => Err(Held::NotReady(provider)),
                None => Ok(None),
            },
            // `Passed`, and what may be added to it.
            _ => Ok(None),
        }
    }

    /// Keeps a request that is not sent at once.
    #[cold]
    fn hold<B>(&mut self, held: Held, mut request: Request<B>) -> Box<Rare<S, B>>
    where
        S: CloneService,
    {
        // A replay that is not sent yet.
        let refused = request.extensions_mut().remove::<RefusedRequest>();
        if let Some(refused) = &refused {
            refused.set_sent_again(false);
        }
        match held {
            Held::NotReady(provider) => {
                // The service that was made ready may hold a permit or a connection for this request. Waiting with it
                // would let one hung token endpoint starve everything that shares the stack below.
                let fresh = self.inner.clone();
                drop(mem::replace(&mut self.inner, fresh.clone()));
                Rare::waiting(fresh, request, refused, provider, self.hooks.clone())
            }
            Held::Refused(error) => Rare::refused((self.hooks.map_error)(error)),
        }
    }
}

impl<S: fmt::Debug, P: fmt::Debug> fmt::Debug for BearerService<S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BearerService")
            .field("inner", &self.inner)
            .field("provider", &self.provider)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
