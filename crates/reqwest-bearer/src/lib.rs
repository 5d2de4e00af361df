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
//! let client = reqwest::Client::builder().redirect(reqwest_bearer::redirect_policy()).build()?;
//! let client = reqwest_bearer::reqwest_middleware::ClientBuilder::new(client)
//!     .with(BearerMiddleware::new(provider))
//!     .build();
//! # let _ = client; Ok(()) }
//! ```
//!
//! # What it does with a request
//!
//! - **A bearer is there:** it is inserted, and the request goes on.
//! - **None is there:** the request waits for the fetch that is in progress, or starts it.
//! - **None can be had:** the request is not sent; [`token_error`] finds the [`bearer_token::Error`].
//! - **It has an `Authorization` of its own**, carries [`PassThrough`] among its extensions,
//!   or goes to an origin that gets no token: it goes out as it is.
//! - **The API answers 401** with a challenge that means the bearer: the bearer is rejected, and the next request gets
//!   a new one. A 401 from another origin, after a redirect that reqwest followed, rejects nothing. The rejected request
//!   is sent again only if you ask for it: [`replay_once`](BearerMiddleware::replay_once).
//!
//! # Redirects
//!
//! reqwest follows them below this middleware, and takes the `Authorization` header off where the origin changes, but
//! only for one hop: give the client [`redirect_policy`], or let it follow none
//! ([`Policy::none`](reqwest::redirect::Policy::none)).
//!
//! # Which way round
//!
//! Middlewares that send a request several times, such as reqwest-retry, belong *outside* of this one (added with
//! `with` before it): then each try takes the bearer that is in service then.

use async_trait::async_trait;
use bearer_token::{Authorized, Destination, Error, PassThrough, Rejection, Ticket, TokenProvider, is_rejection};
use http::{Extensions, HeaderMap, header::AUTHORIZATION};
use reqwest::{Request, Response, Url};
use reqwest_middleware::{Middleware, Next};

mod error;
mod redirect;
#[cfg(feature = "transport")]
mod transport;

pub use bearer_token;
pub use reqwest_middleware;

#[cfg(feature = "transport")]
pub use self::transport::MiddlewareTransport;
pub use self::{
    error::{BearerError, token_error},
    redirect::redirect_policy,
};

/// Puts the bearers of a provider into the requests of a reqwest client.
///
/// See the [crate docs](crate) for an example.
#[derive(Clone, Debug)]
pub struct BearerMiddleware {
    provider: TokenProvider,
    replays: bool,
}

impl BearerMiddleware {
    /// A middleware that takes its bearers from this provider. Clones of the provider share one cache.
    pub fn new(provider: TokenProvider) -> Self {
        BearerMiddleware { provider, replays: false }
    }

    /// Sends a request once more, with a newer bearer, when the API rejected the one that it carried.
    ///
    /// Only if that can go better: the bearer was withdrawn, or is superseded already. The replay waits for the new
    /// bearer if need be. Should the renewal fail, the old bearer is back in service, and the replay carries that; the
    /// response of the first attempt is gone by then. The answer to the replay is final, whatever it is. Middlewares
    /// under this one see both attempts, and a timeout of the request counts for each.
    ///
    /// Never replayed are a request with an `Authorization` of its own, one with [`PassThrough`], one that reqwest
    /// redirected before it was rejected (the first hop may have acted on it), and one whose body cannot be sent again
    /// ([`Request::try_clone`]):
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
    /// let http = reqwest::Client::builder().redirect(reqwest_bearer::redirect_policy()).build()?;
    /// let client = ClientBuilder::new(http).with(BearerMiddleware::new(provider).replay_once()).build();
    /// # Ok(client) }
    /// ```
    ///
    /// For other rules, write a middleware of your own around this one: whenever the API rejects a bearer, the
    /// [`Rejection`] is left among the extensions of the response, unless the request was redirected.
    #[must_use]
    pub fn replay_once(mut self) -> Self {
        self.replays = true;
        self
    }

    /// Authorizes a request, waiting for a token if need be. `None`: the request goes out as it is.
    async fn authorize(&self, request: &mut Request) -> Result<Option<Ticket>, Error> {
        // The URL and the headers cannot be borrowed side by side.
        let mut headers: HeaderMap = std::mem::take(request.headers_mut());
        let authorized = self.provider.authorize_headers(destination(request.url()), &mut headers);
        *request.headers_mut() = headers;
        match authorized? {
            Authorized::Sent(ticket) => Ok(Some(ticket)),
            Authorized::Passed => Ok(None),
            Authorized::NotReady => {
                let bearer = self.provider.token().await?;
                request.headers_mut().insert(AUTHORIZATION, bearer.header_value().clone());
                Ok(Some(bearer.ticket()))
            }
        }
    }
}

#[async_trait]
impl Middleware for BearerMiddleware {
    async fn handle(
        &self,
        mut request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        if extensions.get::<PassThrough>().is_some() {
            return next.run(request, extensions).await;
        }
        let Some(ticket) = self.authorize(&mut request).await.map_err(BearerError::not_sent)? else {
            return next.run(request, extensions).await;
        };
        let spare = if self.replays { request.try_clone() } else { None };
        let response = send(request, ticket, extensions, next.clone()).await?;
        let wanted = response.extensions().get::<Rejection>().is_some_and(|rejection| rejection.is_replay_useful());
        let Some(mut replay) = spare.filter(|_| wanted) else { return Ok(response) };

        // What waits for a token holds no connection meanwhile.
        drop(response);
        replay.headers_mut().remove(AUTHORIZATION);
        match self.authorize(&mut replay).await.map_err(BearerError::not_replayed)? {
            Some(ticket) => send(replay, ticket, extensions, next).await,
            None => next.run(replay, extensions).await,
        }
    }
}

/// Sends an authorized request. If its bearer is refused, it is rejected, and the outcome noted in the response.
async fn send(
    request: Request,
    ticket: Ticket,
    extensions: &mut Extensions,
    next: Next<'_>,
) -> reqwest_middleware::Result<Response> {
    let asked = request.url().clone();
    let mut response = next.run(request, extensions).await?;
    if is_rejection(response.status(), response.headers())
        && destination(response.url()).is_same_origin(destination(&asked))
    {
        let rejection = ticket.reject(response.headers());
        let redirected = response.url().path() != asked.path() || response.url().query() != asked.query();
        // Whatever redirected the request may have acted on it.
        if !redirected {
            response.extensions_mut().insert(rejection);
        }
    }
    Ok(response)
}

fn destination(url: &Url) -> Destination<'_> {
    Destination::new(url.scheme(), url.authority())
}
