//! Every kind of call, through every kind of channel.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use bearer_token::{AccessToken, FetchContext, KeyedProviders, Selected, TokenProvider};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};
use tower::Layer;
use tower_bearer::BearerLayer;

use crate::{
    echo::{Door, EchoClient, SERVICE_NAME, serve, text},
    support::{Setup, endpoint, layer, within},
};

/// Generated clients share their code and nothing else.
macro_rules! call_each_kind {
    ($client:expr) => {{
        let mut client = $client;
        assert_eq!(client.say(text("hello")).await.unwrap().into_inner(), text("hello"));

        let parts = tokio_stream::iter(["a", "b", "c"].map(text));
        assert_eq!(client.collect(parts).await.unwrap().into_inner(), text("abc"));

        let mut words = client.repeat(text("one two")).await.unwrap().into_inner();
        assert_eq!(words.message().await.unwrap(), Some(text("one")));
        assert_eq!(words.message().await.unwrap(), Some(text("two")));
        assert_eq!(words.message().await.unwrap(), None);

        let (questions, stream) = mpsc::channel(1);
        let mut replies = client.converse(ReceiverStream::new(stream)).await.unwrap().into_inner();
        for question in ["who", "where"].map(text) {
            questions.send(question.clone()).await.unwrap();
            assert_eq!(replies.message().await.unwrap(), Some(question));
        }
        drop(questions);
        assert_eq!(replies.message().await.unwrap(), None);
    }};
}

#[tokio::test]
async fn every_kind_of_call_carries_the_token() {
    let setup = Setup::start().await;
    within(async { call_each_kind!(setup.client()) }).await;
    within(async { call_each_kind!(setup.watching_client()) }).await;
    assert_eq!(setup.door.seen(), ["token-1"; 8]);
    assert_eq!(setup.source.count().started, 1);
}

#[tokio::test]
async fn a_client_that_somebody_else_generated_carries_the_token() {
    let setup = Setup::start().await;
    let mut client = HealthClient::new(layer(&setup.provider).watch_trailers().layer(setup.channel()));
    let request = HealthCheckRequest { service: SERVICE_NAME.to_owned() };
    let reply = within(client.check(request.clone())).await.unwrap();
    assert_eq!(reply.into_inner().status(), ServingStatus::Serving);
    let mut watch = within(client.watch(request)).await.unwrap().into_inner();
    assert_eq!(within(watch.message()).await.unwrap().unwrap().status(), ServingStatus::Serving);
    assert_eq!(setup.door.seen(), ["token-1"; 2]);
}

#[tokio::test]
async fn a_balanced_channel_carries_the_token_to_each_endpoint() {
    let setup = Setup::start().await;
    let other = Door::default();
    let endpoints = [setup.endpoint(), endpoint(serve(other.clone(), None).await)];
    let channel = Channel::balance_list(endpoints.into_iter());
    let mut client = EchoClient::new(layer(&setup.provider).layer(channel));
    // The endpoint of a call is random; two hundred calls to the same endpoint do not happen.
    for _ in 0..200 {
        within(client.say(text("hello"))).await.unwrap();
        if !setup.door.seen().is_empty() && !other.seen().is_empty() {
            break;
        }
    }
    for door in [&setup.door, &other] {
        assert!(!door.seen().is_empty() && door.seen().iter().all(|token| token == "token-1"), "{:?}", door.seen());
    }
    // Renewed once for both.
    setup.door.revoke("token-1");
    other.revoke("token-1");
    within(client.say(text("hello"))).await.unwrap_err();
    within(client.say(text("hello"))).await.unwrap();
    assert_eq!(setup.source.count().started, 2);
}

/// A tenant that an interceptor, or the caller, leaves among the extensions of a call.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Tenant(&'static str);

#[tokio::test]
async fn each_call_carries_the_token_of_its_tenant() {
    let door = Door::default();
    let channel = endpoint(serve(door.clone(), None).await).connect_lazy();
    let tenants = KeyedProviders::builder(|&Tenant(name): &Tenant| {
        let minted = AtomicU64::new(0);
        let source = move |_: FetchContext| {
            let number = 1 + minted.fetch_add(1, Relaxed);
            async move { Ok(AccessToken::new(format!("{name}-{number}")).expires_in(Duration::from_secs(3_600))) }
        };
        Ok(TokenProvider::builder(source))
    });
    let tenants = tenants.build().unwrap();
    let by_tenant = tenants.select(|head| Ok(Selected::key_or_none(head.extension::<Tenant>())));
    let layer = BearerLayer::new(by_tenant);
    let mut client = EchoClient::new(layer.clone().layer(channel.clone()));
    let mut watching = EchoClient::new(layer.watch_trailers().layer(channel));
    for name in ["acme", "globex", "acme"] {
        let call = || {
            let mut call = tonic::Request::new(text("hello"));
            call.extensions_mut().insert(Tenant(name));
            call
        };
        within(client.say(call())).await.unwrap();
        within(watching.say(call())).await.unwrap();
    }
    let status = within(client.say(text("hello"))).await.unwrap_err();
    assert_eq!(status.message(), "there is no token", "without a tenant the call goes out without one");
    let expected = ["acme", "acme", "globex", "globex", "acme", "acme"].map(|name| format!("{name}-1"));
    assert_eq!(door.seen()[..6], expected);
    assert_eq!(tenants.len(), 2);

    door.revoke("acme-1");
    let mut call = tonic::Request::new(text("hello"));
    call.extensions_mut().insert(Tenant("acme"));
    within(client.say(call)).await.unwrap_err();
    for (name, expected) in [("acme", "acme-2"), ("globex", "globex-1")] {
        let bearer = within(tenants.token(&Tenant(name)).unwrap()).await.unwrap();
        assert_eq!(bearer.secret(), expected);
    }
}

#[tokio::test]
async fn a_stream_outlives_its_token() {
    let setup = Setup::start().await;
    let mut client = setup.watching_client();
    let (questions, stream) = mpsc::channel(1);
    let mut replies = within(client.converse(ReceiverStream::new(stream))).await.unwrap().into_inner();
    for question in ["before", "long after"].map(text) {
        questions.send(question.clone()).await.unwrap();
        assert_eq!(within(replies.message()).await.unwrap(), Some(question));
        setup.clock.advance(Duration::from_secs(24 * 3600));
    }
    assert!(setup.provider.cached().is_none(), "the token has expired");
    within(client.say(text("hello"))).await.unwrap();
    questions.send(text("beside a newer call")).await.unwrap();
    assert_eq!(within(replies.message()).await.unwrap(), Some(text("beside a newer call")));
    assert_eq!(setup.door.seen(), ["token-1", "token-2"]);
}

#[tokio::test]
async fn l35_the_callers_own_authorization_wins() {
    let setup = Setup::start().await;
    let mut request = tonic::Request::new(text("hello"));
    request.metadata_mut().insert("authorization", "Bearer mine".parse().unwrap());
    within(setup.client().say(request)).await.unwrap();
    assert_eq!(setup.door.seen(), ["mine"]);
    assert_eq!(setup.source.count().started, 0);
}

#[tokio::test]
async fn a_users_interceptor_fits_around_the_layer() {
    let setup = Setup::start().await;
    let service = layer(&setup.provider).watch_trailers().layer(setup.channel());
    let interceptor = |mut request: tonic::Request<()>| {
        request.metadata_mut().insert("x-tenant", "blue".parse().unwrap());
        Ok(request)
    };
    within(EchoClient::with_interceptor(service, interceptor).say(text("hello"))).await.unwrap();
    assert_eq!(setup.door.seen(), ["token-1"]);
}
