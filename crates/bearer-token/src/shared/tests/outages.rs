//! When there is no connection to the server: for one replica, or for all.

use super::*;
use crate::TokenProvider;

/// What a replica sees of the server whose name server, proxy or certificates are broken.
fn no_way() -> Server {
    let server = Server::default();
    for _ in 0..1_000 {
        server.fails_with(Error::new(ErrorKind::Transport, "no connection"));
    }
    server
}

#[tokio::test(start_paused = true)]
async fn one_without_a_connection_fails_alone() {
    let (world, no_way) = (World::new(), no_way());
    no_way.takes(SECOND / 20);
    world.server.takes(SECOND / 10);
    let broken = world.replica_at(&no_way);
    let others: Vec<_> = (0..9).map(|_| world.replica()).collect();
    for lifetime in 1..=3 {
        let begun = world.now();
        let first = world.begin(&broken, FetchReason::Missing);
        // It takes the lease.
        world.pass(SECOND / 100).await;
        let tasks: Vec<_> = others.iter().map(|replica| world.begin(replica, FetchReason::Missing)).collect();
        assert_eq!(first.await.unwrap().unwrap_err().kind(), ErrorKind::Transport);
        for task in tasks {
            assert_eq!(task.await.unwrap().unwrap().secret(), format!("MARKER-{lifetime}"));
        }
        assert!(world.now() - begun < SECOND / 2, "{:?}", world.now() - begun);
        assert_eq!(world.token(&broken, FetchReason::Missing).await, lifetime, "it takes the token of the others");
        world.pass(HOUR).await;
    }
    assert_eq!((no_way.requests(), world.server.requests()), (3, 3));
}

/// It alone cannot reach the store of its refresh token, while the others and the fleet's store are well.
#[tokio::test(start_paused = true)]
async fn one_whose_refresh_token_is_out_of_reach_fails_alone() {
    let (world, cut_off) = (World::new(), Server::default());
    for _ in 0..3 {
        let message = "the shared store of the refresh token cannot be used now";
        cut_off.fails_with(Error::new(ErrorKind::Source, message).with_retry(Retry::Later { after: None }));
    }
    let (broken, other) = (world.replica_at(&cut_off), world.replica());
    for lifetime in 1..=3 {
        world.fetch(&broken, FetchReason::Missing).await.unwrap_err();
        assert_eq!(world.token(&other, FetchReason::Missing).await, lifetime);
        assert_eq!(world.token(&broken, FetchReason::Missing).await, lifetime, "it takes the token of the others");
        world.pass(HOUR).await;
    }
    assert_eq!((cut_off.requests(), world.server.requests()), (3, 3));
}

#[tokio::test(start_paused = true)]
async fn one_without_a_connection_respects_its_own_cool_down() {
    let (world, no_way) = (World::new(), no_way());
    let broken = world.replica_at(&no_way);
    world.fetch(&broken, FetchReason::Missing).await.unwrap_err();
    let error = world.fetch(&broken.another_provider(), FetchReason::Missing).await.unwrap_err();
    assert!(matches!(error.retry(), Retry::Later { after: Some(after) } if after <= SECOND), "{error:?}");
    assert_eq!(error.to_string(), "this replica's last token request failed: no connection");
    assert_eq!(no_way.requests(), 1);
    world.pass(SECOND).await;
    world.fetch(&broken, FetchReason::Missing).await.unwrap_err();
    assert_eq!(no_way.requests(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_refresh_without_a_connection_is_left_to_others() {
    let (world, no_way) = (World::new(), no_way());
    let (broken, other) = (world.replica_at(&no_way), world.replica());
    for replica in [&other, &broken] {
        world.token(replica, FetchReason::Missing).await;
    }
    world.fetch(&broken, FetchReason::Stale).await.unwrap_err();
    assert_eq!(world.token(&world.replica(), FetchReason::Missing).await, 1, "the token stays in the record");
    assert_eq!(world.token(&other, FetchReason::Stale).await, 2);
    assert_eq!(world.token(&broken, FetchReason::Stale).await, 2);
}

/// The times of the attempts of ten replicas that need a token every second.
async fn attempts(mut replicas: Vec<Replica>, world: &World, no_way: &Server, is_the_first_another: bool) -> Vec<u64> {
    let mut attempts = Vec::new();
    for second in 0..20 * 60 {
        for replica in &replicas {
            let before = no_way.requests();
            world.fetch(replica, FetchReason::Missing).await.unwrap_err();
            attempts.extend((before..no_way.requests()).map(|_| second));
        }
        replicas.rotate_left(usize::from(is_the_first_another));
        world.pass(SECOND).await;
    }
    attempts
}

#[tokio::test(start_paused = true)]
async fn an_outage_for_all_costs_one_attempt_more() {
    // One replica that always comes first has to be confirmed again after ten minutes.
    for (is_the_first_another, most) in [(true, 1), (false, 2)] {
        let (world, no_way) = (World::new(), no_way());
        let replicas = (0..10).map(|_| world.replica_at(&no_way)).collect();
        let attempts = attempts(replicas, &world, &no_way, is_the_first_another).await;
        let waits = attempts.windows(2).map(|pair| pair[1] - pair[0]);
        let (more, steps): (Vec<_>, Vec<_>) = waits.partition(|wait| *wait == 0);
        assert!(attempts[..2] == [0, 0] && more.len() <= most, "{attempts:?}");
        let mut least = 1;
        for step in &steps {
            assert!(*step * 2 >= least, "{attempts:?}");
            least = (least * 2).min(60);
        }
        assert!(steps.len() >= 20, "it goes on: {attempts:?}");
    }
}

/// Two of them begin the cool-down of all, and ask again at every moment.
#[tokio::test(start_paused = true)]
async fn two_without_a_connection_delay_the_others_by_one_cool_down() {
    for _ in 0..50 {
        let (world, no_way) = (World::new(), no_way());
        let broken = [world.replica_at(&no_way), world.replica_at(&no_way)];
        for replica in &broken {
            world.fetch(replica, FetchReason::Missing).await.unwrap_err();
        }
        let healthy = TokenProvider::builder(world.replica().source).platform(world.platform.clone()).build().unwrap();
        let begun = world.now();
        while healthy.token().await.is_err() {
            world.pass(SECOND / 100).await;
            for replica in &broken {
                drop(world.fetch(replica, FetchReason::Missing).await);
            }
        }
        // The first cool-down lasts for a second, and then it is the others' turn.
        assert!(world.now() - begun <= SECOND + SECOND / 20, "{:?}", world.now() - begun);
        assert_eq!((no_way.requests(), world.server.requests()), (2, 1));
    }
}

/// A healthy replica that asks for the first time late in an apparent outage.
#[tokio::test(start_paused = true)]
async fn a_new_replica_ends_an_apparent_outage_within_71_seconds() {
    let (world, no_way) = (World::new(), no_way());
    let broken = [world.replica_at(&no_way), world.replica_at(&no_way)];
    for _ in 0..60 * 20 {
        for replica in &broken {
            world.fetch(replica, FetchReason::Missing).await.unwrap_err();
        }
        world.pass(SECOND / 2).await;
    }
    let healthy = TokenProvider::builder(world.replica().source).platform(world.platform.clone()).build().unwrap();
    let begun = world.now();
    while healthy.token().await.is_err() {
        world.pass(SECOND / 10).await;
        for replica in &broken {
            drop(world.fetch(replica, FetchReason::Missing).await);
        }
    }
    assert!(world.now() - begun <= SECOND * 71, "{:?}", world.now() - begun);
    assert_eq!(world.server.requests(), 1);
}

#[tokio::test(start_paused = true)]
async fn one_that_stays_without_a_connection_is_soon_alone() {
    let (world, no_way) = (World::new(), no_way());
    let broken = world.replica_at(&no_way);
    world.fetch(&broken, FetchReason::Missing).await.unwrap_err();
    world.fetch(&world.replica_at(&no_way), FetchReason::Missing).await.unwrap_err();
    let waiting = world.fetch(&world.replica(), FetchReason::Missing).await.unwrap_err();
    assert_eq!(waiting.to_string(), "another replica's token request failed: no connection");
    assert_eq!(no_way.requests(), 2);
    // The others have their connections back, and need no token.
    for _ in 0..15 * 60 {
        world.pass(SECOND).await;
        world.fetch(&broken, FetchReason::Missing).await.unwrap_err();
    }
    let before = no_way.requests();
    world.pass(SECOND * 61).await;
    world.fetch(&broken, FetchReason::Missing).await.unwrap_err();
    assert_eq!(no_way.requests(), before + 1, "its cool-down has just begun");
    assert_eq!(world.token(&world.replica(), FetchReason::Missing).await, 1);
}

#[tokio::test(start_paused = true)]
async fn one_without_a_connection_ends_no_cool_down_of_all() {
    let world = World::new();
    let error = Error::new(ErrorKind::Unavailable, "the server asks for patience");
    world.server.fails_with(error.with_retry(Retry::Later { after: Some(SECOND * 30) }));
    world.fetch(&world.replica(), FetchReason::Missing).await.unwrap_err();
    let broken = world.replica_at(&no_way());
    let error = world.fetch(&broken, FetchReason::Requested).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transport, "it does not wait");
    let error = world.fetch(&world.replica(), FetchReason::Missing).await.unwrap_err();
    assert_eq!((error.kind(), world.server.requests()), (ErrorKind::Unavailable, 1));
}

#[tokio::test(start_paused = true)]
async fn l06_a_shared_cool_down_ends_with_the_token() {
    let world = World::new();
    let replica = world.replica();
    world.token(&replica, FetchReason::Missing).await;
    // It is not sent in its last ten seconds.
    let end = world.now() + HOUR - SECOND * 10;
    for before in [300, 260, 200, 180, 100, 70, 5].map(|seconds| SECOND * seconds) {
        world.platform.sleep_until(end - before).await;
        world.server.fails_with(Error::new(ErrorKind::Unavailable, "the server is down"));
        world.fetch(&replica, FetchReason::Requested).await.unwrap_err();
    }
    let requests = world.server.requests();
    world.pass(SECOND * 4).await;
    world.fetch(&replica, FetchReason::Stale).await.unwrap_err();
    assert_eq!(world.server.requests(), requests, "the cool-down is not over");
    world.platform.sleep_until(end).await;
    assert_eq!(world.token(&replica, FetchReason::Missing).await, 9);
}

/// A fetch without the store says as much about the connection as one under a lease.
#[tokio::test(start_paused = true)]
async fn a_connection_that_came_back_while_the_store_was_gone_is_noticed() {
    let world = World::new();
    let replica = world.replica();
    world.server.fails_with(Error::new(ErrorKind::Transport, "no route"));
    world.fetch(&replica, FetchReason::Missing).await.unwrap_err();
    assert!(replica.source.0.had_no_connection.load(Ordering::Relaxed));
    world.store.set(Fault::Refuses);
    world.token(&replica, FetchReason::Requested).await;
    assert!(!replica.source.0.had_no_connection.load(Ordering::Relaxed));
}
