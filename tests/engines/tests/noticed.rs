//! The tests of fleets notice a replica with a fault: each check here must fail.
//!
//! [`engines::faulty`] tells what is wrong with it. The others are sound, so the check has to notice one in a fleet.

#![allow(clippy::disallowed_methods, reason = "real processes, in real time")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]

use std::{ops::RangeInclusive, time::Duration};

use bearer_token_testing::Fault as Outage;
use engines::{
    faulty::Fault,
    fleet::Workers,
    job::{Job, Store},
    phase::Phase,
    redis_server::RedisServer,
    until,
    world::World,
};

const LIFETIME: Duration = Duration::from_secs(4);
const PROCESSES: usize = 8;

/// How long the authorization server takes: so long that each replica wants the token meanwhile.
const ANSWER: Duration = Duration::from_millis(300);

/// A replica hides its fault where it is the first of all to fetch. Five new ones do not all do so.
const ATTEMPTS: usize = 5;

/// A fleet whose last replica has this fault, on a new server.
struct Fleet {
    world: World,
    job: Job,
    _redis: RedisServer,
}

impl Fleet {
    async fn new() -> Self {
        let (world, redis) = (World::new(LIFETIME), RedisServer::start().await);
        world.server.token_endpoint().always(Outage::delay(ANSWER));
        let job = world.job(Store::Redis { url: redis.url() });
        Fleet { world, job, _redis: redis }
    }

    async fn start(&self, fault: Option<Fault>) -> Workers {
        let is_last = |index| index == PROCESSES - 1;
        Workers::start(PROCESSES, |index| Job { fault: fault.filter(|_| is_last(index)), ..self.job.clone() }).await
    }

    /// What the test of fifty processes says about two lifetimes: two token requests, beside those that slow calls
    /// explain.
    async fn two_lifetimes(&self, workers: &Workers) -> Result<(), String> {
        self.tokens(workers, 1).await;
        let phase = Phase::begin("two lifetimes", &self.world, workers);
        self.tokens(workers, 2).await;
        phase.so_far(workers).check(2..=2)
    }

    /// Waits for tokens that a replica fetched under the lease, and until a good while after the last of them.
    async fn tokens(&self, workers: &Workers, number: u64) {
        for _ in 0..number {
            let before = workers.tally().shared;
            until("a token", Duration::from_secs(30), async || workers.tally().shared > before).await;
            tokio::time::sleep(LIFETIME / 4).await;
        }
    }

    /// What it says about an outage of the authorization server: the attempts of one replica.
    async fn outage(&self, workers: &Workers, attempts: RangeInclusive<u64>) -> Result<(), String> {
        let phase = Phase::begin("an outage", &self.world, workers);
        self.world.server.token_endpoint().always(Outage::status(503));
        tokio::time::sleep(LIFETIME * 3).await;
        phase.so_far(workers).check(attempts)
    }
}

/// The check of two lifetimes fails with these words.
async fn is_noticed(fault: Fault, words: &str) {
    let mut found = Vec::new();
    for _ in 0..ATTEMPTS {
        // New replicas: the order in which they ask stays nearly the same.
        let fleet = Fleet::new().await;
        let workers = fleet.start(Some(fault)).await;
        let wrong = fleet.two_lifetimes(&workers).await.err();
        println!("{fault:?}: {wrong:?}");
        if wrong.as_ref().is_some_and(|wrong| wrong.contains(words)) {
            return;
        }
        found.push(wrong);
    }
    panic!("{fault:?} was not noticed: {found:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server"]
async fn a_fleet_without_a_fault_passes() {
    let fleet = Fleet::new().await;
    let workers = fleet.start(None).await;
    fleet.two_lifetimes(&workers).await.unwrap();
    fleet.outage(&workers, 2..=5).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server"]
async fn a_replica_that_asks_no_store_is_noticed() {
    is_noticed(Fault::AsksNothing, "although the store answered").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server"]
async fn a_replica_that_takes_no_lease_is_noticed() {
    is_noticed(Fault::TakesNoLease, "token requests, expected 2..=2").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server"]
async fn a_replica_that_ignores_the_record_is_noticed() {
    is_noticed(Fault::IgnoresTheRecord, "token requests, expected 2..=2").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server"]
async fn a_failure_that_is_not_shared_is_noticed() {
    let fleet = Fleet::new().await;
    // All have it, because each of them pauses for itself.
    let workers = Workers::start(PROCESSES, |_| Job { fault: Some(Fault::SharesNoFailure), ..fleet.job.clone() }).await;
    fleet.two_lifetimes(&workers).await.unwrap();
    let wrong = fleet.outage(&workers, 2..=5).await.unwrap_err();
    println!("{wrong}");
    assert!(wrong.contains("token requests, expected 2..=5"), "{wrong}");
}
