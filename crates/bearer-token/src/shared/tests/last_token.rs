//! What a provider had before, and what it is given then.

use super::*;
use crate::TokenProvider;

/// For how long a token is sent, and its provider then takes it as expired.
const SENT_FOR: Duration = HOUR.saturating_sub(Duration::from_secs(10));

#[tokio::test(start_paused = true)]
async fn a_token_that_its_provider_has_expired_is_not_adopted_again() {
    let world = World::new();
    let replica = world.replica();
    // The record seems to be younger than its token, by what the save takes.
    world.store.set(Fault::SlowSaves);
    assert_eq!(world.token(&replica, FetchReason::Missing).await, 1);
    world.pass(SENT_FOR - SLOW / 2).await;
    assert_eq!(world.token(&replica.another_provider(), FetchReason::Missing).await, 1, "that one never had it");
    assert_eq!(world.token(&replica, FetchReason::Missing).await, 2);
}

#[tokio::test(start_paused = true)]
async fn a_stale_token_that_would_arrive_expired_is_waited_for() {
    let world = World::new();
    let (one, other) = (world.replica(), world.replica());
    for replica in [&one, &other] {
        world.token(replica, FetchReason::Missing).await;
    }
    world.pass(SENT_FOR - SECOND * 4).await;
    world.server.takes(SECOND * 5);
    let refresh = world.begin(&one, FetchReason::Stale);
    world.pass(SECOND / 2).await;
    let before = world.now();
    assert_eq!(world.token(&other, FetchReason::Stale).await, 1, "it may be sent for long enough");
    assert_eq!(world.now(), before);
    world.pass(SECOND * 33 / 10).await;
    assert_eq!(world.token(&other, FetchReason::Stale).await, 2);
    refresh.await.unwrap().unwrap();
    assert_eq!(world.server.requests(), 2);
}

#[tokio::test(start_paused = true)]
async fn no_request_fails_when_the_holder_of_a_stale_token_is_killed() {
    for before_the_end in [1, 5, 30] {
        let world = World::new();
        let (holder, replica) = (world.replica(), world.replica());
        let provider = TokenProvider::builder(replica.source).platform(world.platform.clone()).build().unwrap();
        world.token(&holder, FetchReason::Missing).await;
        assert_eq!(provider.token().await.unwrap().secret(), "MARKER-1");
        world.pass(SENT_FOR - SECOND * before_the_end).await;
        world.server.takes(SECOND * 60);
        // The timeout of a provider's refresh.
        let timeout = SECOND * (before_the_end / 2).clamp(5, 10);
        let cx = FetchContext::new(world.platform.clone().with_spawn(NoTasks), timeout, FetchReason::Stale);
        let deadline = world.now() + SECOND / 10;
        assert!(world.platform.before(deadline, Box::pin(holder.fetch(cx))).await.is_none());
        world.server.takes(SECOND / 10);
        let (mut longest, mut secret) = (Duration::ZERO, String::new());
        while secret != "MARKER-3" {
            let asked = world.now();
            secret = provider.token().await.unwrap().secret().to_owned();
            longest = longest.max(world.now() - asked);
            world.pass(SECOND / 20).await;
            assert!(world.now() < HOUR * 2);
        }
        assert!(longest <= SECOND * 3, "{longest:?}");
        assert_eq!(world.server.requests(), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn providers_of_one_source_share_a_refresh_and_a_renewal() {
    let world = World::new();
    let one = world.replica();
    let other = one.another_provider();
    for (number, reason) in [(1, FetchReason::Missing), (2, FetchReason::Stale), (3, FetchReason::Rejected)] {
        for provider in [&one, &other] {
            assert_eq!(world.token(provider, reason).await, number, "{reason:?}");
        }
    }
    assert_eq!(world.server.requests(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_takes_the_place_of_another_knows_the_token() {
    let world = World::new();
    let (replica, other) = (world.replica(), world.replica());
    for replica in [&replica, &other] {
        world.token(replica, FetchReason::Missing).await;
    }
    let swapped = Replica { source: world.replica_with("the next secret").source, last: replica.last };
    assert_eq!(world.token(&other, FetchReason::Rejected).await, 2);
    assert_eq!(world.token(&swapped, FetchReason::Rejected).await, 2);
    assert_eq!(world.server.requests(), 2);
}

#[tokio::test(start_paused = true)]
async fn generations_of_another_record_are_not_compared() {
    let world = World::new();
    let requests = Arc::new(AtomicUsize::new(0));
    let named = |name| {
        let requests = requests.clone();
        world.fleet().share_as(name, move |cx: FetchContext| {
            let number = requests.fetch_add(1, Ordering::Relaxed);
            async move { Ok(AccessToken::new(format!("{number}")).issued(cx.started()).expires_in(HOUR)) }
        })
    };
    // The first one of the other record has the smaller generation, and lives longer than the other.
    let filler = Replica::from(named("one"));
    world.fetch(&filler, FetchReason::Missing).await.unwrap();
    let early = Replica::from(named("other"));
    world.fetch(&early, FetchReason::Missing).await.unwrap();
    world.pass(SECOND).await;
    assert_eq!(world.fetch(&filler, FetchReason::Requested).await.unwrap().secret(), "2");
    let moved = Replica { source: named("one"), last: early.last.clone() };
    assert_eq!(world.fetch(&moved, FetchReason::Rejected).await.unwrap().secret(), "2", "it ends later");
    let moved = Replica { source: named("other"), last: filler.last };
    assert_eq!(world.fetch(&moved, FetchReason::Rejected).await.unwrap().secret(), "3", "the record's ends earlier");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_repeats_a_token_is_asked_again() {
    let world = World::new();
    let requests = Arc::new(AtomicUsize::new(0));
    let (asked, issued) = (requests.clone(), world.platform.now());
    let source = world.fleet().share_as("repeated", move |_cx: FetchContext| {
        asked.fetch_add(1, Ordering::Relaxed);
        async move { Ok(AccessToken::new("the-same").issued(issued).expires_in(HOUR)) }
    });
    let provider = TokenProvider::builder(source).platform(world.platform.clone()).build().unwrap();
    provider.token().await.unwrap();
    // Nine tenths of the life are past at the latest when it is stale.
    world.pass(SENT_FOR - SECOND * 60).await;
    for _ in 0..50 {
        provider.token().await.unwrap();
        world.pass(SECOND).await;
    }
    let requests = requests.load(Ordering::Relaxed);
    assert!((3..=12).contains(&requests), "{requests}");
}
