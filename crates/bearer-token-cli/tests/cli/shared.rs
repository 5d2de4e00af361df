//! The command with a store that replicas share, on real servers that only speak TLS.

use std::path::Path;

use bearer_token_postgres::PostgresStore;
use bearer_token_testing::{AuthorizationServer, Client};
use engines::tls::{self, Files};

use crate::{Config, Ended, command, ended};

/// A fleet whose store is at this URL.
fn config(server: &AuthorizationServer, store: &str) -> Config {
    server.register(Client::secret("fleet", "MARKER-secret"));
    Config::new(
        "shared.toml",
        format!(
            "token_endpoint.url = '{}'\n\
             token_endpoint.client = {{ id = 'fleet', secret = 'MARKER-secret' }}\n\
             shared.url = '{store}'\n\
             shared.key = {{ value = 'bWFrZSB0aGlzIHdpdGggb3BlbnNzbCByYW5kIC1iNjQ=' }}\n",
            server.token_url()
        ),
    )
}

/// The token of a process that trusts this CA.
async fn token(config: &Config, ca: &Path) -> Ended {
    let mut command = command(&["token", "--config", &config.path]);
    command.env("SSL_CERT_FILE", ca);
    ended(command).await
}

/// Two processes that trust the CA share a token, and one that does not trust it fetches one for itself.
async fn shares_by_tls(store: &str, files: &Files) {
    let server = AuthorizationServer::start().unwrap();
    let config = config(&server, store);
    let first = token(&config, &files.ca).await;
    first.assert_status(0);
    for _ in 0..3 {
        assert_eq!(token(&config, &files.ca).await.out, first.out);
    }
    assert_eq!(server.count().token_requests, 1);
    let other = tempfile::tempdir().unwrap();
    let alone = token(&config, &Files::make(other.path()).ca).await;
    alone.assert_status(0);
    assert_ne!(alone.out, first.out);
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_token_is_shared_on_redis_by_tls() {
    let directory = tempfile::tempdir().unwrap();
    let files = Files::make(directory.path());
    let (server, port) = tls::redis(&files).await;
    shares_by_tls(&format!("rediss://localhost:{port}"), &files).await;
    drop(server);
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_token_is_shared_on_postgresql_by_tls() {
    let directory = tempfile::tempdir().unwrap();
    let files = Files::make(directory.path());
    let server = tls::postgres(&files).await;
    PostgresStore::from_url(server.url()).unwrap().create_table().await.unwrap();
    shares_by_tls(&format!("{}?sslmode=require", server.url().replace("127.0.0.1", "localhost")), &files).await;
}
