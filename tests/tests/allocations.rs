//! A warm request through the layer costs no allocation beyond what a static header costs.
//!
//! The tests have their own binary, because the counting allocator belongs to the whole process. It counts per thread,
//! so tests do not affect each other.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed helper must end the test")]

use std::{
    future::{Ready, ready},
    hint::black_box,
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use allocation_counter::{AllocationInfo, measure};
use bearer_token::{
    AccessToken, Authorized, FetchContext, TokenProvider, TokenProviderBuilder,
    jwt::{Algorithm, JwtTemplate, SigningKey},
    platform::Platform,
};
use http::{HeaderName, HeaderValue, Request, Response};
use tower::{Layer, Service};
use tower_bearer::{BearerLayer, BoxError};
use tower_http::{auth::AddAuthorizationLayer, follow_redirect::RequestUri};

const TOKEN: &str = "2YotnFZFEjr1zCsicMWpAA";

/// A service that is always ready and completes at once.
#[derive(Clone)]
struct Trivial;

impl Service<Request<()>> for Trivial {
    type Response = Response<()>;
    type Error = BoxError;
    type Future = Ready<Result<Response<()>, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        assert_eq!(request.headers()["authorization"].as_bytes(), b"Bearer 2YotnFZFEjr1zCsicMWpAA");
        drop(black_box(request));
        ready(Ok(Response::new(())))
    }
}

/// A provider on the system's clock, with a token that is valid for an hour.
fn warm() -> TokenProvider {
    let origin = "https://api.example.com";
    warmed(|builder| builder.allow_origin(origin).connection_origin(origin))
}

fn warmed(rule: impl FnOnce(TokenProviderBuilder) -> TokenProviderBuilder) -> TokenProvider {
    let source = async |_: FetchContext| Ok(AccessToken::new(TOKEN).expires_in(Duration::from_secs(3_600)));
    let provider = rule(TokenProvider::builder(source)).build().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(provider.token()).unwrap();
    provider
}

fn request(uri: &'static str, headers: usize) -> Request<()> {
    let mut request = Request::get(uri).body(()).unwrap();
    for number in 0..headers {
        let name = HeaderName::try_from(format!("x-header-{number}")).unwrap();
        request.headers_mut().insert(name, HeaderValue::from_static("value"));
    }
    request
}

fn call<S>(service: &mut S, request: Request<()>)
where
    S: Service<Request<()>, Response = Response<()>, Error = BoxError>,
{
    let mut cx = Context::from_waker(Waker::noop());
    assert!(service.poll_ready(&mut cx).is_ready());
    let response = pin!(service.call(request));
    let Poll::Ready(Ok(response)) = response.poll(&mut cx) else { panic!("a warm call is done at once") };
    assert_eq!(response.status(), 200);
}

/// The cost of one call, without and with building its request.
fn cost<S>(service: &mut S, uri: &'static str, headers: usize) -> [AllocationInfo; 2]
where
    S: Service<Request<()>, Response = Response<()>, Error = BoxError>,
{
    // The first clone of a value from a string allocates once.
    call(service, request(uri, headers));
    let made = request(uri, headers);
    let [mut without, mut with] = [AllocationInfo::default(); 2];
    without += measure(|| call(service, made));
    with += measure(|| call(service, request(uri, headers)));
    [without, with]
}

const API: &str = "https://api.example.com/orders?page=1";

#[test]
fn a_warm_request_allocates_like_a_static_header() {
    let mut ours = BearerLayer::new(warm()).layer(Trivial);
    let mut fixed = AddAuthorizationLayer::bearer(TOKEN).as_sensitive(true).layer(Trivial);
    let mut grown = 0;
    // Some of these maps are full, some have spare capacity, and some must grow for one more header.
    for uri in [API, "/orders"] {
        for headers in 0..=100 {
            let (ours, fixed) = (cost(&mut ours, uri, headers), cost(&mut fixed, uri, headers));
            assert_eq!(ours, fixed, "{uri} with {headers} headers");
            grown += u32::from(fixed[0].count_total > 0);
        }
    }
    assert!((4..40).contains(&grown), "some insertions grow the map, and most do not: {grown}");
}

#[test]
fn a_warm_request_with_spare_capacity_allocates_nothing() {
    let mut ours = BearerLayer::new(warm()).layer(Trivial);
    let mut roomy = request(API, 3);
    roomy.headers_mut().reserve(8);
    call(&mut ours, roomy);
    for _ in 0..100 {
        let mut roomy = request(API, 3);
        roomy.headers_mut().reserve(8);
        let info = measure(|| call(&mut ours, roomy));
        assert_eq!((info.count_total, info.bytes_total), (0, 0));
    }
}

#[test]
fn no_origin_rule_or_spelling_makes_a_warm_request_allocate() {
    type Rule = fn(TokenProviderBuilder) -> TokenProviderBuilder;
    let named: Rule = |builder| builder.allow_origin("https://api.example.com");
    let with_port: Rule = |builder| builder.allow_origin("https://api.example.com:443");
    let cases: [(Rule, &str, bool); 8] = [
        (named, API, true),
        (named, "https://api.example.com:443/orders", true),
        (named, "HTTPS://API.example.com/orders", true),
        (with_port, API, true),
        (|builder| builder.allow_any_https_origin(), API, true),
        (|builder| builder, "http://127.0.0.1:8080/orders", true),
        (|builder| builder, "http://localhost/orders", true),
        (named, "https://other.example.com/orders", false),
    ];
    for (rule, uri, carries) in cases {
        let provider = warmed(rule);
        let attempt = || {
            let mut request = request(uri, 3);
            request.headers_mut().reserve(8);
            let mut authorized = None;
            let info = measure(|| authorized = Some(provider.authorize(&mut request)));
            (authorized, info)
        };
        attempt();
        let (authorized, info) = attempt();
        assert_eq!(matches!(authorized, Some(Ok(Authorized::Inserted(_)))), carries, "{uri}");
        assert_eq!((info.count_total, info.bytes_total), (0, 0), "{uri}");
    }
}

#[test]
fn the_redirect_hook_costs_one_box() {
    let layer = BearerLayer::new(warm());
    let mut plain = layer.clone().layer(Trivial);
    let mut hooked = layer.final_uri(|extensions| extensions.get::<RequestUri>().map(|uri| &uri.0)).layer(Trivial);
    let ([plain, _], [hooked, _]) = (cost(&mut plain, API, 3), cost(&mut hooked, API, 3));
    assert_eq!((plain.count_total, hooked.count_total), (0, 1));
}

#[test]
fn nothing_of_a_warm_request_stays_behind() {
    let mut ours = BearerLayer::new(warm()).layer(Trivial);
    call(&mut ours, request(API, 3));
    let info = measure(|| {
        for headers in 0..50 {
            call(&mut ours, request(API, headers));
        }
    });
    assert_eq!((info.count_current, info.bytes_current), (0, 0));
    assert!(info.count_total > 0);
}

#[test]
fn a_jwt_is_minted_with_one_allocation() {
    let key = SigningKey::hmac(Algorithm::HS256, [7; 32]).unwrap();
    let template = JwtTemplate::builder(key)
        .issuer("service@example.com")
        .subject("service@example.com")
        .audience("https://as.example.com/token")
        .build()
        .unwrap();
    let platform = Platform::system();
    let mint = || {
        let mut cx = Context::from_waker(Waker::noop());
        let Poll::Ready(jwt) = pin!(template.sign(&platform)).poll(&mut cx) else { panic!("signed at once") };
        drop(black_box(jwt.unwrap()));
    };
    // The first one encodes the header.
    mint();
    assert_eq!(measure(mint).count_total, 1, "the JWT itself");
}
