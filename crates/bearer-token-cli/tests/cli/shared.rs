//! The command with a store that replicas share, on real servers that only speak TLS.

use std::path::Path;

use bearer_token_testing::{AuthorizationServer, Client};
use engines::tls::{self, Files};

use crate::{Config, Ended, command, ended};

/// A fleet whose store is at this URL.
fn config(server: &AuthorizationServer, store: &str) -> Config {
    server.register(Client::secret("fleet", "MARKER-secret"));
    let durability = if store.starts_with("postgres:") { "shared.test_server = true\n" } else { "" };
    Config::new(
        "shared.toml",
        format!(
            "token_endpoint.url = '{}'\n\
             token_endpoint.client = {{ id = 'fleet', secret = 'MARKER-secret' }}\n\
             shared.url = '{store}'\n\
             shared.key = {{ value = 'bWFrZSB0aGlzIHdpdGggb3BlbnNzbCByYW5kIC1iNjQ=' }}\n\
             {durability}",
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

/// Processes that trust the CA share a token, and those that do not trust it fetch one each.
///
/// A new process has 95 ms for its TLS connection to the store. Without optimization, on a machine that is busy, that
/// does not suffice each time: then it fetches for itself.
async fn shares_by_tls(store: &str, files: &Files) {
    const TRIES: usize = 150;
    let server = AuthorizationServer::start().unwrap();
    let config = config(&server, store);
    let mut tokens = Vec::new();
    for number in 1.. {
        let ended = token(&config, &files.ca).await;
        ended.assert_status(0);
        if tokens.contains(&ended.out) {
            break;
        }
        assert!(number < TRIES, "{TRIES} processes have {TRIES} tokens");
        tokens.push(ended.out);
    }
    let other = tempfile::tempdir().unwrap();
    let strange = Files::make(other.path()).ca;
    for _ in 0..4 {
        let alone = token(&config, &strange).await;
        alone.assert_status(0);
        assert!(!tokens.contains(&alone.out), "the token is from a store that this process must not trust");
        tokens.push(alone.out);
    }
    assert_eq!(server.count().token_requests, tokens.len() as u64);
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_token_is_shared_on_redis_by_tls() {
    let directory = tempfile::tempdir().unwrap();
    let files = Files::make(directory.path());
    let (server, port) = tls::redis(&files, "no").await;
    shares_by_tls(&format!("rediss://localhost:{port}"), &files).await;
    drop(server);
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_token_is_shared_on_postgresql_by_tls() {
    let directory = tempfile::tempdir().unwrap();
    let files = Files::make(directory.path());
    let server = tls::postgres(&files, "").await;
    server.store().create_table().await.unwrap();
    shares_by_tls(&format!("{}?sslmode=require", server.url().replace("127.0.0.1", "localhost")), &files).await;
}
