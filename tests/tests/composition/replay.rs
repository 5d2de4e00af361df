//! Replays under tower.

use std::convert::Infallible;

use bearer_token::PassThrough;
use bearer_token_testing::Fault;
use bytes::Bytes;
use http::{Method, Request, header::AUTHORIZATION};
use http_body_util::{BodyExt, Either, Full, combinators::UnsyncBoxBody};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tower::{ServiceBuilder, ServiceExt, limit::ConcurrencyLimit};
use tower_bearer::{BearerService, Replay};

use crate::support::{Body, HyperClient, Setup, drive_until, hyper, poll_once, status, within};

type Replaying = tower::retry::Retry<Replay, BearerService<HyperClient>>;

fn replaying(setup: &Setup) -> Replaying {
    ServiceBuilder::new().retry(Replay::cloning()).layer(setup.layer()).service(hyper())
}

#[tokio::test]
async fn a_rejected_request_is_resent_with_the_next_bearer() {
    let setup = Setup::warm().await;
    setup.server.revoke_all();
    let mut request = setup.request(Method::POST, "/orders?dry=1", "an order");
    request.headers_mut().insert("x-trace", "7".parse().unwrap());
    assert_eq!(status(replaying(&setup), request).await, 200);

    let sent = setup.api_requests();
    let [first, second] = &sent[..] else { panic!("{sent:?}") };
    assert_ne!(first.header("authorization"), second.header("authorization"));
    assert_eq!((first.method(), first.uri(), first.body()), (second.method(), second.uri(), second.body()));
    assert_eq!((second.header("x-trace"), &second.body()[..]), (Some("7"), &b"an order"[..]));
    assert_eq!(setup.token_requests(), 2);
}

#[tokio::test]
async fn l28_a_rejected_crowd_is_replayed_after_one_renewal() {
    const CROWD: usize = 32;
    let setup = Setup::warm().await;
    setup.server.revoke_all();
    let client = replaying(&setup);
    let mut crowd = tokio::task::JoinSet::new();
    for _ in 0..CROWD {
        crowd.spawn(status(client.clone(), setup.get("/orders")));
    }
    assert!(within(crowd.join_all()).await.iter().all(|status| *status == 200));
    assert_eq!(setup.token_requests(), 2);
    assert!(setup.api_requests().len() <= 2 * CROWD);
}

#[tokio::test]
async fn l29_a_second_rejection_is_not_replayed() {
    let setup = Setup::warm().await;
    setup.server.api().always(Fault::invalid_token());
    let client = replaying(&setup);
    assert_eq!(status(client.clone(), setup.get("/orders")).await, 401);
    assert_eq!((setup.api_requests().len(), setup.token_requests()), (2, 2));
    // The bearer stays in service from here on, because it was just renewed.
    for calls in 3..6 {
        assert_eq!(status(client.clone(), setup.get("/orders")).await, 401);
        assert_eq!((setup.api_requests().len(), setup.token_requests()), (calls, 2));
    }
}

#[tokio::test]
async fn l29_after_a_failed_renewal_the_old_bearer_is_replayed_once() {
    let setup = Setup::warm().await;
    setup.server.revoke_all();
    setup.server.token_endpoint().always(Fault::status(503));
    let client = replaying(&setup);
    assert_eq!(status(client.clone(), setup.get("/orders")).await, 401);
    let sent = setup.authorizations();
    assert_eq!((sent.len(), &sent[0]), (2, &sent[1]));
    assert_eq!(status(client, setup.get("/orders")).await, 401);
    assert_eq!(setup.authorizations().len(), 3, "until the cool-down ends nothing is replayed");
}

#[tokio::test]
async fn l32_a_request_with_its_own_authorization_is_not_replayed() {
    let setup = Setup::warm().await;
    let mut own = setup.get("/orders");
    own.headers_mut().insert(AUTHORIZATION, "Bearer unknown".parse().unwrap());
    let mut marked = setup.get("/orders");
    marked.extensions_mut().insert(PassThrough);
    for (calls, request) in [own, marked].into_iter().enumerate() {
        assert_eq!(status(replaying(&setup), request).await, 401);
        assert_eq!((setup.api_requests().len(), setup.token_requests()), (calls + 1, 1));
    }
}

type Mixed = Either<Body, UnsyncBoxBody<Bytes, Infallible>>;

#[tokio::test]
async fn l32_only_repeatable_bodies_are_replayed() {
    let whole = || Either::Left(Full::from("an order"));
    // Once boxed, the origin of a body does not matter.
    let boxed = || Either::Right(Full::from("an order").boxed_unsync());
    for (body, expected, requests) in [(whole as fn() -> Mixed, 200, 2), (boxed, 401, 1)] {
        let setup = Setup::warm().await;
        setup.server.revoke_all();
        let client = ServiceBuilder::new()
            .retry(Replay::new(|body: &Mixed| match body {
                Either::Left(whole) => Some(Either::Left(whole.clone())),
                Either::Right(_) => None,
            }))
            .layer(setup.layer())
            .service(Client::builder(TokioExecutor::new()).build_http::<Mixed>());
        let request = Request::post(setup.url("/orders")).body(body()).unwrap();
        assert_eq!(within(client.oneshot(request)).await.unwrap().status(), expected);
        assert_eq!(setup.api_requests().len(), requests);
        assert!(setup.api_requests().iter().all(|request| &request.body()[..] == b"an order"));
    }
}

#[tokio::test]
async fn l43_a_waiting_replay_holds_no_permit_below() {
    let setup = Setup::warm().await;
    setup.server.revoke_all();
    let ready = setup.other_provider();
    within(ready.token()).await.unwrap();
    let limited = ConcurrencyLimit::new(hyper(), 1);
    let replaying = ServiceBuilder::new().retry(Replay::cloning()).layer(setup.layer()).service(limited.clone());

    let gate = setup.server.token_endpoint().hold();
    let mut replay = Box::pin(replaying.oneshot(setup.get("/orders")));
    drive_until(&mut replay, &setup.server, |counts| counts.token_requests == 3).await;
    assert!(poll_once(&mut replay).await.is_pending());
    assert_eq!(status(BearerService::new(limited, ready), setup.get("/orders")).await, 200);

    gate.release();
    assert_eq!(within(replay).await.unwrap().status(), 200);
}
