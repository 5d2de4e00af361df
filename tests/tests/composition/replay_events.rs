//! What observers learn of a refused request that is sent once more, or is not.

use std::{
    future::Ready,
    sync::{Arc, Mutex},
    time::Duration,
};

use bearer_token::{
    Rejection, Sending,
    observe::{Event, EventKind, Observer},
    platform::BoxFuture,
};
use bearer_token_testing::Fault;
use http::{Method, Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use reqwest_bearer::{BearerMiddleware, redirect_policy};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, RequestBuilder};
use tower::{Service, ServiceBuilder, ServiceExt, retry::Policy};
use tower_bearer::{BoxError, Replay};
use tower_http::follow_redirect::{FollowRedirectLayer, RequestUri};

use crate::support::{Body, LIFETIME, Setup, drive_until, hyper, reqwest, within};

const SETTLE: Duration = Duration::from_secs(5);

/// The events of both kinds, in words.
#[derive(Clone, Default)]
struct Replays(Arc<Mutex<Vec<String>>>);

impl Observer for Replays {
    fn on_event(&self, event: &Event<'_>) {
        let told = match event.kind {
            EventKind::Replayed { rejection, .. } => format!("replayed, {}", rejection.as_str()),
            EventKind::NotReplayed { rejection, .. } => format!("not replayed, {}", rejection.as_str()),
            _ => return,
        };
        self.0.lock().unwrap().push(told);
    }
}

impl Replays {
    fn told(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

/// A provider with a token, which the API does not accept any more.
async fn revoked() -> (Setup, Replays) {
    let (setup, events) = (Setup::cold(), Replays::default());
    let provider = setup.builder().observer(events.clone()).build().unwrap();
    within(provider.token()).await.unwrap();
    setup.server.revoke_all();
    (Setup { provider, ..setup }, events)
}

/// The status that the caller gets.
async fn send<S>(client: S, request: Request<Body>) -> u16
where
    S: Service<Request<Body>, Response = Response<Incoming>, Error = BoxError>,
{
    within(client.oneshot(request)).await.unwrap().status().as_u16()
}

fn replaying(setup: &Setup) -> ClientWithMiddleware {
    let bearer = BearerMiddleware::new(setup.provider.clone()).replay_once();
    let redirects = bearer.watch_redirects(redirect_policy());
    ClientBuilder::new(reqwest().redirect(redirects).build().unwrap()).with(bearer).build()
}

async fn status(request: RequestBuilder) -> u16 {
    within(request.send()).await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_post_that_tower_replays_is_an_event() {
    let (setup, events) = revoked().await;
    let client = ServiceBuilder::new().retry(Replay::cloning()).layer(setup.layer()).service(hyper());
    assert_eq!(send(client, setup.request(Method::POST, "/orders", "an order")).await, 200);
    assert_eq!(events.told(), ["replayed, renewing"]);
}

#[tokio::test]
async fn a_post_that_tower_cannot_replay_is_an_event() {
    let (setup, events) = revoked().await;
    let none = Replay::new(|_: &Body| None);
    let client = ServiceBuilder::new().retry(none).layer(setup.layer()).service(hyper());
    let request = setup.request(Method::POST, "/orders", "an order");
    let response = within(client.clone().oneshot(request)).await.unwrap();
    assert_eq!(response.status(), 401);
    // What is around the policy may still send it again.
    assert!(events.told().is_empty(), "{:?}", events.told());
    within(response.into_body().collect()).await.unwrap();
    assert_eq!(events.told(), ["not replayed, renewing"]);
    assert_eq!(send(client, setup.get("/orders")).await, 200);
    assert_eq!(events.told().len(), 1, "an accepted request is no event");
}

#[tokio::test]
async fn a_refusal_without_any_replay_is_an_event() {
    let (setup, events) = revoked().await;
    let client = ServiceBuilder::new().layer(setup.layer()).service(hyper());
    assert_eq!(send(client, setup.get("/orders")).await, 401);
    assert_eq!(events.told(), ["not replayed, renewing"]);

    let (setup, events) = revoked().await;
    let bearer = BearerMiddleware::new(setup.provider.clone());
    let client = ClientBuilder::new(reqwest().build().unwrap()).with(bearer).build();
    assert_eq!(status(client.get(setup.url("/orders"))).await, 401);
    assert_eq!(events.told(), ["not replayed, renewing"]);
}

#[tokio::test]
async fn a_refusal_that_no_replay_can_cure_is_no_such_event() {
    let (setup, events) = revoked().await;
    setup.server.api().always(Fault::invalid_token());
    let client = ServiceBuilder::new().retry(Replay::cloning()).layer(setup.layer()).service(hyper());
    assert_eq!(send(client.clone(), setup.get("/orders")).await, 401);
    assert_eq!(send(client, setup.get("/orders")).await, 401);
    // The second refusal is of a new bearer, so another one would not help.
    assert_eq!(events.told(), ["replayed, renewing"]);
}

/// A policy of the user's: every method but `POST`.
#[derive(Clone)]
struct NotPost;

impl<RB> Policy<Request<Body>, Response<RB>, BoxError> for NotPost {
    type Future = Ready<()>;

    fn retry(&mut self, request: &mut Request<Body>, result: &mut Result<Response<RB>, BoxError>) -> Option<Ready<()>> {
        let extensions = result.as_ref().ok()?.extensions();
        let is_useful = extensions.get::<Rejection>()?.is_replay_useful();
        (is_useful && request.method() != Method::POST).then(|| {
            tower_bearer::tell_of_replay(extensions);
            std::future::ready(())
        })
    }

    fn clone_request(&mut self, request: &Request<Body>) -> Option<Request<Body>> {
        Some(request.clone())
    }
}

#[tokio::test]
async fn a_policy_of_the_users_tells_of_its_replays() {
    for (method, expected, told) in
        [(Method::GET, 200, "replayed, renewing"), (Method::POST, 401, "not replayed, renewing")]
    {
        let (setup, events) = revoked().await;
        let client = ServiceBuilder::new().retry(NotPost).layer(setup.layer()).service(hyper());
        assert_eq!(send(client, setup.request(method, "/orders", "")).await, expected);
        assert_eq!(events.told(), [told]);
    }
}

#[tokio::test]
async fn a_post_that_may_have_been_redirected_is_an_event() {
    let (setup, events) = revoked().await;
    let layer = setup.layer().final_uri(|extensions| extensions.get::<RequestUri>().map(|uri| &uri.0));
    let client = ServiceBuilder::new().retry(Replay::cloning()).layer(layer).layer(FollowRedirectLayer::new());
    let client = client.service(hyper());
    let request = setup.request(Method::POST, "/orders", "an order");
    assert_eq!(within(client.oneshot(request)).await.unwrap().status(), 401);
    assert_eq!(events.told(), ["not replayed, renewing"]);
}

#[tokio::test]
async fn a_post_that_reqwest_replays_is_an_event() {
    let (setup, events) = revoked().await;
    assert_eq!(status(replaying(&setup).post(setup.url("/orders")).body("an order")).await, 200);
    assert_eq!(events.told(), ["replayed, renewing"]);
}

#[tokio::test]
async fn a_stream_that_reqwest_cannot_replay_is_an_event() {
    let (setup, events) = revoked().await;
    let stream = reqwest::Body::wrap_stream(Body::from("an order").into_data_stream());
    assert_eq!(status(replaying(&setup).post(setup.url("/orders")).body(stream)).await, 401);
    assert_eq!(events.told(), ["not replayed, renewing"]);
}

#[tokio::test]
async fn a_redirected_request_that_reqwest_does_not_replay_is_an_event() {
    let (setup, events) = revoked().await;
    setup.server.api().next(Fault::status(307).header("location", setup.url("/orders")));
    assert_eq!(status(replaying(&setup).post(setup.url("/orders")).body("an order")).await, 401);
    assert_eq!(events.told(), ["not replayed, renewing"]);
}

const BOTH: [By; 2] = [By::Tower, By::Reqwest];

#[derive(Clone, Copy, Debug)]
enum By {
    Tower,
    Reqwest,
}

/// A provider with a token, which the API accepts.
async fn accepted(sending: Sending) -> (Setup, Replays) {
    let (setup, events) = (Setup::cold(), Replays::default());
    let provider = setup.builder().sending(sending).observer(events.clone()).build().unwrap();
    within(provider.token()).await.unwrap();
    (Setup { provider, ..setup }, events)
}

/// The status that the caller gets, or nothing in case of an error.
fn get(setup: &Setup, by: By) -> BoxFuture<Option<u16>> {
    let request = setup.get("/orders");
    let tower = ServiceBuilder::new().retry(Replay::cloning()).layer(setup.layer()).service(hyper());
    let reqwest = replaying(setup).get(setup.url("/orders"));
    Box::pin(async move {
        match by {
            By::Tower => tower.oneshot(request).await.ok().map(|response| response.status().as_u16()),
            By::Reqwest => reqwest.send().await.ok().map(|response| response.status().as_u16()),
        }
    })
}

#[tokio::test]
async fn a_replay_is_told_when_it_has_its_bearer() {
    for by in BOTH {
        let (setup, events) = revoked().await;
        let gate = setup.server.token_endpoint().hold();
        let mut call = get(&setup, by);
        drive_until(&mut call, &setup.server, |counts| counts.token_requests == 2).await;
        assert!(events.told().is_empty(), "{by:?}: {:?}", events.told());
        gate.release();
        assert_eq!(within(call).await, Some(200), "{by:?}");
        assert_eq!(events.told(), ["replayed, renewing"], "{by:?}");
    }
}

#[tokio::test]
async fn a_replay_that_gets_no_bearer_is_not_replayed() {
    for by in BOTH {
        let (setup, events) = accepted(Sending::new()).await;
        setup.server.token_endpoint().always(Fault::status(503));
        let gate = setup.server.api().hold();
        setup.server.api().next(Fault::invalid_token());
        let mut call = get(&setup, by);
        drive_until(&mut call, &setup.server, |counts| counts.api_requests == 1).await;
        // The bearer expires while the response is on its way.
        setup.clock.advance(LIFETIME);
        gate.release();
        assert_eq!(within(call).await, None, "{by:?}");
        assert_eq!(setup.api_requests().len(), 1, "{by:?}");
        assert_eq!(events.told(), ["not replayed, renewing"], "{by:?}");
    }
}

#[tokio::test]
async fn a_caller_that_leaves_before_the_replay_is_an_event() {
    for by in BOTH {
        let (setup, events) = revoked().await;
        let _gate = setup.server.token_endpoint().hold();
        let mut call = get(&setup, by);
        drive_until(&mut call, &setup.server, |counts| counts.token_requests == 2).await;
        drop(call);
        assert_eq!(events.told(), ["not replayed, renewing"], "{by:?}");

        let (setup, events) = accepted(Sending::new().settle(SETTLE)).await;
        setup.server.api().next(Fault::invalid_token());
        let sleepers = setup.clock.sleepers();
        let call = get(&setup, by);
        within(async {
            tokio::select! {
                biased;
                () = setup.clock.wait_for_sleepers(sleepers + 1) => {}
                _ = call => unreachable!("it was to wait"),
            }
        })
        .await;
        assert_eq!(events.told(), ["not replayed, settling"], "{by:?}");
    }
}

#[tokio::test]
async fn a_second_refusal_that_could_be_cured_is_an_event() {
    for by in BOTH {
        let (setup, events) = accepted(Sending::new().settle(SETTLE)).await;
        setup.server.api().always(Fault::invalid_token());
        let sleepers = setup.clock.sleepers();
        let time = async {
            setup.clock.wait_for_sleepers(sleepers + 1).await;
            setup.clock.advance(SETTLE);
        };
        let (status, ()) = within(async { tokio::join!(get(&setup, by), time) }).await;
        assert_eq!((status, setup.api_requests().len()), (Some(401), 2), "{by:?}");
        assert_eq!(events.told(), ["replayed, settling", "not replayed, renewing"], "{by:?}");
    }
}

/// A middleware of the user's: every method but `POST`.
struct AroundIt;

#[async_trait::async_trait]
impl reqwest_middleware::Middleware for AroundIt {
    async fn handle(
        &self,
        request: reqwest::Request,
        extensions: &mut http::Extensions,
        next: reqwest_middleware::Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        let spare = request.try_clone().filter(|request| request.method() != Method::POST);
        let response = next.clone().run(request, extensions).await?;
        let rejection = response.extensions().get::<Rejection>();
        let Some(spare) = spare.filter(|_| rejection.is_some_and(|rejection| rejection.is_replay_useful())) else {
            return Ok(response);
        };
        reqwest_bearer::tell_of_replay(response.extensions());
        drop(response);
        next.run(spare, extensions).await
    }
}

#[tokio::test]
async fn a_middleware_of_the_users_tells_of_its_replays() {
    for (method, expected, told) in
        [(Method::GET, 200, "replayed, renewing"), (Method::POST, 401, "not replayed, renewing")]
    {
        let (setup, events) = revoked().await;
        let bearer = BearerMiddleware::new(setup.provider.clone());
        let redirects = bearer.watch_redirects(redirect_policy());
        let client = ClientBuilder::new(reqwest().redirect(redirects).build().unwrap()).with(AroundIt).with(bearer);
        assert_eq!(status(client.build().request(method, setup.url("/orders"))).await, expected);
        assert_eq!(events.told(), [told]);
    }
}
