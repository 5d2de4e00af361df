//! Middlewares of reqwest clients that send nothing: the last middleware responds.
//!
//! Requests are made and sent as users of these clients write it: `client.get(url).header(..).send()`.

use async_trait::async_trait;
use futures_util::FutureExt;
use http::{
    Extensions, HeaderValue,
    header::{ACCEPT, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, USER_AGENT},
};
use reqwest_bearer::BearerMiddleware;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Middleware, Next, RequestBuilder};

use super::ours::provider;
use crate::{
    drive::{Contender, Failed},
    endpoint::Endpoint,
    warm,
};

#[cfg(feature = "peers")]
pub(super) mod reqwest_12;

#[derive(Clone)]
pub(super) struct Client(ClientWithMiddleware);

pub(super) fn bare() -> Client {
    Client(ClientBuilder::new(reqwest::Client::new()).with(Reply).build())
}

pub(super) fn constant(value: HeaderValue) -> Client {
    Client(ClientBuilder::new(reqwest::Client::new()).with(Constant(value)).with(Reply).build())
}

pub(super) fn ours(endpoint: &Endpoint) -> Client {
    let middleware = BearerMiddleware::new(provider(endpoint));
    Client(ClientBuilder::new(reqwest::Client::new()).with(middleware).with(Reply).build())
}

pub(super) fn replaying(endpoint: &Endpoint) -> Client {
    let middleware = BearerMiddleware::new(provider(endpoint)).replay_once();
    Client(ClientBuilder::new(reqwest::Client::new()).with(middleware).with(Reply).build())
}

pub(super) fn hanging() -> Client {
    Client(ClientBuilder::new(reqwest::Client::new()).with(Hang).build())
}

impl Contender for Client {
    type Request = RequestBuilder;

    #[inline(never)]
    fn request(&self) -> RequestBuilder {
        self.0
            .get(warm::URL)
            .header(ACCEPT, HeaderValue::from_static("application/json"))
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .header(USER_AGENT, HeaderValue::from_static("example/1.0"))
            .header(CACHE_CONTROL, HeaderValue::from_static("no-cache"))
    }

    /// Not `async`: that future would have room for the request once more, which `client.get(url).send().await` has not.
    #[inline]
    fn send(&mut self, request: RequestBuilder) -> impl Future<Output = Result<warm::Reply, Failed>> + Send {
        request.send().map(|result| result.map(|_| http::Response::new(())).map_err(Failed::new))
    }
}

/// A middleware that responds to every request at once.
struct Reply;

#[async_trait]
impl Middleware for Reply {
    async fn handle(
        &self,
        request: reqwest::Request,
        _extensions: &mut Extensions,
        _next: Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        Ok(warm::reply_to(std::hint::black_box(&request).headers()).map(|()| reqwest::Body::default()).into())
    }
}

/// A middleware whose requests wait for ever, and keep nothing but themselves.
struct Hang;

#[async_trait]
impl Middleware for Hang {
    async fn handle(
        &self,
        request: reqwest::Request,
        _extensions: &mut Extensions,
        _next: Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        std::future::pending::<()>().await;
        drop(request);
        unreachable!("it waits for ever")
    }
}

/// The cheapest possible middleware.
struct Constant(HeaderValue);

#[async_trait]
impl Middleware for Constant {
    async fn handle(
        &self,
        mut request: reqwest::Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        request.headers_mut().insert(AUTHORIZATION, self.0.clone());
        next.run(request, extensions).await
    }
}
