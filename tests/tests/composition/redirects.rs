//! tower-http's redirect layer, around ours and under it.

use bearer_token_testing::{AuthorizationServer, Fault};
use http::Method;
use tower::ServiceBuilder;
use tower_bearer::Replay;
use tower_http::follow_redirect::{FollowRedirectLayer, RequestUri};

use crate::support::{Setup, api_requests, hyper, status};

fn see_other(to: impl AsRef<str>) -> Fault {
    Fault::status(303).header("location", to)
}

#[tokio::test]
async fn l33_a_redirect_layer_outside_has_each_hop_judged() {
    let setup = Setup::warm().await;
    let elsewhere = AuthorizationServer::start().unwrap();
    let client = ServiceBuilder::new().layer(FollowRedirectLayer::new()).layer(setup.layer()).service(hyper());

    setup.server.api().next(Fault::redirect(setup.url("/moved")));
    assert_eq!(status(client.clone(), setup.get("/orders")).await, 200);
    assert_eq!(setup.authorizations(), [setup.in_service(), setup.in_service()]);

    setup.server.api().next(Fault::redirect(format!("{}/file", elsewhere.api_url())));
    assert_eq!(status(client, setup.get("/orders")).await, 401);
    assert_eq!(api_requests(&elsewhere)[0].header("authorization"), None);
    assert!(setup.provider.cached().is_some(), "what others refuse is not our bearer");
}

#[tokio::test]
async fn l33_a_redirect_layer_inside_takes_the_token_off_itself() {
    let setup = Setup::warm().await;
    let elsewhere = AuthorizationServer::start().unwrap();
    let client = ServiceBuilder::new().layer(setup.layer()).layer(FollowRedirectLayer::new()).service(hyper());
    setup.server.api().next(Fault::redirect(format!("{}/file", elsewhere.api_url())));
    assert_eq!(status(client, setup.get("/orders")).await, 401);
    assert_eq!(api_requests(&elsewhere)[0].header("authorization"), None);
}

#[tokio::test]
async fn l42_a_redirect_layer_inside_needs_the_final_uri_hook() {
    for (hook, kept) in [(false, false), (true, true)] {
        let setup = Setup::warm().await;
        let elsewhere = AuthorizationServer::start().unwrap();
        let layer = match hook {
            true => setup.layer().final_uri(|extensions| extensions.get::<RequestUri>().map(|uri| &uri.0)),
            false => setup.layer(),
        };
        let client = ServiceBuilder::new().layer(layer).layer(FollowRedirectLayer::new()).service(hyper());
        setup.server.api().next(Fault::redirect(format!("{}/file", elsewhere.api_url())));
        assert_eq!(status(client, setup.get("/orders")).await, 401);
        assert_eq!(setup.provider.cached().is_some(), kept);
    }
}

#[tokio::test]
async fn a_replay_inside_redirects_repeats_the_rejected_hop() {
    let setup = Setup::warm().await;
    setup.server.api().next(see_other(setup.url("/orders/7")));
    setup.server.api().next(Fault::invalid_token());
    let client = ServiceBuilder::new()
        .layer(FollowRedirectLayer::new())
        .retry(Replay::cloning())
        .layer(setup.layer())
        .service(hyper());
    assert_eq!(status(client, setup.request(Method::POST, "/orders", "an order")).await, 200);
    assert_eq!(setup.methods(), [Method::POST, Method::GET, Method::GET]);
}

#[tokio::test]
async fn a_replay_outside_redirects_repeats_completed_hops() {
    let setup = Setup::warm().await;
    setup.server.api().next(see_other(setup.url("/orders/7")));
    setup.server.api().next(Fault::invalid_token());
    let client = ServiceBuilder::new()
        .retry(Replay::cloning())
        .layer(FollowRedirectLayer::new())
        .layer(setup.layer())
        .service(hyper());
    assert_eq!(status(client, setup.request(Method::POST, "/orders", "an order")).await, 200);
    assert_eq!(setup.methods(), [Method::POST, Method::GET, Method::POST], "the order is placed twice");
}

#[tokio::test]
async fn a_rejection_after_a_redirect_inside_is_not_replayed() {
    let setup = Setup::warm().await;
    setup.server.api().next(see_other(setup.url("/orders/7")));
    setup.server.api().next(Fault::invalid_token());
    let layer = setup.layer().final_uri(|extensions| extensions.get::<RequestUri>().map(|uri| &uri.0));
    let client =
        ServiceBuilder::new().retry(Replay::cloning()).layer(layer).layer(FollowRedirectLayer::new()).service(hyper());
    assert_eq!(status(client, setup.request(Method::POST, "/orders", "an order")).await, 401);
    assert_eq!(setup.methods(), [Method::POST, Method::GET]);
    assert!(setup.provider.cached().is_none(), "rejected it is");
}

// shows: 9110/9.2.2
#[tokio::test]
async fn redirects_inside_limit_replays_to_idempotent_requests() {
    for (method, redirect, expected) in [
        // To the same URI, so no layer above can tell that the order was placed.
        (Method::POST, Some(303), vec![Method::POST, Method::GET]),
        (Method::POST, Some(307), vec![Method::POST, Method::POST]),
        (Method::POST, None, vec![Method::POST]),
        (Method::PATCH, None, vec![Method::PATCH]),
        (Method::PUT, None, vec![Method::PUT, Method::PUT]),
        (Method::GET, Some(307), vec![Method::GET, Method::GET, Method::GET]),
    ] {
        let setup = Setup::warm().await;
        if let Some(status) = redirect {
            setup.server.api().next(Fault::status(status).header("location", setup.url("/orders")));
        }
        setup.server.api().next(Fault::invalid_token());
        let layer = setup.layer().final_uri(|extensions| extensions.get::<RequestUri>().map(|uri| &uri.0));
        let client = ServiceBuilder::new()
            .retry(Replay::cloning())
            .layer(layer)
            .layer(FollowRedirectLayer::new())
            .service(hyper());
        let replayed = method.is_idempotent();
        let reply = status(client, setup.request(method, "/orders", "")).await;
        assert_eq!((reply.as_u16(), setup.methods()), (if replayed { 200 } else { 401 }, expected));
    }
}
