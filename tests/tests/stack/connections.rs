//! The stack below: permits, buffers and connections.

use std::sync::Arc;

use bearer_token::{TokenProvider, transport};
use bearer_token_testing::Tokens;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::{sync::Semaphore, task::JoinSet};
use tower::{
    Service, ServiceBuilder, ServiceExt,
    limit::{ConcurrencyLimit, GlobalConcurrencyLimitLayer},
    util::BoxCloneSyncService,
};
use tower_bearer::{BearerService, BoxError};

use crate::support::{HyperClient, SECOND, Setup, hyper, poll_once, within};

type Shared = BoxCloneSyncService<Request<Full<Bytes>>, Response<Incoming>, BoxError>;

/// Shared stacks that handle one request at a time.
fn narrow_stacks() -> [(&'static str, Shared); 3] {
    let limit = GlobalConcurrencyLimitLayer::new(1);
    let limited = ServiceBuilder::new().layer(limit).map_err(BoxError::from).service(hyper());
    let buffered = ServiceBuilder::new().buffer(1).service(hyper());
    let both = ServiceBuilder::new().buffer(1).concurrency_limit(1).service(hyper());
    [
        ("limit", BoxCloneSyncService::new(limited)),
        ("buffer", BoxCloneSyncService::new(buffered)),
        ("buffer and limit", BoxCloneSyncService::new(both)),
    ]
}

fn get(url: &str) -> Request<Full<Bytes>> {
    Request::get(url).body(Full::default()).unwrap()
}

#[tokio::test]
async fn l43_l04_a_hung_tenant_costs_another_nothing() {
    for (name, shared) in narrow_stacks() {
        let (hung, well) = (Setup::start(), Setup::start());
        let tenant = |setup: &Setup| BearerService::new(shared.clone(), setup.provider());
        let (hung_tenant, well_tenant) = (tenant(&hung), tenant(&well));
        let gate = hung.server.token_endpoint().hold();
        let url = hung.api("orders");
        let mut waiting: Vec<_> = (0..20).map(|_| Box::pin(hung_tenant.clone().oneshot(get(&url)))).collect();
        for call in &mut waiting {
            // Polls until the call has passed the layers above the token.
            for _ in 0..3 {
                assert!(poll_once(call).await.is_pending(), "{name}");
            }
        }
        within(hung.server.wait_for_token_requests(1)).await;
        for _ in 0..20 {
            let response = within(well_tenant.clone().oneshot(get(&well.api("orders")))).await.unwrap();
            assert_eq!(response.status(), 200, "{name}");
        }
        assert_eq!((hung.server.count().api_requests, well.server.count().api_accepted), (0, 20), "{name}");
        gate.release();
        for response in within(waiting.into_iter().collect::<JoinSet<_>>().join_all()).await {
            assert_eq!(response.unwrap().status(), 200, "{name}");
        }
        assert_eq!(hung.token_requests(), 1, "{name}");
    }
}

#[tokio::test]
async fn l43_token_requests_below_the_same_limit_do_not_deadlock() {
    for (name, shared) in narrow_stacks() {
        let setup = Setup::start();
        let endpoint = setup.endpoint().transport(transport::service(shared.clone())).build().unwrap();
        let service = BearerService::new(shared, setup.builder(endpoint).build().unwrap());
        let url = setup.api("orders");
        let calls: JoinSet<_> = (0..50).map(|_| service.clone().oneshot(get(&url))).collect();
        for response in within(calls.join_all()).await {
            assert_eq!(response.unwrap().status(), 200, "{name}");
        }
        assert_eq!(setup.token_requests(), 1, "{name}");
    }
}

#[tokio::test]
async fn a_service_is_ready_again_after_a_waiting_request() {
    let setup = Setup::start();
    let permits = Arc::new(Semaphore::new(1));
    let limited = ConcurrencyLimit::with_semaphore(hyper(), permits.clone());
    let mut service = BearerService::new(limited, setup.provider());
    let gate = setup.server.token_endpoint().hold();
    let url = setup.api("orders");
    let mut waiting = Vec::new();
    for _ in 0..5 {
        let ready = within(service.ready()).await.unwrap();
        let mut call = Box::pin(ready.call(get(&url)));
        assert!(poll_once(&mut call).await.is_pending());
        assert_eq!(permits.available_permits(), 1, "released");
        waiting.push(call);
    }
    // Dropping the ready service releases the permit too.
    let _ = within(service.ready()).await.unwrap();
    assert_eq!(permits.available_permits(), 0);
    drop(service);
    gate.release();
    for call in waiting {
        assert_eq!(within(call).await.unwrap().status(), 200);
    }
    assert_eq!(permits.available_permits(), 1);
}

#[tokio::test]
async fn l09_a_token_expiring_while_waiting_for_capacity_is_not_sent() {
    let setup = Setup::start();
    setup.server.issue(Tokens::jwt().lifetime(60 * SECOND));
    let provider = setup.provider();
    let permits = Arc::new(Semaphore::new(1));
    let mut service = BearerService::new(ConcurrencyLimit::with_semaphore(hyper(), permits.clone()), provider.clone());
    let url = setup.api("orders");
    let mut call = Box::pin(within(service.ready()).await.unwrap().call(get(&url)));
    assert!(poll_once(&mut call).await.is_pending(), "cold");
    let taken = permits.acquire().await.unwrap();
    within(provider.token()).await.unwrap();
    assert!(poll_once(&mut call).await.is_pending(), "there is a token, and no room");
    setup.clock.advance(120 * SECOND);
    drop(taken);
    assert_eq!(within(call).await.unwrap().status(), 200);
    assert_eq!((setup.server.count().api_rejected, setup.token_requests()), (0, 2));
    assert_eq!(permits.available_permits(), 1);
}

#[tokio::test]
async fn l09_a_very_short_token_serves_its_waiters_despite_scarce_capacity() {
    for (name, shared) in narrow_stacks() {
        let setup = Setup::start();
        setup.server.issue(Tokens::jwt().expires_in(0));
        let service = BearerService::new(shared, setup.provider());
        let gate = setup.server.token_endpoint().hold();
        let url = setup.api("orders");
        let calls: JoinSet<_> = (0..20).map(|_| service.clone().oneshot(get(&url))).collect();
        within(setup.clock.wait_for_sleepers(21)).await;
        gate.release();
        for response in within(calls.join_all()).await {
            assert_eq!(response.unwrap().status(), 200, "{name}");
        }
        assert_eq!(setup.token_requests(), 1, "{name}");
    }
}

/// Providers whose token requests use the pooled connections of each kind of client.
fn pooled(setup: &Setup) -> [(&'static str, TokenProvider); 4] {
    let with = |endpoint: bearer_token::oauth::TokenEndpoint| setup.builder(endpoint).build().unwrap();
    let tower = setup.endpoint().transport(transport::service::<HyperClient, _>(hyper()));
    let client = reqwest_bearer::ClientTransport::new(crate::support::reqwest());
    let middleware = reqwest_bearer::MiddlewareTransport::new(crate::support::reqwest().into());
    [
        ("http", with(setup.endpoint().build().unwrap())),
        ("reqwest", with(setup.endpoint().transport(client).build().unwrap())),
        ("tower", with(tower.build().unwrap())),
        ("middleware", with(setup.endpoint().transport(middleware).build().unwrap())),
    ]
}

// One thread: the client cannot see that the connection is closed before it uses it.
#[tokio::test]
async fn l44_a_closed_pooled_connection_fails_no_caller() {
    for index in 0..4 {
        let setup = Setup::start();
        let (name, provider) = pooled(&setup)[index].clone();
        within(provider.token()).await.unwrap();
        within(provider.refresh_now()).await.unwrap();
        assert_eq!((setup.token_requests(), setup.server.count().connections), (2, 1), "{name}: kept alive");
        for round in 0..5 {
            setup.server.close_connections();
            let waiters: JoinSet<_> = (0..20).map(|_| provider.refresh_now()).collect();
            for result in within(waiters.join_all()).await {
                result.unwrap_or_else(|error| panic!("{name}, round {round}: {error:?}"));
            }
        }
        let count = setup.server.count();
        assert_eq!((count.tokens_issued, count.connections), (7, 6), "{name}");
    }
}
