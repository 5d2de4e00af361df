//! The status that callers get when there is no token.

use std::time::Duration;

use bearer_token::ErrorKind;
use bearer_token_testing::{Fault, ManualClock};
use tokio::net::TcpListener;
use tonic::{Code, Status, transport::Channel};
use tower::{Layer, ServiceBuilder, ServiceExt};
use tower_bearer::{BearerLayer, BearerService};

use crate::{
    echo::{EchoClient, text},
    support::{Setup, boxed, builder, endpoint, layer, token_error, within},
};

const SECRET: &str = "a secret of the test's own";

async fn refused(client: &mut EchoClient<BearerService<Channel>>) -> Status {
    within(client.say(text("hello"))).await.unwrap_err()
}

#[tokio::test]
async fn calls_are_unavailable_during_an_outage_and_recover() {
    let setup = Setup::start().await;
    let clock = ManualClock::new();
    let (server, provider) = boxed(&clock, SECRET);
    let mut client = EchoClient::new(layer(&provider).layer(setup.channel()));
    for (fault, kind) in [
        (Fault::status(503), ErrorKind::Unavailable),
        (Fault::oauth_error(500, "server_error"), ErrorKind::Unavailable),
        (Fault::html(), ErrorKind::Response),
    ] {
        server.token_endpoint().always(fault);
        let before = server.count().token_requests;
        // The second call fails in the cool-down.
        for _ in 0..2 {
            let status = refused(&mut client).await;
            assert_eq!(status.code(), Code::Unavailable, "{status:?}");
            let error = token_error(&status).unwrap();
            assert_eq!(error.kind(), kind);
            assert_eq!(status.message(), error.to_string());
        }
        assert_eq!(server.count().token_requests, before + 1);
        clock.advance(Duration::from_secs(3600));
    }
    assert!(setup.door.seen().is_empty(), "l37: nothing was sent");

    server.token_endpoint().recover();
    within(client.say(text("hello"))).await.unwrap();
    server.stop();
    within(client.say(text("the token is still good"))).await.unwrap();
    clock.advance(Duration::from_secs(3600));
    let status = refused(&mut client).await;
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(token_error(&status).unwrap().kind(), ErrorKind::Transport);
}

#[tokio::test]
async fn calls_are_unauthenticated_when_the_credential_is_refused() {
    let setup = Setup::start().await;
    let (server, provider) = boxed(&ManualClock::new(), "another secret");
    let mut client = EchoClient::new(layer(&provider).watch_trailers().layer(setup.channel()));
    let status = within(client.say(text("hello"))).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated, "{status:?}");
    let error = token_error(&status).unwrap();
    assert_eq!((error.kind(), error.oauth_code()), (ErrorKind::Refused, Some("invalid_client")));
    assert!(setup.door.seen().is_empty(), "l37: nothing was sent");
    assert_eq!(server.count().token_requests, 1);
}

#[tokio::test]
async fn the_status_passes_through_layers_in_between() {
    let setup = Setup::start().await;
    let (_server, provider) = boxed(&ManualClock::new(), "another secret");
    let stack = ServiceBuilder::new()
        .timeout(Duration::from_secs(60))
        .buffer(16)
        .layer(layer(&provider))
        .service(setup.channel())
        .map_err(tower_bearer::BoxError::from);
    let status = within(EchoClient::new(stack).say(text("hello"))).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated, "{status:?}");
    assert_eq!(token_error(&status).unwrap().kind(), ErrorKind::Refused);
}

#[tokio::test]
async fn without_a_mapping_the_token_error_is_still_found() {
    let setup = Setup::start().await;
    let (_server, provider) = boxed(&ManualClock::new(), "another secret");
    let mut client = EchoClient::new(BearerLayer::new(provider).layer(setup.channel()));
    let status = refused(&mut client).await;
    assert_eq!(status.code(), Code::Unknown);
    assert_eq!(token_error(&status).unwrap().kind(), ErrorKind::Refused);
}

#[tokio::test]
async fn errors_of_the_channel_are_left_alone() {
    let setup = Setup::start().await;
    let unused = TcpListener::bind(("127.0.0.1", 0)).await.unwrap().local_addr().unwrap();
    let mut client = EchoClient::new(layer(&setup.provider).layer(endpoint(unused).connect_lazy()));
    let status = refused(&mut client).await;
    assert_eq!(status.code(), Code::Unavailable);
    assert!(token_error(&status).is_none(), "{status:?}");
}

#[tokio::test]
async fn l38_no_status_shows_a_secret_or_the_servers_words() {
    const MARKER: &str = "hunter2";
    let setup = Setup::start().await;
    let clock = ManualClock::new();
    let (server, provider) = boxed(&clock, MARKER);
    let mut client = EchoClient::new(layer(&provider).layer(setup.channel()));
    for fault in [None, Some(Fault::status(500).body(MARKER)), Some(Fault::oauth_error(400, MARKER))] {
        if let Some(fault) = fault {
            server.token_endpoint().next(fault);
        }
        let status = refused(&mut client).await;
        assert!(token_error(&status).is_some());
        for shown in [format!("{status}"), format!("{status:?}"), format!("{status:#?}")] {
            assert!(!shown.contains(MARKER), "{shown}");
        }
        clock.advance(Duration::from_secs(3600));
    }
    // A token that cannot be sent is not shown either.
    let source = async |_cx: bearer_token::FetchContext| Ok(bearer_token::AccessToken::new(format!("{MARKER}\n")));
    let provider = builder(&clock, source).build().unwrap();
    let status = refused(&mut EchoClient::new(layer(&provider).layer(setup.channel()))).await;
    assert_eq!(token_error(&status).unwrap().kind(), ErrorKind::Token);
    assert!(!format!("{status:?}").contains(MARKER), "{status:?}");
}
