//! Rejected tokens that are in the store, or were, when something goes wrong. The protocol model found each of these.

use super::*;

#[tokio::test(start_paused = true)]
async fn an_unconfirmed_token_is_not_adopted_after_its_rejection() {
    let world = World::new();
    let replica = world.replica();
    world.store.set(Fault::LosesReplies);
    assert_eq!(world.token(&replica, FetchReason::Missing).await, 1);
    world.store.set(None);
    assert_eq!(world.token(&replica, FetchReason::Rejected).await, 2);
}

#[tokio::test(start_paused = true)]
async fn an_older_token_is_not_adopted_after_a_rejection() {
    let world = World::new();
    let (replica, other) = (world.replica(), world.replica());
    assert_eq!(world.token(&other, FetchReason::Missing).await, 1);
    world.pass(SECOND).await;
    world.store.set(Fault::Refuses);
    assert_eq!(world.token(&replica, FetchReason::Missing).await, 2);
    world.store.set(None);
    world.pass(SECOND * 60).await;
    // The API rejects all tokens so far; the one in the store is the older one.
    assert_eq!(world.token(&replica, FetchReason::Rejected).await, 3);
    assert_eq!(world.token(&other, FetchReason::Rejected).await, 3);
}

#[tokio::test(start_paused = true)]
async fn a_fenced_replica_does_not_go_back_to_the_rejected_token() {
    let world = World::new();
    let (slow, other) = (world.replica(), world.replica());
    assert_eq!(world.token(&slow, FetchReason::Missing).await, 1);
    assert_eq!(world.token(&other, FetchReason::Missing).await, 1);
    // Slower than the lease of a replica without a token: another one takes over, and is not done either.
    world.server.takes(SECOND * 7);
    let first = world.begin(&slow, FetchReason::Rejected);
    world.pass(SECOND * 3).await;
    let second = world.begin(&other, FetchReason::Rejected);
    let first = first.await.unwrap().unwrap();
    assert_eq!(first.secret(), "MARKER-2", "the record still has the first one");
    assert_eq!(second.await.unwrap().unwrap().secret(), "MARKER-3");
}
