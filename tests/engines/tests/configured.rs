//! The section `shared` of a configuration, on real servers.

#![allow(clippy::disallowed_methods, reason = "real servers, in real time")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use bearer_token::platform::Platform;
use bearer_token_config::ProviderConfig;
use bearer_token_testing::Consent;
use engines::{postgres_server::PostgresServer, redis_server::RedisServer, world::World};

/// A lifetime that no test sees the end of.
const LIFETIME: Duration = Duration::from_secs(600);

/// Replicas that are configured.
struct Replicas(World);

impl Replicas {
    fn new() -> Self {
        Replicas(World::new(LIFETIME))
    }

    /// A replica of the program.
    fn config(&self, client: &str, url: &str) -> ProviderConfig {
        let durability = if url.starts_with("postgres:") { "shared.test_server = true\n" } else { "" };
        let text = format!(
            "{client}\n\
             token_endpoint.url = '{}'\n\
             shared.url = '{url}'\n\
             shared.key = {{ file = '{}' }}\n\
             {durability}",
            self.0.server.token_url(),
            self.0.keys.path().display()
        );
        ProviderConfig::from_toml(&text).unwrap()
    }

    async fn replicas_share_a_token(&self, url: &str) {
        let replica =
            || self.config("token_endpoint.client = { id = 'fleet', secret = 'MARKER-secret' }", url).build().unwrap();
        let first = replica().token().await.unwrap();
        for _ in 0..3 {
            assert_eq!(replica().token().await.unwrap().secret(), first.secret());
        }
        assert_eq!(self.0.server.count().token_requests, 1);
    }
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn five_lines_share_a_token_on_redis() {
    let redis = RedisServer::start().await;
    Replicas::new().replicas_share_a_token(&format!("{}/3", redis.url())).await;
    // The record is in the database that the URL names.
    let keyspace = redis.command::<String>(&["INFO", "keyspace"]).await.unwrap();
    assert!(keyspace.contains("db3:keys=1") && !keyspace.contains("db0"), "{keyspace}");
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn five_lines_share_a_token_on_postgresql() {
    let postgres = PostgresServer::start().await;
    postgres.store().create_table().await.unwrap();
    Replicas::new().replicas_share_a_token(&postgres.url()).await;
    assert_eq!(postgres.query("SELECT count(*) FROM bearer_token WHERE record IS NOT NULL"), "1");
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_configured_refresh_token_is_spent_once_by_all_replicas() {
    let (world, postgres) = (Replicas::new(), PostgresServer::start().await);
    postgres.store().create_table().await.unwrap();
    let client = "shared.name = 'reports of alice'\nrefresh_token.shared = true\ntoken_endpoint.client.id = 'app'";
    let config = || world.config(client, &postgres.url());
    let consent = world.0.server.consent(Consent::new("app", "alice")).unwrap();
    config().refresh_token().unwrap().replace(&Platform::system(), consent).await.unwrap();
    let replicas = [config().build().unwrap(), config().build().unwrap(), config().build().unwrap()];
    let first = replicas[0].token().await.unwrap();
    for replica in &replicas {
        assert_eq!(replica.token().await.unwrap().secret(), first.secret(), "the access token is shared as well");
    }
    // Each of them spends the refresh token that another one got.
    for replica in replicas.iter().cycle().take(9) {
        replica.refresh_now().await.unwrap();
    }
    let count = world.0.server.count();
    assert_eq!((count.tokens_issued, count.refresh_tokens_reused), (10, 0), "{count:?}");
}
