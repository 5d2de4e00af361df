//! A token in another header, and an API that learns of tokens late.

use std::time::Duration;

use bearer_token::{ErrorKind, Rejection, Sending, TokenProvider, Value};
use bearer_token_testing::{AuthorizationServer, Fault};
use reqwest_bearer::{BearerMiddleware, redirect_policy, token_error};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use tower::{ServiceBuilder, ServiceExt};
use tower_bearer::{BearerLayer, Replay};
use tower_http::follow_redirect::{FollowRedirectLayer, RequestUri};

use crate::support::{Setup, api_requests, hyper, reqwest, send, status, within};

const SETTLE: Duration = Duration::from_secs(5);

async fn warm(setup: &Setup, sending: Sending) -> TokenProvider {
    let provider = setup.builder().sending(sending).build().unwrap();
    within(provider.token()).await.unwrap();
    provider
}

fn keyed() -> Sending {
    Sending::new().header("x-api-key").scheme("").fixed_header("x-second-key", Value::from("planted-second-key"))
}

fn watched(provider: &TokenProvider) -> ClientWithMiddleware {
    let bearer = BearerMiddleware::new(provider.clone()).replay_once();
    let redirects = bearer.watch_redirects(redirect_policy());
    ClientBuilder::new(reqwest().redirect(redirects).build().unwrap()).with(bearer).build()
}

#[tokio::test]
async fn tower_and_reqwest_send_every_configured_header() {
    let setup = Setup::cold();
    let provider = warm(&setup, keyed()).await;
    setup.server.api().always(Fault::status(200));
    let client = ServiceBuilder::new().layer(BearerLayer::new(provider.clone())).service(hyper());
    assert_eq!(status(client, setup.get("/orders")).await, 200);
    assert_eq!(within(watched(&provider).get(setup.url("/orders")).send()).await.unwrap().status(), 200);
    let token = provider.cached().unwrap();
    for request in setup.api_requests() {
        assert_eq!(request.header("x-api-key"), Some(token.secret()));
        assert_eq!(request.header("x-second-key"), Some("planted-second-key"));
        assert_eq!(request.header("authorization"), None);
    }
}

#[tokio::test]
async fn l33_reqwest_takes_no_configured_header_to_another_origin() {
    for sending in [keyed(), Sending::new().fixed_header("x-second-key", "planted-second-key")] {
        let setup = Setup::cold();
        let elsewhere = AuthorizationServer::start().unwrap();
        let provider = warm(&setup, sending).await;
        setup.server.api().next(Fault::redirect(format!("{}/file", elsewhere.api_url())));
        let error = within(watched(&provider).get(setup.url("/orders")).send()).await.unwrap_err();
        assert!(format!("{error:?}").contains("OtherHeaders"), "{error:?}");
        assert!(!format!("{error:?} {error}").contains("planted"), "{error:?}");
        assert!(api_requests(&elsewhere).is_empty());

        // Within the origin it is followed.
        setup.server.api().next(Fault::redirect(setup.url("/moved")));
        setup.server.api().next(Fault::status(200));
        assert_eq!(within(watched(&provider).get(setup.url("/orders")).send()).await.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn reqwest_sends_no_other_header_through_an_unwatched_client() {
    let setup = Setup::cold();
    let provider = warm(&setup, keyed()).await;
    let bearer = BearerMiddleware::new(provider);
    let client = ClientBuilder::new(reqwest().build().unwrap()).with(bearer).build();
    let error = within(client.get(setup.url("/orders")).send()).await.unwrap_err();
    let error = token_error(&error).unwrap();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("watch_redirects(reqwest_bearer::redirect_policy())"), "{error}");
    assert!(setup.api_requests().is_empty());
}

#[tokio::test]
async fn l33_a_redirect_layer_below_is_refused_and_above_is_safe() {
    for is_warm in [true, false] {
        let setup = Setup::cold();
        let provider = match is_warm {
            true => warm(&setup, keyed()).await,
            false => setup.builder().sending(keyed()).build().unwrap(),
        };
        let layer = BearerLayer::new(provider).final_uri(|extensions| extensions.get::<RequestUri>().map(|uri| &uri.0));
        let below = ServiceBuilder::new().layer(layer).layer(FollowRedirectLayer::new()).service(hyper());
        let error = send(below, setup.get("/orders")).await.unwrap_err();
        let error = error.downcast_ref::<bearer_token::Error>().unwrap();
        assert!(error.to_string().contains("put the redirect layer around the BearerLayer"), "{error}");
        assert!(setup.api_requests().is_empty());
    }

    let setup = Setup::cold();
    let elsewhere = AuthorizationServer::start().unwrap();
    let provider = warm(&setup, keyed()).await;
    let above =
        ServiceBuilder::new().layer(FollowRedirectLayer::new()).layer(BearerLayer::new(provider)).service(hyper());
    setup.server.api().next(Fault::redirect(format!("{}/file", elsewhere.api_url())));
    assert_eq!(status(above, setup.get("/orders")).await, 401);
    let request = &api_requests(&elsewhere)[0];
    assert_eq!((request.header("x-api-key"), request.header("x-second-key")), (None, None));
}

#[tokio::test]
async fn reqwest_replays_with_fresh_configured_headers() {
    let setup = Setup::cold();
    let provider = warm(&setup, keyed().reject_on_status(http::StatusCode::FORBIDDEN)).await;
    setup.server.api().next(Fault::status(403));
    setup.server.api().next(Fault::status(200));
    assert_eq!(within(watched(&provider).get(setup.url("/orders")).send()).await.unwrap().status(), 200);
    let sent = setup.api_requests();
    let keys: Vec<_> = sent.iter().map(|request| request.header("x-api-key").unwrap()).collect();
    assert!(keys.len() == 2 && keys[0] != keys[1], "{keys:?}");
    assert!(sent.iter().all(|request| request.header("x-second-key") == Some("planted-second-key")));
}

#[tokio::test]
async fn a_settling_bearer_is_replayed_without_a_fetch() {
    for by_reqwest in [false, true] {
        let setup = Setup::cold();
        let provider = warm(&setup, Sending::new().settle(SETTLE)).await;
        setup.server.api().next(Fault::invalid_token());
        let sleepers = setup.clock.sleepers();
        let replayed = async {
            if by_reqwest {
                let response = watched(&provider).get(setup.url("/orders")).send().await.unwrap();
                return response.status().as_u16();
            }
            let layer = BearerLayer::new(provider.clone());
            let client = ServiceBuilder::new().retry(Replay::cloning()).layer(layer).service(hyper());
            client.oneshot(setup.get("/orders")).await.unwrap().status().as_u16()
        };
        let time = async {
            setup.clock.wait_for_sleepers(sleepers + 1).await;
            assert_eq!(setup.api_requests().len(), 1, "not before the time has passed");
            setup.clock.advance(SETTLE);
        };
        let (code, ()) = within(async { tokio::join!(replayed, time) }).await;
        assert_eq!(code, 200, "reqwest: {by_reqwest}");
        let sent = setup.authorizations();
        assert!(sent.len() == 2 && sent[0] == sent[1], "{sent:?}");
        assert_eq!(setup.token_requests(), 1);
    }
}

#[tokio::test]
async fn without_a_replay_a_settling_bearer_stays_in_service() {
    let setup = Setup::cold();
    let provider = warm(&setup, Sending::new().settle(SETTLE)).await;
    setup.server.api().next(Fault::invalid_token());
    let client = ServiceBuilder::new().layer(BearerLayer::new(provider.clone())).service(hyper());
    let response = within(client.oneshot(setup.get("/orders"))).await.unwrap();
    assert_eq!(response.extensions().get(), Some(&Rejection::Settling));
    assert!(provider.cached().is_some());
    assert_eq!(setup.token_requests(), 1);
}
