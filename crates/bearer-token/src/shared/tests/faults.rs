//! When replicas, the server or the store fail.

use std::{future::Future, task::Poll};

use super::*;

fn unavailable(after: u64) -> Error {
    Error::new(ErrorKind::Unavailable, "the server asks for patience")
        .with_retry(Retry::Later { after: Some(Duration::from_secs(after)) })
}

fn refused() -> Error {
    Error::new(ErrorKind::Refused, "the server refused the client").with_oauth_code("invalid_client")
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_the_cool_down_of_all_replicas() {
    let world = World::new();
    world.server.fails_with(unavailable(30));
    let replicas: Vec<_> = (0..20).map(|_| world.replica()).collect();
    for replica in &replicas {
        let error = world.fetch(replica, FetchReason::Missing).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(matches!(error.retry(), Retry::Later { after: Some(after) } if after <= SECOND * 30), "{error:?}");
    }
    assert_eq!(world.server.requests(), 1);
    let error = world.fetch(&replicas[1], FetchReason::Missing).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("another replica's token request failed: the server asks for patience"), "{text}");

    world.pass(SECOND * 31).await;
    world.server.fails_with(unavailable(30));
    for replica in &replicas {
        world.fetch(replica, FetchReason::Missing).await.unwrap_err();
    }
    assert_eq!(world.server.requests(), 2, "one attempt for each step");
    world.pass(SECOND * 31).await;
    for replica in &replicas {
        assert_eq!(world.token(replica, FetchReason::Missing).await, 3);
    }
}

#[tokio::test(start_paused = true)]
async fn the_steps_of_the_fleet_grow() {
    let world = World::new();
    let mut attempts = Vec::new();
    for _ in 0..12 {
        world.server.fails_with(Error::new(ErrorKind::Transport, "no connection"));
    }
    for _ in 0..200 {
        let before = world.server.requests();
        // Each time another process, without a memory of its own.
        world.fetch(&world.replica(), FetchReason::Missing).await.unwrap_err();
        if world.server.requests() > before {
            attempts.push(world.now());
        }
        world.pass(SECOND).await;
    }
    let waits: Vec<_> = attempts.windows(2).map(|pair| (pair[1] - pair[0]).as_secs()).collect();
    assert!(waits.len() < 12 && waits[0] <= 2 && waits.last() >= Some(&30), "{waits:?}");
}

#[tokio::test(start_paused = true)]
async fn a_failed_refresh_leaves_the_token_to_cold_replicas() {
    let world = World::new();
    let one = world.replica();
    world.token(&one, FetchReason::Missing).await;
    world.server.fails_with(unavailable(30));
    world.fetch(&one, FetchReason::Stale).await.unwrap_err();
    assert_eq!(world.token(&world.replica(), FetchReason::Missing).await, 1);
    world.pass(HOUR / 2).await;
    assert_eq!(world.token(&world.replica(), FetchReason::Missing).await, 1, "its life is still counted");
    world.pass(HOUR / 2).await;
    assert_eq!(world.token(&world.replica(), FetchReason::Missing).await, 3);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_does_not_concern_another_credential() {
    let world = World::new();
    world.server.fails_with(refused());
    let error = world.fetch(&world.replica(), FetchReason::Missing).await.unwrap_err();
    assert_eq!((error.retry(), error.oauth_code()), (Retry::AfterChange, Some("invalid_client")));
    let same = world.fetch(&world.replica(), FetchReason::Missing).await.unwrap_err();
    assert_eq!((same.retry(), same.oauth_code()), (Retry::AfterChange, Some("invalid_client")));
    assert_eq!(world.server.requests(), 1);
    let other = world.replica_with("the next secret");
    assert_eq!(world.token(&other, FetchReason::Missing).await, 2);
    assert_eq!(world.token(&world.replica(), FetchReason::Missing).await, 2, "it is shared with the others");
}

/// In the middle of a roll-out, both the old and the new secret may be refused, as of a client that was disabled.
#[tokio::test(start_paused = true)]
async fn two_refused_credentials_are_tried_once_each_in_a_step() {
    let world = World::new();
    let secrets = ["the old secret", "the next secret"];
    let replicas: Vec<_> = (0..20).map(|index| world.replica_with(secrets[index % 2])).collect();
    (0..200).for_each(|_| world.server.fails_with(refused()));
    for step in 1..=3 {
        for _ in 0..3 {
            for replica in &replicas {
                let error = world.fetch(replica, FetchReason::Missing).await.unwrap_err();
                assert_eq!(error.oauth_code(), Some("invalid_client"));
            }
        }
        assert_eq!(world.server.requests(), 2 * step);
        // The longest cool-down after so many refusals of one secret.
        world.pass(Duration::from_secs(600)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_does_not_concern_a_secret_that_is_followed() {
    let world = World::new();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "old").unwrap();
    let server = world.server.clone();
    let source = crate::HotSwap::following(crate::Value::file(file.path()), move |secret| {
        let credential = if secret == "old" { "old" } else { "new" };
        Ok(Client { server: server.clone(), credential })
    });
    let replica = world.fleet().share(source.unwrap()).unwrap().into();
    world.server.fails_with(refused());
    world.fetch(&replica, FetchReason::Missing).await.unwrap_err();
    world.fetch(&replica, FetchReason::Missing).await.unwrap_err();
    assert_eq!(world.server.requests(), 1);
    std::fs::write(file.path(), "new").unwrap();
    assert_eq!(world.token(&replica, FetchReason::Missing).await, 2);
}

#[tokio::test(start_paused = true)]
async fn a_failure_of_one_process_is_not_shared() {
    let world = World::new();
    for error in [
        Error::new(ErrorKind::Signing, "no key"),
        Error::new(ErrorKind::Source, "no file").with_retry(Retry::AfterChange),
        Error::new(ErrorKind::Config, "no URL"),
    ] {
        world.store.store.clear();
        world.server.fails_with(error);
        world.fetch(&world.replica(), FetchReason::Missing).await.unwrap_err();
        world.token(&world.replica(), FetchReason::Missing).await;
    }
    assert_eq!(world.server.requests(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_killed_costs_one_more_request() {
    let world = World::new();
    world.server.takes(SECOND * 60);
    let leader = world.replica();
    // Killed: it runs nothing any more, and releases nothing.
    let cx = FetchContext::new(world.platform.clone().with_spawn(NoTasks), SECOND * 10, FetchReason::Missing);
    let deadline = world.now() + SECOND;
    assert!(world.platform.before(deadline, Box::pin(leader.fetch(cx))).await.is_none());
    world.server.takes(SECOND / 10);
    let begun = world.now();
    let tasks: Vec<_> = (0..50).map(|_| world.begin(&world.replica(), FetchReason::Missing)).collect();
    for task in tasks {
        assert_eq!(task.await.unwrap().unwrap().secret(), "MARKER-2");
    }
    assert_eq!(world.server.requests(), 2);
    assert!(world.now() - begun < SECOND * 5, "{:?}", world.now() - begun);
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_is_dropped_releases_its_lease() {
    let world = World::new();
    world.server.takes(SECOND * 60);
    let dropped = world.begin(&world.replica(), FetchReason::Missing);
    world.pass(SECOND).await;
    dropped.abort();
    world.server.takes(Duration::ZERO);
    world.pass(SECOND / 10).await;
    let before = world.now();
    assert_eq!(world.token(&world.replica(), FetchReason::Missing).await, 2);
    assert_eq!(world.now(), before, "nothing to wait for");
}

#[tokio::test(start_paused = true)]
async fn a_late_leader_takes_the_token_of_the_fleet() {
    let world = World::new();
    // Slower than the first lease, which is half of the timeout.
    world.server.takes(SECOND * 7);
    let slow = world.begin(&world.replica(), FetchReason::Missing);
    world.pass(SECOND * 6).await;
    world.server.takes(SECOND / 10);
    assert_eq!(world.token(&world.replica(), FetchReason::Missing).await, 2);
    assert_eq!(slow.await.unwrap().unwrap().secret(), "MARKER-2", "its save is fenced");
    assert_eq!(world.token(&world.replica(), FetchReason::Missing).await, 2);
}

#[tokio::test(start_paused = true)]
async fn l62_a_server_slower_than_the_first_lease_still_serves_the_fleet() {
    let world = World::new();
    world.server.takes(SECOND * 7);
    let mut served = 0;
    for _ in 0..3 {
        let tasks: Vec<_> = (0..20).map(|_| world.begin(&world.replica(), FetchReason::Missing)).collect();
        for task in tasks {
            served += usize::from(task.await.unwrap().is_ok());
        }
        world.pass(SECOND * 70).await;
    }
    assert!(served > 40, "{served} of 60");
    // Three holders at the first start, and then one that knows that the server is slow.
    assert!(world.server.requests() <= 4, "{}", world.server.requests());
}

#[tokio::test(start_paused = true)]
async fn a_source_that_hangs_is_a_failure_of_all() {
    let world = World::new();
    world.server.takes(HOUR);
    let error = world.fetch(&world.replica(), FetchReason::Missing).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let before = world.now();
    let error = world.fetch(&world.replica(), FetchReason::Missing).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!((world.now(), world.server.requests()), (before, 1));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_costs_a_tenth_of_a_second_once() {
    let world = World::new();
    world.store.set(Fault::Hangs);
    let replica = world.replica();
    let mut waits = Vec::new();
    for number in 1..=4 {
        let before = world.now();
        assert_eq!(world.token(&replica, FetchReason::Missing).await, number, "each fetches for itself");
        waits.push((world.now() - before).as_millis());
    }
    assert!(waits[0] <= 100 && waits[1..] == [0, 0, 0], "{waits:?}");
    assert_eq!(world.store.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_before_the_save_costs_it_once_too() {
    let world = World::new();
    world.server.takes(SECOND);
    let fetch = world.begin(&world.replica(), FetchReason::Missing);
    world.pass(SECOND / 2).await;
    world.store.set(Fault::Hangs);
    let before = world.now();
    fetch.await.unwrap().unwrap();
    assert!(world.now() - before <= SECOND / 2 + Duration::from_millis(100), "{:?}", world.now() - before);
    assert_eq!(world.store.calls(), 3, "a read, a lease, a save");
}

#[tokio::test(start_paused = true)]
async fn a_store_whose_writes_hang_is_tried_less_and_less() {
    // A lease whose save hung ends by itself, before the next request.
    for (fault, step) in [(Fault::WritesHang, SECOND), (Fault::SavesHang, SECOND * 6)] {
        let world = World::new();
        world.store.set(fault);
        let replica = world.replica();
        let (mut delayed, begun) = (Vec::new(), world.now());
        for number in 1..=120 {
            let before = world.now();
            assert_eq!(world.token(&replica, FetchReason::Requested).await, number, "each fetches for itself");
            let wait = world.now() - before;
            assert!(wait <= Duration::from_millis(100), "{wait:?}");
            if !wait.is_zero() {
                delayed.push((before - begun).as_secs());
            }
            world.pass(step).await;
        }
        // After 1, 1, 2, 4, 8, 16, 30, 30 s.
        let most = 10 + usize::try_from(step.as_secs() * 120 / 30).unwrap();
        assert!((7..most).contains(&delayed.len()), "{delayed:?}");
        let last = delayed.windows(2).last().unwrap();
        assert!(last[1] - last[0] >= 30, "{delayed:?}");
        world.store.set(None);
        world.pass(SECOND * 31).await;
        let last = world.token(&replica, FetchReason::Requested).await;
        assert_eq!(world.token(&world.replica(), FetchReason::Missing).await, last, "it is shared again");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_with_foreign_content_suspends_no_other_key() {
    let world = World::new();
    let fleet = world.fleet();
    let tenant = |name: &str| {
        Replica::from(fleet.share_as(name, Client { server: world.server.clone(), credential: "the usual secret" }))
    };
    let (bad, good) = (tenant("bad"), tenant("good"));
    *world.store.foreign.lock().unwrap() = Some(name_of(&bad.source).await);
    for number in 1..=5 {
        assert_eq!(world.token(&bad, FetchReason::Missing).await, number, "it fetches for itself");
    }
    assert_eq!(world.store.calls(), 5, "it looks each time");
    assert_eq!(world.token(&good, FetchReason::Missing).await, 6);
    assert_eq!(world.token(&tenant("good"), FetchReason::Missing).await, 6, "it is shared");
    *world.store.foreign.lock().unwrap() = None;
    assert_eq!(world.token(&bad, FetchReason::Missing).await, 7);
    assert_eq!(world.token(&tenant("bad"), FetchReason::Missing).await, 7, "it is shared again");
}

#[tokio::test(start_paused = true)]
async fn an_always_newer_record_ends_in_an_own_fetch() {
    let world = World::new();
    world.store.set(Fault::AlwaysNewer);
    assert_eq!(world.token(&world.replica(), FetchReason::Missing).await, 1);
    // A read, and leases: the sixth newer record is one too many.
    assert_eq!(world.store.calls(), 7);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_refuses_is_tried_again_after_pauses() {
    let world = World::new();
    world.store.set(Fault::Refuses);
    let replica = world.replica();
    for _ in 0..120 {
        world.token(&replica, FetchReason::Requested).await;
        world.pass(SECOND).await;
    }
    // After 1, 2, 4, 8, 16, 30, 30 s.
    assert!((7..=10).contains(&world.store.calls()), "{}", world.store.calls());
    world.store.set(None);
    world.pass(SECOND * 31).await;
    let last = world.token(&replica, FetchReason::Requested).await;
    assert_eq!(world.token(&world.replica(), FetchReason::Missing).await, last, "it is shared again");
}

#[tokio::test(start_paused = true)]
async fn a_token_that_could_not_be_saved_is_used_all_the_same() {
    let world = World::new();
    world.store.set(Fault::RefusesSaves);
    assert_eq!(world.token(&world.replica(), FetchReason::Missing).await, 1);
}

#[tokio::test(start_paused = true)]
async fn on_return_the_token_that_lives_longer_wins() {
    let world = World::new();
    let (early, late) = (world.replica(), world.replica());
    world.token(&early, FetchReason::Missing).await;
    world.store.set(Fault::Refuses);
    world.pass(HOUR / 2).await;
    assert_eq!(world.token(&late, FetchReason::Missing).await, 2, "without the store");
    world.store.set(None);
    world.pass(SECOND * 2).await;
    // The store still has the first token, which ends earlier: it is not adopted.
    assert_eq!(world.token(&late, FetchReason::Stale).await, 3);
    assert_eq!(world.token(&early, FetchReason::Stale).await, 3);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_lost_everything_costs_one_request() {
    let world = World::new();
    let replicas: Vec<_> = (0..10).map(|_| world.replica()).collect();
    for replica in &replicas {
        world.token(replica, FetchReason::Missing).await;
    }
    world.store.store.clear();
    for replica in &replicas {
        assert_eq!(world.token(replica, FetchReason::Stale).await, 2);
    }
}

#[tokio::test(start_paused = true)]
async fn hints_for_nothing_are_no_busy_loop() {
    let world = World::new();
    world.server.takes(SECOND * 4);
    world.store.set(Fault::HintsForNothing);
    let leader = world.begin(&world.replica(), FetchReason::Missing);
    world.pass(SECOND / 10).await;
    let before = world.store.calls();
    assert_eq!(world.token(&world.replica(), FetchReason::Missing).await, 1);
    leader.await.unwrap().unwrap();
    assert!(world.store.calls() - before < 50, "{}", world.store.calls() - before);
}

#[tokio::test(start_paused = true)]
async fn without_keys_each_replica_fetches_for_itself() {
    let world = World::new();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys");
    let fleet = Fleet::builder(world.store.clone(), SealingKeys::file(&path)).build().unwrap();
    let replica = || fleet.share(Client { server: world.server.clone(), credential: "" }).unwrap().into();
    assert_eq!(world.token(&replica(), FetchReason::Missing).await, 1);
    assert_eq!(world.token(&replica(), FetchReason::Missing).await, 2);
    assert_eq!(world.store.calls(), 0, "nothing is stored unsealed");
    std::fs::write(&path, KEY).unwrap();
    assert_eq!(world.token(&replica(), FetchReason::Missing).await, 3);
    assert_eq!(world.token(&replica(), FetchReason::Missing).await, 3);
}

#[tokio::test(start_paused = true)]
async fn a_record_that_does_not_open_is_replaced() {
    let world = World::new();
    world.token(&world.replica(), FetchReason::Missing).await;
    // The same names and other seals.
    let ring = format!("ZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmY=\n{KEY}");
    let without_old = "ZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmY=";
    for (keys, expected) in [(ring.as_str(), 1), (without_old, 2), (without_old, 2)] {
        let fleet = Fleet::builder(world.store.clone(), SealingKeys::new(keys)).build().unwrap();
        let replica = fleet.share(Client { server: world.server.clone(), credential: "" }).unwrap().into();
        assert_eq!(world.token(&replica, FetchReason::Missing).await, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn waiting_for_another_replica_ends_before_the_deadline() {
    let world = World::new();
    world.server.fails_with(unavailable(1));
    world.fetch(&world.replica(), FetchReason::Missing).await.unwrap_err();
    world.pass(SECOND * 2).await;
    // After a failure the lease is long.
    world.server.takes(SECOND * 60);
    let leader = world.begin(&world.replica(), FetchReason::Missing);
    world.pass(SECOND / 10).await;
    let before = world.now();
    let error = world.fetch(&world.replica(), FetchReason::Missing).await.unwrap_err();
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Timeout, true));
    assert!(error.to_string().contains("another replica"), "{error}");
    assert!(world.now() - before < SECOND * 9, "{:?}", world.now() - before);
    assert_eq!(world.server.requests(), 2, "the server is spared");
    leader.await.unwrap().unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_stood_still_returns_its_token() {
    let world = World::new();
    world.server.takes(SECOND);
    world.store.set(Fault::SlowSaves);
    let replica = world.replica();
    let mut fetch = std::pin::pin!(world.fetch(&replica, FetchReason::Missing));
    while world.server.requests() == 0 {
        assert!(std::future::poll_fn(|cx| Poll::Ready(fetch.as_mut().poll(cx))).await.is_pending());
        tokio::task::yield_now().await;
    }
    // Its provider would drop a fetch that waits now.
    tokio::time::advance(SECOND * 60).await;
    let Poll::Ready(token) = std::future::poll_fn(|cx| Poll::Ready(fetch.as_mut().poll(cx))).await else {
        panic!("it waits for the store, and the token is lost");
    };
    assert_eq!(token.unwrap().secret(), "MARKER-1");
    tokio::task::yield_now().await;
    // Its lease was released.
    let started = world.now();
    assert_eq!(world.token(&world.replica(), FetchReason::Missing).await, 2);
    assert!(world.now() - started < SECOND * 2);
}
