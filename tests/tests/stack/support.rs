//! Shared setup: a server and a clock for each test, and one client type for both adapters.

use std::{
    future::{Future, poll_fn},
    task::Poll,
    time::Duration,
};

use bearer_token::{
    Error, Policy, TokenProvider, TokenProviderBuilder, TokenSource,
    oauth::{ClientAuth, ClientCredentials, TokenEndpoint, TokenEndpointBuilder},
    platform::Platform,
};
use bearer_token_testing::{AuthorizationServer, Client as Registered, Endpoint, ManualClock, RecordedRequest};
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, header::AUTHORIZATION};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client as Hyper, connect::HttpConnector},
    rt::TokioExecutor,
};
use reqwest_bearer::BearerMiddleware;
use reqwest_middleware::ClientWithMiddleware;
use tower::ServiceExt;
use tower_bearer::{BearerLayer, BearerService, BoxError};

pub(crate) const CLIENT: &str = "reports";
pub(crate) const SECRET: &str = "a secret of the test's own";

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// A server in a box, and the clock that it shares with the test's providers.
pub(crate) struct Setup {
    pub(crate) clock: ManualClock,
    pub(crate) server: AuthorizationServer,
}

impl Setup {
    pub(crate) fn start() -> Self {
        let clock = ManualClock::new();
        let server = AuthorizationServer::builder().clock(clock.clone()).start().unwrap();
        server.register(Registered::secret(CLIENT, SECRET));
        Setup { clock, server }
    }

    pub(crate) fn platform(&self) -> Platform {
        Platform::system().with_clock(self.clock.clone())
    }

    /// The URL of a resource of the API.
    pub(crate) fn api(&self, path: &str) -> String {
        format!("{}/{path}", self.server.api_url())
    }

    pub(crate) fn endpoint(&self) -> TokenEndpointBuilder {
        TokenEndpoint::builder(self.server.token_url(), ClientCredentials::new())
            .client_auth(ClientAuth::basic(CLIENT, SECRET))
    }

    /// A provider of this source, on the test's clock, without jitter, for the server's API only.
    pub(crate) fn builder(&self, source: impl TokenSource) -> TokenProviderBuilder {
        TokenProvider::builder(source)
            .allow_origin(self.server.issuer())
            .policy(Policy::default().jitter(false))
            .platform(self.platform())
    }

    /// The usual provider: client credentials over a transport of its own.
    pub(crate) fn provider(&self) -> TokenProvider {
        self.builder(self.endpoint().build().unwrap()).build().unwrap()
    }

    pub(crate) fn token_requests(&self) -> u64 {
        self.server.count().token_requests
    }

    /// The `Authorization` of each request to the API.
    pub(crate) fn authorizations(&self) -> Vec<Option<String>> {
        authorizations(&self.server)
    }
}

pub(crate) fn authorizations(server: &AuthorizationServer) -> Vec<Option<String>> {
    server
        .requests()
        .iter()
        .filter(|request| request.endpoint() == Endpoint::Api)
        .map(|request| request.header("authorization").map(str::to_owned))
        .collect()
}

pub(crate) fn token_requests(server: &AuthorizationServer) -> Vec<RecordedRequest> {
    server.requests().into_iter().filter(|request| request.endpoint() == Endpoint::Token).collect()
}

pub(crate) type HyperClient = Hyper<HttpConnector, Full<Bytes>>;

pub(crate) fn hyper() -> HyperClient {
    Hyper::builder(TokioExecutor::new()).build_http()
}

/// One connection for everything: a thousand of them would need more file descriptors than many machines allow.
pub(crate) fn hyper_http2() -> HyperClient {
    Hyper::builder(TokioExecutor::new()).http2_only(true).build_http()
}

/// The loopback must not be reached through a proxy of the machine. Nor does it need CA certificates, which take long
/// to read.
pub(crate) fn reqwest_builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder().no_proxy().tls_certs_only([])
}

pub(crate) fn reqwest() -> reqwest::Client {
    reqwest_builder().build().unwrap()
}

pub(crate) fn reqwest_http2() -> reqwest::Client {
    reqwest_builder().http2_prior_knowledge().build().unwrap()
}

pub(crate) fn with_middleware(client: reqwest::Client, provider: &TokenProvider) -> ClientWithMiddleware {
    reqwest_middleware::ClientBuilder::new(client).with(BearerMiddleware::new(provider.clone())).build()
}

/// The adapter under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Adapter {
    Tower,
    Reqwest,
}

impl Adapter {
    pub(crate) const BOTH: [Adapter; 2] = [Adapter::Tower, Adapter::Reqwest];

    pub(crate) fn client(self, provider: &TokenProvider) -> Client {
        match self {
            Adapter::Tower => Client::Tower(BearerService::new(hyper(), provider.clone())),
            Adapter::Reqwest => Client::Reqwest(with_middleware(reqwest(), provider)),
        }
    }

    pub(crate) fn http2_client(self, provider: &TokenProvider) -> Client {
        match self {
            Adapter::Tower => Client::Tower(BearerLayer::new(provider.clone()).layer(hyper_http2())),
            Adapter::Reqwest => Client::Reqwest(with_middleware(reqwest_http2(), provider)),
        }
    }
}

/// A client whose requests carry the bearers of a provider.
#[derive(Clone)]
#[allow(clippy::large_enum_variant, reason = "there are few of them")]
pub(crate) enum Client {
    Tower(BearerService<HyperClient>),
    Reqwest(ClientWithMiddleware),
}

#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
}

impl Reply {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

impl Client {
    pub(crate) async fn get(&self, url: &str) -> Result<Reply, BoxError> {
        self.send(url, HeaderMap::new()).await
    }

    pub(crate) async fn send(&self, url: &str, headers: HeaderMap) -> Result<Reply, BoxError> {
        match self {
            Client::Tower(service) => {
                let mut request = Request::get(url).body(Full::default())?;
                *request.headers_mut() = headers;
                let response = service.clone().oneshot(request).await?;
                let status = response.status();
                Ok(Reply { status, body: response.into_body().collect().await?.to_bytes() })
            }
            Client::Reqwest(client) => {
                let response = client.get(url).headers(headers).send().await?;
                let status = response.status();
                Ok(Reply { status, body: response.bytes().await? })
            }
        }
    }

    /// Makes a call that must receive 200.
    pub(crate) async fn succeed(&self, url: &str) -> Reply {
        let reply = self.get(url).await.unwrap();
        assert_eq!(reply.status, 200, "{reply:?}");
        reply
    }

    /// Makes a call that must not be sent, and returns its token error.
    pub(crate) async fn refused(&self, url: &str) -> Error {
        let error = self.get(url).await.unwrap_err();
        reqwest_bearer::token_error(&*error).unwrap_or_else(|| panic!("no token error: {error:?}")).clone()
    }
}

/// Calls `Layer::layer`, so test files need not import the trait.
pub(crate) trait LayerExt {
    fn layer<S: Clone>(&self, inner: S) -> BearerService<S>;
}

impl LayerExt for BearerLayer {
    fn layer<S: Clone>(&self, inner: S) -> BearerService<S> {
        tower::Layer::layer(self, inner)
    }
}

pub(crate) fn own_authorization(value: &'static str) -> HeaderMap {
    [(AUTHORIZATION, http::HeaderValue::from_static(value))].into_iter().collect()
}

/// Ends a test that hangs. A passing test never reaches this limit.
pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    let limit = Duration::from_secs(60);
    tokio::time::timeout(limit, future).await.expect("the test hangs")
}

/// Polls once, like a caller that then does something else.
pub(crate) async fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    poll_fn(|cx| Poll::Ready(std::pin::Pin::new(&mut *future).poll(cx))).await
}

/// Completes once other tasks of this runtime have made the condition true.
pub(crate) async fn until(mut reached: impl FnMut() -> bool) {
    while !reached() {
        tokio::task::yield_now().await;
    }
}
