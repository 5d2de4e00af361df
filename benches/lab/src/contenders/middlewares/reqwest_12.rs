//! The same for reqwest 0.12 and reqwest-middleware 0.4, which reqwest-auth needs.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::FutureExt;
use http::{
    Extensions, HeaderValue,
    header::{ACCEPT, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, USER_AGENT},
};
use reqwest_auth::AuthorizationHeaderMiddleware;
use reqwest_middleware_04::{ClientBuilder, ClientWithMiddleware, Middleware, Next, RequestBuilder};
use token_source::TokenSource;

use crate::{
    drive::{Contender, Failed},
    warm,
};

#[derive(Clone)]
pub(in crate::contenders) struct Client(ClientWithMiddleware);

pub(in crate::contenders) fn bare() -> Client {
    Client(ClientBuilder::new(reqwest_12::Client::new()).with(Reply).build())
}

pub(in crate::contenders) fn constant(value: HeaderValue) -> Client {
    Client(ClientBuilder::new(reqwest_12::Client::new()).with(Constant(value)).with(Reply).build())
}

/// It asks a source for the token at each request and leaves caching to the source. This source is constant: no real
/// one is faster.
pub(in crate::contenders) fn reqwest_auth(token: String) -> Client {
    let source: Arc<dyn TokenSource> = Arc::new(Ready(format!("Bearer {token}")));
    let middleware = AuthorizationHeaderMiddleware::from(source);
    Client(ClientBuilder::new(reqwest_12::Client::new()).with(middleware).with(Reply).build())
}

struct Ready(String);

impl std::fmt::Debug for Ready {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ready")
    }
}

#[async_trait]
impl TokenSource for Ready {
    async fn token(&self) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
        Ok(self.0.clone())
    }
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
        request: reqwest_12::Request,
        _extensions: &mut Extensions,
        _next: Next<'_>,
    ) -> reqwest_middleware_04::Result<reqwest_12::Response> {
        Ok(warm::reply_to(std::hint::black_box(&request).headers()).map(|()| reqwest_12::Body::default()).into())
    }
}

/// The cheapest possible middleware.
struct Constant(HeaderValue);

#[async_trait]
impl Middleware for Constant {
    async fn handle(
        &self,
        mut request: reqwest_12::Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware_04::Result<reqwest_12::Response> {
        request.headers_mut().insert(AUTHORIZATION, self.0.clone());
        next.run(request, extensions).await
    }
}
