//! Middlewares of reqwest clients that send nothing: the last middleware responds.

use async_trait::async_trait;
use futures_util::FutureExt;
use http::{Extensions, HeaderValue, Request, header::AUTHORIZATION};
use reqwest_bearer::BearerMiddleware;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Middleware, Next};

use super::ours::provider;
use crate::{
    drive::{Attach, Failed},
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

impl Attach for Client {
    /// Not `async`: that future would have room for `http`'s request, which users of reqwest do not have.
    #[inline]
    fn send(&mut self, request: Request<()>) -> impl Future<Output = Result<warm::Reply, Failed>> + Send {
        let request = request.map(|()| reqwest::Body::default()).try_into().expect("a valid request");
        self.0.execute(request).map(|result| result.map(|_| http::Response::new(())).map_err(Failed::new))
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
