//! Layers that limit: timeout, concurrency limit, load shed, buffer. Each test shows which requests pay for a token
//! wait.

use std::{sync::Arc, time::Duration};

use tokio::sync::Semaphore;
use tower::{
    Service, ServiceBuilder, ServiceExt, limit::ConcurrencyLimit, load_shed::error::Overloaded, timeout::error::Elapsed,
};
use tower_bearer::BearerService;

use crate::support::{LIMIT, Setup, drive_until, hyper, pass_the_limit, poll_once, send, status, within};

#[tokio::test]
async fn l10_a_timeout_outside_bounds_the_wait_not_the_fetch() {
    let setup = Setup::cold();
    let gate = setup.server.token_endpoint().hold();
    let client = ServiceBuilder::new().timeout(Duration::from_millis(1)).layer(setup.layer()).service(hyper());
    let error = send(client.clone(), setup.get("/orders")).await.unwrap_err();
    assert!(error.is::<Elapsed>(), "{error:?}");

    gate.release();
    within(setup.provider.token()).await.unwrap();
    assert_eq!(setup.token_requests(), 1, "the caller went away, the fetch did not");
    assert_eq!(setup.api_requests().len(), 0);
}

#[tokio::test]
async fn a_timeout_inside_bounds_the_api_alone() {
    let setup = Setup::cold();
    let gate = setup.server.token_endpoint().hold();
    let client = ServiceBuilder::new().layer(setup.layer()).timeout(LIMIT).service(hyper());
    let mut call = Box::pin(client.clone().oneshot(setup.get("/orders")));
    drive_until(&mut call, &setup.server, |counts| counts.token_requests == 1).await;
    pass_the_limit().await;
    assert!(poll_once(&mut call).await.is_pending(), "nothing bounds this wait but the fetch's own deadline");
    gate.release();
    assert_eq!(within(call).await.unwrap().status(), 200);

    let _gate = setup.server.api().hold();
    let mut call = Box::pin(client.oneshot(setup.get("/orders")));
    drive_until(&mut call, &setup.server, |counts| counts.api_requests == 2).await;
    pass_the_limit().await;
    let error = within(call).await.unwrap_err();
    assert!(error.is::<Elapsed>(), "{error:?}");
}

#[tokio::test]
async fn a_concurrency_limit_outside_is_held_during_token_waits() {
    let setup = Setup::cold();
    let ready = setup.other_provider();
    within(ready.token()).await.unwrap();
    let gate = setup.server.token_endpoint().hold();
    let permits = Arc::new(Semaphore::new(1));
    let limited = |provider| ConcurrencyLimit::with_semaphore(BearerService::new(hyper(), provider), permits.clone());
    let (hung_tenant, mut other_tenant) = (limited(setup.provider.clone()), limited(ready));

    let mut waiting = Box::pin(hung_tenant.oneshot(setup.get("/orders")));
    drive_until(&mut waiting, &setup.server, |counts| counts.token_requests == 2).await;
    assert!(poll_once(&mut other_tenant.ready()).await.is_pending(), "its own token would be there");

    gate.release();
    assert_eq!(within(waiting).await.unwrap().status(), 200);
    assert_eq!(status(other_tenant, setup.get("/orders")).await, 200);
}

#[tokio::test]
async fn l43_a_concurrency_limit_inside_counts_api_requests_only() {
    let setup = Setup::cold();
    let ready = setup.other_provider();
    within(ready.token()).await.unwrap();
    let gate = setup.server.token_endpoint().hold();
    let limited = ConcurrencyLimit::new(hyper(), 1);
    let hung_tenant = BearerService::new(limited.clone(), setup.provider.clone());
    let other_tenant = BearerService::new(limited, ready);

    let mut waiting = Box::pin(hung_tenant.oneshot(setup.get("/orders")));
    drive_until(&mut waiting, &setup.server, |counts| counts.token_requests == 2).await;
    assert_eq!(status(other_tenant, setup.get("/orders")).await, 200);

    gate.release();
    assert_eq!(within(waiting).await.unwrap().status(), 200);
}

#[tokio::test]
async fn load_shed_outside_sheds_during_token_waits() {
    let setup = Setup::cold();
    let gate = setup.server.token_endpoint().hold();
    let client = ServiceBuilder::new().load_shed().concurrency_limit(1).layer(setup.layer()).service(hyper());
    let mut waiting = Box::pin(client.clone().oneshot(setup.get("/orders")));
    drive_until(&mut waiting, &setup.server, |counts| counts.token_requests == 1).await;
    let error = send(client, setup.get("/orders")).await.unwrap_err();
    assert!(error.is::<Overloaded>(), "{error:?}");

    gate.release();
    assert_eq!(within(waiting).await.unwrap().status(), 200);
    assert_eq!(setup.api_requests().len(), 1);
}

#[tokio::test]
async fn load_shed_inside_sheds_only_for_a_slow_api() {
    let setup = Setup::cold();
    let token_gate = setup.server.token_endpoint().hold();
    let client = ServiceBuilder::new().layer(setup.layer()).load_shed().concurrency_limit(1).service(hyper());
    let mut first = Box::pin(client.clone().oneshot(setup.get("/orders")));
    drive_until(&mut first, &setup.server, |counts| counts.token_requests == 1).await;
    let mut second = Box::pin(client.clone().oneshot(setup.get("/orders")));
    assert!(poll_once(&mut second).await.is_pending(), "it waits for the token as well, and is not shed");

    let _api_gate = setup.server.api().hold();
    token_gate.release();
    drive_until(&mut first, &setup.server, |counts| counts.api_requests == 1).await;
    let error = within(second).await.unwrap_err();
    assert!(error.is::<Overloaded>(), "{error:?}");
}

#[tokio::test]
async fn l43_a_buffer_inside_keeps_no_slot_for_waiters() {
    let setup = Setup::cold();
    let ready = setup.other_provider();
    within(ready.token()).await.unwrap();
    let gate = setup.server.token_endpoint().hold();
    // A rate limit is not `Clone`, so our layer cannot wrap it directly.
    let buffered = ServiceBuilder::new().buffer(1).rate_limit(1_000, Duration::from_secs(1)).service(hyper());
    let mut hung_tenant = BearerService::new(buffered.clone(), setup.provider.clone());
    let other_tenant = BearerService::new(buffered, ready);

    let mut waiting = Box::pin(within(hung_tenant.ready()).await.unwrap().call(setup.get("/orders")));
    drive_until(&mut waiting, &setup.server, |counts| counts.token_requests == 2).await;
    assert_eq!(status(other_tenant, setup.get("/orders")).await, 200);

    gate.release();
    assert_eq!(within(waiting).await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_buffer_outside_continues_while_a_request_waits() {
    let setup = Setup::cold();
    let gate = setup.server.token_endpoint().hold();
    let client = ServiceBuilder::new().buffer(1).layer(setup.layer()).service(hyper());
    let mut waiting = Box::pin(client.clone().oneshot(setup.get("/orders")));
    drive_until(&mut waiting, &setup.server, |counts| counts.token_requests == 1).await;

    let mut own = setup.get("/orders");
    own.headers_mut().insert("authorization", "Basic eDp5".parse().unwrap());
    assert_eq!(status(client, own).await, 401, "it needs no token, and is not queued behind the one that does");

    gate.release();
    assert_eq!(within(waiting).await.unwrap().status(), 200);
}
