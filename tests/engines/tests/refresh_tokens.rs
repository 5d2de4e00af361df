//! One rotating refresh token for processes that are killed and paused: it is never spent twice.

#![allow(clippy::disallowed_methods, reason = "real processes, in real time")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use bearer_token::{
    oauth::RefreshToken,
    platform::Platform,
    shared::{SealingKeys, SharedRefreshToken},
};
use bearer_token_testing::{Consent, Fault as Outage};
use engines::{
    faulty::Fault,
    fleet::Worker,
    job::{Job, Store},
    postgres_server::PostgresServer,
    until,
    world::{KEY, World},
};

const LEASE: u64 = 1500;

/// The number of runs: `CHAOS_RUNS`, or a few.
fn runs() -> u64 {
    std::env::var("CHAOS_RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(10)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn l59_a_refresh_token_is_spent_once() {
    let postgres = PostgresServer::start().await;
    let store = postgres.store();
    store.create_table().await.unwrap();
    let world = World::new(Duration::from_secs(60));
    let server = &world.server;
    let held = SharedRefreshToken::new(store, SealingKeys::new(KEY), "consent");
    let grant = RefreshToken::new(held);
    let job = Job { every_ms: 5, ..world.job(Store::Postgres { url: postgres.url(), lease_ms: LEASE }) };
    let (mut kills, mut pauses) = (0, 0);
    let seed = fastrand::u64(..);
    fastrand::seed(seed);
    println!("seed {seed}");
    for run in 0..runs() {
        // A new consent, since a killed holder takes the last token with it.
        let consent = server.consent(Consent::new("app", "alice")).unwrap();
        grant.replace(&Platform::system(), consent).await.unwrap();
        let workers: Vec<_> = (0..4).map(|_| Worker::start(&job)).collect();
        tokio::time::sleep(Duration::from_millis(fastrand::u64(150..400))).await;
        let mut left = workers;
        if run % 2 == 0 {
            kills += 1;
            left.swap_remove(fastrand::usize(..left.len())).kill();
            // The lease of a holder that was killed ends, and another process looks at what it left.
            tokio::time::sleep(Duration::from_millis(LEASE * 2)).await;
        } else {
            pauses += 1;
            let paused = &left[fastrand::usize(..left.len())];
            paused.pause();
            // Half of them are paused past their lease.
            tokio::time::sleep(Duration::from_millis(fastrand::u64(..LEASE * 2))).await;
            paused.resume();
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        drop(left);
        let count = server.count();
        assert_eq!(count.refresh_tokens_reused, 0, "run {run} of seed {seed}");
        if (run + 1) % 100 == 0 {
            println!("{} runs: {} refresh tokens spent", run + 1, count.tokens_issued);
        }
    }
    let count = server.count();
    println!(
        "{kills} kills, {pauses} pauses, {} refresh tokens spent, {} twice",
        count.tokens_issued, count.refresh_tokens_reused
    );
    assert!(count.tokens_issued > runs() * 4, "{count:?}");
    // Neither the table nor the log has a token.
    let issued: Vec<String> =
        server.requests().iter().filter_map(|request| request.parameter("refresh_token")).collect();
    let log = String::from_utf8_lossy(&std::fs::read(postgres.log()).unwrap()).into_owned();
    let table = postgres.query("SELECT key, encode(record, 'escape') FROM bearer_token");
    assert!(!issued.is_empty() && log.contains("bearer_token"));
    for token in issued.iter().take(500) {
        assert!(!log.contains(token.as_str()) && !table.contains(token.as_str()), "a token is in the log or the table");
    }
}

/// How often a refresh token is spent again after a holder was killed while the server responded: the server has spent the
/// token, and nothing but the holder's mark tells.
async fn spent_again(fault: Option<Fault>) -> u64 {
    let postgres = PostgresServer::start().await;
    let store = postgres.store();
    store.create_table().await.unwrap();
    let world = World::new(Duration::from_secs(60));
    let server = &world.server;
    let grant = RefreshToken::new(SharedRefreshToken::new(store, SealingKeys::new(KEY), "consent"));
    let consent = server.consent(Consent::new("app", "alice")).unwrap();
    grant.replace(&Platform::system(), consent).await.unwrap();
    let job = Job { every_ms: 50, fault, ..world.job(Store::Postgres { url: postgres.url(), lease_ms: LEASE }) };
    server.token_endpoint().next(Outage::stall());
    let holder = Worker::start(&job);
    until("the token is sent", Duration::from_secs(60), async || server.count().token_requests > 0).await;
    holder.kill();
    let next = Worker::start(&job);
    let looked = async || next.tally().failed > 0 || server.count().token_requests > 1;
    until("the next process looks", Duration::from_secs(60), looked).await;
    tokio::time::sleep(Duration::from_millis(LEASE * 2)).await;
    drop(next);
    server.count().refresh_tokens_reused
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn a_mark_outlives_the_holder_that_is_killed() {
    assert_eq!(spent_again(None).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn a_mark_that_is_lost_is_noticed() {
    assert!(spent_again(Some(Fault::LosesMarks)).await > 0);
}
