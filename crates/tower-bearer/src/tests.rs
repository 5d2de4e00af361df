//! Steps a service by hand over a mock; real clients and servers are in the workspace's `tests`.

use std::{
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bearer_token::{
    AccessToken, Error, ErrorKind, FetchContext, PassThrough, Rejection, Sending, StaticToken, Ticket, TokenProvider,
    platform::{BoxFuture, Clock, Moment, Platform},
};
use http::{HeaderValue, Request, Response, StatusCode, header::AUTHORIZATION, header::WWW_AUTHENTICATE};
use tokio::sync::Semaphore;
use tower::{ServiceExt, limit::ConcurrencyLimit};
use tower_service::Service;
use tower_test::mock::{self, Mock};

use super::*;

type Inner = Mock<Request<()>, Response<()>>;

/// A provider whose source counts its fetches and waits for a permit for each.
struct Fixture {
    provider: TokenProvider,
    fetches: Arc<AtomicUsize>,
    permits: Arc<Semaphore>,
}

fn fixture() -> Fixture {
    let (fetches, permits) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
    let (count, gate) = (fetches.clone(), permits.clone());
    let source = move |_cx: FetchContext| {
        let (count, gate) = (count.clone(), gate.clone());
        async move {
            let number = count.fetch_add(1, Ordering::Relaxed) + 1;
            let permit = gate.acquire().await.map_err(|_| Error::new(ErrorKind::Source, "the gate is closed"))?;
            permit.forget();
            Ok(AccessToken::new(format!("t{number}")).expires_in(Duration::from_secs(3600)))
        }
    };
    let provider = TokenProvider::builder(source).allow_origin("https://api.example.com").build().unwrap();
    Fixture { provider, fetches, permits }
}

fn request(uri: &str) -> Request<()> {
    Request::get(uri).body(()).unwrap()
}

const API: &str = "https://api.example.com/";

fn unauthorized(challenge: &'static str) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::UNAUTHORIZED;
    response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    response
}

fn mocked(fixture: &Fixture) -> (BearerService<Inner>, mock::Handle<Request<()>, Response<()>>) {
    let (inner, handle) = mock::pair();
    (BearerLayer::new(fixture.provider.clone()).layer(inner), handle)
}

async fn warm(fixture: &Fixture) {
    fixture.permits.add_permits(1);
    fixture.provider.token().await.unwrap();
}

#[tokio::test]
async fn a_warm_request_carries_a_sensitive_bearer_at_once() {
    let fixture = fixture();
    warm(&fixture).await;
    let (mut service, mut handle) = mocked(&fixture);
    let response = service.ready().await.unwrap().call(request(API));
    let (sent, reply) = handle.next_request().await.unwrap();
    let value = &sent.headers()[AUTHORIZATION];
    assert_eq!(value, "Bearer t1");
    assert!(value.is_sensitive());
    reply.send_response(Response::new(()));
    response.await.unwrap();
}

#[tokio::test]
async fn a_cold_request_waits_for_its_token() {
    let fixture = fixture();
    let (service, mut handle) = mocked(&fixture);
    let reply = async {
        fixture.permits.add_permits(1);
        let (sent, reply) = handle.next_request().await.unwrap();
        assert_eq!(sent.headers()[AUTHORIZATION], "Bearer t1");
        reply.send_response(Response::new(()));
    };
    let (response, ()) = tokio::join!(service.oneshot(request(API)), reply);
    response.unwrap();
}

#[tokio::test]
#[allow(clippy::disallowed_methods, reason = "the guard against a test that hangs waits in real time")]
async fn l43_a_waiting_request_holds_no_permit_below() {
    let cold = fixture();
    let ready = fixture();
    warm(&ready).await;
    // One stack with room for one request, under two tenants.
    let shared = ConcurrencyLimit::with_semaphore(
        tower::service_fn(|_: Request<()>| async { Ok::<_, BoxError>(Response::new(())) }),
        Arc::new(Semaphore::new(1)),
    );
    let mut hung_tenant = BearerService::new(shared.clone(), cold.provider.clone());
    let mut other_tenant = BearerService::new(shared, ready.provider.clone());

    // A permit that is held would be waited for without end.
    let steps = async {
        let mut waiting = Box::pin(hung_tenant.ready().await.unwrap().call(request(API)));
        assert!(std::future::poll_fn(|cx| Poll::Ready(waiting.as_mut().poll(cx))).await.is_pending());
        other_tenant.ready().await.unwrap().call(request(API)).await.unwrap();
        // The waiting service itself can be made ready again, too.
        let _ = hung_tenant.ready().await.unwrap();
        drop(hung_tenant);

        cold.permits.add_permits(1);
        waiting.await.unwrap();
    };
    tokio::time::timeout(Duration::from_secs(60), steps).await.expect("the test hangs");
}

#[tokio::test]
async fn l37_without_a_token_the_request_is_not_sent() {
    let fixture = fixture();
    fixture.permits.close();
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let inner = tower::service_fn(move |_: Request<()>| {
        counted.fetch_add(1, Ordering::Relaxed);
        async { Ok::<_, BoxError>(Response::new(())) }
    });
    let error = BearerService::new(inner, fixture.provider.clone()).oneshot(request(API)).await.unwrap_err();
    assert_eq!(error.downcast_ref::<Error>().unwrap().kind(), ErrorKind::Source);
    assert_eq!(calls.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_failed_request_is_not_sent_when_polled_again() {
    for uri in [API, "http://api.example.com/"] {
        let fixture = fixture();
        fixture.permits.close();
        let (mut service, mut handle) = mocked(&fixture);
        handle.allow(1);
        service.ready().await.unwrap();
        let mut response = pin!(service.call(request(uri)));
        assert!(response.as_mut().await.unwrap_err().is::<Error>(), "{uri}");
        assert_eq!(response.await.unwrap_err().to_string(), "polled after completion", "{uri}");
        assert!(handle.poll_request().is_pending(), "{uri}");
    }
}

#[tokio::test]
async fn l35_the_callers_own_authorization_and_its_401_are_not_ours() {
    let fixture = fixture();
    warm(&fixture).await;
    let (service, mut handle) = mocked(&fixture);
    let mut own = request(API);
    own.headers_mut().insert(AUTHORIZATION, HeaderValue::from_static("Basic eDp5"));
    let response = service.oneshot(own);
    let reply = async {
        let (sent, reply) = handle.next_request().await.unwrap();
        assert_eq!(sent.headers()[AUTHORIZATION], "Basic eDp5");
        reply.send_response(unauthorized("Bearer error=\"invalid_token\""));
    };
    let (response, ()) = tokio::join!(response, reply);
    assert_eq!(response.unwrap().status(), StatusCode::UNAUTHORIZED);
    assert_eq!(fixture.provider.cached().unwrap().secret(), "t1");
}

#[tokio::test]
async fn l36_a_request_marked_pass_through_is_left_alone() {
    let fixture = fixture();
    let (service, mut handle) = mocked(&fixture);
    let mut marked = request("https://as.example.com/token");
    marked.extensions_mut().insert(PassThrough);
    let reply = async {
        let (sent, reply) = handle.next_request().await.unwrap();
        assert!(!sent.headers().contains_key(AUTHORIZATION));
        reply.send_response(Response::new(()));
    };
    let (response, ()) = tokio::join!(service.oneshot(marked), reply);
    response.unwrap();
    assert_eq!(fixture.fetches.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn other_origins_pass_without_a_token_and_plaintext_is_refused() {
    let fixture = fixture();
    warm(&fixture).await;
    let (service, mut handle) = mocked(&fixture);
    let reply = async {
        let (sent, reply) = handle.next_request().await.unwrap();
        assert!(!sent.headers().contains_key(AUTHORIZATION));
        reply.send_response(unauthorized("Bearer error=\"invalid_token\""));
    };
    let (response, ()) = tokio::join!(service.clone().oneshot(request("https://files.example.com/")), reply);
    response.unwrap();
    assert!(fixture.provider.cached().is_some(), "a foreign 401 rejects nothing");

    let error = service.oneshot(request("http://api.example.com/")).await.unwrap_err();
    assert_eq!(error.downcast_ref::<Error>().unwrap().kind(), ErrorKind::Origin);
}

#[tokio::test]
async fn a_401_rejects_unless_the_scope_is_insufficient() {
    let fixture = fixture();
    warm(&fixture).await;
    for (challenge, stays) in [("Bearer error=\"insufficient_scope\"", true), ("Bearer", false)] {
        let (service, mut handle) = mocked(&fixture);
        let reply = async {
            let (_, reply) = handle.next_request().await.unwrap();
            reply.send_response(unauthorized(challenge));
        };
        let (response, ()) = tokio::join!(service.oneshot(request(API)), reply);
        assert_eq!(response.unwrap().status(), StatusCode::UNAUTHORIZED);
        assert_eq!(fixture.provider.cached().is_some(), stays, "{challenge}");
    }
    fixture.permits.add_permits(1);
    assert_eq!(fixture.provider.token().await.unwrap().secret(), "t2");
}

/// What a redirect layer below leaves in the response.
#[derive(Clone)]
struct FinalUri(Uri);

#[tokio::test]
async fn l42_a_401_after_a_redirect_elsewhere_rejects_nothing() {
    let fixture = fixture();
    warm(&fixture).await;
    for (replied, stays) in [("https://files.example.com/x", true), ("https://api.example.com:443/y", false)] {
        let inner = tower::service_fn(move |_: Request<()>| async move {
            let mut response = unauthorized("Bearer error=\"invalid_token\"");
            response.extensions_mut().insert(FinalUri(replied.parse().unwrap()));
            Ok::<_, BoxError>(response)
        });
        let layer = BearerLayer::new(fixture.provider.clone())
            .final_uri(|extensions| extensions.get::<FinalUri>().map(|uri| &uri.0));
        layer.layer(inner).oneshot(request(API)).await.unwrap();
        assert_eq!(fixture.provider.cached().is_some(), stays, "{replied}");
    }
}

#[tokio::test]
async fn the_response_shows_the_outcome_of_its_rejection() {
    let fixture = fixture();
    warm(&fixture).await;
    let inner = tower::service_fn(|request: Request<()>| async move {
        let mut response = match request.uri().path() {
            "/fine" => Response::new(()),
            "/scope" => unauthorized("Bearer error=\"insufficient_scope\""),
            _ => unauthorized("Bearer error=\"invalid_token\""),
        };
        let final_uri = if request.uri().path() == "/old" {
            "https://api.example.com/new".parse().unwrap()
        } else {
            request.uri().clone()
        };
        response.extensions_mut().insert(FinalUri(final_uri));
        Ok::<_, BoxError>(response)
    });
    let service = BearerLayer::new(fixture.provider.clone())
        .final_uri(|extensions| extensions.get::<FinalUri>().map(|uri| &uri.0))
        .layer(inner);
    let ask = async |path: &str| {
        let response = service.clone().oneshot(request(&format!("https://api.example.com{path}"))).await.unwrap();
        response.extensions().get::<Rejection>().copied()
    };
    assert_eq!(ask("/fine").await, None);
    assert_eq!(ask("/scope").await, None);
    assert_eq!(ask("/orders").await, Some(Rejection::Renewing));
    fixture.permits.add_permits(1);
    fixture.provider.token().await.unwrap();
    assert_eq!(ask("/orders").await, Some(Rejection::Declined), "renewed a moment ago");
    assert_eq!(ask("/old").await, None, "what redirected it may have acted on it");
}

#[tokio::test]
async fn an_error_of_the_inner_service_passes_through() {
    let fixture = fixture();
    warm(&fixture).await;
    let inner = tower::service_fn(|_: Request<()>| async { Err::<Response<()>, BoxError>("no route".into()) });
    let error = BearerService::new(inner, fixture.provider.clone()).oneshot(request(API)).await.unwrap_err();
    assert_eq!(error.to_string(), "no route");
}

/// An error as a gRPC library has one.
#[derive(Debug)]
struct Status(Error);

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "status {}", self.0.grpc_code())
    }
}

impl std::error::Error for Status {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

#[tokio::test]
async fn map_error_changes_token_errors_only() {
    let fixture = fixture();
    let layer = BearerLayer::new(fixture.provider.clone()).map_error(|error| Status(error).into());
    let inner = tower::service_fn(|_: Request<()>| async { Err::<Response<()>, BoxError>("no route".into()) });
    let service = layer.layer(inner);

    // Refused at once, and refused after a wait.
    for (uri, kind, text) in
        [("http://api.example.com/", ErrorKind::Origin, "status 16"), (API, ErrorKind::Source, "status 14")]
    {
        fixture.permits.close();
        let error = service.clone().oneshot(request(uri)).await.unwrap_err();
        assert_eq!(error.to_string(), text);
        assert_eq!(error.source().unwrap().downcast_ref::<Error>().unwrap().kind(), kind);
    }
    let foreign = service.oneshot(request("https://files.example.com/")).await.unwrap_err();
    assert_eq!(foreign.to_string(), "no route");
}

/// A clock that stands still until it is moved. Its timers never fire.
#[derive(Clone, Default)]
struct Stopped(Arc<AtomicUsize>);

impl Clock for Stopped {
    fn now(&self) -> Moment {
        let time = Duration::from_secs(1_000 + self.0.load(Ordering::SeqCst) as u64);
        Moment::new(time, std::time::UNIX_EPOCH + time)
    }

    fn sleep_until(&self, _: Duration) -> BoxFuture<()> {
        Box::pin(std::future::pending())
    }
}

/// A service that has to be made ready for each call, by itself: readiness is not cloned. It notes what it sends.
#[derive(Default)]
struct Strict {
    is_ready: bool,
    is_open: Arc<AtomicBool>,
    sent: Arc<Mutex<Vec<String>>>,
}

impl Clone for Strict {
    fn clone(&self) -> Self {
        Strict { is_ready: false, is_open: self.is_open.clone(), sent: self.sent.clone() }
    }
}

impl Service<Request<()>> for Strict {
    type Response = Response<()>;
    type Error = BoxError;
    type Future = std::future::Ready<Result<Response<()>, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.is_ready = self.is_open.load(Ordering::SeqCst);
        if self.is_ready { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        assert!(mem::take(&mut self.is_ready), "called without having been made ready");
        self.sent.lock().unwrap().push(request.headers()[AUTHORIZATION].to_str().unwrap().to_owned());
        std::future::ready(Ok(Response::new(())))
    }
}

/// Polls a response until nothing moves any more.
async fn settle<F: Future + Unpin>(response: &mut F) -> Poll<F::Output> {
    for _ in 0..10 {
        if let Poll::Ready(output) = std::future::poll_fn(|cx| Poll::Ready(pin!(&mut *response).poll(cx))).await {
            return Poll::Ready(output);
        }
        tokio::task::yield_now().await;
    }
    Poll::Pending
}

#[tokio::test]
async fn l09_a_short_token_is_sent_soon_or_never() {
    // The token lives for no time. So long after its arrival the inner service is ready.
    for (seconds, expected) in [(0, "Bearer t1"), (9, "Bearer t1"), (10, "Bearer t2"), (60, "Bearer t2")] {
        let (clock, fetches) = (Stopped::default(), Arc::new(AtomicUsize::new(0)));
        let source = move |_cx: FetchContext| {
            let number = fetches.fetch_add(1, Ordering::SeqCst) + 1;
            async move { Ok(AccessToken::new(format!("t{number}")).expires_in(Duration::ZERO)) }
        };
        let provider = TokenProvider::builder(source)
            .allow_origin("https://api.example.com")
            .platform(Platform::system().with_clock(clock.clone()))
            .build()
            .unwrap();
        let inner = Strict { is_open: Arc::new(AtomicBool::new(true)), ..Strict::default() };
        let (is_open, sent) = (inner.is_open.clone(), inner.sent.clone());
        let mut service = BearerService::new(inner, provider);
        let mut response = Box::pin(service.ready().await.unwrap().call(request(API)));
        is_open.store(false, Ordering::SeqCst);
        assert!(settle(&mut response).await.is_pending(), "nothing is sent before the service is ready");
        assert!(sent.lock().unwrap().is_empty());
        clock.0.store(seconds, Ordering::SeqCst);
        is_open.store(true, Ordering::SeqCst);
        let Poll::Ready(Ok(_)) = settle(&mut response).await else { panic!("{seconds} s") };
        assert_eq!(*sent.lock().unwrap(), [expected], "{seconds} s");
    }
}

#[tokio::test]
async fn the_service_is_ready_exactly_when_its_inner_one_is() {
    let fixture = fixture();
    let inner = Strict::default();
    let is_open = inner.is_open.clone();
    let mut service = BearerService::new(inner, fixture.provider.clone());
    for open in [false, true, false] {
        is_open.store(open, Ordering::SeqCst);
        let ready = std::future::poll_fn(|cx| Poll::Ready(service.poll_ready(cx))).await;
        assert_eq!(ready.is_ready(), open, "a token is not waited for here");
    }
}

#[tokio::test]
async fn l55_a_declared_refusal_rejects_and_an_exposed_ticket_can() {
    let replies = |status: u16| {
        tower::service_fn(move |_: Request<()>| async move {
            let mut response = Response::new(());
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            Ok::<_, BoxError>(response)
        })
    };
    for (status, is_declared, stays) in [(498, true, false), (498, false, true), (200, true, true), (401, true, false)]
    {
        let mut builder = TokenProvider::builder(StaticToken::new("t1")).allow_origin("https://api.example.com");
        if is_declared {
            builder = builder.reject_if(|response| response.status().as_u16() == 498);
        }
        let provider = builder.build().unwrap();
        let bearer = provider.token().await.unwrap();
        let layer = BearerLayer::new(provider.clone());
        let response = layer.clone().layer(replies(status)).oneshot(request(API)).await.unwrap();
        assert_eq!(response.extensions().get::<Ticket>(), None, "only on request");
        assert_eq!(response.extensions().get::<Rejection>().is_none(), stays, "{status} {is_declared}");
        drop(provider.token().await);

        let response = layer.expose_ticket().layer(replies(status)).oneshot(request(API)).await.unwrap();
        assert_eq!(response.extensions().get(), Some(&bearer.ticket()), "{status} {is_declared}");
    }
}

#[tokio::test]
async fn l42_a_ticket_is_not_exposed_after_a_redirect_elsewhere() {
    let fixture = fixture();
    warm(&fixture).await;
    for (uri, is_exposed) in [("https://files.example.com/x", false), ("https://api.example.com/y", true)] {
        let inner = tower::service_fn(move |_: Request<()>| async move {
            let mut response = Response::new(());
            response.extensions_mut().insert(FinalUri(uri.parse().unwrap()));
            Ok::<_, BoxError>(response)
        });
        let layer = BearerLayer::new(fixture.provider.clone())
            .final_uri(|extensions| extensions.get::<FinalUri>().map(|uri| &uri.0))
            .expose_ticket();
        let response = layer.layer(inner).oneshot(request(API)).await.unwrap();
        assert_eq!(response.extensions().get::<Ticket>().is_some(), is_exposed, "{uri}");
    }
}

#[tokio::test]
async fn l33_other_headers_are_not_sent_where_redirects_are_followed_below() {
    for (sending, follows, expected) in [
        (Sending::new().header("x-api-key"), true, None),
        (Sending::new().header("x-api-key"), false, Some("x-api-key")),
        (Sending::new(), true, Some("authorization")),
    ] {
        for is_warm in [true, false] {
            let provider = TokenProvider::builder(StaticToken::new("t1"))
                .allow_origin("https://api.example.com")
                .sending(sending.clone())
                .build()
                .unwrap();
            if is_warm {
                provider.token().await.unwrap();
            }
            let layer = BearerLayer::new(provider);
            let layer = if follows { layer.final_uri(Extensions::get) } else { layer };
            let sent = Arc::new(Mutex::new(Vec::new()));
            let seen = sent.clone();
            let inner = tower::service_fn(move |request: Request<()>| {
                seen.lock().unwrap().extend(request.headers().keys().map(ToString::to_string));
                async { Ok::<_, BoxError>(Response::new(())) }
            });
            let result = layer.layer(inner).oneshot(request(API)).await;
            assert_eq!(*sent.lock().unwrap(), expected.into_iter().collect::<Vec<_>>(), "{follows} {is_warm}");
            if expected.is_none() {
                let error = result.unwrap_err();
                assert_eq!(Error::find(&*error).unwrap().kind(), ErrorKind::Config, "{is_warm}");
            }
        }
    }
}

#[tokio::test]
async fn a_401_for_a_request_that_waited_rejects_too() {
    let fixture = fixture();
    let (service, mut handle) = mocked(&fixture);
    let reply = async {
        fixture.permits.add_permits(1);
        let (_, reply) = handle.next_request().await.unwrap();
        reply.send_response(unauthorized("Bearer error=\"invalid_token\""));
    };
    let (response, ()) = tokio::join!(service.oneshot(request(API)), reply);
    assert_eq!(response.unwrap().extensions().get(), Some(&Rejection::Renewing));
}

#[test]
fn the_response_future_is_send_and_small() {
    fn assert_send<T: Send>() {}
    type Small = tower::util::BoxCloneSyncService<Request<()>, Response<()>, BoxError>;
    assert_send::<ResponseFuture<Small, ()>>();
    let inner = size_of::<<Small as Service<Request<()>>>::Future>();
    assert!(size_of::<ResponseFuture<Small, ()>>() <= inner + 3 * size_of::<usize>());
}
