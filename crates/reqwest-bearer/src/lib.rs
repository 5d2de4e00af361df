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
//!   a new one. A 401 from another origin, after a redirect that reqwest followed, rejects nothing.
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
use bearer_token::{Authorized, Destination, Error, PassThrough, Ticket, TokenProvider, is_rejection};
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
}

impl BearerMiddleware {
    /// A middleware that takes its bearers from this provider. Clones of the provider share one cache.
    pub fn new(provider: TokenProvider) -> Self {
        BearerMiddleware { provider }
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
        let Some(ticket) = self.authorize(&mut request).await.map_err(BearerError::middleware)? else {
            return next.run(request, extensions).await;
        };
        let asked = request.url().clone();
        let response = next.run(request, extensions).await?;
        if is_rejection(response.status(), response.headers())
            && destination(response.url()).is_same_origin(destination(&asked))
        {
            let _ = ticket.reject();
        }
        Ok(response)
    }
}

fn destination(url: &Url) -> Destination<'_> {
    Destination::new(url.scheme(), url.authority())
}
