//! The layer together with other layers, and bodies that are still being produced.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bearer_token_testing::Fault;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response};
use http_body_util::Full;
use hyper::body::{Body, Frame, Incoming};
use hyper_util::rt::TokioExecutor;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tower::{
    Service, ServiceBuilder, ServiceExt,
    util::{BoxCloneService, BoxCloneSyncService},
};
use tower_bearer::{BearerLayer, BearerService, BoxError, ResponseFuture};
use tower_http::{set_header::SetRequestHeaderLayer, trace::TraceLayer};

use crate::support::{HyperClient, Setup, hyper, within};

type Request_ = Request<Full<Bytes>>;

fn get(url: &str) -> Request_ {
    Request::get(url).body(Full::default()).unwrap()
}

#[tokio::test]
async fn the_layer_stands_anywhere_among_other_layers() {
    let setup = Setup::start();
    let bearer = BearerLayer::new(setup.provider());
    let url = setup.api("orders");
    let header = || SetRequestHeaderLayer::overriding(HeaderName::from_static("x-app"), HeaderValue::from_static("1"));
    let minute = Duration::from_secs(60);

    let innermost = ServiceBuilder::new()
        .timeout(minute)
        .buffer(8)
        .concurrency_limit(8)
        .layer(TraceLayer::new_for_http())
        .layer(header())
        .layer(bearer.clone())
        .service(hyper());
    assert_eq!(within(innermost.oneshot(get(&url))).await.unwrap().status(), 200);

    let outermost = ServiceBuilder::new()
        .layer(bearer.clone())
        .layer(header())
        .layer(TraceLayer::new_for_http())
        .buffer(8)
        .timeout(minute)
        .concurrency_limit(8)
        .service(hyper());
    assert_eq!(within(outermost.oneshot(get(&url))).await.unwrap().status(), 200);

    let between = ServiceBuilder::new()
        .layer(TraceLayer::new_for_http())
        .concurrency_limit(8)
        .layer(bearer.clone())
        .timeout(minute)
        .layer(header())
        .service(hyper());
    assert_eq!(within(between.oneshot(get(&url))).await.unwrap().status(), 200);

    // The layer twice, by mistake: the inner one finds a header that it did not set.
    let twice = ServiceBuilder::new().layer(bearer.clone()).layer(bearer).service(hyper());
    assert_eq!(within(twice.oneshot(get(&url))).await.unwrap().status(), 200);

    assert_eq!((setup.server.count().api_accepted, setup.token_requests()), (4, 1));
    assert!(setup.server.requests().iter().filter(|request| request.header("x-app").is_some()).count() == 3);
}

#[tokio::test]
async fn the_service_fits_into_boxes_and_moves_between_tasks() {
    fn is_clone_and_send<T: Clone + Send + Sync + 'static>(_: &T) {}
    fn is_send<T: Send + 'static>(_: &T) {}

    let setup = Setup::start();
    let service = BearerService::new(hyper(), setup.provider());
    is_clone_and_send(&service);
    is_clone_and_send(&BearerLayer::new(setup.provider()));
    let mut ready = service.clone();
    let future: ResponseFuture<HyperClient, Full<Bytes>> = ready.ready().await.unwrap().call(get(&setup.api("a")));
    is_send(&future);
    assert_eq!(within(tokio::spawn(future)).await.unwrap().unwrap().status(), 200);

    let synced: BoxCloneSyncService<Request_, Response<Incoming>, BoxError> = BoxCloneSyncService::new(service.clone());
    let boxed: BoxCloneService<Request_, Response<Incoming>, BoxError> = BoxCloneService::new(service);
    assert_eq!(within(synced.clone().oneshot(get(&setup.api("b")))).await.unwrap().status(), 200);
    assert_eq!(within(boxed.oneshot(get(&setup.api("c")))).await.unwrap().status(), 200);
    // A boxed service can be wrapped again.
    let again = BearerService::new(synced, setup.provider());
    assert_eq!(within(again.oneshot(get(&setup.api("d")))).await.unwrap().status(), 200);
}

#[tokio::test]
async fn l03_callers_with_short_deadlines_still_leave_a_token() {
    let setup = Setup::start();
    let provider = setup.provider();
    let service = ServiceBuilder::new()
        // The response arrives only when the gate opens, however short the body is.
        .timeout(Duration::from_millis(1))
        .layer(BearerLayer::new(provider.clone()))
        .service(hyper());
    let gate = setup.server.token_endpoint().hold();
    for _ in 0..5 {
        let error = within(service.clone().oneshot(get(&setup.api("orders")))).await.unwrap_err();
        assert!(error.is::<tower::timeout::error::Elapsed>(), "{error:?}");
    }
    within(setup.server.wait_for_token_requests(1)).await;
    gate.release();
    within(provider.token()).await.unwrap();
    let count = setup.server.count();
    assert_eq!((count.token_requests, count.api_requests, count.abandoned), (1, 0, 0));
}

#[tokio::test]
async fn api_errors_and_bodies_pass_through_unchanged() {
    let setup = Setup::start();
    let service = BearerService::new(hyper(), setup.provider());
    setup.server.api().next(Fault::status(503).body("as it is").header("x-own", "1"));
    let response = within(service.clone().oneshot(get(&setup.api("orders")))).await.unwrap();
    assert_eq!((response.status().as_u16(), &response.headers()["x-own"]), (503, &HeaderValue::from_static("1")));
    let body = http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes();
    assert_eq!(body, "as it is");
    setup.server.api().next(Fault::disconnect());
    let error = within(service.oneshot(get(&setup.api("orders")))).await.unwrap_err();
    assert!(error.is::<hyper_util::client::legacy::Error>(), "{error:?}");
}

/// A body whose parts arrive one at a time.
struct Parts(mpsc::UnboundedReceiver<&'static str>);

impl Body for Parts {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(cx).map(|part| part.map(|part| Ok(Frame::data(Bytes::from_static(part.as_bytes())))))
    }
}

/// Reads until this string has arrived.
async fn read_until(stream: &mut TcpStream, received: &mut String, text: &str) {
    let mut buffer = [0; 1024];
    while !received.contains(text) {
        let count = stream.read(&mut buffer).await.unwrap();
        assert_ne!(count, 0, "{received}");
        received.push_str(str::from_utf8(&buffer[..count]).unwrap());
    }
}

#[tokio::test]
async fn a_streaming_body_passes_unbuffered_through_both_adapters() {
    let setup = Setup::start();
    for tower in [true, false] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/upload", listener.local_addr().unwrap());
        let provider = setup.builder(setup.endpoint().build().unwrap()).allow_origin(&url[..url.len() - 7]).build();
        let provider = provider.unwrap();
        let gate = setup.server.token_endpoint().hold();
        let (parts, body) = mpsc::unbounded_channel();
        let body = Parts(body);
        let call = if tower {
            let client = hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build_http::<Parts>();
            let request = Request::post(url).body(body).unwrap();
            let service = BearerService::new(client, provider);
            tokio::spawn(async move { service.oneshot(request).await.map(|response| response.status()) })
        } else {
            let client = crate::support::with_middleware(crate::support::reqwest(), &provider);
            let request = client.post(url).body(reqwest::Body::wrap(body));
            tokio::spawn(async move { Ok(request.send().await.map(|response| response.status())?) })
        };
        parts.send("the first part").unwrap();
        within(setup.server.wait_for(|count| count.token_requests_running == 1)).await;
        gate.release();

        let (mut stream, _) = within(listener.accept()).await.unwrap();
        let mut received = String::new();
        within(read_until(&mut stream, &mut received, "the first part")).await;
        assert!(received.contains("authorization: Bearer ey"), "{received}");
        assert!(received.contains("transfer-encoding: chunked"), "{received}");
        // The second part is produced only after the first has arrived.
        parts.send("the second part").unwrap();
        within(read_until(&mut stream, &mut received, "the second part")).await;
        drop(parts);
        within(read_until(&mut stream, &mut received, "\r\n0\r\n\r\n")).await;
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
        assert_eq!(within(call).await.unwrap().unwrap(), 204, "tower: {tower}");
    }
}
