//! tower's retry layer, around ours and under it.

use std::future::{Ready, ready};

use bearer_token_testing::{Fault, ManualClock};
use http::{Request, Response};
use hyper::body::Incoming;
use tower::{ServiceBuilder, retry::Policy};
use tower_bearer::Replay;

use crate::support::{Body, LIFETIME, Setup, hyper, status};

/// Retries once after a 503. Between attempts, time passes beyond the lifetime of every token.
#[derive(Clone)]
struct AfterALongWhile {
    clock: ManualClock,
    left: u32,
}

impl AfterALongWhile {
    fn new(setup: &Setup) -> Self {
        AfterALongWhile { clock: setup.clock.clone(), left: 1 }
    }
}

impl<E> Policy<Request<Body>, Response<Incoming>, E> for AfterALongWhile {
    type Future = Ready<()>;

    fn retry(&mut self, _: &mut Request<Body>, result: &mut Result<Response<Incoming>, E>) -> Option<Ready<()>> {
        let failed = result.as_ref().is_ok_and(|response| response.status() == 503);
        (failed && self.left > 0).then(|| {
            self.left -= 1;
            self.clock.advance(LIFETIME);
            ready(())
        })
    }

    fn clone_request(&mut self, request: &Request<Body>) -> Option<Request<Body>> {
        Some(request.clone())
    }
}

#[tokio::test]
async fn a_retry_outside_authorizes_each_try_anew() {
    let setup = Setup::warm().await;
    setup.server.api().next(Fault::status(503));
    let client = ServiceBuilder::new().retry(AfterALongWhile::new(&setup)).layer(setup.layer()).service(hyper());
    assert_eq!(status(client, setup.get("/orders")).await, 200);
    let sent = setup.authorizations();
    assert_eq!(sent.len(), 2);
    assert_ne!(sent[0], sent[1]);
    assert_eq!(sent[1], setup.in_service());
}

#[tokio::test]
async fn a_retry_inside_resends_an_expired_token() {
    let setup = Setup::warm().await;
    setup.server.api().next(Fault::status(503));
    let client = ServiceBuilder::new().layer(setup.layer()).retry(AfterALongWhile::new(&setup)).service(hyper());
    assert_eq!(status(client, setup.get("/orders")).await, 401);
    let sent = setup.authorizations();
    assert_eq!(sent[0], sent[1]);
}

#[tokio::test]
async fn a_retry_outside_sees_the_replays_response() {
    let setup = Setup::warm().await;
    setup.server.revoke_all();
    // The first attempt is rejected and its replay fails. The retry succeeds.
    setup.server.api().next(Fault::invalid_token());
    setup.server.api().next(Fault::status(503));
    let client = ServiceBuilder::new()
        .retry(AfterALongWhile::new(&setup))
        .retry(Replay::cloning())
        .layer(setup.layer())
        .service(hyper());
    assert_eq!(status(client, setup.get("/orders")).await, 200);
    assert_eq!(setup.api_requests().len(), 3);
}
