//! Warm requests, in different ways.

use std::{
    convert::Infallible,
    future::{Future, Ready, ready},
    hint::black_box,
    pin::pin,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    task::{Context, Poll, Waker},
};

use async_trait::async_trait;
use bearer_token::{
    Authorized, KeyedProviders, Selected, Sending, StaticToken, TokenProvider, TokenProviderBuilder,
    observe::{Event, Observer},
    shared::{Fleet, SealingKeys},
    store::MemorySharedStore,
};
use http::{Extensions, HeaderMap, HeaderValue, Request, Response, header::AUTHORIZATION};
use reqwest_bearer::BearerMiddleware;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Middleware, Next};
use tokio::runtime::{Builder, Runtime};
use tower_bearer::BearerLayer;
use tower_layer::Layer;
use tower_service::Service;

const ORIGIN: &str = "https://api.example.com";
const URL: &str = "https://api.example.com/v1/projects/example/things?page_size=100";
const URL_WITH_PORT: &str = "https://api.example.com:443/v1/projects/example/things?page_size=100";

/// Sends so many requests of one row.
///
/// # Panics
///
/// If there is no such row, or a request carries no token, or waits.
pub(crate) fn run(name: &str, requests: u32) {
    COUNT.store(requests, Ordering::Relaxed);
    send_all(name);
    let expected = u32::from(!["nothing", "no middleware"].contains(&name));
    assert_eq!(CARRIED.load(Ordering::Relaxed), expected, "{name}: requests with a token, of one");
}

fn send_all(name: &str) {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let provider = |builder| warmed(&runtime, builder);
    let layer = |provider| through(&runtime, BearerLayer::new(provider).layer(Noop), URL);
    match name {
        "nothing" => send(&runtime, request, |request| drop(reply(request))),
        "constant header" => {
            let value = value();
            send(&runtime, request, |mut request| {
                request.headers_mut().insert(AUTHORIZATION, value.clone());
                drop(reply(request));
            });
        }
        "by hand" => by_hand(&runtime, &provider(builder())),
        "by hand, another header" => {
            by_hand(&runtime, &provider(builder().sending(Sending::new().header("x-api-key"))));
        }
        "layer" => layer(provider(builder())),
        "layer, with an observer" => layer(provider(builder().observer(Silent))),
        "layer, of a fleet" => {
            let keys = SealingKeys::new("bWFrZSB0aGlzIHdpdGggb3BlbnNzbCByYW5kIC1iNjQ=");
            let fleet = Fleet::builder(MemorySharedStore::new(), keys).build().expect("a fleet");
            let source = fleet.share_as("warm", StaticToken::new(token()));
            layer(provider(TokenProvider::builder(source).allow_origin(ORIGIN)));
        }
        "layer, port in the URI" => {
            through(&runtime, BearerLayer::new(provider(builder())).layer(Noop), URL_WITH_PORT);
        }
        "layer, one key of many" => {
            let map = KeyedProviders::builder(|_: &u64| Ok(builder())).build().expect("a map");
            for key in 0..100 {
                drop(runtime.block_on(map.get(&key).expect("a provider").token()).expect("a token"));
            }
            let selected = map.select(|_| Ok(Selected::Key(&7)));
            through(&runtime, BearerLayer::new(selected).layer(Noop), URL);
        }
        "no middleware" => by_client(&runtime, &client(|builder| builder)),
        "constant header in a middleware" => by_client(&runtime, &client(|builder| builder.with(Constant(value())))),
        "middleware" => {
            let middleware = BearerMiddleware::new(provider(builder()));
            by_client(&runtime, &client(|builder| builder.with(middleware)));
        }
        other => panic!("no row is called {other}"),
    }
}

fn builder() -> TokenProviderBuilder {
    TokenProvider::builder(StaticToken::new(token())).allow_origin(ORIGIN)
}

fn warmed(runtime: &Runtime, builder: TokenProviderBuilder) -> TokenProvider {
    let provider = builder.build().expect("a provider");
    drop(runtime.block_on(provider.token()).expect("a token"));
    provider
}

fn token() -> String {
    "Zm9v".repeat(256)
}

fn value() -> HeaderValue {
    let mut value = HeaderValue::try_from(format!("Bearer {}", token())).expect("a value");
    value.set_sensitive(true);
    value
}

fn by_hand(runtime: &Runtime, provider: &TokenProvider) {
    send(runtime, request, |mut request| {
        assert!(matches!(provider.authorize(&mut request), Ok(Authorized::Inserted(_))), "a warm request");
        drop(reply(request));
    });
}

fn through<S: Service<Request<()>>>(runtime: &Runtime, mut service: S, url: &'static str) {
    send(runtime, || request_to(url), |request| drop(at_once(service.call(request))));
}

fn client(with: impl FnOnce(ClientBuilder) -> ClientBuilder) -> ClientWithMiddleware {
    with(ClientBuilder::new(reqwest::Client::new())).with(Reply).build()
}

fn by_client(runtime: &Runtime, client: &ClientWithMiddleware) {
    let request = || reqwest::Request::try_from(request().map(|()| "")).expect("a request");
    send(runtime, request, |request| drop(at_once(client.execute(request)).expect("a response")));
}

/// Sends some requests, and then those that are counted. Inside the runtime but outside a task, where tokio would make
/// a loop pause now and then.
fn send<R>(runtime: &Runtime, request: impl Fn() -> R, mut send: impl FnMut(R)) {
    let _inside = runtime.enter();
    LOOKS.store(true, Ordering::Relaxed);
    send(request());
    LOOKS.store(false, Ordering::Relaxed);
    (0..10).for_each(|_| send(request()));
    hot_loop(COUNT.load(Ordering::Relaxed), &request, &mut send);
}

/// callgrind collects inside this function. Requests are made in here, too: the heap is then used in the same way by
/// each of them.
#[inline(never)]
fn hot_loop<R>(requests: u32, request: &impl Fn() -> R, send: &mut impl FnMut(R)) {
    for _ in 0..requests {
        send(black_box(request()));
    }
}

fn at_once<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a warm request had to wait"),
    }
}

fn request() -> Request<()> {
    request_to(URL)
}

fn request_to(url: &str) -> Request<()> {
    Request::get(url).header("accept", "application/json").body(()).expect("a request")
}

/// Responds at once.
#[derive(Clone)]
struct Noop;

impl Service<Request<()>> for Noop {
    type Response = Response<()>;
    type Error = Infallible;
    type Future = Ready<Result<Response<()>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        ready(Ok(reply(request)))
    }
}

#[inline(never)]
fn reply(request: Request<()>) -> Response<()> {
    look(black_box(&request).headers());
    drop(request);
    Response::new(())
}

/// How many requests are counted.
static COUNT: AtomicU32 = AtomicU32::new(0);
/// Whether requests are looked at, and how many of those had a token.
static LOOKS: AtomicBool = AtomicBool::new(false);
static CARRIED: AtomicU32 = AtomicU32::new(0);

fn look(headers: &HeaderMap) {
    if LOOKS.load(Ordering::Relaxed) {
        let has_token = |value: &HeaderValue| value.is_sensitive() && value.as_bytes().ends_with(token().as_bytes());
        CARRIED.fetch_add(u32::from(headers.values().any(has_token)), Ordering::Relaxed);
    }
}

/// Responds at once, too.
struct Reply;

#[async_trait]
impl Middleware for Reply {
    async fn handle(
        &self,
        request: reqwest::Request,
        _extensions: &mut Extensions,
        _next: Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        look(black_box(&request).headers());
        Ok(Response::new("").into())
    }
}

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

/// An observer that does not ask for reads.
struct Silent;

impl Observer for Silent {
    fn on_event(&self, event: &Event<'_>) {
        black_box(event);
    }
}
