//! Finding a token error inside the errors of layers and clients.

use std::{error::Error as StdError, fmt};

use bearer_token::{Error, ErrorKind};
use bearer_token_testing::Fault;
use bytes::Bytes;
use http::{Extensions, Request};
use http_body_util::Full;
use reqwest_bearer::{BearerError, BearerMiddleware, token_error};
use reqwest_middleware::{Middleware, Next};
use tower::{ServiceBuilder, ServiceExt, buffer::error::ServiceError};
use tower_bearer::{BearerLayer, BearerService, BoxError};

use crate::support::{Setup, hyper, reqwest, with_middleware, within};

/// The ways in which other middlewares wrap errors from below.
#[derive(Clone, Copy)]
enum Wrapping {
    AsItIs,
    InAnErrorOfItsOwn,
    WithContext,
}

#[derive(Debug)]
struct Wrapped(reqwest_middleware::Error);

impl fmt::Display for Wrapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a middleware around it failed")
    }
}

impl StdError for Wrapped {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.0)
    }
}

#[async_trait::async_trait]
impl Middleware for Wrapping {
    async fn handle(
        &self,
        request: reqwest::Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        next.run(request, extensions).await.map_err(|error| match self {
            Wrapping::AsItIs => error,
            Wrapping::InAnErrorOfItsOwn => reqwest_middleware::Error::middleware(Wrapped(error)),
            Wrapping::WithContext => anyhow::Error::from(error).context("while calling the API").into(),
        })
    }
}

fn refusing() -> Setup {
    let setup = Setup::start();
    setup.server.token_endpoint().always(Fault::oauth_error(401, "invalid_client"));
    setup
}

fn assert_is_ours(error: Option<&Error>) {
    let error = error.expect("the token error is not found");
    assert_eq!((error.kind(), error.oauth_code()), (ErrorKind::Refused, Some("invalid_client")));
}

#[tokio::test]
async fn a_token_error_is_found_through_the_middlewares_around() {
    for wrapping in [Wrapping::AsItIs, Wrapping::InAnErrorOfItsOwn, Wrapping::WithContext] {
        let setup = refusing();
        let client = reqwest_middleware::ClientBuilder::new(reqwest())
            .with(wrapping)
            .with(wrapping)
            .with(BearerMiddleware::new(setup.provider()))
            .build();
        let error = within(client.get(setup.api("orders")).send()).await.unwrap_err();
        assert_is_ours(token_error(&error));
        // A walk along `source()` finds it too.
        let sources = std::iter::successors(error.source(), |error| (*error).source());
        assert_eq!(sources.filter(|error| error.is::<Error>()).count(), 1);
        // It is also found inside the program's own error.
        let boxed: Box<dyn StdError> = Box::new(error);
        assert_is_ours(token_error(&*boxed));
        let boxed: Box<dyn StdError + Send + Sync> = anyhow::anyhow!("no").context("x").into();
        assert!(token_error(&*boxed).is_none());
    }
}

#[tokio::test]
async fn a_token_error_is_the_innermost_cause() {
    let setup = refusing();
    let client = with_middleware(reqwest(), &setup.provider());
    let error = within(client.get(setup.api("orders")).send()).await.unwrap_err();
    assert!(matches!(&error, reqwest_middleware::Error::Middleware(inner) if inner.is::<BearerError>()));
    let sentence = token_error(&error).unwrap().to_string();
    assert_eq!(error.to_string(), format!("the request was not sent, because there is no token for it: {sentence}"));
    setup.server.token_endpoint().recover();
    setup.clock.advance(std::time::Duration::from_secs(300));
    // An unreachable API is not a token error.
    setup.server.api().always(Fault::disconnect());
    let error = within(client.get(setup.api("orders")).send()).await.unwrap_err();
    assert!(token_error(&error).is_none(), "{error:?}");
}

#[tokio::test]
async fn a_token_error_is_found_behind_towers_box_and_buffer() {
    let setup = refusing();
    let provider = setup.provider();
    let get = || Request::get(setup.api("orders")).body(Full::<Bytes>::default()).unwrap();

    let error = within(BearerService::new(hyper(), provider.clone()).oneshot(get())).await.unwrap_err();
    assert_is_ours(error.downcast_ref());

    let timed = ServiceBuilder::new()
        .timeout(std::time::Duration::from_secs(600))
        .concurrency_limit(8)
        .layer(BearerLayer::new(provider.clone()))
        .service(hyper());
    let error: BoxError = within(timed.oneshot(get())).await.unwrap_err();
    assert_is_ours(error.downcast_ref());

    // A buffer passes errors of its worker's `call` on unchanged.
    let buffered = ServiceBuilder::new().buffer(4).layer(BearerLayer::new(provider.clone())).service(hyper());
    let error: BoxError = within(buffered.oneshot(get())).await.unwrap_err();
    assert_is_ours(token_error(&*error));

    // It wraps errors of `poll_ready`, which a service below can cause.
    let ended = tower::service_fn(move |_: Request<Full<Bytes>>| async { Ok::<_, BoxError>(http::Response::new(())) });
    let never_ready = Ended(Error::new(ErrorKind::Refused, "over").with_oauth_code("invalid_client"), ended);
    let buffered = ServiceBuilder::new().buffer(4).layer(BearerLayer::new(provider)).service(never_ready);
    let error: BoxError = within(buffered.oneshot(get())).await.unwrap_err();
    assert!(error.is::<ServiceError>());
    assert_is_ours(token_error(&*error));
}

/// A service that has ended with an error.
#[derive(Clone)]
struct Ended<S>(Error, S);

impl<S: tower::Service<Request<Full<Bytes>>, Error = BoxError>> tower::Service<Request<Full<Bytes>>> for Ended<S> {
    type Response = S::Response;
    type Error = BoxError;
    type Future = S::Future;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), BoxError>> {
        std::task::Poll::Ready(Err(self.0.clone().into()))
    }

    fn call(&mut self, request: Request<Full<Bytes>>) -> S::Future {
        self.1.call(request)
    }
}
