//! The whole stack that `docs/COMPOSITION.md` begins with.

use std::future::{Ready, ready};

use bearer_token_testing::Fault;
use http::{HeaderValue, Method, Request, Response};
use tower::{ServiceBuilder, retry::Policy};
use tower_bearer::Replay;
use tower_http::{
    decompression::DecompressionLayer, follow_redirect::FollowRedirectLayer, set_header::SetRequestHeaderLayer,
    trace::TraceLayer,
};

use crate::support::{Body, LIMIT, Setup, hyper, send, zipped};

#[derive(Clone)]
struct Once(bool);

impl<RB, E> Policy<Request<Body>, Response<RB>, E> for Once {
    type Future = Ready<()>;

    fn retry(&mut self, _: &mut Request<Body>, result: &mut Result<Response<RB>, E>) -> Option<Ready<()>> {
        let failed = result.as_ref().is_ok_and(|response| response.status().is_server_error());
        (failed && !std::mem::replace(&mut self.0, true)).then(|| ready(()))
    }

    fn clone_request(&mut self, request: &Request<Body>) -> Option<Request<Body>> {
        Some(request.clone())
    }
}

#[tokio::test]
async fn the_recommended_stack_fits_together() {
    let setup = Setup::cold();
    let client = ServiceBuilder::new()
        .layer(TraceLayer::new_for_http())
        .timeout(LIMIT * 20)
        .retry(Once(false))
        .layer(FollowRedirectLayer::new())
        .retry(Replay::cloning())
        .layer(setup.layer())
        .layer(SetRequestHeaderLayer::if_not_present(http::header::USER_AGENT, HeaderValue::from_static("reports")))
        .layer(DecompressionLayer::new())
        .load_shed()
        .concurrency_limit(8)
        .buffer(8)
        .service(hyper());

    for fault in [
        Fault::status(503),
        Fault::status(303).header("location", setup.url("/orders/7")),
        Fault::invalid_token(),
        zipped(Fault::status(200)),
    ] {
        setup.server.api().next(fault);
    }
    let (status, body) = send(client, setup.request(Method::POST, "/orders", "an order")).await.unwrap();
    assert_eq!((status.as_u16(), &body[..]), (200, &b"a response"[..]));
    assert_eq!(setup.methods(), [Method::POST, Method::POST, Method::GET, Method::GET]);
    assert!(setup.api_requests().iter().all(|request| request.header("user-agent") == Some("reports")));
    let sent = setup.authorizations();
    assert_eq!((&sent[1], &sent[3]), (&sent[2], &setup.in_service()));
    assert_ne!(sent[2], sent[3], "the hop that was rejected alone is replayed");
}
