//! A new secret of the client that reaches the replicas one after another.

use super::*;
use crate::{HotSwap, TokenProvider};

const REPLICAS: u32 = 20;

/// The replicas, each with the task that looks whether its secret has changed, at a moment of its own.
struct Rollout {
    world: World,
    replicas: Vec<(HotSwap, TokenProvider)>,
    _tasks: tokio::task::JoinSet<()>,
}

impl Rollout {
    /// All have a token, which the old secret brought.
    async fn new() -> Self {
        let world = World::new();
        let mut tasks = tokio::task::JoinSet::new();
        let mut replicas = Vec::new();
        for number in 0..REPLICAS {
            let swap = HotSwap::new(Client { server: world.server.clone(), credential: "the old secret" });
            let provider = TokenProvider::builder(world.fleet().share(swap.clone()).unwrap());
            let provider = provider.platform(world.platform.clone()).build().unwrap();
            assert_eq!(provider.token().await.unwrap().secret(), "MARKER-1");
            let (platform, looks) = (world.platform.clone(), provider.refresh_when_changed(SECOND * 30));
            tasks.spawn(async move {
                platform.sleep_until(platform.now().monotonic() + SECOND * number).await;
                looks.await;
            });
            replicas.push((swap, provider));
        }
        Rollout { world, replicas, _tasks: tasks }
    }

    /// The new secret is everywhere, and each replica looks several times.
    async fn goes_on(&self) {
        for (swap, _) in &self.replicas {
            swap.replace(Client { server: self.world.server.clone(), credential: "the new secret" });
        }
        self.world.pass(SECOND * 200).await;
    }

    /// The token that all have.
    fn token(&self) -> String {
        let secret = |provider: &TokenProvider| provider.cached().unwrap().secret().to_owned();
        let first = secret(&self.replicas[0].1);
        assert!(self.replicas.iter().all(|(_, provider)| secret(provider) == first));
        first
    }
}

fn refused() -> Error {
    Error::new(ErrorKind::Refused, "the server refused the client")
}

#[tokio::test(start_paused = true)]
async fn a_new_secret_costs_one_request() {
    let rollout = Rollout::new().await;
    rollout.goes_on().await;
    assert_eq!(rollout.world.server.requests(), 2);
    assert_eq!(rollout.token(), "MARKER-2", "each has the token of the new secret");
    let calls = rollout.world.store.calls();
    rollout.world.pass(SECOND * 200).await;
    assert_eq!(rollout.world.store.calls(), calls, "and none asks any more");
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_the_server_does_not_know_is_tried_once() {
    let rollout = Rollout::new().await;
    rollout.world.server.fails_with(refused());
    rollout.goes_on().await;
    assert_eq!(rollout.world.server.requests(), 3, "the new one, and then the old one");
    assert_eq!(rollout.token(), "MARKER-3");
}

#[tokio::test(start_paused = true)]
async fn two_refusals_are_a_verdict_for_all() {
    let rollout = Rollout::new().await;
    rollout.world.server.fails_with(refused());
    rollout.world.server.fails_with(refused());
    rollout.goes_on().await;
    // After the pause of the refusal one replica tries again, and gets a token.
    assert_eq!(rollout.world.server.requests(), 4);
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_waited_for_together() {
    let rollout = Rollout::new().await;
    for _ in 0..5 {
        rollout.world.server.fails_with(Error::new(ErrorKind::Unavailable, "HTTP 503"));
    }
    rollout.goes_on().await;
    assert_eq!(rollout.world.server.requests(), 7, "five failures, and one token");
    assert_eq!(rollout.token(), "MARKER-7");
}

/// A refresh in the middle gives the token of the new secret to replicas that have the old one still.
#[tokio::test(start_paused = true)]
async fn a_roll_out_that_a_refresh_interrupts_costs_one_more() {
    let world = World::new();
    let client = |credential| Client { server: world.server.clone(), credential };
    let swaps: Vec<_> = (0..5).map(|_| HotSwap::new(client("the old secret"))).collect();
    let replicas = swaps.iter().map(|swap| Replica::from(world.fleet().share(swap.clone()).unwrap()));
    let replicas: Vec<_> = replicas.collect();
    for replica in &replicas {
        assert_eq!(world.token(replica, FetchReason::Missing).await, 1);
    }
    swaps[0].replace(client("the new secret"));
    assert_eq!(world.token(&replicas[0], FetchReason::Changed).await, 2);
    for replica in &replicas[1..] {
        assert_eq!(world.token(replica, FetchReason::Stale).await, 2);
    }
    for (swap, replica) in swaps.iter().zip(&replicas).skip(1) {
        swap.replace(client("the new secret"));
        assert!(TokenSource::has_changed(&replica.source));
        assert_eq!(world.token(replica, FetchReason::Changed).await, 3);
        assert!(!TokenSource::has_changed(&replica.source));
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_of_the_old_secret_is_not_adopted() {
    let world = World::new();
    let [old, new] = ["the old secret", "the new secret"].map(|secret| world.replica_with(secret));
    assert_eq!(world.token(&old, FetchReason::Missing).await, 1);
    assert_eq!(world.token(&new, FetchReason::Missing).await, 1);
    assert_eq!(world.token(&old, FetchReason::Requested).await, 2, "after the new one has looked");
    assert_eq!(world.token(&new, FetchReason::Changed).await, 3);
    assert_eq!(world.token(&world.replica_with("the new secret"), FetchReason::Changed).await, 3);
    assert_eq!(world.token(&old, FetchReason::Changed).await, 4);
}
