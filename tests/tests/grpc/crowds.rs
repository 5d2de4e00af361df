//! Many calls at once.

use bearer_token_testing::ManualClock;
use tokio::task::JoinSet;
use tower::Layer;

use crate::{
    echo::{EchoClient, text},
    support::{Setup, boxed, layer, within},
};

#[tokio::test]
async fn l01_a_thousand_cold_calls_cause_one_token_request() {
    let setup = Setup::start().await;
    let (server, provider) = boxed(&ManualClock::new(), "a secret of the test's own");
    let gate = server.token_endpoint().hold();
    let client = EchoClient::new(layer(&provider).watch_trailers().layer(setup.channel()));
    let mut calls = JoinSet::new();
    for _ in 0..1000 {
        let mut client = client.clone();
        calls.spawn(async move { client.say(text("hello")).await });
    }
    within(server.wait_for_token_requests(1)).await;
    gate.release();
    while let Some(reply) = within(calls.join_next()).await {
        assert_eq!(reply.unwrap().unwrap().into_inner(), text("hello"));
    }
    assert_eq!(server.count().token_requests, 1);
    let seen = setup.door.seen();
    assert_eq!(seen.len(), 1000);
    assert!(!seen[0].is_empty() && seen.iter().all(|token| *token == seen[0]));
}

#[tokio::test]
async fn l43_a_waiting_call_holds_no_slot_in_the_channel() {
    let (setup, other) = (Setup::start().await, Setup::start().await);
    let gate = setup.source.hold();
    // A channel with room for one call at a time, shared by two tenants.
    let channel = setup.endpoint().buffer_size(1).connect_lazy();
    let mut hung = EchoClient::new(layer(&setup.provider).layer(channel.clone()));
    let mut well = EchoClient::new(layer(&other.provider).watch_trailers().layer(channel));

    let waiting = tokio::spawn(async move { hung.say(text("hung")).await });
    within(setup.source.wait_for_fetches(1)).await;
    for _ in 0..3 {
        within(well.say(text("well"))).await.unwrap();
    }
    assert!(!waiting.is_finished());
    gate.release();
    assert_eq!(within(waiting).await.unwrap().unwrap().into_inner(), text("hung"));
    assert_eq!(setup.door.seen().len(), 4);
}

#[tokio::test]
async fn l03_a_dropped_call_still_leaves_a_token() {
    let setup = Setup::start().await;
    let gate = setup.source.hold();
    let mut client = setup.client();
    let impatient = tokio::spawn(async move { client.say(text("hello")).await });
    within(setup.source.wait_for_fetches(1)).await;
    impatient.abort();
    assert!(within(impatient).await.unwrap_err().is_cancelled());
    gate.release();
    within(setup.client().say(text("hello"))).await.unwrap();
    assert_eq!(setup.source.count().started, 1);
    assert_eq!(setup.door.seen(), ["token-1"]);
}
