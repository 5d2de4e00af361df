//! Layers for headers, traces and decompression.

use bearer_token_testing::Fault;
use http::{HeaderValue, header::AUTHORIZATION};
use tower::ServiceBuilder;
use tower_http::{
    decompression::DecompressionLayer,
    sensitive_headers::SetSensitiveRequestHeadersLayer,
    set_header::SetRequestHeaderLayer,
    trace::{DefaultMakeSpan, TraceLayer},
};

use crate::support::{Logs, Setup, hyper, send, status, zipped};

const OWN: &str = "Basic eDp5";

fn set() -> SetRequestHeaderLayer<HeaderValue> {
    SetRequestHeaderLayer::overriding(AUTHORIZATION, HeaderValue::from_static(OWN))
}

#[tokio::test]
async fn l35_an_authorization_that_is_set_outside_wins() {
    let setup = Setup::cold();
    let client = ServiceBuilder::new().layer(set()).layer(setup.layer()).service(hyper());
    assert_eq!(status(client, setup.get("/orders")).await, 401);
    assert_eq!(setup.authorizations(), [Some(OWN.to_owned())]);
    assert_eq!(setup.token_requests(), 0, "no token was needed");
}

#[tokio::test]
async fn an_authorization_set_inside_replaces_ours_and_misdirects_rejections() {
    let setup = Setup::warm().await;
    let client = ServiceBuilder::new().layer(setup.layer()).layer(set()).service(hyper());
    assert_eq!(status(client, setup.get("/orders")).await, 401);
    assert_eq!(setup.authorizations(), [Some(OWN.to_owned())]);
    assert!(setup.provider.cached().is_none(), "a good bearer is renewed for nothing");
}

#[tokio::test]
async fn a_conditional_authorization_inside_is_never_set() {
    let setup = Setup::warm().await;
    let set = SetRequestHeaderLayer::if_not_present(AUTHORIZATION, HeaderValue::from_static(OWN));
    let client = ServiceBuilder::new().layer(setup.layer()).layer(set).service(hyper());
    assert_eq!(status(client, setup.get("/orders")).await, 200);
    assert_eq!(setup.authorizations(), [setup.in_service()]);
}

/// A trace layer that logs all headers.
macro_rules! trace {
    () => {
        TraceLayer::new_for_http().make_span_with(DefaultMakeSpan::new().include_headers(true))
    };
}

#[tokio::test]
async fn l38_a_trace_layer_inside_shows_sensitive_for_the_token() {
    let setup = Setup::warm().await;
    let (logs, _guard) = Logs::collect();
    let client = ServiceBuilder::new().layer(setup.layer()).layer(trace!()).service(hyper());
    assert_eq!(status(client, setup.get("/orders")).await, 200);
    let (text, secret) = (logs.text(), setup.in_service().unwrap());
    assert!(text.contains("\"authorization\": Sensitive"), "{text}");
    assert!(!text.contains(secret.trim_start_matches("Bearer ")), "{text}");
}

#[tokio::test]
async fn a_trace_layer_outside_covers_the_token_wait() {
    let setup = Setup::cold();
    setup.server.token_endpoint().next(Fault::status(503));
    let (logs, _guard) = Logs::collect();
    let client = ServiceBuilder::new().layer(trace!()).layer(setup.layer()).service(hyper());
    send(client, setup.get("/orders")).await.unwrap_err();
    let text = logs.text();
    assert!(text.contains("finished processing request") || text.contains("response failed"), "{text}");
    assert!(!text.contains("authorization"), "{text}");
    assert!(setup.api_requests().is_empty());
}

#[tokio::test]
async fn l38_the_callers_authorization_is_shown_unless_marked_sensitive() {
    for (marks, shown) in [(false, true), (true, false)] {
        let setup = Setup::cold();
        let (logs, _guard) = Logs::collect();
        let headers = if marks { vec![AUTHORIZATION] } else { Vec::new() };
        let client = ServiceBuilder::new()
            .layer(SetSensitiveRequestHeadersLayer::new(headers))
            .layer(setup.layer())
            .layer(trace!())
            .service(hyper());
        let mut request = setup.get("/orders");
        request.headers_mut().insert(AUTHORIZATION, HeaderValue::from_static(OWN));
        assert_eq!(status(client, request).await, 401);
        assert_eq!(logs.text().contains(OWN), shown, "{}", logs.text());
    }
}

#[tokio::test]
async fn decompression_fits_on_either_side() {
    let setup = Setup::warm().await;
    let inside = ServiceBuilder::new().layer(setup.layer()).layer(DecompressionLayer::new()).service(hyper());
    let outside = ServiceBuilder::new().layer(DecompressionLayer::new()).layer(setup.layer()).service(hyper());
    setup.server.api().next(zipped(Fault::status(200)));
    assert_eq!(send(inside.clone(), setup.get("/orders")).await.unwrap().1, "a response");
    setup.server.api().next(zipped(Fault::status(200)));
    assert_eq!(send(outside, setup.get("/orders")).await.unwrap().1, "a response");
    assert_eq!(setup.authorizations(), [setup.in_service(), setup.in_service()]);

    setup.server.api().next(zipped(Fault::invalid_token()));
    assert_eq!(send(inside, setup.get("/orders")).await.unwrap().1, "a response");
    assert!(setup.provider.cached().is_none(), "a rejection is read from the head");
}
