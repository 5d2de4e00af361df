//! Failures of the token endpoint: a clear error, no storm, and recovery once the cause is gone.

use std::{error::Error as StdError, fmt::Write as _, time::Duration};

use bearer_token::{Error, ErrorKind, Retry, TokenProvider, transport};
use bearer_token_testing::Fault;
use serde_json::json;

use crate::support::{Adapter, SECOND, SECRET, Setup, hyper, within};

/// A provider whose token requests use the adapter's own client.
fn provider(setup: &Setup, adapter: Adapter) -> TokenProvider {
    let endpoint = match adapter {
        Adapter::Tower => setup.endpoint().transport(transport::service(hyper())),
        Adapter::Reqwest => setup.endpoint(),
    };
    setup.builder(endpoint.build().unwrap()).build().unwrap()
}

/// The whole text of an error and its causes.
fn shown(error: &Error) -> String {
    let mut text = format!("{error} {error:?} {error:#?}");
    let mut next = error.source();
    while let Some(cause) = next {
        write!(text, " {cause} {cause:?}").unwrap();
        next = cause.source();
    }
    text
}

#[tokio::test]
async fn l04_a_hung_token_endpoint_is_aborted_and_asked_anew() {
    for adapter in Adapter::BOTH {
        let setup = Setup::start();
        let provider = provider(&setup, adapter);
        let client = adapter.client(&provider);
        let url = setup.api("orders");
        setup.server.token_endpoint().next(Fault::hang());
        let mut call = Box::pin(client.refused(&url));
        let hung = async {
            setup.server.wait_for_token_requests(1).await;
            // The fetch and its waiter.
            setup.clock.wait_for_sleepers(2).await;
            setup.clock.advance(10 * SECOND - Duration::from_millis(1));
        };
        tokio::select! {
            error = &mut call => panic!("{adapter:?}: before the deadline: {error}"),
            () = within(hung) => {}
        }
        assert_eq!(setup.server.count().abandoned, 0);
        setup.clock.advance(Duration::from_millis(1));
        let error = within(call).await;
        assert_eq!(error.kind(), ErrorKind::Timeout, "{adapter:?}");
        // The server sees the closed connection.
        within(setup.server.wait_for(|count| count.abandoned == 1 && count.token_requests_running == 0)).await;

        setup.clock.advance(provider.status().cool_down);
        within(client.succeed(&url)).await;
        let count = setup.server.count();
        assert_eq!((count.token_requests, count.token_requests_peak, count.api_requests), (2, 1, 1), "{adapter:?}");
    }
}

#[tokio::test]
async fn l04_a_response_that_stalls_midway_is_aborted() {
    for adapter in Adapter::BOTH {
        let setup = Setup::start();
        let provider = provider(&setup, adapter);
        let client = adapter.client(&provider);
        setup.server.token_endpoint().next(Fault::stall());
        let url = setup.api("orders");
        let timed = async {
            setup.server.wait_for(|count| count.tokens_issued == 1).await;
            setup.clock.wait_for_sleepers(2).await;
            setup.clock.advance(10 * SECOND);
        };
        let (error, ()) = within(async { tokio::join!(client.refused(&url), timed) }).await;
        assert_eq!(error.kind(), ErrorKind::Timeout, "{adapter:?}");
        setup.clock.advance(provider.status().cool_down);
        within(client.succeed(&url)).await;
    }
}

#[tokio::test]
async fn l05_no_token_request_is_sent_before_the_retry_after_time() {
    for (adapter, status) in Adapter::BOTH.into_iter().flat_map(|adapter| [(adapter, 503), (adapter, 429)]) {
        let setup = Setup::start();
        let provider = provider(&setup, adapter);
        let client = adapter.client(&provider);
        let url = setup.api("orders");
        setup.server.token_endpoint().next(Fault::status(status).header("retry-after", "30"));
        let error = within(client.refused(&url)).await;
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Unavailable, Retry::Later { after: Some(30 * SECOND) }));
        for _ in 0..29 {
            setup.clock.advance(SECOND);
            assert_eq!(within(client.refused(&url)).await.kind(), ErrorKind::Unavailable);
        }
        assert_eq!(setup.token_requests(), 1, "{adapter:?} {status}");
        setup.clock.advance(SECOND);
        within(client.succeed(&url)).await;
        assert_eq!(setup.token_requests(), 2, "{adapter:?} {status}");
    }
}

/// The server's behaviour, the kind of the error, and the number of token requests until it is known.
fn causes(setup: &Setup) -> Vec<(&'static str, Fault, ErrorKind, u64)> {
    let planted = "planted-text";
    let elsewhere = format!("{}/elsewhere-planted-text", setup.server.issuer());
    let code = json!({ "error": "invalid_client", "error_description": planted, "error_uri": planted });
    let refusal = json!({ "error": "invalid_grant", "error_description": planted, "access_token": planted });
    let line_feed = json!({ "access_token": "planted-text\nx-planted-text: 1", "token_type": "Bearer" });
    let html = Fault::html().body(format!("<html><h1>{planted}</h1></html>")).header("x-served-by", planted);
    vec![
        ("503", Fault::status(503).body(planted), ErrorKind::Unavailable, 1),
        ("401 invalid_client", Fault::json(401, &code), ErrorKind::Refused, 1),
        ("an unknown error code", Fault::oauth_error(400, planted), ErrorKind::Refused, 1),
        ("HTML with 200", html, ErrorKind::Response, 1),
        ("200 without a token", Fault::json(200, &json!({ "token": planted })), ErrorKind::Response, 1),
        ("200 with an error", Fault::json(200, &refusal), ErrorKind::Refused, 1),
        ("a token with a line feed", Fault::json(200, &line_feed), ErrorKind::Token, 1),
        ("broken JSON", Fault::broken_json().body(r#"{"access_token":"planted-text","tok"#), ErrorKind::Response, 1),
        // A second request, in case the connection was stale.
        ("no response", Fault::disconnect(), ErrorKind::Transport, 2),
        ("half a response", Fault::cut_off(), ErrorKind::Transport, 2),
        ("a redirect", Fault::redirect(elsewhere), ErrorKind::Response, 1),
        ("a huge body", Fault::flood(2 * 1024 * 1024), ErrorKind::Response, 1),
    ]
}

#[tokio::test]
async fn l07_every_bad_response_is_one_error_and_recovers() {
    for adapter in Adapter::BOTH {
        for index in 0..causes(&Setup::start()).len() {
            let setup = Setup::start();
            let (what, fault, kind, requests) = causes(&setup).swap_remove(index);
            let provider = provider(&setup, adapter);
            let client = adapter.client(&provider);
            let url = setup.api("orders");
            setup.server.token_endpoint().always(fault);
            let error = within(client.refused(&url)).await;
            assert_eq!(error.kind(), kind, "{adapter:?}, {what}: {error:?}");
            let text = shown(&error);
            assert!(!text.contains("planted") && !text.contains(SECRET), "{adapter:?}, {what}: {text}");
            assert!(error.to_string().len() > 30, "{adapter:?}, {what}: says what to do: {error}");
            assert_eq!(setup.token_requests(), requests, "{adapter:?}, {what}");

            setup.server.token_endpoint().recover();
            let wait = provider.status().cool_down;
            setup.clock.advance(wait - Duration::from_millis(1));
            assert_eq!(within(client.refused(&url)).await.kind(), kind);
            assert_eq!(setup.token_requests(), requests, "{adapter:?}, {what}: not before the cool-down ends");
            setup.clock.advance(Duration::from_millis(1));
            within(client.succeed(&url)).await;
            assert_eq!((setup.token_requests(), setup.server.count().api_requests), (requests + 1, 1));
            assert!(provider.status().last_error.is_none());
        }
    }
}

#[tokio::test]
async fn l07_refresh_now_recovers_at_once_from_any_response() {
    for adapter in Adapter::BOTH {
        for index in 0..causes(&Setup::start()).len() {
            let setup = Setup::start();
            let (what, fault, kind, requests) = causes(&setup).swap_remove(index);
            let provider = provider(&setup, adapter);
            let client = adapter.client(&provider);
            let url = setup.api("orders");
            setup.server.token_endpoint().always(fault);
            assert_eq!(within(client.refused(&url)).await.kind(), kind, "{what}");
            // While it lasts, `refresh_now` fails the same way.
            let error = within(provider.refresh_now()).await.unwrap_err();
            assert_eq!(error.kind(), kind, "{adapter:?}, {what}");
            setup.server.token_endpoint().recover();
            within(provider.refresh_now()).await.unwrap();
            within(client.succeed(&url)).await;
            assert_eq!(setup.token_requests(), 2 * requests + 1, "{adapter:?}, {what}");
        }
    }
}

#[tokio::test]
async fn l07_an_unreachable_server_is_named_and_its_return_recovers() {
    for adapter in Adapter::BOTH {
        let setup = Setup::start();
        let provider = provider(&setup, adapter);
        let (port, issuer) = (setup.server.address().port(), setup.server.issuer());
        let client = adapter.client(&provider);
        let url = setup.api("orders");
        setup.server.stop();
        let error = within(client.refused(&url)).await;
        assert_eq!(error.kind(), ErrorKind::Transport, "{adapter:?}");
        assert!(error.to_string().contains(&issuer), "{error}");

        let server = bearer_token_testing::AuthorizationServer::builder();
        let server = server.clock(setup.clock.clone()).port(port).start().unwrap();
        server.register(bearer_token_testing::Client::secret(crate::support::CLIENT, SECRET));
        setup.clock.advance(provider.status().cool_down);
        within(client.succeed(&url)).await;
        assert_eq!(server.count().api_accepted, 1);
    }
}
