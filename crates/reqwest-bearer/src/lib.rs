//! A [reqwest](https://docs.rs/reqwest) middleware that puts a cached, self-refreshing bearer token into outgoing
//! requests.
//!
//! ```
//! use bearer_token::{StaticToken, TokenProvider};
//! use reqwest_bearer::BearerMiddleware;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let provider = TokenProvider::builder(StaticToken::new("2YotnFZFEjr1zCsicMWpAA"))
//!     .allow_origin("https://api.example.com")
//!     .build()?;
//!
//! let client = reqwest::Client::builder().redirect(reqwest_bearer::redirect_policy()).no_proxy().build()?;
//! let client = reqwest_bearer::reqwest_middleware::ClientBuilder::new(client)
//!     .with(BearerMiddleware::new(provider))
//!     .build();
//! # let _ = client; Ok(()) }
//! ```
//!
//! # What it does with a request
//!
//! - **A usable bearer is cached:** it is inserted, and the request goes on.
//! - **None is cached:** the request waits for the fetch that is in progress, or starts it.
//! - **The fetch fails:** the request is not sent; [`token_error`] finds the [`bearer_token::Error`].
//! - **It has an `Authorization` of its own** (or the header that [`Sending`](bearer_token::Sending) names), carries
//!   [`PassThrough`] among its extensions, or goes to an origin that gets no token: it goes out unchanged.
//! - **The response is a 401** with a challenge that means the bearer, or what [`Sending`](bearer_token::Sending) or
//!   [`reject_if`](bearer_token::TokenProviderBuilder::reject_if) declares: the bearer is rejected. The next request
//!   gets a new one. A 401 from another origin, after a redirect that reqwest followed, rejects nothing. The rejected
//!   request is sent again only if you ask for it: [`replay_once`](BearerMiddleware::replay_once).
//!
//! # Redirects
//!
//! reqwest follows them below this middleware. It removes the `Authorization` header where the origin changes, but only
//! for one hop. So give the client [`redirect_policy`], or let it follow none
//! ([`Policy::none`](reqwest::redirect::Policy::none)).
//!
//! No other header is removed. So a provider that sends its token in [another header](bearer_token::Sending), or fixed
//! headers with it, needs a client whose redirects are watched
//! ([`watch_redirects`](BearerMiddleware::watch_redirects)). A redirect to another origin is an error then. Without
//! that, no request is sent.
//!
//! # Proxies
//!
//! reqwest sends through the proxy of the environment (`HTTP_PROXY`), requests to loopback included. Over plain `http`,
//! the proxy then reads the token. If the API is on this machine, give the client
//! [`no_proxy()`](reqwest::ClientBuilder::no_proxy), or have `NO_PROXY` name `localhost,127.0.0.1,::1`. Over `https`, a
//! proxy only sees a tunnel.
//!
//! # Timeouts
//!
//! reqwest's own, of the client or of a request
//! ([`timeout`](reqwest::RequestBuilder::timeout)), begin when the request is sent, after the wait for a token. That
//! wait ends with the deadline of the fetch ([`Policy::fetch_timeout`](bearer_token::Policy::fetch_timeout), 10 s). To
//! bound both, put `tokio::time::timeout` around `send()`; the fetch continues for later requests.
//!
//! # Order of middlewares
//!
//! Middlewares that send a request several times, such as reqwest-retry, belong *outside* of this one: add them with
//! `with` before it. Then each attempt gets the bearer that is current at that moment.
#![cfg_attr(docsrs, feature(doc_cfg))]

use std::{
    future::ready,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bearer_token::{
    PassThrough, TokenProvider,
    adapter::{Authorize, Refusals},
};
use http::Extensions;
use reqwest::{Request, redirect::Policy};
use reqwest_middleware::{Middleware, Next};

mod asked;
mod error;
mod future;
mod redirect;
mod sending;
#[cfg(feature = "transport")]
mod transport;

pub use bearer_token;
pub use reqwest_middleware;

#[cfg(feature = "transport")]
pub use self::transport::{ClientTransport, ClientTransportBuilder, MiddlewareTransport};
pub use self::{
    error::{BearerError, token_error},
    redirect::redirect_policy,
    sending::tell_of_replay,
};
use self::{
    future::{Boxed, Cold, Waiting},
    sending::Found,
};

/// Puts the bearers of a provider into the requests of a reqwest client.
///
/// See the [crate docs](crate) for an example. In place of a provider it takes several, with a selector that chooses
/// one by the head of the request: see [`KeyedProviders::select`](bearer_token::KeyedProviders::select). A selector
/// looks at the extensions of the middleware, which
/// [`with_extension`](reqwest_middleware::RequestBuilder::with_extension) adds to.
#[derive(Clone, Debug)]
pub struct BearerMiddleware<P = TokenProvider> {
    provider: P,
    refusals: Refusals,
    replays: bool,
    exposes_ticket: bool,
    /// Whether the client's redirects are noted, so none is overlooked.
    watches: Arc<AtomicBool>,
}

impl<P: Authorize> BearerMiddleware<P> {
    /// A middleware that takes its bearers from this provider, or from the one that a [selector](bearer_token::Select)
    /// chooses. Clones share one cache.
    pub fn new(provider: P) -> Self {
        let refusals = provider.refusals();
        BearerMiddleware { provider, refusals, replays: false, exposes_ticket: false, watches: Arc::default() }
    }

    /// Sends a request once more, with a newer bearer, when the API rejected the one that it carried.
    ///
    /// Only if the replay can succeed: the bearer was withdrawn, or is superseded already. The replay waits for the new
    /// bearer if need be. Should the renewal fail, the old bearer is back in service, and the replay carries that. The
    /// response of the first attempt is gone by then. A bearer that was refused within its
    /// [settling time](bearer_token::Sending::settle) is not renewed: the request waits for that time, and is then sent once
    /// more. The response to the replay is final, whatever it is. Middlewares under this one see both attempts, and a
    /// timeout of the request counts for each.
    ///
    /// A request that reqwest redirected before it was rejected is not replayed: the first hop may have acted on it. A
    /// redirect back to the URL of the request cannot be noticed in the response. So methods that are not idempotent
    /// (RFC 9110 section 9.2.2), such as `POST` and `PATCH`, need [`watch_redirects`](Self::watch_redirects) to be
    /// replayed, even if the client follows no redirects. An idempotent request may be repeated without harm, redirects
    /// included.
    ///
    /// Never replayed are a request with an `Authorization` of its own, one with [`PassThrough`], and one whose body
    /// cannot be sent again ([`Request::try_clone`]):
    ///
    /// | body | replayed |
    /// |---|---|
    /// | none; bytes, strings, `form`, `json` | yes, and bytes are not copied |
    /// | `wrap_stream`, `wrap`, files | no: what was sent is gone |
    /// | `multipart` | no: it is a stream, even if all of its parts are in memory |
    ///
    /// ```
    /// # use bearer_token::TokenProvider;
    /// # use reqwest_bearer::{BearerMiddleware, reqwest_middleware::{ClientBuilder, ClientWithMiddleware}};
    /// # fn example(provider: TokenProvider) -> reqwest::Result<ClientWithMiddleware> {
    /// let bearer = BearerMiddleware::new(provider).replay_once();
    /// let redirects = bearer.watch_redirects(reqwest_bearer::redirect_policy());
    /// let http = reqwest::Client::builder().redirect(redirects).no_proxy().build()?;
    /// let client = ClientBuilder::new(http).with(bearer).build();
    /// # Ok(client) }
    /// ```
    ///
    /// For other rules, write a middleware of your own around this one. Whenever the API rejects a bearer, the
    /// [`Rejection`](bearer_token::Rejection) is left among the extensions of the response. It is not if the request
    /// was redirected or, as above, may have been. When yours sends the request again, it calls [`tell_of_replay`], so
    /// that the observers of the provider learn of it.
    #[must_use]
    pub fn replay_once(mut self) -> Self {
        self.replays = true;
        self
    }

    /// Leaves the [`Ticket`](bearer_token::Ticket) of each request among the extensions of its response. With it, the
    /// caller can report a refusal that is in the body: `ticket.reject(&HeaderMap::new())`.
    ///
    /// An extension costs an allocation, so this is off by default. A response that came from another origin, after a
    /// redirect, has none. If status and headers show the refusal, declare it to the provider with
    /// [`reject_if`](bearer_token::TokenProviderBuilder::reject_if) instead.
    #[must_use]
    pub fn expose_ticket(mut self) -> Self {
        self.exposes_ticket = true;
        self
    }

    /// Returns a redirect policy for the client under this middleware. It decides as the given one does, and reports
    /// each redirect to this middleware; see [`replay_once`](Self::replay_once).
    ///
    /// Wrap the policy that the client has anyway: [`redirect_policy`], or [`Policy::none`] if it follows no redirects.
    /// From now on, this middleware and its clones assume that their client has this policy.
    ///
    /// Where the token is sent in [another header](bearer_token::Sending) than `Authorization`, the policy refuses
    /// redirects to another origin.
    #[must_use]
    pub fn watch_redirects(&self, policy: Policy) -> Policy {
        self.watches.store(true, Ordering::Relaxed);
        redirect::noted(policy)
    }
}

/// Written without `async_trait`, whose future would contain the request and everything that is done with it, also
/// where that is rare. The request is authorized when it is passed on, as a tower layer does.
impl<P: Authorize> Middleware for BearerMiddleware<P> {
    fn handle<'life0, 'life1, 'life2, 'async_trait>(
        &'life0 self,
        mut request: Request,
        extensions: &'life1 mut Extensions,
        next: Next<'life2>,
    ) -> Boxed<'async_trait>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        'life2: 'async_trait,
        Self: 'async_trait,
    {
        if extensions.get::<PassThrough>().is_some() {
            return next.run(request, extensions);
        }
        if self.replays {
            return self.send_twice(request, extensions, next);
        }
        match self.authorize(&mut request, extensions) {
            Ok(Found::Ready(Some(ticket))) => match self.send(request, ticket, extensions, next) {
                Ok(sent) => Box::pin(sent),
                Err(error) => Box::pin(ready(Err(error))),
            },
            Ok(Found::Ready(None)) => next.run(request, extensions),
            Ok(Found::Waits(provider)) => {
                let token = provider.token();
                let cold = Cold { middleware: self, provider, token, request, extensions, next };
                Box::pin(Waiting::Token(cold))
            }
            Err(error) => Box::pin(ready(Err(BearerError::not_sent(error)))),
        }
    }
}
