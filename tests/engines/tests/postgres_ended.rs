//! Rows of PostgreSQL that have ended are removed by the saves of others, and no others are.

#![allow(clippy::disallowed_methods, reason = "real servers, in real time")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use bearer_token::{
    platform::Platform,
    shared::{SealingKeys, SharedRefreshToken},
    store::{Leased, RefreshTokenStore, Saved, SharedStore, StoredToken, Version},
};
use bearer_token_postgres::PostgresStore;
use engines::{
    postgres_server::PostgresServer,
    records::{LIFE, TTL, granted, key},
    until,
    world::KEY,
};

const LIMIT: Duration = Duration::from_secs(60);
/// Rows of two days ago: with a record, with a lease, and with neither. Names are hashes.
const OLD: &str = "INSERT INTO bearer_token (key, record, ends, leased, fence)
    SELECT md5(n::text),
        CASE WHEN n % 3 = 0 THEN 'r'::bytea END,
        CASE WHEN n % 3 = 0 THEN now() - interval '2 days' END,
        CASE WHEN n % 3 = 1 THEN now() - interval '2 days' END,
        (extract(epoch FROM now() - interval '2 days') * 1000000)::bigint
    FROM generate_series(1, 500) AS n";
const ROWS: &str = "SELECT count(*) FROM bearer_token";

async fn server() -> (PostgresServer, PostgresStore) {
    let server = PostgresServer::start().await;
    let store = server.store();
    store.create_table().await.unwrap();
    server.query(OLD);
    (server, store)
}

/// A token of a fleet is saved.
async fn save(store: &PostgresStore, seen: Version) -> Version {
    let fence = granted(store, &key(1), seen).await;
    let Saved::Saved(version) = store.save(&key(1), b"record", LIFE, fence, seen).await.unwrap() else { panic!() };
    version
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn saves_remove_rows_that_ended_and_no_others() {
    let (server, store) = server().await;
    let token = SharedRefreshToken::new(store.clone(), SealingKeys::new(KEY), "consent");
    token.put(&Platform::system(), Some(&StoredToken::new("unspent"))).await.unwrap();
    // A lease without a record, one that was released, a record that ended today, and a token that was unused for years.
    let held = granted(&store, &key(2), Version::ABSENT).await;
    let released = granted(&store, &key(3), Version::ABSENT).await;
    store.release(&key(3), released).await.unwrap();
    let row = |number, ends: &str| {
        let fence = "(extract(epoch FROM now() - interval '4 years') * 1000000)::bigint";
        let key = key(number);
        server.query(&format!("INSERT INTO bearer_token VALUES ('{key}', 'r', 1, now() {ends}, {fence}, NULL)"));
    };
    row(4, "- interval '23 hours'");
    row(5, "+ interval '6 years'");
    let mut seen = save(&store, Version::ABSENT).await;
    // The token, and one for each of the five keys.
    let kept = "6";
    let begun = std::time::Instant::now();
    while server.query(ROWS) != kept {
        assert!(begun.elapsed() < LIMIT, "{} rows are left", server.query(ROWS));
        for _ in 0..50 {
            seen = save(&store, seen).await;
        }
    }
    for _ in 0..200 {
        seen = save(&store, seen).await;
    }
    assert_eq!(server.query(ROWS), kept);
    assert_eq!(store.remove_ended().await.unwrap(), 0);
    assert_eq!(token.load(&Platform::system()).await.unwrap(), Some(StoredToken::new("unspent")));
    let saved = store.save(&key(2), b"record", LIFE, held, Version::ABSENT).await.unwrap();
    assert_eq!(saved, Saved::Saved(Version::new(held.get())));
}

/// An administrator's job holds locks on all rows. Saves of other keys do not wait for the removal.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn rows_that_are_locked_are_left_and_hold_up_no_save() {
    let (server, store) = server().await;
    let locked = format!("SELECT 1 FROM bearer_token WHERE key <> '{}' FOR UPDATE", key(1));
    let locks = format!("BEGIN; SELECT count(*) FROM ({locked}) AS locked; SELECT pg_sleep(60)");
    let sleeping = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
    let wakes = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
    let mut seen = Version::ABSENT;
    std::thread::scope(|scope| {
        let locked = scope.spawn(|| server.query(&locks));
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(async {
                let is_locked = async || server.query(sleeping) != "0";
                until("the rows are locked", LIMIT, is_locked).await;
                for _ in 0..100 {
                    seen = tokio::time::timeout(LIMIT, save(&store, seen)).await.expect("a save waits for locks");
                }
                assert_eq!(server.query(ROWS), "501", "nothing that is locked was removed");
                server.query(wakes);
            });
        });
        // Its session was ended.
        drop(locked.join());
    });
}

/// A role whose commits may be lost writes nothing, so no other replica takes its record for saved.
#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_save_that_is_refused_for_its_settings_writes_nothing() {
    let (server, store) = server().await;
    server.query("CREATE ROLE hasty LOGIN");
    server.query("GRANT ALL ON bearer_token TO hasty");
    server.query("ALTER ROLE hasty SET synchronous_commit = off");
    let url = format!("postgres://hasty@127.0.0.1:{}/postgres", server.port());
    let hasty = PostgresStore::from_url(url).unwrap().test_server();
    let fence = granted(&store, &key(1), Version::ABSENT).await;
    let refused = hasty.save(&key(1), b"lost", LIFE, fence, Version::ABSENT).await.unwrap_err().to_string();
    assert!(refused.contains("`synchronous_commit`"), "{refused}");
    assert_eq!(store.read(&key(1)).await.unwrap(), None);
    assert!(matches!(store.lease(&key(1), Version::ABSENT, TTL).await.unwrap(), Leased::Held(_)));
    // The holder may still save over a sound session.
    let saved = store.save(&key(1), b"kept", LIFE, fence, Version::ABSENT).await.unwrap();
    assert_eq!(saved, Saved::Saved(Version::new(fence.get())));
}
