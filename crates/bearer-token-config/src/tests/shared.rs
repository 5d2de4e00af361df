//! The section `shared`.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bearer_token::{
    Error,
    shared::{Fleet, SealingKeys},
    store::MemorySharedStore,
};
use bytes::Bytes;

use crate::{KeyedConfig, ProviderConfig};

const KEY: &str = "bWFrZSB0aGlzIHdpdGggb3BlbnNzbCByYW5kIC1iNjQ=";

/// Numbers its tokens.
#[derive(Clone, Default)]
struct Server(Arc<AtomicUsize>);

impl bearer_token::transport::Transport for Server {
    async fn send(&self, _: http::Request<Bytes>) -> Result<http::Response<Bytes>, Error> {
        let number = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        let body = format!(r#"{{"access_token": "token-{number}", "token_type": "Bearer", "expires_in": 3600}}"#);
        Ok(http::Response::new(Bytes::from(body)))
    }
}

const ENDPOINT: &str = r#"
    [token_endpoint]
    url = "https://as.example.com/token"
    client = { id = "orders", secret = "correct horse battery staple" }
"#;

fn problems(shared: &str) -> Vec<String> {
    let config = ProviderConfig::from_toml(&format!("{ENDPOINT}\n{shared}")).unwrap();
    let error = config.transport(Server::default()).build().err();
    error.iter().flat_map(Error::problems).map(ToString::to_string).collect()
}

#[tokio::test]
async fn replicas_of_one_configuration_share_a_token() {
    let (server, store) = (Server::default(), MemorySharedStore::new());
    let replica = || {
        let fleet = Fleet::builder(store.clone(), SealingKeys::new(KEY)).build().unwrap();
        let config = ProviderConfig::from_toml(ENDPOINT).unwrap().fleet(fleet).transport(server.clone());
        config.build().unwrap()
    };
    for _ in 0..3 {
        assert_eq!(replica().token().await.unwrap().secret(), "token-1");
    }
}

#[tokio::test]
async fn tenants_share_only_with_themselves() {
    let (server, store) = (Server::default(), MemorySharedStore::new());
    let text = ENDPOINT.to_owned() + r#"parameters = { tenant = { variable = "tenant", prefix = "t-" } }"#;
    let replica = || {
        let fleet = Fleet::builder(store.clone(), SealingKeys::new(KEY)).build().unwrap();
        let config = ProviderConfig::from_toml(&text).unwrap().fleet(fleet).transport(server.clone());
        KeyedConfig::new(config).unwrap()
    };
    for (tenant, expected) in [("a-1", "token-1"), ("a-2", "token-2"), ("a-1", "token-1"), ("a-2", "token-2")] {
        let config = replica();
        let providers = config.providers().build().unwrap();
        let request = http::Request::get("https://api.example.com/").body(()).unwrap();
        let head = bearer_token::RequestHead::new(request.method(), request.headers(), request.extensions());
        let provider = providers.get(&config.key(&head, [("tenant", tenant)]).unwrap()).unwrap();
        assert_eq!(provider.token().await.unwrap().secret(), expected, "{tenant}");
    }
}

#[test]
fn what_is_missing_is_named() {
    let found = problems("[shared]\n");
    assert!(found.iter().any(|problem| problem.starts_with("shared.key: found nothing")), "{found:?}");
    assert!(found.iter().any(|problem| problem.starts_with("shared.url: found nothing")), "{found:?}");
}

#[test]
fn bad_keys_are_problems_without_showing_them() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys");
    fs::write(&path, "MARKER").unwrap();
    let shared = format!("[shared]\nurl = 'redis://localhost:6379'\nkey = {{ file = '{}' }}", path.display());
    let found = problems(&shared).join("\n");
    assert!(!found.contains("MARKER"), "{found}");
    assert!(found.contains("shared."), "{found}");
}

#[cfg(not(feature = "redis"))]
#[test]
fn without_a_store_the_feature_is_named() {
    let found = problems(&format!("[shared]\nurl = 'redis://:MARKER@localhost:6379'\nkey = '{KEY}'"));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("shared.url") && found[0].contains("enable the feature `redis`"), "{found:?}");
    assert!(!found[0].contains("MARKER"), "{found:?}");
}

#[cfg(feature = "redis")]
#[test]
fn a_url_and_a_file_suffice() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys");
    fs::write(&path, KEY).unwrap();
    let shared = |url: &str| format!("[shared]\nurl = '{url}'\nkey = {{ file = '{}' }}", path.display());
    assert_eq!(problems(&shared("redis://localhost:6379")), [""; 0]);
    let found = problems(&shared("http://:MARKER@localhost")).join("\n");
    assert!(found.starts_with("shared.url") && !found.contains("MARKER"), "{found}");
}

#[test]
fn a_token_that_replicas_cannot_compare_needs_a_name() {
    let fleet = || Fleet::builder(MemorySharedStore::new(), SealingKeys::new(KEY)).build().unwrap();
    let text = r#"
        [token_exchange]
        subject_token = { env = "PATH" }
        subject_token_type = "jwt"
        [token_endpoint]
        url = "https://as.example.com/token"
    "#;
    let build = |text: &str| {
        let config = ProviderConfig::from_toml(text).unwrap().fleet(fleet()).transport(Server::default());
        config.build().map(drop)
    };
    let error = build(text).unwrap_err();
    let found: Vec<_> = error.problems().iter().map(ToString::to_string).collect();
    assert!(
        found.iter().any(|problem| problem.contains("shared.name") && problem.contains("subject_token")),
        "{found:?}"
    );
    build(&format!("{text}\n[shared]\nname = 'the job'")).unwrap();
}
