//! `RedisStore` on a real server.

#![allow(clippy::disallowed_methods, reason = "real servers, in real time")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use bearer_token::{
    AccessToken, FetchContext, TokenProvider,
    shared::{Fleet, SealingKeys},
    store::{Fence, Saved, SharedStore, StoreKey, Version},
};
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
async fn fields_that_are_no_numbers_are_replaced_by_the_next_save() {
    let server = RedisServer::start().await;
    let store = RedisStore::from_url(server.url()).unwrap();
    let name = format!("bearer-token:{}", key(1));
    for field in ["until", "version", "fence", "leased"] {
        for garbage in ["", "garbage", "nan", "-1", "1e300", "99999999999999999999"] {
            let fence = granted(&store, &key(1), Version::ABSENT).await;
            let Saved::Saved(_) = store.save(&key(1), b"record", LIFE, fence, Version::ABSENT).await.unwrap() else {
                panic!("{field} {garbage}")
            };
            server.command::<u64>(&["HSET", &name, field, garbage]).await.unwrap();
            let found = store.read(&key(1)).await.unwrap();
            assert_eq!(found.is_some(), matches!(field, "fence" | "leased"), "{field} {garbage}");
            let seen = found.map_or(Version::ABSENT, |found| found.version);
            let next = granted(&store, &key(1), seen).await;
            let saved = store.save(&key(1), b"next", LIFE, next, seen).await.unwrap();
            assert!(matches!(saved, Saved::Saved(_)), "{field} {garbage}: {saved:?}");
            assert_eq!(store.read(&key(1)).await.unwrap().unwrap().record, b"next");
            server.command::<u64>(&["DEL", &name]).await.unwrap();
        }
    }
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_value_of_another_type_suspends_only_its_own_key() {
    let server = RedisServer::start().await;
    let store = RedisStore::from_url(server.url()).unwrap();
    let source = |name: &str, requests: &Arc<AtomicUsize>| {
        let keys = SealingKeys::new("bWFrZSB0aGlzIHdpdGggb3BlbnNzbCByYW5kIC1iNjQ=");
        let fleet = Fleet::builder(store.clone(), keys).build().unwrap();
        let requests = requests.clone();
        let source = fleet.share_as(name, move |_cx: FetchContext| {
            requests.fetch_add(1, Ordering::Relaxed);
            async { Ok(AccessToken::new("token").expires_in(LIFE)) }
        });
        TokenProvider::builder(source).build().unwrap()
    };
    // The name of the record is known once it is there.
    let requests = Arc::default();
    source("bad", &requests).token().await.unwrap();
    let names = server.command::<Vec<String>>(&["KEYS", "*"]).await.unwrap();
    server.command::<u64>(&["DEL", &names[0]]).await.unwrap();
    server.command::<u64>(&["RPUSH", &names[0], "MARKER"]).await.unwrap();
    for _ in 0..4 {
        source("bad", &requests).token().await.unwrap();
    }
    assert_eq!(requests.load(Ordering::Relaxed), 5, "each fetches for itself");
    let others = Arc::default();
    for _ in 0..4 {
        source("good", &others).token().await.unwrap();
    }
    assert_eq!(others.load(Ordering::Relaxed), 1);

    let bad = StoreKey::new(bytes_of(names[0].strip_prefix("bearer-token:").unwrap()));
    let error = store.read(&bad).await.unwrap_err().to_string();
    assert!(error.contains("another type") && !error.contains("MARKER"), "{error}");
    store.lease(&bad, Version::ABSENT, LIFE).await.unwrap_err();
    store.release(&bad, Fence::new(1)).await.unwrap();
}

fn bytes_of(digits: &str) -> [u8; 32] {
    std::array::from_fn(|index| u8::from_str_radix(&digits[index * 2..index * 2 + 2], 16).unwrap())
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
