//! reqwest-retry and reqwest-tracing, around our middleware and under it.

use std::time::SystemTime;

use bearer_token::ErrorKind;
use bearer_token_testing::{Fault, ManualClock};
use reqwest_bearer::{BearerMiddleware, token_error};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use reqwest_retry::{RetryDecision, RetryPolicy, RetryTransientMiddleware};
use reqwest_tracing::TracingMiddleware;

use crate::support::{LIFETIME, Logs, Setup, reqwest, within};

/// Retries at once, up to twice. Between attempts, time passes beyond the lifetime of every token.
struct AfterALongWhile(ManualClock);

impl RetryPolicy for AfterALongWhile {
    fn should_retry(&self, started: SystemTime, retries: u32) -> RetryDecision {
        self.0.advance(LIFETIME);
        if retries < 2 { RetryDecision::Retry { execute_after: started } } else { RetryDecision::DoNotRetry }
    }
}

fn retrying(setup: &Setup) -> RetryTransientMiddleware<AfterALongWhile> {
    RetryTransientMiddleware::new_with_policy(AfterALongWhile(setup.clock.clone()))
}

fn bearer(setup: &Setup) -> BearerMiddleware {
    BearerMiddleware::new(setup.provider.clone())
}

fn retry_outside(setup: &Setup) -> ClientWithMiddleware {
    ClientBuilder::new(reqwest().build().unwrap()).with(retrying(setup)).with(bearer(setup)).build()
}

#[tokio::test]
async fn reqwest_retry_outside_authorizes_each_try_anew() {
    let setup = Setup::warm().await;
    setup.server.api().next(Fault::status(503));
    let reply = within(retry_outside(&setup).get(setup.url("/orders")).send()).await.unwrap();
    assert_eq!(reply.status(), 200);
    let sent = setup.authorizations();
    assert_eq!(sent.len(), 2);
    assert_ne!(sent[0], sent[1]);
}

#[tokio::test]
async fn reqwest_retry_inside_resends_an_expired_token() {
    let setup = Setup::warm().await;
    setup.server.api().next(Fault::status(503));
    let client = ClientBuilder::new(reqwest().build().unwrap()).with(bearer(&setup)).with(retrying(&setup)).build();
    let reply = within(client.get(setup.url("/orders")).send()).await.unwrap();
    assert_eq!(reply.status(), 401);
    let sent = setup.authorizations();
    assert_eq!((sent.len(), &sent[0]), (2, &sent[1]));
}

#[tokio::test]
async fn l37_reqwest_retry_outside_neither_retries_nor_hides_token_errors() {
    let setup = Setup::cold();
    setup.server.token_endpoint().always(Fault::status(503));
    let error = within(retry_outside(&setup).get(setup.url("/orders")).send()).await.unwrap_err();
    assert_eq!(token_error(&error).unwrap().kind(), ErrorKind::Unavailable);
    assert_eq!((setup.token_requests(), setup.api_requests().len()), (1, 0));
}

#[tokio::test]
async fn reqwest_retry_outside_sees_the_replays_response() {
    let setup = Setup::warm().await;
    setup.server.api().next(Fault::invalid_token());
    setup.server.api().next(Fault::status(503));
    let client = ClientBuilder::new(reqwest().build().unwrap())
        .with(retrying(&setup))
        .with(bearer(&setup).replay_once())
        .build();
    assert_eq!(within(client.get(setup.url("/orders")).send()).await.unwrap().status(), 200);
    assert_eq!(setup.api_requests().len(), 3);
}

#[tokio::test]
async fn l38_reqwest_tracing_sees_token_errors_only_from_outside() {
    for (outside, spans_of_failures) in [(true, true), (false, false)] {
        let setup = Setup::cold();
        let builder = ClientBuilder::new(reqwest().build().unwrap());
        let client = match outside {
            true => builder.with(TracingMiddleware::default()).with(bearer(&setup)),
            false => builder.with(bearer(&setup)).with(TracingMiddleware::default()),
        }
        .build();

        setup.server.token_endpoint().next(Fault::oauth_error(401, "invalid_client"));
        let (logs, guard) = Logs::collect();
        within(client.get(setup.url("/orders")).send()).await.unwrap_err();
        assert_eq!(logs.text().contains("HTTP request"), spans_of_failures, "{}", logs.text());
        drop(guard);

        within(setup.provider.refresh_now()).await.unwrap();
        let (logs, _guard) = Logs::collect();
        assert_eq!(within(client.get(setup.url("/orders")).send()).await.unwrap().status(), 200);
        let (text, secret) = (logs.text(), setup.in_service().unwrap());
        assert!(text.contains("http.response.status_code=200"), "{text}");
        assert!(!text.contains(secret.trim_start_matches("Bearer ")), "{text}");
    }
}
