//! What is in Redis, its log and its commands: none of the secrets, and nothing of whose they are.

#![allow(clippy::disallowed_methods, reason = "real servers, in real time")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]

use std::{path::Path, time::Duration};

use bearer_token::{
    TokenProvider,
    oauth::{ClientAuth, ClientCredentials, TokenEndpoint},
    shared::{Fleet, SealingKeys},
};
use bearer_token_redis::RedisStore;
use bearer_token_testing::{AuthorizationServer, Client, Fault};
use engines::{monitor::Monitor, redis_server::RedisServer, until};
use serde_json::json;

const KEY: &str = "MARKERkeyMARKERkeyMARKERkeyMARKERkeyMARKERk=";
/// Written to the server in the clear, to show that each dump would show a marker.
const CONTROL: &[u8] = b"PLANTED-in-the-clear-PLANTED-in-the-clear";

fn has(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

/// All files below a directory, one after another.
fn files(directory: &Path, into: &mut Vec<u8>) {
    for entry in std::fs::read_dir(directory).unwrap().flatten() {
        match entry.file_type().unwrap() {
            kind if kind.is_dir() => files(&entry.path(), into),
            _ => into.extend(std::fs::read(entry.path()).unwrap()),
        }
    }
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn planted_markers_are_in_no_dump_of_redis() {
    // A compressed dump would hide them.
    let redis =
        RedisServer::start_with(&["--appendonly", "yes", "--rdbcompression", "no", "--loglevel", "debug"]).await;
    let monitor = Monitor::start(redis.port()).await;
    let server = AuthorizationServer::start().unwrap();
    server.register(Client::secret("MARKER-client", "MARKER-secret"));
    let replica = || {
        let endpoint = TokenEndpoint::builder(server.token_url(), ClientCredentials::new());
        let endpoint = endpoint.client_auth(ClientAuth::basic("MARKER-client", "MARKER-secret")).build().unwrap();
        let store = RedisStore::from_url(redis.url()).unwrap();
        let fleet = Fleet::builder(store, SealingKeys::new(KEY)).namespace("MARKER-namespace").build().unwrap();
        TokenProvider::builder(fleet.share_as("MARKER-name", endpoint)).build().unwrap()
    };
    let mut tokens = Vec::new();
    // Fetched and saved; adopted; rejected and replaced.
    let first = replica();
    for provider in [&first, &replica()] {
        tokens.push(provider.token().await.unwrap().secret().to_owned());
    }
    assert_eq!(tokens[0], tokens[1]);
    first.token().await.unwrap().ticket().reject(&http::HeaderMap::new());
    tokens.push(first.token().await.unwrap().secret().to_owned());
    assert_ne!(tokens[1], tokens[2]);
    // A failure is saved too.
    let body = json!({ "error": "server_error", "error_description": "MARKER-description" });
    server.token_endpoint().always(Fault::json(503, &body));
    let version = async || {
        let keys = redis.command::<Vec<String>>(&["KEYS", "bearer-token:*"]).await.unwrap();
        redis.command::<String>(&["HGET", &keys[0], "version"]).await.unwrap()
    };
    let before = version().await;
    first.refresh_now().await.unwrap_err();
    assert_ne!(version().await, before, "the failure was saved");

    redis.command::<String>(&["SET", "control", str::from_utf8(CONTROL).unwrap()]).await.unwrap();
    let (mut dump, mut disk) = (Vec::new(), Vec::new());
    let keys = redis.command::<Vec<String>>(&["KEYS", "*"]).await.unwrap();
    assert_eq!(keys.len(), 2, "{keys:?}");
    for key in keys {
        dump.extend(redis.command::<Vec<u8>>(&["DUMP", &key]).await.unwrap());
        dump.extend(key.into_bytes());
    }
    until("the control is on the disk and monitored", Duration::from_secs(10), async || {
        disk.clear();
        files(redis.directory(), &mut disk);
        has(&disk, CONTROL) && has(&monitor.seen(), CONTROL)
    })
    .await;

    let mut secrets = tokens;
    secrets.extend(["MARKER".to_owned(), server.token_url()]);
    for (place, bytes) in [("DUMP", dump), ("the append-only file and the log", disk), ("MONITOR", monitor.seen())] {
        assert!(has(&bytes, CONTROL) && has(&bytes, b"bearer-token:"), "{place} shows no record");
        for secret in &secrets {
            assert!(!has(&bytes, secret.as_bytes()), "{place} shows {secret:?}");
        }
        println!("{place}: {} bytes, none of {} markers", bytes.len(), secrets.len());
    }
}
