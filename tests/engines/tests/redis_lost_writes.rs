//! Redis has lost its last writes, as after a failover: a process sends no refresh token that it knows to be used up.

#![allow(clippy::disallowed_methods, reason = "real servers, in real time")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use bearer_token::{
    TokenProvider,
    oauth::{ClientAuth, RefreshToken, TokenEndpoint},
    platform::Platform,
    shared::{SealingKeys, SharedRefreshToken},
};
use bearer_token_redis::RedisStore;
use bearer_token_testing::Consent;
use engines::{
    redis_server::RedisServer,
    world::{KEY, World},
};

/// The server accepts a used token again for this time, as the settings say. It does not, so each reuse is noticed.
const PERIOD: Duration = Duration::from_millis(100);

fn grant(server: &RedisServer) -> RefreshToken {
    let store = RedisStore::from_url(server.url()).unwrap();
    RefreshToken::new(SharedRefreshToken::new(store, SealingKeys::new(KEY), "consent").reusable_within(PERIOD))
}

/// A process.
fn provider(world: &World, server: &RedisServer) -> TokenProvider {
    let endpoint = TokenEndpoint::builder(world.server.token_url(), grant(server));
    TokenProvider::builder(endpoint.client_auth(ClientAuth::public("app")).build().unwrap()).build().unwrap()
}

/// The record, as the node has it that takes over.
async fn record(server: &RedisServer) -> (String, Vec<u8>) {
    let keys: Vec<String> = server.command(&["KEYS", "*"]).await.unwrap();
    let [key] = &keys[..] else { panic!("{keys:?}") };
    (key.clone(), server.command(&["DUMP", key]).await.unwrap())
}

async fn loses(server: &RedisServer, (key, dump): &(String, Vec<u8>)) {
    let client = redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut restore = redis::cmd("RESTORE");
    let _: String = restore.arg(key).arg(0).arg(&dump[..]).arg("REPLACE").query_async(&mut connection).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server"]
async fn a_process_that_knows_the_successor_goes_on_with_it() {
    let (server, world) = (RedisServer::start().await, World::new(Duration::from_secs(60)));
    let consent = world.server.consent(Consent::new("app", "alice")).unwrap();
    grant(&server).replace(&Platform::system(), consent).await.unwrap();
    let before = record(&server).await;
    let process = provider(&world, &server);
    process.token().await.unwrap();
    for _ in 0..3 {
        loses(&server, &before).await;
        process.refresh_now().await.unwrap();
    }
    // And after an empty start.
    server.command::<String>(&["FLUSHALL"]).await.unwrap();
    process.refresh_now().await.unwrap();
    // What it puts back serves the others.
    provider(&world, &server).token().await.unwrap();
    let count = world.server.count();
    assert_eq!((count.refresh_tokens_reused, count.tokens_issued), (0, 6), "{count:?}");

    // The danger is real: a new process has the store's word alone.
    loses(&server, &before).await;
    provider(&world, &server).token().await.unwrap_err();
    assert_eq!(world.server.count().refresh_tokens_reused, 1);
}
