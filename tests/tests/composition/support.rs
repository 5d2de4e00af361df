//! A server, a clock and a provider for each test, and short ways to call the API.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::{Arc, Mutex},
    task::Poll,
    time::Duration,
};

use bearer_token::{
    Policy, TokenProvider, TokenProviderBuilder,
    oauth::{ClientAuth, ClientCredentials, TokenEndpoint},
    platform::Platform,
};
use bearer_token_testing::{
    AuthorizationServer, Client as Registered, Counts, Endpoint, Fault, ManualClock, RecordedRequest,
};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client as Hyper, connect::HttpConnector},
    rt::TokioExecutor,
};
use tower::{Service, ServiceExt};
use tower_bearer::{BearerLayer, BoxError};

pub(crate) type Body = Full<Bytes>;
pub(crate) type HyperClient = Hyper<HttpConnector, Body>;

/// A timeout that only virtual time reaches.
pub(crate) const LIMIT: Duration = Duration::from_secs(3);
pub(crate) const PAST_LIMIT: Duration = Duration::from_secs(4);
/// Longer than the lifetime of any token.
pub(crate) const LIFETIME: Duration = Duration::from_secs(2 * 3600);

pub(crate) struct Setup {
    pub(crate) clock: ManualClock,
    pub(crate) server: AuthorizationServer,
    pub(crate) provider: TokenProvider,
}

impl Setup {
    /// Starts without a token.
    pub(crate) fn cold() -> Self {
        let clock = ManualClock::new();
        let server = AuthorizationServer::builder().clock(clock.clone()).start().unwrap();
        server.register(Registered::secret("app", "a secret"));
        let provider = provider(&server, &clock);
        Setup { clock, server, provider }
    }

    /// Starts with a token in service.
    pub(crate) async fn warm() -> Self {
        let setup = Setup::cold();
        within(setup.provider.token()).await.unwrap();
        setup
    }

    /// A provider that is not built yet.
    pub(crate) fn builder(&self) -> TokenProviderBuilder {
        builder(&self.server, &self.clock)
    }

    /// Another provider for the same API.
    pub(crate) fn other_provider(&self) -> TokenProvider {
        provider(&self.server, &self.clock)
    }

    pub(crate) fn layer(&self) -> BearerLayer {
        BearerLayer::new(self.provider.clone())
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.server.api_url())
    }

    pub(crate) fn get(&self, path: &str) -> Request<Body> {
        self.request(Method::GET, path, "")
    }

    pub(crate) fn request(&self, method: Method, path: &str, body: &'static str) -> Request<Body> {
        Request::builder().method(method).uri(self.url(path)).body(Full::from(body)).unwrap()
    }

    pub(crate) fn token_requests(&self) -> u64 {
        self.server.count().token_requests
    }

    pub(crate) fn api_requests(&self) -> Vec<RecordedRequest> {
        api_requests(&self.server)
    }

    /// The `Authorization` of each request that reached the API.
    pub(crate) fn authorizations(&self) -> Vec<Option<String>> {
        self.api_requests().iter().map(|request| request.header("authorization").map(str::to_owned)).collect()
    }

    /// The methods of the requests that reached the API.
    pub(crate) fn methods(&self) -> Vec<Method> {
        self.api_requests().iter().map(|request| request.method().clone()).collect()
    }

    /// The `Authorization` of the bearer in service.
    pub(crate) fn in_service(&self) -> Option<String> {
        Some(format!("Bearer {}", self.provider.cached().unwrap().secret()))
    }
}

fn provider(server: &AuthorizationServer, clock: &ManualClock) -> TokenProvider {
    builder(server, clock).build().unwrap()
}

fn builder(server: &AuthorizationServer, clock: &ManualClock) -> TokenProviderBuilder {
    let source = TokenEndpoint::builder(server.token_url(), ClientCredentials::new())
        .client_auth(ClientAuth::basic("app", "a secret"))
        .build()
        .unwrap();
    TokenProvider::builder(source)
        .allow_origin(server.issuer())
        .policy(Policy::default().jitter(false))
        .platform(Platform::system().with_clock(clock.clone()))
}

/// `a response`, as `gzip -n` packs it.
const ZIPPED: &[u8] = &[
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0x4b, 0x54, 0x28, 0x4a, 0x2d, 0x2e, 0xc8, 0xcf, 0x2b,
    0x4e, 0x05, 0x00, 0x09, 0x51, 0x07, 0x04, 0x0a, 0x00, 0x00, 0x00,
];

/// A response with the compressed body `a response`.
pub(crate) fn zipped(fault: Fault) -> Fault {
    fault.header("content-encoding", "gzip").body(ZIPPED)
}

pub(crate) fn api_requests(server: &AuthorizationServer) -> Vec<RecordedRequest> {
    server.requests().into_iter().filter(|request| request.endpoint() == Endpoint::Api).collect()
}

pub(crate) fn hyper() -> HyperClient {
    Hyper::builder(TokioExecutor::new()).build_http()
}

pub(crate) fn reqwest() -> reqwest::ClientBuilder {
    // The loopback must not be reached through a proxy of the machine.
    reqwest::Client::builder().no_proxy()
}

/// Sends a request and returns the status and the whole body.
pub(crate) async fn send<S, RB>(service: S, request: Request<Body>) -> Result<(StatusCode, Bytes), BoxError>
where
    S: Service<Request<Body>, Response = Response<RB>>,
    S::Error: Into<BoxError>,
    RB: hyper::body::Body,
    RB::Error: Into<BoxError>,
{
    within(async {
        let (head, body) = service.oneshot(request).await.map_err(Into::into)?.into_parts();
        Ok((head.status, body.collect().await.map_err(Into::into)?.to_bytes()))
    })
    .await
}

/// Sends a request that must succeed, and returns the status.
pub(crate) async fn status<S, RB>(service: S, request: Request<Body>) -> StatusCode
where
    S: Service<Request<Body>, Response = Response<RB>>,
    S::Error: Into<BoxError>,
    RB: hyper::body::Body,
    RB::Error: Into<BoxError>,
{
    send(service, request).await.unwrap().0
}

/// Ends a test that hangs. A passing test never reaches this limit.
pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("the test hangs")
}

/// Polls once, like a caller that then does something else.
pub(crate) async fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    poll_fn(|cx| Poll::Ready(Pin::new(&mut *future).poll(cx))).await
}

/// Polls until the server has seen the event. The future must not complete earlier.
pub(crate) async fn drive_until<F>(
    future: &mut F,
    server: &AuthorizationServer,
    reached: impl Fn(&Counts) -> bool + Send,
) where
    F: Future + Unpin,
{
    within(async {
        tokio::select! {
            biased;
            _ = server.wait_for(reached) => {}
            _ = future => unreachable!("it was to wait"),
        }
    })
    .await;
}

/// Advances tokio's time alone past the timeouts of these tests.
pub(crate) async fn pass_the_limit() {
    tokio::time::pause();
    tokio::time::advance(PAST_LIMIT).await;
    tokio::time::resume();
}

/// The events of `tracing`, as a string.
#[derive(Clone, Default)]
pub(crate) struct Logs(Arc<Mutex<Vec<u8>>>);

impl Logs {
    /// Collects events of this thread until the guard is dropped.
    pub(crate) fn collect() -> (Self, tracing::subscriber::DefaultGuard) {
        let logs = Logs::default();
        let writer = logs.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_span_events(tracing_subscriber::fmt::format::FmtSpan::FULL)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        (logs, tracing::subscriber::set_default(subscriber))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl std::io::Write for Logs {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
