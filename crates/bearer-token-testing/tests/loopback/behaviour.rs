//! Faults and gates.

use std::{sync::Arc, time::Duration};

use bearer_token_testing::{AuthorizationServer, Client, Fault, ManualClock};
use reqwest::{Client as Http, Response, redirect::Policy};
use serde_json::json;
use tokio::task::JoinSet;

use crate::{call, token};

const FORM: [(&str, &str); 2] = [("grant_type", "client_credentials"), ("client_id", "public")];

fn start() -> AuthorizationServer {
    let server = AuthorizationServer::start().unwrap();
    server.register(Client::public("public"));
    server
}

async fn request(http: &Http, server: &AuthorizationServer) -> reqwest::Result<Response> {
    http.post(server.token_url()).form(&FORM).send().await
}

#[tokio::test]
async fn made_responses_are_sent_and_the_queue_is_first() {
    let server = start();
    let http = Http::builder().no_proxy().redirect(Policy::none()).build().unwrap();
    server.token_endpoint().always(Fault::status(500));
    server.token_endpoint().next(Fault::oauth_error(503, "invalid_client").header("retry-after", "7"));
    server.token_endpoint().next(Fault::html());
    server.token_endpoint().next(Fault::broken_json());
    server.token_endpoint().next(Fault::json(200, &json!({ "access_token": "a\nb", "token_type": "Bearer" })));
    server.token_endpoint().next(Fault::redirect("https://elsewhere.example.com/token"));
    server.token_endpoint().next(Fault::status(9999).body("text"));
    let mut seen = Vec::new();
    for _ in 0..8 {
        let response = request(&http, &server).await.unwrap();
        let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let (status, interesting) = (response.status().as_u16(), header("retry-after").or_else(|| header("location")));
        seen.push((status, interesting, response.text().await.unwrap()));
    }
    let statuses: Vec<_> = seen.iter().map(|(status, ..)| *status).collect();
    assert_eq!(statuses, [503, 200, 200, 200, 307, 500, 500, 500]);
    assert_eq!(seen[0].1.as_deref(), Some("7"));
    assert_eq!(seen[0].2, r#"{"error":"invalid_client"}"#);
    assert!(seen[1].2.starts_with("<!doctype html>"));
    assert!(serde_json::from_str::<serde_json::Value>(&seen[2].2).is_err());
    assert_eq!(serde_json::from_str::<serde_json::Value>(&seen[3].2).unwrap()["access_token"], "a\nb");
    assert_eq!(seen[4].1.as_deref(), Some("https://elsewhere.example.com/token"));
    assert_eq!((seen[5].2.as_str(), seen[6].2.as_str()), ("text", ""));

    let counts = server.count();
    assert_eq!((counts.token_requests, counts.tokens_issued, counts.token_requests_refused), (8, 0, 0));
    server.token_endpoint().recover();
    assert_eq!(request(&http, &server).await.unwrap().status(), 200);
}

#[tokio::test]
async fn connections_break_before_and_within_a_response() {
    for http in [crate::http(), Http::builder().no_proxy().http2_prior_knowledge().build().unwrap()] {
        let server = start();
        server.token_endpoint().next(Fault::disconnect());
        assert!(request(&http, &server).await.is_err());
        assert_eq!(server.count().tokens_issued, 0);
        server.token_endpoint().next(Fault::cut_off());
        let response = request(&http, &server).await.unwrap();
        assert_eq!(response.status(), 200);
        assert!(response.text().await.is_err());
        assert_eq!(server.count().tokens_issued, 1, "issued, and lost");
        server.token_endpoint().next(Fault::flood(3_000_000));
        assert_eq!(request(&http, &server).await.unwrap().bytes().await.unwrap().len(), 3_000_000);
        assert_eq!(request(&http, &server).await.unwrap().status(), 200);
        assert_eq!(server.count().abandoned, 0);
    }
}

#[tokio::test]
async fn a_hanging_request_delays_no_other_and_is_counted() {
    for http in [crate::http(), Http::builder().no_proxy().http2_prior_knowledge().build().unwrap()] {
        let server = start();
        server.token_endpoint().next(Fault::hang());
        let hanging = JoinSet::from_iter([{
            let (http, server) = (http.clone(), server.clone());
            async move { request(&http, &server).await.map(|response| response.status()) }
        }]);
        server.wait_for_token_requests(1).await;
        // Over HTTP/2 it is the same connection.
        assert_eq!(request(&http, &server).await.unwrap().status(), 200);
        let counts = server.count();
        assert_eq!((counts.token_requests_running, counts.token_requests_peak), (1, 2));
        drop(hanging);
        let counts = server.wait_for(|counts| counts.abandoned == 1).await;
        assert_eq!((counts.token_requests_running, counts.tokens_issued), (0, 1));
    }
}

#[tokio::test]
async fn a_stalled_response_begins_and_never_ends() {
    let server = start();
    server.token_endpoint().next(Fault::stall());
    let mut response = request(&crate::http(), &server).await.unwrap();
    let length: usize = response.headers()["content-length"].to_str().unwrap().parse().unwrap();
    let half = response.chunk().await.unwrap().unwrap();
    assert!(half.len() < length && half.starts_with(b"{\"access_token"));
    let mut rest = Box::pin(response.chunk());
    let polled = std::future::poll_fn(|cx| std::task::Poll::Ready(rest.as_mut().poll(cx))).await;
    assert!(polled.is_pending());
}

#[tokio::test]
async fn delays_use_the_servers_clock() {
    let clock = ManualClock::new();
    let server = AuthorizationServer::builder().clock(clock.clone()).start().unwrap();
    server.register(Client::public("public"));
    server.token_endpoint().next(Fault::delay(Duration::from_secs(5)));
    server.api().next(Fault::invalid_token().after(Duration::from_secs(60)));
    let mut asking = JoinSet::new();
    asking.spawn({
        let server = server.clone();
        async move { token(&server).await }
    });
    clock.wait_for_sleepers(1).await;
    clock.advance(Duration::from_secs(4));
    assert_eq!((clock.sleepers(), server.count().tokens_issued), (1, 0));
    clock.advance(Duration::from_secs(1));
    let token = asking.join_next().await.unwrap().unwrap();
    let late = tokio::join!(call(&server, &token), async {
        clock.wait_for_sleepers(1).await;
        clock.advance(Duration::from_secs(60));
    });
    assert_eq!(late.0.status(), 401, "a fault");
    assert_eq!(call(&server, &token).await.status(), 200);
}

#[tokio::test]
async fn a_gate_holds_token_requests_but_not_the_api() {
    let server = start();
    let token = token(&server).await;
    let gate = server.token_endpoint().hold();
    let http = Arc::new(crate::http());
    let mut asking = JoinSet::new();
    for _ in 0..1_000 {
        let (server, http) = (server.clone(), Arc::clone(&http));
        asking.spawn(async move { request(&http, &server).await.unwrap().status() });
    }
    server.wait_for_token_requests(1_001).await;
    let counts = server.count();
    assert_eq!((counts.token_requests_running, counts.tokens_issued), (1_000, 1));
    assert_eq!(call(&server, &token).await.status(), 200);
    gate.release();
    let statuses = asking.join_all().await;
    assert!(statuses.iter().all(|status| *status == 200));
    let counts = server.count();
    assert_eq!((counts.tokens_issued, counts.token_requests_peak, counts.abandoned), (1_001, 1_000, 0));
}
