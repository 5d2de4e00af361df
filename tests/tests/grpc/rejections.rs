//! Status 16 from a real server, in headers and in trailers.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use bearer_token::{
    Rejection,
    observe::{Event, EventKind, Observer},
};
use http::uri::PathAndQuery;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, IntoRequest, client::Grpc};
use tonic_prost::ProstCodec;
use tower::Layer;

use crate::{
    echo::{EchoClient, Text, serve, text},
    support::{Setup, builder, endpoint, layer, within},
};

#[tokio::test]
async fn l31_a_rejection_in_headers_renews_the_token() {
    let setup = Setup::start().await;
    let mut client = setup.client();
    within(client.say(text("hello"))).await.unwrap();
    setup.door.revoke("token-1");
    let refused = within(client.say(text("hello"))).await.unwrap_err();
    assert_eq!((refused.code(), refused.message()), (Code::Unauthenticated, "the token was revoked"));
    within(client.say(text("hello"))).await.unwrap();
    assert_eq!(setup.door.seen(), ["token-1", "token-1", "token-2"]);
    assert_eq!(setup.source.count().started, 2);
}

#[tokio::test]
async fn l31_a_rejection_in_stream_trailers_renews_the_token() {
    let setup = Setup::start().await;
    setup.door.let_in_first();
    setup.door.revoke("token-1");
    let mut client = setup.watching_client();
    let mut words = within(client.repeat(text("hello"))).await.unwrap().into_inner();
    assert_eq!(within(words.message()).await.unwrap(), Some(text("hello")));
    assert!(setup.provider.cached().is_some(), "nothing is wrong so far");
    assert_eq!(within(words.message()).await.unwrap_err().code(), Code::Unauthenticated);
    within(client.say(text("hello"))).await.unwrap();
    assert_eq!(setup.door.seen(), ["token-1", "token-2"]);
}

#[tokio::test]
async fn l31_a_rejection_in_unary_trailers_renews_the_token() {
    let setup = Setup::start().await;
    setup.door.let_in_first();
    setup.door.revoke("token-1");
    let mut client = setup.watching_client();
    // tonic's servers put the status of a unary call into the headers. A stream of one message does not.
    let mut raw = Grpc::new(layer(&setup.provider).watch_trailers().layer(setup.channel()));
    raw.ready().await.unwrap();
    let path = PathAndQuery::from_static("/echo.Echo/Repeat");
    let codec = ProstCodec::<Text, Text>::default();
    let refused = within(raw.unary(text("hello").into_request(), path, codec)).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    within(client.say(text("hello"))).await.unwrap();
    assert_eq!(setup.door.seen(), ["token-1", "token-2"]);
}

/// Counts the requests that were refused and not sent once more.
#[derive(Clone, Default)]
struct NotReplayed(Arc<AtomicUsize>);

impl Observer for NotReplayed {
    fn on_event(&self, event: &Event<'_>) {
        if matches!(event.kind, EventKind::NotReplayed { rejection: Rejection::Renewing, .. }) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
}

#[tokio::test]
async fn a_refusal_in_trailers_is_never_replayed_and_told() {
    let (setup, told) = (Setup::start().await, NotReplayed::default());
    let provider = builder(&setup.clock, setup.source.clone()).observer(told.clone()).build().unwrap();
    setup.door.let_in_first();
    setup.door.revoke("token-1");
    let mut client = EchoClient::new(layer(&provider).watch_trailers().layer(setup.channel()));
    let mut words = within(client.repeat(text("hello"))).await.unwrap().into_inner();
    within(words.message()).await.unwrap();
    assert_eq!(told.0.load(Ordering::SeqCst), 0);
    within(words.message()).await.unwrap_err();
    assert_eq!(told.0.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn unwatched_trailers_reject_nothing() {
    let setup = Setup::start().await;
    setup.door.let_in_first();
    setup.door.revoke("token-1");
    let mut words = within(setup.client().repeat(text("hello"))).await.unwrap().into_inner();
    within(words.message()).await.unwrap();
    assert_eq!(within(words.message()).await.unwrap_err().code(), Code::Unauthenticated);
    assert!(setup.provider.cached().is_some());
}

#[tokio::test]
async fn a_stream_dropped_early_rejects_nothing() {
    let setup = Setup::start().await;
    setup.door.let_in_first();
    setup.door.revoke("token-1");
    let mut words = within(setup.watching_client().repeat(text("hello"))).await.unwrap().into_inner();
    within(words.message()).await.unwrap();
    drop(words);
    assert!(setup.provider.cached().is_some());
    assert_eq!(setup.source.count().started, 1);
}

#[tokio::test]
async fn l28_a_stream_refused_late_leaves_the_newer_token() {
    let setup = Setup::start().await;
    setup.door.let_in_first();
    setup.door.revoke("token-1");
    let mut client = setup.watching_client();
    let (questions, stream) = mpsc::channel::<Text>(1);
    let mut replies = within(client.converse(ReceiverStream::new(stream))).await.unwrap().into_inner();
    within(setup.provider.refresh_now()).await.unwrap();
    drop(questions);
    assert_eq!(within(replies.message()).await.unwrap_err().code(), Code::Unauthenticated);
    assert_eq!(setup.provider.cached().unwrap().secret(), "token-2");
    assert_eq!(setup.source.count().started, 2);
}

#[tokio::test]
async fn l28_a_hundred_calls_that_are_refused_cause_one_renewal() {
    let setup = Setup::start().await;
    within(setup.provider.token()).await.unwrap();
    setup.door.revoke("token-1");
    let client = setup.client();
    let calls = (0..100).map(|_| {
        let mut client = client.clone();
        tokio::spawn(async move { client.say(text("hello")).await })
    });
    for call in calls.collect::<Vec<_>>() {
        // A call after the renewal succeeds.
        if let Err(status) = within(call).await.unwrap() {
            assert_eq!(status.code(), Code::Unauthenticated);
        }
    }
    within(setup.client().say(text("hello"))).await.unwrap();
    assert_eq!(setup.source.count().started, 2);
}

#[test]
fn l31_a_server_that_dies_mid_stream_rejects_nothing() {
    let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (life, server) = (runtime(), runtime());
    let (setup, address) = life.block_on(async {
        let setup = Setup::start().await;
        let address = server.spawn(serve(setup.door.clone(), None)).await.unwrap();
        (setup, address)
    });
    let channel = life.block_on(async { endpoint(address).connect_lazy() });
    let mut client = EchoClient::new(layer(&setup.provider).watch_trailers().layer(channel));
    let (questions, stream) = mpsc::channel(1);
    let mut replies = life.block_on(async {
        let mut replies = within(client.converse(ReceiverStream::new(stream))).await.unwrap().into_inner();
        questions.send(text("hello")).await.unwrap();
        assert_eq!(within(replies.message()).await.unwrap(), Some(text("hello")));
        replies
    });
    server.shutdown_background();
    life.block_on(async {
        // The stream's own error, not the end of a complete stream.
        let status = within(replies.message()).await.unwrap_err();
        assert_ne!(status.code(), Code::Unauthenticated, "{status:?}");
        assert!(within(client.say(text("hello"))).await.is_err());
    });
    assert_eq!(setup.provider.cached().unwrap().secret(), "token-1");
    assert_eq!(setup.source.count().started, 1);
}
