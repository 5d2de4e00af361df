//! The section `shared` of a configuration, on a real server.

#![allow(clippy::disallowed_methods, reason = "real servers, in real time")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]

use bearer_token_config::ProviderConfig;
use bearer_token_testing::{AuthorizationServer, Client};
use engines::redis_server::RedisServer;
use tempfile::NamedTempFile;

const KEY: &str = "bWFrZSB0aGlzIHdpdGggb3BlbnNzbCByYW5kIC1iNjQ=\n";

#[tokio::test]
#[ignore = "needs redis-server"]
async fn five_lines_share_a_token_on_redis() {
    let (server, redis) = (AuthorizationServer::start().unwrap(), RedisServer::start().await);
    server.register(Client::secret("fleet", "MARKER-secret"));
    let keys = NamedTempFile::new().unwrap();
    std::fs::write(keys.path(), KEY).unwrap();
    let text = format!(
        "token_endpoint.url = '{}'\n\
         token_endpoint.client = {{ id = 'fleet', secret = 'MARKER-secret' }}\n\
         [shared]\n\
         url = '{}/3'\n\
         key = {{ file = '{}' }}\n",
        server.token_url(),
        redis.url(),
        keys.path().display()
    );
    let replica = || ProviderConfig::from_toml(&text).unwrap().build().unwrap();
    let first = replica().token().await.unwrap();
    for _ in 0..3 {
        assert_eq!(replica().token().await.unwrap().secret(), first.secret());
    }
    assert_eq!(server.count().token_requests, 1);
    // The record is in the database that the URL names.
    let keyspace = redis.command::<String>(&["INFO", "keyspace"]).await.unwrap();
    assert!(keyspace.contains("db3:keys=1") && !keyspace.contains("db0"), "{keyspace}");
}
