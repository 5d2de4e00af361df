//! What is in the store, and was not put there by this key's replicas: too much, something else, or something old.

use super::*;
use crate::TokenProvider;

/// Puts bytes under a key, over what is there.
async fn put(world: &World, key: &StoreKey, record: &[u8]) {
    let store = &world.store.store;
    let seen = SharedStore::read(store, key).await.unwrap().map_or(Version::ABSENT, |found| found.version);
    let Leased::Granted(fence) = SharedStore::lease(store, key, seen, SECOND).await.unwrap() else { panic!() };
    let saved = SharedStore::save(store, key, record, HOUR, fence, seen).await.unwrap();
    assert!(matches!(saved, Saved::Saved(_)), "{saved:?}");
}

async fn bytes_under(world: &World, key: &StoreKey) -> Vec<u8> {
    SharedStore::read(&world.store.store, key).await.unwrap().unwrap().record
}

fn tenant(world: &World, name: &str) -> Replica {
    let client = Client { server: world.server.clone(), credential: "the usual secret" };
    world.fleet().share_as(name, client).into()
}

#[tokio::test(start_paused = true)]
async fn records_that_were_swapped_serve_neither_tenant() {
    let world = World::new();
    let (a, b) = (tenant(&world, "a"), tenant(&world, "b"));
    let (key_a, key_b) = (name_of(&a.source).await, name_of(&b.source).await);
    assert_eq!([world.token(&a, FetchReason::Missing).await, world.token(&b, FetchReason::Missing).await], [1, 2]);
    let (of_a, of_b) = (bytes_under(&world, &key_a).await, bytes_under(&world, &key_b).await);
    put(&world, &key_a, &of_b).await;
    put(&world, &key_b, &of_a).await;
    assert_eq!(world.token(&tenant(&world, "a"), FetchReason::Missing).await, 3);
    assert_eq!(world.token(&tenant(&world, "b"), FetchReason::Missing).await, 4);
    assert_eq!(world.token(&tenant(&world, "a"), FetchReason::Missing).await, 3, "it was replaced");
}

#[tokio::test(start_paused = true)]
async fn bytes_that_are_no_record_are_replaced() {
    let world = World::new();
    let key = name_of(&world.replica().source).await;
    for (number, bytes) in (1..).zip([&b""[..], b"\0", b"garbage", &[1; 64], &[0xff; 65_536]]) {
        put(&world, &key, bytes).await;
        for _ in 0..2 {
            assert_eq!(world.token(&world.replica(), FetchReason::Missing).await, number, "{} bytes", bytes.len());
        }
    }
}

/// Who can write to the store can put an old record back, with a new life. It costs requests, and shows or makes no
/// token.
#[tokio::test(start_paused = true)]
async fn an_old_record_that_is_put_back_costs_a_rejection() {
    let world = World::new();
    let (key, replica) = (name_of(&world.replica().source).await, world.replica());
    assert_eq!(world.token(&replica, FetchReason::Missing).await, 1);
    let old = bytes_under(&world, &key).await;
    world.pass(HOUR / 2).await;
    assert_eq!(world.token(&replica, FetchReason::Requested).await, 2);
    put(&world, &key, &old).await;
    assert_eq!(world.token(&replica, FetchReason::Stale).await, 3, "one that had a newer one does not go back");
    put(&world, &key, &old).await;
    let cold = world.replica();
    assert_eq!(world.token(&cold, FetchReason::Missing).await, 1, "it seems younger than it is");
    assert_eq!(world.token(&cold, FetchReason::Rejected).await, 4, "until the API rejects it");
    assert_eq!(world.token(&world.replica(), FetchReason::Missing).await, 4);
}

#[tokio::test(start_paused = true)]
async fn a_token_too_large_for_a_record_serves_its_replica() {
    let world = World::new();
    let requests = Arc::new(AtomicUsize::new(0));
    let provider = || {
        let requests = requests.clone();
        let source = world.fleet().share_as("large", move |_cx: FetchContext| {
            requests.fetch_add(1, Ordering::Relaxed);
            async { Ok(AccessToken::new("t").expires_in(HOUR).extra("document", "d".repeat(65_536))) }
        });
        TokenProvider::builder(source).platform(world.platform.clone()).build().unwrap()
    };
    for number in 1..=3 {
        let (provider, before) = (provider(), world.now());
        for _ in 0..3 {
            assert_eq!(provider.token().await.unwrap().extra("document").unwrap().len(), 65_536);
        }
        assert_eq!((requests.load(Ordering::Relaxed), world.now()), (number, before), "the lease was released");
    }
}

/// A server that is broken for a moment must not serve all replicas until the end of a lifetime.
#[tokio::test(start_paused = true)]
async fn a_token_that_no_header_may_have_is_no_record() {
    let world = World::new();
    let requests = Arc::new(AtomicUsize::new(0));
    let replica = || {
        let requests = requests.clone();
        Replica::from(world.fleet().share_as("broken", move |_cx: FetchContext| {
            let is_first = requests.fetch_add(1, Ordering::Relaxed) == 0;
            async move { Ok(AccessToken::new(if is_first { "MARKER token" } else { "token" }).expires_in(HOUR)) }
        }))
    };
    for _ in 0..3 {
        let error = world.fetch(&replica(), FetchReason::Missing).await.unwrap_err();
        assert!(error.kind() == ErrorKind::Token && !format!("{error:?}").contains("MARKER"), "{error:?}");
    }
    assert_eq!(requests.load(Ordering::Relaxed), 1, "it is a cool-down of all");
    world.pass(SECOND * 60).await;
    assert_eq!(world.fetch(&replica(), FetchReason::Missing).await.unwrap().secret(), "token");
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_held_for_no_time_is_no_busy_loop() {
    let world = World::new();
    world.store.set(Fault::HeldForNothing);
    let error = world.fetch(&world.replica(), FetchReason::Missing).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(world.store.calls() < 400, "{} calls in 8 s", world.store.calls());
}
