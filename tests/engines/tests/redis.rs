//! `RedisStore` on a real server.

#![allow(clippy::disallowed_methods, reason = "real servers, in real time")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]

use bearer_token::store::{Saved, SharedStore, Version};
use bearer_token_redis::RedisStore;
use engines::{
    held::{Held, OneServer},
    records::{LIFE, granted, key},
    redis_server::RedisServer,
};

static SERVER: OneServer<RedisServer> = OneServer::new();

async fn held() -> Held<RedisStore, RedisServer> {
    let server = SERVER.get(RedisServer::start()).await;
    Held(RedisStore::from_url(server.url()).unwrap(), server)
}

mod contract {
    bearer_token_testing::store_contract!(
        #[ignore = "needs redis-server"]
        super::held
    );
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_restarted_empty_server_grants_later_fences() {
    let mut server = RedisServer::start().await;
    let store = RedisStore::from_url(server.url()).unwrap();
    let before = granted(&store, &key(1), Version::ABSENT).await;
    server.restart().await;
    // The connection was broken, which the first read notices.
    assert_eq!(store.read(&key(1)).await.unwrap(), None);
    let after = granted(&store, &key(1), Version::ABSENT).await;
    assert!(after > before, "{before:?} {after:?}");
    assert_eq!(store.save(&key(1), b"late", LIFE, before, Version::ABSENT).await.unwrap(), Saved::Fenced);
    // Scripts are sent again after the server forgot them.
    server.command::<String>(&["SCRIPT", "FLUSH"]).await.unwrap();
    let saved = store.save(&key(1), b"record", LIFE, after, Version::ABSENT).await.unwrap();
    assert_eq!(saved, Saved::Saved(Version::new(after.get())));
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_record_that_outlived_the_server_is_accepted_from_its_holder() {
    let mut server = RedisServer::start().await;
    let store = RedisStore::from_url(server.url()).unwrap();
    let fence = granted(&store, &key(1), Version::ABSENT).await;
    server.restart().await;
    assert_eq!(store.read(&key(1)).await.unwrap(), None);
    // The server has forgotten the lease, and no later one was granted: the token is not wasted.
    let saved = store.save(&key(1), b"record", LIFE, fence, Version::ABSENT).await.unwrap();
    assert!(matches!(saved, Saved::Saved(_)), "{saved:?}");
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn nothing_is_kept_for_ever() {
    let server = RedisServer::start().await;
    let store = RedisStore::from_url(server.url()).unwrap().prefix("p:");
    let fence = granted(&store, &key(1), Version::ABSENT).await;
    let left = async || server.command::<u64>(&["PTTL", &format!("p:{}", key(1))]).await.unwrap();
    assert!((3_600_000..=3_615_000).contains(&left().await), "{}", left().await);
    store.save(&key(1), b"record", LIFE, fence, Version::ABSENT).await.unwrap();
    assert!((7_190_000..=7_200_000).contains(&left().await), "{}", left().await);
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_server_that_is_gone_is_down_and_shows_no_password() {
    let mut server = RedisServer::start().await;
    server.command::<String>(&["CONFIG", "SET", "requirepass", "MARKER"]).await.unwrap();
    let port = server.port();
    let errors = async |url: String| {
        let error = RedisStore::from_url(url).unwrap().read(&key(1)).await.unwrap_err();
        format!("{error} {error:?}")
    };
    let wrong = errors(format!("redis://user:MARKERwrong@127.0.0.1:{port}")).await;
    assert!(wrong.contains("correct the user or the password") && !wrong.contains("MARKER"), "{wrong}");
    server.kill();
    let gone = errors(format!("redis://:MARKER@127.0.0.1:{port}")).await;
    assert!(gone.contains("refused") && !gone.contains("MARKER"), "{gone}");
}
