//! The clock of the store steps, as in a failover to a node whose clock is another one.

use super::*;

/// The lease of a fetch that may take 10 s.
const LEASE: Duration = Duration::from_secs(15);

/// A holder takes the lease and is never heard of again.
async fn leave_a_lease(world: &World, replica: &Replica, seen: Version) {
    let key = name_of(&replica.source).await;
    assert!(matches!(world.store.store.lease(&key, seen, LEASE).await.unwrap(), Leased::Granted(_)));
}

#[tokio::test(start_paused = true)]
async fn l68_a_lease_of_hours_is_not_waited_for() {
    let world = World::new();
    let replicas = [world.replica(), world.replica()];
    leave_a_lease(&world, &replicas[0], Version::ABSENT).await;
    world.store_clock.set_back(HOUR);
    let before = world.now();
    for (number, replica) in (1..).zip(&replicas) {
        assert_eq!(world.token(replica, FetchReason::Missing).await, number, "each fetches for itself");
    }
    assert_eq!(world.now(), before);
    let calls = world.store.calls();
    for (number, replica) in (3..).zip(&replicas) {
        assert_eq!(world.token(replica, FetchReason::Stale).await, number);
    }
    assert_eq!(world.store.calls(), calls, "it is not asked until the lease ends");
    // The lease ends in the end, and the token is shared again.
    world.pass(HOUR + LEASE).await;
    for replica in &replicas {
        assert_eq!(world.token(replica, FetchReason::Missing).await, 5);
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_may_be_real_is_waited_for() {
    let world = World::new();
    let replica = world.replica();
    leave_a_lease(&world, &replica, Version::ABSENT).await;
    world.store_clock.set_back(LEASE - SECOND);
    let (before, mut failed) = (world.now(), 0);
    while world.fetch(&replica, FetchReason::Missing).await.is_err() {
        failed += 1;
    }
    // 29 s, in waits of 8 s.
    assert_eq!((failed, world.server.requests()), (3, 1));
    assert!(world.now() - before <= LEASE * 2, "{:?}", world.now() - before);
}

#[tokio::test(start_paused = true)]
async fn a_token_lives_no_longer_than_its_replica_has_known() {
    let world = World::new();
    let replica = world.replica();
    world.token(&replica, FetchReason::Missing).await;
    let until = replica.last.lock().unwrap().as_ref().unwrap().until();
    world.pass(HOUR / 4 * 3).await;
    let found = world.store.store.read(&name_of(&replica.source).await).await.unwrap().unwrap();
    world.store_clock.set_back(HOUR / 4 * 3 - SECOND * 60);
    leave_a_lease(&world, &replica, found.version).await;
    assert_eq!(world.token(&replica, FetchReason::Stale).await, 1, "another replica refreshes it");
    assert!(replica.last.lock().unwrap().as_ref().unwrap().until() <= until);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_ahead_costs_one_exchange() {
    let world = World::new();
    let replicas: Vec<_> = (0..5).map(|_| world.replica()).collect();
    for replica in &replicas {
        assert_eq!(world.token(replica, FetchReason::Missing).await, 1);
    }
    world.store_clock.set_ahead(HOUR * 2);
    for replica in &replicas {
        assert_eq!(world.token(&replica.another_provider(), FetchReason::Missing).await, 2);
    }
    world.pass(SECOND).await;
    world.store_clock.set_ahead(HOUR / 2);
    let token = world.fetch(&world.replica(), FetchReason::Missing).await.unwrap();
    assert_eq!(token.secret(), "MARKER-2");
    // It seems older, and is refreshed early.
    let age = token.inherited().unwrap().age;
    assert!(age > HOUR / 2 && age < HOUR / 2 + SECOND * 2, "{age:?}");
}

/// A replica without a token cannot know better. What it sends too late is rejected once, and renewed for all.
#[tokio::test(start_paused = true)]
async fn a_token_that_seems_younger_is_renewed_after_its_rejection() {
    let world = World::new();
    assert_eq!(world.token(&world.replica(), FetchReason::Missing).await, 1);
    world.pass(HOUR - SECOND).await;
    world.store_clock.set_back(HOUR * 2);
    world.pass(SECOND * 2).await;
    let replicas = [world.replica(), world.replica()];
    for replica in &replicas {
        assert_eq!(world.token(replica, FetchReason::Missing).await, 1, "it has ended");
    }
    for replica in &replicas {
        assert_eq!(world.token(replica, FetchReason::Rejected).await, 2);
    }
}
