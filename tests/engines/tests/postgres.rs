//! `PostgresStore` on a real server.

#![allow(clippy::disallowed_methods, reason = "real servers, in real time")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use bearer_token::{
    TokenProvider,
    oauth::{ClientAuth, RefreshToken, TokenEndpoint},
    platform::Platform,
    shared::{SealingKeys, SharedRefreshToken},
    store::{Fence, Leased, Saved, SharedStore, Version},
};
use bearer_token_postgres::PostgresStore;
use bearer_token_testing::Consent;
use engines::{
    held::{Held, OneServer},
    postgres_server::PostgresServer,
    proxy::{Mode, Proxy},
    records::{LIFE, TTL, granted, key},
    until,
    world::{KEY, World},
};

static SERVER: OneServer<PostgresServer> = OneServer::new();

async fn held() -> Held<PostgresStore, PostgresServer> {
    let server = SERVER.get(PostgresServer::start()).await;
    let store = server.store();
    store.create_table().await.unwrap();
    Held(store, server)
}

mod contract {
    bearer_token_testing::store_contract!(
        #[ignore = "needs PostgreSQL"]
        super::held
    );
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_killed_server_has_everything_that_it_acknowledged() {
    let mut server = PostgresServer::start().await;
    let store = server.store();
    store.create_table().await.unwrap();
    let first = granted(&store, &key(1), Version::ABSENT).await;
    assert!(matches!(store.save(&key(1), b"record", LIFE, first, Version::ABSENT).await.unwrap(), Saved::Saved(_)));
    let second = granted(&store, &key(1), Version::new(first.get())).await;
    server.kill();
    // The process that serves this connection ends a moment later.
    let limit = Duration::from_secs(10);
    until("the end of the server", limit, async || store.read(&key(1)).await.is_err()).await;
    server.restart().await;
    let read = store.read(&key(1)).await.unwrap().unwrap();
    assert_eq!(read.record, b"record");
    let third = store.lease(&key(1), read.version, TTL).await.unwrap();
    assert!(matches!(third, Leased::Held(_)), "the lease of {second:?} outlives the crash: {third:?}");
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_row_with_an_endless_time_is_unusable_for_its_own_key() {
    let Held(store, server) = held().await;
    let fence = granted(&store, &key(20), Version::ABSENT).await;
    store.save(&key(20), b"MARKER", LIFE, fence, Version::ABSENT).await.unwrap();
    server.query(&format!("UPDATE bearer_token SET ends = 'infinity' WHERE key = '{}'", key(20)));
    for error in
        [store.read(&key(20)).await.unwrap_err(), store.lease(&key(20), Version::ABSENT, TTL).await.unwrap_err()]
    {
        let text = format!("{error} {error:?}");
        assert!(text.contains("the row of this key") && text.contains("is_for_this_key: true"), "{text}");
        assert!(!text.contains("MARKER"), "{text}");
    }
    assert_eq!(store.read(&key(21)).await.unwrap(), None);
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_connection_that_hangs_is_replaced() {
    let Held(_, server) = held().await;
    let proxy = Proxy::start(server.port()).await;
    let url = format!("postgres://postgres@127.0.0.1:{}/postgres", proxy.port());
    let store = PostgresStore::from_url(url).unwrap().test_server();
    let bound = Duration::from_millis(500);
    let read = async || tokio::time::timeout(bound, store.read(&key(9))).await;
    until("the first connection", Duration::from_secs(10), async || matches!(read().await, Ok(Ok(_)))).await;
    for mode in [Mode::BlackHole, Mode::RequestsOnly, Mode::ResponsesOnly, Mode::Cut] {
        proxy.set(mode);
        assert!(!matches!(read().await, Ok(Ok(_))), "{mode:?}");
        proxy.set(Mode::Pass);
        // What had hung is given up at the next call, or at the one after it.
        let mut answers = false;
        for _ in 0..5 {
            answers = answers || matches!(read().await, Ok(Ok(_)));
        }
        assert!(answers, "{mode:?}");
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn commits_that_are_not_durable_count_as_down() {
    let Held(sound, server) = held().await;
    server.query("CREATE ROLE hasty LOGIN");
    server.query("GRANT ALL ON bearer_token TO hasty");
    let hasty_store = || {
        let url = format!("postgres://hasty@127.0.0.1:{}/postgres", server.port());
        PostgresStore::from_url(url).unwrap().test_server()
    };
    let error = async || hasty_store().read(&key(1)).await.unwrap_err().to_string();
    for (number, setting, lost_by) in [(30, "off", "a crash may"), (31, "local", "a failover may")] {
        server.query(&format!("ALTER ROLE hasty SET synchronous_commit = {setting}"));
        let hasty = error().await;
        assert!(hasty.contains("synchronous_commit") && hasty.contains(lost_by), "{setting}: {hasty}");
        // Another session may be sound. It need not wait for a lease that was refused here.
        hasty_store().lease(&key(number), Version::ABSENT, TTL).await.unwrap_err();
        granted(&sound, &key(number), Version::ABSENT).await;
    }
    // A role that may not read the table is told so.
    server.query("ALTER ROLE hasty SET synchronous_commit = on");
    server.query("REVOKE ALL ON bearer_token FROM hasty");
    let barred = error().await;
    assert!(barred.contains("grant this user SELECT"), "{barred}");
}

/// Every step of this store is refused with these words.
async fn every_step_names(store: &PostgresStore, fence: Fence, setting: &str) {
    let errors = [
        store.read(&key(1)).await.err(),
        store.read(&key(2)).await.err(),
        store.lease(&key(2), Version::ABSENT, Duration::from_millis(1)).await.err(),
        store.save(&key(1), b"MARKER", LIFE, fence, Version::ABSENT).await.err(),
    ];
    for error in errors {
        let text = error.unwrap_or_else(|| panic!("{setting} was accepted")).to_string();
        assert!(text.contains(setting) && !text.contains("MARKER"), "{setting}: {text}");
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn settings_that_may_lose_writes_are_refused_unless_accepted() {
    let server = PostgresServer::start().await;
    let (test, strict) = (server.store(), PostgresStore::from_url(server.url()).unwrap());
    let whole_pages = strict.clone().whole_pages();
    test.create_table().await.unwrap();
    let fence = granted(&test, &key(1), Version::ABSENT).await;
    let accepts = async |store: &PostgresStore| drop(store.read(&key(1)).await.unwrap());
    for strict in [&strict, &whole_pages] {
        every_step_names(strict, fence, "`fsync`").await;
    }
    server.set("fsync", "on").await;
    accepts(&strict).await;

    server.set("full_page_writes", "off").await;
    every_step_names(&strict, fence, "`full_page_writes`").await;
    accepts(&whole_pages).await;
    accepts(&test).await;
    server.set("full_page_writes", "on").await;

    server.query("ALTER TABLE bearer_token SET UNLOGGED");
    for strict in [&strict, &whole_pages] {
        every_step_names(strict, fence, "SET LOGGED").await;
    }
    accepts(&test).await;
    server.query("ALTER TABLE bearer_token SET LOGGED");
    accepts(&strict).await;

    // A partition may be unlogged while its table is not.
    server.query("CREATE TABLE parted (LIKE bearer_token INCLUDING ALL) PARTITION BY HASH (key)");
    server.query("CREATE UNLOGGED TABLE part PARTITION OF parted FOR VALUES WITH (MODULUS 1, REMAINDER 0)");
    let parted = strict.clone().table("parted").unwrap();
    let refused = parted.lease(&key(1), Version::ABSENT, TTL).await.unwrap_err().to_string();
    assert!(refused.contains("SET LOGGED"), "{refused}");
    server.query("ALTER TABLE part SET LOGGED");
    accepts(&parted).await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn no_refresh_token_is_sent_while_the_disk_is_not_waited_for() {
    let (server, world) = (PostgresServer::start().await, World::new(LIFE));
    server.store().create_table().await.unwrap();
    let grant = |store| RefreshToken::new(SharedRefreshToken::new(store, SealingKeys::new(KEY), "consent"));
    let consent = world.server.consent(Consent::new("app", "alice")).unwrap();
    grant(server.store()).replace(&Platform::system(), consent).await.unwrap();
    let provider = |store| {
        let endpoint = TokenEndpoint::builder(world.server.token_url(), grant(store));
        TokenProvider::builder(endpoint.client_auth(ClientAuth::public("app")).build().unwrap()).build().unwrap()
    };
    let strict = || provider(PostgresStore::from_url(server.url()).unwrap());
    let error = strict().token().await.unwrap_err();
    assert!(format!("{error:#}").contains("`fsync`"), "{error:#}");
    assert_eq!(world.requests(), 0);
    server.set("fsync", "on").await;
    strict().token().await.unwrap();
    assert_eq!(world.requests(), 1);
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn another_table_is_named_and_created() {
    let Held(store, server) = held().await;
    server.query("CREATE SCHEMA IF NOT EXISTS auth");
    let store = store.table("auth.tokens").unwrap();
    let missing = store.read(&key(1)).await.unwrap_err().to_string();
    assert!(missing.contains("create_table"), "{missing}");
    store.create_table().await.unwrap();
    assert_eq!(store.read(&key(1)).await.unwrap(), None);
    server.query("INSERT INTO auth.tokens VALUES ('old', 'r', 1, now() - interval '2 days', 1, NULL)");
    assert_eq!(store.remove_ended().await.unwrap(), 1);
    for wrong in ["a;b", "A", "a.b.c", "", "a b", "\"a\""] {
        assert!(server.store().table(wrong).is_err(), "{wrong}");
    }
}
