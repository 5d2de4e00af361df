//! A standby of PostgreSQL is promoted: whether it has the refresh token that was used last.

#![allow(clippy::disallowed_methods, reason = "real servers and processes, in real time")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use bearer_token::{
    TokenProvider,
    oauth::{ClientAuth, RefreshToken, TokenEndpoint},
    platform::Platform,
    shared::{SealingKeys, SharedRefreshToken},
};
use bearer_token_postgres::PostgresStore;
use bearer_token_testing::Consent;
use engines::{
    fleet::Worker,
    job::{Job, Store},
    postgres_server::PostgresServer,
    until,
    world::{KEY, World},
};

const LEASE: u64 = 1500;
const LIMIT: Duration = Duration::from_secs(30);

/// The number of runs: `CHAOS_RUNS`, or a few.
fn runs() -> u64 {
    std::env::var("CHAOS_RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(3)
}

/// A primary server with a table, and its standby.
async fn both() -> (PostgresServer, PostgresServer) {
    let primary = PostgresServer::start().await;
    primary.store().create_table().await.unwrap();
    let standby = primary.standby().await;
    (primary, standby)
}

/// The URL of whichever of the two accepts writes.
fn url(primary: &PostgresServer, standby: &PostgresServer) -> String {
    format!("postgres://postgres@127.0.0.1:{},127.0.0.1:{}/postgres", primary.port(), standby.port())
}

async fn is_synchronous(primary: &PostgresServer) {
    primary.set("synchronous_standby_names", "standby").await;
    let state = async || primary.query("SELECT sync_state FROM pg_stat_replication") == "sync";
    until("the standby is synchronous", LIMIT, state).await;
}

fn grant(store: PostgresStore) -> RefreshToken {
    RefreshToken::new(SharedRefreshToken::new(store, SealingKeys::new(KEY), "consent"))
}

fn provider(world: &World, store: PostgresStore) -> TokenProvider {
    let endpoint = TokenEndpoint::builder(world.server.token_url(), grant(store));
    TokenProvider::builder(endpoint.client_auth(ClientAuth::public("app")).build().unwrap()).build().unwrap()
}

/// Processes spend refresh tokens all the time, while the primary server is killed and the standby is promoted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn no_refresh_token_is_spent_twice_across_a_promotion() {
    let (mut before, mut after) = (0, 0);
    for run in 0..runs() {
        let (mut primary, standby) = both().await;
        is_synchronous(&primary).await;
        let (world, url) = (World::new(Duration::from_secs(60)), url(&primary, &standby));
        let consent = world.server.consent(Consent::new("app", "alice")).unwrap();
        let store = PostgresStore::from_url(&url).unwrap().test_server().synchronous_standby();
        grant(store.clone()).replace(&Platform::system(), consent).await.unwrap();
        let job = Job { every_ms: 5, ..world.job(Store::Postgres { url, lease_ms: LEASE }) };
        let workers: Vec<_> = (0..4).map(|_| Worker::start(&job)).collect();
        let spent = || world.server.count().tokens_issued;
        until("some tokens are spent", LIMIT, async || spent() > 10 + fastrand::u64(..20)).await;
        primary.kill();
        let at_kill = spent();
        standby.promote();
        // The holder of the last token may have been cut off between its use and its save. Then the consent has to be
        // given again, and no token is sent twice in the meantime.
        tokio::time::sleep(Duration::from_millis(LEASE * 2)).await;
        let consent = world.server.consent(Consent::new("app", "alice")).unwrap();
        let test = PostgresStore::from_url(standby.url()).unwrap().test_server();
        grant(test).replace(&Platform::system(), consent).await.unwrap();
        let replaced = spent();
        until("tokens are spent on the promoted server", LIMIT, async || spent() > replaced + 10).await;
        drop(workers);
        let count = world.server.count();
        assert_eq!(count.refresh_tokens_reused, 0, "run {run}: {count:?}");
        (before, after) = (before + at_kill, after + spent() - at_kill);
        // It has no standby of its own yet.
        let refused = provider(&world, store).token().await.unwrap_err();
        assert!(format!("{refused:#}").contains("`synchronous_standby_names`"), "{refused:#}");
    }
    println!("{} promotions: {before} refresh tokens spent before them, {after} after, none twice", runs());
}

/// Without a synchronous standby, a promotion brings an old token back. A store that asks for one sends none at all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn without_a_synchronous_standby_no_token_is_sent() {
    let (mut primary, mut standby) = both().await;
    let world = World::new(Duration::from_secs(60));
    let url = url(&primary, &standby);
    let store = || PostgresStore::from_url(&url).unwrap().test_server();
    let consent = world.server.consent(Consent::new("app", "alice")).unwrap();
    grant(store()).replace(&Platform::system(), consent).await.unwrap();
    let error = provider(&world, store().synchronous_standby()).token().await.unwrap_err();
    assert!(format!("{error:#}").contains("`synchronous_standby_names`"), "{error:#}");
    assert_eq!(world.requests(), 0);

    // The danger is real: the standby misses what comes now.
    provider(&world, store()).token().await.unwrap();
    let same = "SELECT encode(record, 'hex') FROM bearer_token";
    until("the standby has it", LIMIT, async || primary.query(same) == standby.query(same)).await;
    standby.kill();
    provider(&world, store()).token().await.unwrap();
    assert_eq!(world.server.count().refresh_tokens_reused, 0);
    primary.kill();
    standby.restart().await;
    standby.promote();
    let promoted = PostgresStore::from_url(standby.url()).unwrap().test_server();
    provider(&world, promoted).token().await.unwrap_err();
    assert_eq!(world.server.count().refresh_tokens_reused, 1, "the old token was sent again");
}
