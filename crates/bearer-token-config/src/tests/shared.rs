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
    fn identity(&self, _: &mut bearer_token::Identity) {}

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

/// The problems of a URL that contains the marker, which none of them repeats.
fn problems_of_url(url: &str) -> Vec<String> {
    let found = problems(&format!("[shared]\nurl = '{url}'\nkey = '{KEY}'"));
    assert!(found.iter().all(|problem| problem.starts_with("shared.url")), "{found:?}");
    assert!(!found.join(" ").contains("MARKER"), "{found:?}");
    found
}

#[cfg(not(feature = "redis"))]
#[test]
fn without_redis_its_feature_is_named() {
    let found = problems_of_url("redis://:MARKER@localhost:6379");
    assert!(found[0].contains("enable the feature `redis`"), "{found:?}");
}

#[cfg(not(feature = "postgres"))]
#[test]
fn without_postgresql_its_feature_is_named() {
    for scheme in ["postgres", "postgresql"] {
        let found = problems_of_url(&format!("{scheme}://user:MARKER@localhost/tokens"));
        assert!(found[0].contains("enable the feature `postgres`"), "{found:?}");
    }
}

#[cfg(feature = "redis")]
#[test]
fn a_url_of_redis_and_a_file_suffice() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys");
    fs::write(&path, KEY).unwrap();
    let found = problems(&format!("[shared]\nurl = 'redis://localhost'\nkey = {{ file = '{}' }}", path.display()));
    assert_eq!(found, [""; 0]);
    assert_eq!(problems_of_url("redis://:MARKER@localhost:port").len(), 1);
}

#[cfg(feature = "postgres")]
#[test]
fn a_url_of_postgresql_and_keys_suffice() {
    for url in ["postgres://user:MARKER@localhost/tokens", "postgresql://localhost/tokens?sslmode=disable"] {
        assert_eq!(problems_of_url(url), [""; 0], "{url}");
    }
    for url in ["postgres://user:MARKER@localhost:port/tokens", "postgres://localhost/?MARKER=1"] {
        assert!(problems_of_url(url)[0].contains("postgres://user:password@host"), "{url}");
    }
}

#[cfg(all(feature = "postgres", feature = "redis"))]
#[test]
fn durability_is_a_matter_of_postgresql_only() {
    for field in ["test_server", "whole_pages", "synchronous_standby"] {
        let of = |url: &str| problems(&format!("[shared]\nurl = '{url}'\nkey = '{KEY}'\n{field} = true"));
        assert_eq!(of("postgres://localhost/tokens"), [""; 0]);
        let found = of("redis://localhost");
        assert!(found.len() == 1 && found[0].starts_with(&format!("shared.{field}: found `true`")), "{found:?}");
    }
}

#[test]
fn a_url_of_another_store_is_refused() {
    for url in ["http://:MARKER@localhost", "MARKER", "Redis://MARKER"] {
        let found = problems_of_url(url);
        assert!(found[0].contains("`redis://`") && found[0].contains("`postgres://`"), "{found:?}");
    }
}

/// The problems of a refresh token in the store of this section.
fn refresh_token_problems(refresh_token: &str, shared: &str) -> Vec<String> {
    let endpoint = "[token_endpoint]\nurl = 'https://as.example.com/token'\nclient.id = 'app'";
    let config = ProviderConfig::from_toml(&format!("{endpoint}\n[refresh_token]\n{refresh_token}\n{shared}")).unwrap();
    let error = config.transport(Server::default()).build().err();
    error.iter().flat_map(Error::problems).map(ToString::to_string).collect()
}

#[test]
fn a_shared_refresh_token_needs_a_section_and_one_store() {
    for (refresh_token, shared, path, part) in [
        ("shared = true", "", "refresh_token.shared", "set `shared.url`"),
        ("shared = true", "[shared]", "shared.key", "found nothing"),
        ("shared = true\nfile = 'x'", "[shared]", "refresh_token.shared", "remove `refresh_token.file`"),
        ("file = 'x'\nreusable_within = 5", "", "refresh_token.reusable_within", "set `refresh_token.shared = true`"),
        ("file = 'x'\nresend_after = 5", "", "refresh_token.resend_after", "set `refresh_token.shared = true`"),
        ("", "", "refresh_token.file", "set `refresh_token.shared = true`"),
    ] {
        let found = refresh_token_problems(refresh_token, shared);
        let is_named = |problem: &&String| problem.starts_with(&format!("{path}: ")) && problem.contains(part);
        assert!(found.iter().any(|problem| is_named(&problem)), "{refresh_token} {shared}: {found:?}");
    }
}

#[test]
fn a_fleet_from_code_keeps_no_refresh_token() {
    let fleet = Fleet::builder(MemorySharedStore::new(), SealingKeys::new(KEY)).build().unwrap();
    let text = "refresh_token.shared = true\ntoken_endpoint.url = 'https://as.example.com/token'";
    let config = ProviderConfig::from_toml(text).unwrap().fleet(fleet).transport(Server::default());
    let error = config.build().unwrap_err();
    let found: Vec<_> = error.problems().iter().map(ToString::to_string).collect();
    assert!(found.iter().any(|problem| problem.contains("`SharedRefreshToken`")), "{found:?}");
}

#[cfg(feature = "postgres")]
#[test]
fn a_shared_refresh_token_needs_a_name_for_the_consent() {
    let shared = format!("[shared]\nurl = 'postgres://localhost/tokens'\nkey = '{KEY}'\n");
    let found = refresh_token_problems("shared = true", &shared);
    assert!(found.len() == 1 && found[0].starts_with("shared.name: "), "{found:?}");
    let named = shared + "name = 'reports of alice'";
    assert_eq!(refresh_token_problems("shared = true\nresend_after = 60", &named), [""; 0]);
}

#[cfg(feature = "redis")]
#[test]
fn redis_keeps_a_refresh_token_only_within_a_reuse_period() {
    let shared = format!("[shared]\nurl = 'redis://localhost'\nkey = '{KEY}'\nname = 'reports of alice'");
    let found = refresh_token_problems("shared = true", &shared);
    assert!(found.len() == 1 && found[0].starts_with("refresh_token.shared: found a store that may lose"), "{found:?}");
    assert!(found[0].contains("set `reusable_within`"), "{found:?}");
    assert_eq!(refresh_token_problems("shared = true\nreusable_within = 30", &shared), [""; 0]);
}

#[tokio::test]
async fn a_dry_run_asks_no_store() {
    let text = format!(
        "refresh_token.shared = true\ntoken_endpoint.url = 'https://as.example.com/token'\n\
         [shared]\nurl = 'postgres://127.0.0.1:1/tokens'\nkey = '{KEY}'\nname = 'n'"
    );
    let stages = ProviderConfig::from_toml(&text).unwrap().dry_run().await.unwrap();
    let body = String::from_utf8(stages[0].requests()[0].body().to_vec()).unwrap();
    assert!(body.contains("grant_type=refresh_token&refresh_token=refresh-token"), "{body}");
}

#[test]
fn keys_of_one_configuration_share_no_refresh_token() {
    let text = "refresh_token.shared = true\n\
         token_endpoint.url = 'https://as.example.com/token'\n\
         token_endpoint.parameters.tenant = { variable = 'tenant' }";
    let error = KeyedConfig::new(ProviderConfig::from_toml(text).unwrap()).unwrap_err();
    let found: Vec<_> = error.problems().iter().map(ToString::to_string).collect();
    assert!(found.iter().any(|problem| problem.contains("one name for the refresh tokens of all keys")), "{found:?}");
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
