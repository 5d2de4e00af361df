//! Replays under reqwest.

use bearer_token::{ErrorKind, PassThrough};
use bearer_token_testing::Fault;
use http::Method;
use http_body_util::BodyExt;
use reqwest::{ResponseBuilderExt as _, multipart};
use reqwest_bearer::{BearerMiddleware, redirect_policy, token_error};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, RequestBuilder};
use serde_json::json;

use crate::support::{Body, LIFETIME, Setup, reqwest, within};

fn replaying(setup: &Setup) -> ClientWithMiddleware {
    let bearer = BearerMiddleware::new(setup.provider.clone()).replay_once();
    let redirects = bearer.watch_redirects(redirect_policy());
    ClientBuilder::new(reqwest().redirect(redirects).build().unwrap()).with(bearer).build()
}

/// The statuses of redirects back to the requested URL, directly or by way of another, before the rejection.
fn redirect_back(setup: &Setup, status: u16, by: Option<&str>) {
    for path in by.into_iter().chain(["/orders"]) {
        setup.server.api().next(Fault::status(status).header("location", setup.url(path)));
    }
    setup.server.api().next(Fault::invalid_token());
}

async fn status(request: RequestBuilder) -> u16 {
    within(request.send()).await.unwrap().status().as_u16()
}

#[tokio::test]
async fn reqwest_replays_every_body_that_lies_in_memory() {
    type With = fn(RequestBuilder) -> RequestBuilder;
    let bodies: [(With, &str); 5] = [
        (|request| request, ""),
        (|request| request.body("text"), "text"),
        (|request| request.body(vec![b'x'; 3]), "xxx"),
        (|request| request.form(&[("a", "1")]), "a=1"),
        (|request| request.json(&json!({ "a": 1 })), r#"{"a":1}"#),
    ];
    for (with, body) in bodies {
        let setup = Setup::warm().await;
        setup.server.revoke_all();
        let request = with(replaying(&setup).post(setup.url("/orders?dry=1")).header("x-trace", "7"));
        assert_eq!(status(request).await, 200, "{body}");
        let sent = setup.api_requests();
        let [first, second] = &sent[..] else { panic!("{sent:?}") };
        assert_ne!(first.header("authorization"), second.header("authorization"));
        assert_eq!((first.method(), first.uri(), first.body()), (second.method(), second.uri(), second.body()));
        assert_eq!((second.header("x-trace"), &second.body()[..]), (Some("7"), body.as_bytes()));
        assert_eq!(setup.token_requests(), 2);
    }
}

#[tokio::test]
async fn l32_reqwest_replays_neither_streams_nor_multipart() {
    let stream = || reqwest::Body::wrap_stream(Body::from("an order").into_data_stream());
    type With<'a> = &'a dyn Fn(RequestBuilder) -> RequestBuilder;
    let bodies: [With<'_>; 2] =
        [&|request| request.body(stream()), &|request| request.multipart(multipart::Form::new().text("a", "1"))];
    for with in bodies {
        let setup = Setup::warm().await;
        setup.server.revoke_all();
        assert_eq!(status(with(replaying(&setup).post(setup.url("/orders")))).await, 401);
        assert_eq!(setup.api_requests().len(), 1);
        assert_eq!(status(with(replaying(&setup).post(setup.url("/orders")))).await, 200, "the next has a new bearer");
    }
}

#[tokio::test]
async fn l32_reqwest_replays_only_on_request_and_never_foreign_credentials() {
    let setup = Setup::warm().await;
    let client = replaying(&setup);
    assert_eq!(status(client.get(setup.url("/orders")).bearer_auth("unknown")).await, 401);
    assert_eq!(status(client.get(setup.url("/orders")).with_extension(PassThrough)).await, 401);
    assert_eq!((setup.api_requests().len(), setup.token_requests()), (2, 1));

    setup.server.revoke_all();
    let unasked = BearerMiddleware::new(setup.provider.clone());
    let unasked = ClientBuilder::new(reqwest().build().unwrap()).with(unasked).build();
    assert_eq!(status(unasked.get(setup.url("/orders"))).await, 401);
    assert_eq!(setup.api_requests().len(), 3);
}

#[tokio::test]
async fn l29_reqwest_does_not_replay_a_second_rejection() {
    let setup = Setup::warm().await;
    setup.server.api().always(Fault::invalid_token());
    let client = replaying(&setup);
    for (requests, tokens) in [(2, 2), (3, 2), (4, 2)] {
        assert_eq!(status(client.get(setup.url("/orders"))).await, 401);
        assert_eq!((setup.api_requests().len(), setup.token_requests()), (requests, tokens));
    }
}

#[tokio::test]
async fn l29_reqwest_replays_the_old_bearer_after_a_failed_renewal() {
    let setup = Setup::warm().await;
    setup.server.revoke_all();
    setup.server.token_endpoint().always(Fault::status(503));
    assert_eq!(status(replaying(&setup).get(setup.url("/orders"))).await, 401);
    let sent = setup.authorizations();
    assert_eq!((sent.len(), &sent[0]), (2, &sent[1]));
}

#[tokio::test]
async fn l37_reqwest_without_a_bearer_reports_what_was_sent() {
    let setup = Setup::warm().await;
    let gate = setup.server.api().hold();
    setup.server.api().next(Fault::invalid_token());
    setup.server.token_endpoint().always(Fault::status(503));
    let url = setup.url("/orders");
    let call = tokio::spawn(replaying(&setup).get(url).send());
    within(setup.server.wait_for(|counts| counts.api_requests == 1)).await;
    // The bearer expires while the response is on its way.
    setup.clock.advance(LIFETIME);
    gate.release();
    let error = within(call).await.unwrap().unwrap_err();
    assert_eq!(token_error(&error).unwrap().kind(), ErrorKind::Unavailable);
    assert!(error.to_string().starts_with("the API refused the token, and the request was not sent again"), "{error}");
    assert_eq!(setup.api_requests().len(), 1);
}

#[tokio::test]
async fn reqwest_does_not_replay_a_redirected_request() {
    let setup = Setup::warm().await;
    setup.server.api().next(Fault::status(303).header("location", setup.url("/orders/7")));
    setup.server.api().next(Fault::invalid_token());
    assert_eq!(status(replaying(&setup).post(setup.url("/orders")).body("an order")).await, 401);
    assert_eq!(setup.methods(), [Method::POST, Method::GET]);
    assert!(setup.provider.cached().is_none(), "rejected it is");
}

#[tokio::test]
async fn reqwest_does_not_replay_a_redirect_to_the_same_url() {
    for (code, by, expected) in [
        (303, None, vec![Method::POST, Method::GET]),
        (307, None, vec![Method::POST, Method::POST]),
        (307, Some("/bounce"), vec![Method::POST, Method::POST, Method::POST]),
    ] {
        let setup = Setup::warm().await;
        redirect_back(&setup, code, by);
        assert_eq!(status(replaying(&setup).post(setup.url("/orders")).body("an order")).await, 401);
        assert_eq!(setup.methods(), expected);
        assert!(setup.provider.cached().is_none(), "rejected it is");
        // One request's redirects do not affect the next.
        setup.server.revoke_all();
        assert_eq!(status(replaying(&setup).post(setup.url("/orders")).body("an order")).await, 200);
    }
}

#[tokio::test]
async fn unwatched_redirects_limit_replays_to_idempotent_requests() {
    for (method, redirected, expected) in [
        (Method::POST, true, vec![Method::POST, Method::POST]),
        (Method::POST, false, vec![Method::POST]),
        (Method::PATCH, false, vec![Method::PATCH]),
        (Method::GET, true, vec![Method::GET, Method::GET, Method::GET]),
        (Method::DELETE, false, vec![Method::DELETE, Method::DELETE]),
    ] {
        let setup = Setup::warm().await;
        if redirected {
            redirect_back(&setup, 307, None);
        } else {
            setup.server.api().next(Fault::invalid_token());
        }
        let bearer = BearerMiddleware::new(setup.provider.clone()).replay_once();
        let client = ClientBuilder::new(reqwest().build().unwrap()).with(bearer).build();
        let reply = if method.is_idempotent() { 200 } else { 401 };
        assert_eq!(status(client.request(method, setup.url("/orders"))).await, reply);
        assert_eq!(setup.methods(), expected);
    }
    // A client that follows no redirects reports that too, and its orders are replayed.
    let setup = Setup::warm().await;
    setup.server.revoke_all();
    let bearer = BearerMiddleware::new(setup.provider.clone()).replay_once();
    let redirects = bearer.watch_redirects(reqwest::redirect::Policy::none());
    let client = ClientBuilder::new(reqwest().redirect(redirects).build().unwrap()).with(bearer).build();
    assert_eq!(status(client.post(setup.url("/orders")).body("an order")).await, 200);
}

#[tokio::test]
async fn a_redirect_to_another_query_is_not_replayed() {
    // The client's redirects are not watched, so that only the URL of the response tells of them.
    for (location, sent) in [("/orders?page=2", 2), ("/orders/7", 2), ("/orders?page=1", 4)] {
        let setup = Setup::warm().await;
        let client = ClientBuilder::new(reqwest().build().unwrap())
            .with(BearerMiddleware::new(setup.provider.clone()).replay_once())
            .build();
        setup.server.api().next(Fault::status(303).header("location", setup.url(location)));
        setup.server.api().next(Fault::invalid_token());
        // What a replay would meet.
        setup.server.api().next(Fault::status(303).header("location", setup.url(location)));
        within(client.get(setup.url("/orders?page=1")).send()).await.unwrap();
        assert_eq!(setup.api_requests().len(), sent, "{location}");
    }
}

/// Responds with a value that tells when the response is dropped.
struct Replies {
    status: u16,
    alive: std::sync::Arc<()>,
}

#[async_trait::async_trait]
impl reqwest_middleware::Middleware for Replies {
    async fn handle(
        &self,
        request: reqwest::Request,
        _: &mut http::Extensions,
        _: reqwest_middleware::Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        let alive = self.alive.clone();
        let body = reqwest::Body::wrap_stream(Body::from("x").into_data_stream());
        let response = http::Response::builder().status(self.status).url(request.url().clone());
        Ok(response.extension(alive).body(body).unwrap().into())
    }
}

#[tokio::test]
async fn l43_a_replay_that_waits_for_a_token_holds_no_response() {
    let setup = Setup::warm().await;
    let alive = std::sync::Arc::new(());
    let client = ClientBuilder::new(reqwest().build().unwrap())
        .with(BearerMiddleware::new(setup.provider.clone()).replay_once())
        .with(Replies { status: 401, alive: alive.clone() })
        .build();
    let gate = setup.server.token_endpoint().hold();
    let waiting = tokio::spawn(client.get(setup.url("/orders")).send());
    within(setup.server.wait_for(|counts| counts.token_requests == 2)).await;
    // The test, and the middleware.
    assert_eq!(std::sync::Arc::strong_count(&alive), 2, "the first response is dropped");
    gate.release();
    within(waiting).await.unwrap().unwrap();
}

#[tokio::test]
async fn l55_a_declared_refusal_and_an_exposed_ticket_reach_the_caller() {
    for (status, is_declared, renewals) in [(498, true, 1), (498, false, 0), (200, true, 0)] {
        let setup = Setup::warm().await;
        let mut builder = setup.builder();
        if is_declared {
            builder = builder.reject_if(|response| response.status().as_u16() == 498);
        }
        let provider = builder.build().unwrap();
        let ticket = within(provider.token()).await.unwrap().ticket();
        let before = setup.token_requests();
        if status != 200 {
            setup.server.api().next(Fault::status(status));
        }
        let middleware = BearerMiddleware::new(provider.clone()).expose_ticket();
        let client = ClientBuilder::new(reqwest().build().unwrap()).with(middleware).build();
        let response = within(client.get(setup.url("/orders")).send()).await.unwrap();
        assert_eq!(response.extensions().get(), Some(&ticket), "{status} {is_declared}");
        let _ = within(provider.token()).await;
        assert_eq!(setup.token_requests() - before, renewals, "{status} {is_declared}");
    }
}
