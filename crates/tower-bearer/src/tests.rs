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

mod errors;
mod rejections;
mod untouched;
mod waiting;

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

// shows: 6750/2.1a
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

#[test]
fn the_response_future_is_send_and_small() {
    fn assert_send<T: Send>() {}
    type Small = tower::util::BoxCloneSyncService<Request<()>, Response<()>, BoxError>;
    assert_send::<ResponseFuture<Small, ()>>();
    let inner = size_of::<<Small as Service<Request<()>>>::Future>();
    assert!(size_of::<ResponseFuture<Small, ()>>() <= inner + 3 * size_of::<usize>());
}
