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
    assert_eq!((world.store.calls() - calls, world.now()), (4, before), "each looks, and waits for nothing");
    // The lease ends in the end, and the token is shared again.
    world.pass(HOUR + LEASE).await;
    for replica in &replicas {
        assert_eq!(world.token(replica, FetchReason::Missing).await, 5);
    }
}

/// All notice such a lease at once, when the refresh is due. Their token serves until each has its own time.
#[tokio::test(start_paused = true)]
async fn with_a_token_that_serves_the_replicas_fetch_one_after_another() {
    const REPLICAS: u32 = 20;
    let world = World::new();
    let replicas: Vec<_> = (0..REPLICAS).map(|_| world.replica()).collect();
    for replica in &replicas {
        assert_eq!(world.token(replica, FetchReason::Missing).await, 1);
    }
    world.pass(HOUR / 2).await;
    let found = world.store.store.read(&name_of(&replicas[0].source).await).await.unwrap().unwrap();
    leave_a_lease(&world, &replicas[0], found.version).await;
    world.store_clock.set_back(HOUR * 2);
    let mut waiting = replicas;
    let mut at_once = Vec::new();
    while !waiting.is_empty() {
        let before = world.server.requests();
        let mut left = Vec::new();
        for replica in waiting {
            if world.token(&replica, FetchReason::Stale).await == 1 {
                left.push(replica);
            }
        }
        waiting = left;
        at_once.push(world.server.requests() - before);
        world.pass(SECOND * 60).await;
    }
    assert!(at_once.len() <= 30, "each has the next token before the end of this one: {at_once:?}");
    assert!(at_once.iter().all(|requests| *requests <= 10), "{at_once:?}");
}

/// Two replicas that share a token, and know that the store's clock was set back by two hours. The record has 50 minutes
/// of life, and seems to have an hour.
async fn two_that_doubt(world: &World) -> [Replica; 2] {
    let replicas = [world.replica(), world.replica()];
    for replica in &replicas {
        assert_eq!(world.token(replica, FetchReason::Missing).await, 1);
    }
    world.pass(SECOND * 600).await;
    let found = world.store.store.read(&name_of(&replicas[0].source).await).await.unwrap().unwrap();
    leave_a_lease(world, &replicas[0], found.version).await;
    world.store_clock.set_back(HOUR * 2);
    for (number, replica) in (2..).zip(&replicas) {
        assert_eq!(world.token(replica, FetchReason::Rejected).await, number, "each fetches for itself");
    }
    replicas
}

#[tokio::test(start_paused = true)]
async fn the_token_is_shared_again_once_the_clock_is_right() {
    let world = World::new();
    let replicas = two_that_doubt(&world).await;
    world.pass(LEASE).await;
    world.store_clock.set_ahead(HOUR * 2);
    for replica in &replicas {
        assert_eq!(world.token(replica, FetchReason::Stale).await, 4, "hours before the lease had seemed to end");
    }
    assert_eq!(world.token(&world.replica(), FetchReason::Missing).await, 4);
}

/// The reason why the record itself is doubted, and not the store for a time: its token seems young for as long as the
/// clock is behind, whether the lease seems to last or not.
#[tokio::test(start_paused = true)]
async fn a_token_from_before_the_step_is_not_adopted_again() {
    let world = World::new();
    let replicas = two_that_doubt(&world).await;
    world.pass(HOUR).await;
    for (number, replica) in (4..).zip(&replicas) {
        let cold = replica.another_provider();
        assert_eq!(world.token(&cold, FetchReason::Missing).await, number, "token 1 seems to have an hour");
    }
    // Half right: the lease has ended, and token 1, which ended ten minutes ago, seems to have three quarters of an hour.
    world.store_clock.set_ahead(HOUR + SECOND * 60);
    let found = world.store.store.read(&name_of(&replicas[0].source).await).await.unwrap();
    assert!(found.is_some_and(|found| found.life > SECOND * 60));
    for replica in &replicas {
        assert_eq!(world.token(&replica.another_provider(), FetchReason::Missing).await, 6, "one for all");
    }
}

/// The holder was only slow. Its record is of the clock as it is now.
#[tokio::test(start_paused = true)]
async fn a_record_that_was_saved_after_the_step_is_adopted() {
    let world = World::new();
    let holder = world.replica();
    world.server.takes(SECOND);
    let held = world.begin(&holder, FetchReason::Missing);
    world.pass(SECOND / 10).await;
    world.store_clock.set_back(HOUR * 2);
    let other = world.replica();
    assert_eq!(world.token(&other, FetchReason::Missing).await, 2, "the lease is not believed");
    assert_eq!(held.await.unwrap().unwrap().secret(), "MARKER-1");
    assert_eq!(world.token(&other.another_provider(), FetchReason::Missing).await, 1);
}

/// A replica whose fetches may take longer holds leases that are longer.
#[tokio::test(start_paused = true)]
async fn a_lease_of_a_much_longer_timeout_is_named() {
    let world = World::new();
    let replica = world.replica();
    let key = name_of(&replica.source).await;
    world.store.store.lease(&key, Version::ABSENT, SECOND * 65).await.unwrap();
    let told = events::told_by(&world, replica.source).await;
    assert!(told.len() == 1 && told[0].contains("fetch timeout of another replica"), "{told:?}");
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
