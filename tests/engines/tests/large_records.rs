//! Records that are longer than any that is saved. Another program has written them, and they stay in the server.

#![allow(clippy::disallowed_methods, reason = "real servers, in real time")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]

use bearer_token::{
    AccessToken, FetchContext, TokenProvider,
    oauth::RefreshToken,
    platform::Platform,
    shared::{Fleet, SealingKeys, SharedRefreshToken},
    store::{Fence, MemorySharedStore, Saved, SharedStore, StoreKey, Version},
};
use bearer_token_redis::RedisStore;
use engines::{
    postgres_server::PostgresServer,
    records::{LIFE, TTL, granted, key},
    redis_server::RedisServer,
    world::KEY,
};

const LIMIT: usize = MemorySharedStore::MAX_RECORD;

/// Saves a record of this size, as a program could that does not keep the limit.
async fn plant(store: &impl SharedStore, key: &StoreKey, size: usize) -> (Fence, Version) {
    let fence = granted(store, key, Version::ABSENT).await;
    match store.save(key, &vec![7; size], LIFE, fence, Version::ABSENT).await.unwrap() {
        Saved::Saved(version) => (fence, version),
        other => panic!("expected a save, found {other:?}"),
    }
}

/// No answer has the record, and a replica that has seen its version replaces it.
async fn stays_in_the_server(store: &impl SharedStore, advice: &str) {
    let most = key(1);
    plant(store, &most, LIMIT).await;
    assert_eq!(store.read(&most).await.unwrap().unwrap().record.len(), LIMIT);
    let large = key(2);
    let (fence, version) = plant(store, &large, LIMIT + 1).await;
    let errors = [
        store.read(&large).await.map(drop).unwrap_err(),
        store.lease(&large, Version::ABSENT, TTL).await.map(drop).unwrap_err(),
        store.save(&large, b"r", LIFE, fence, Version::ABSENT).await.map(drop).unwrap_err(),
    ];
    for error in errors {
        let text = error.to_string();
        assert!(text.contains("larger than 64 KiB") && text.contains(advice), "{text}");
        assert!(text.contains(large.as_str()), "the key can be found: {text}");
    }
    store.release(&large, fence).await.unwrap();
    let fence = granted(store, &large, version).await;
    assert!(matches!(store.save(&large, b"r", LIFE, fence, version).await.unwrap(), Saved::Saved(_)));
    assert_eq!(store.read(&large).await.unwrap().unwrap().record, b"r");
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_large_record_stays_in_redis() {
    let server = RedisServer::start().await;
    stays_in_the_server(&RedisStore::from_url(server.url()).unwrap(), "delete the key bearer-token:").await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_large_record_stays_in_postgres() {
    let server = PostgresServer::start().await;
    let store = server.store();
    store.create_table().await.unwrap();
    stays_in_the_server(&store, "delete the row of bearer_token").await;
}

/// A version is sent back with the record, so it is not long either.
#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_long_version_makes_a_record_absent() {
    let server = RedisServer::start().await;
    let store = RedisStore::from_url(server.url()).unwrap();
    plant(&store, &key(1), 10).await;
    let long = format!("{}1", "0".repeat(LIMIT));
    server.command::<u64>(&["HSET", &format!("bearer-token:{}", key(1)), "version", &long]).await.unwrap();
    assert_eq!(store.read(&key(1)).await.unwrap(), None);
}

/// An access token is fetched without the record. A refresh token is not sent, and the error says what to delete.
#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_replica_goes_on_beside_a_large_record() {
    let server = RedisServer::start().await;
    let store = RedisStore::from_url(server.url()).unwrap();
    let fetch = async || {
        let fleet = Fleet::builder(store.clone(), SealingKeys::new(KEY)).build().unwrap();
        let source = |_cx: FetchContext| async { Ok(AccessToken::new("token").expires_in(LIFE)) };
        let provider = TokenProvider::builder(fleet.share_as("orders", source)).build().unwrap();
        assert_eq!(provider.token().await.unwrap().secret(), "token");
    };
    let large = "r".repeat(LIMIT + 1);
    let enlarge = async || {
        for name in server.command::<Vec<String>>(&["KEYS", "*"]).await.unwrap() {
            server.command::<u64>(&["HSET", &name, "record", &large]).await.unwrap();
        }
    };
    fetch().await;
    enlarge().await;
    fetch().await;
    let held = SharedRefreshToken::new(store.clone(), SealingKeys::new(KEY), "consent");
    let (grant, platform) = (RefreshToken::new(held), Platform::system());
    grant.replace(&platform, "1").await.unwrap();
    enlarge().await;
    let error = format!("{:?}", grant.replace(&platform, "2").await.unwrap_err());
    assert!(error.contains("larger than 64 KiB; delete the key bearer-token:"), "{error}");
}
