use bearer_token_config::ProviderConfig;

use crate::{Config, cli, config_directory};

#[test]
fn every_sample_configuration_builds() {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(config_directory()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "toml" || extension == "json") {
            ProviderConfig::load(&path).unwrap().build().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            found.push(path.file_name().unwrap().to_str().unwrap().to_owned());
        }
    }
    found.sort();
    let expected = [
        "box.toml",
        "client-credentials.toml",
        "jwt-bearer.toml",
        "private-key-jwt.toml",
        "self-signed.toml",
        "static.json",
    ];
    assert_eq!(found, expected);
}

#[tokio::test]
async fn every_sample_gets_a_token_that_the_api_accepts() {
    let server = examples::server_in_a_box::start(0).unwrap();
    let url = format!("{}/orders", server.api_url());
    for (name, subject, token_requests) in [
        ("self-signed.toml", "reports@example.com", 0),
        ("jwt-bearer.toml", "alice@example.com", 1),
        ("client-credentials.toml", "billing", 1),
        ("private-key-jwt.toml", "ledger", 1),
        ("box.toml", "alice@example.com", 1),
    ] {
        let config = Config::sample(name, &server);
        let before = server.count();
        let ended = cli(&["call", "--config", &config.path, &url]).await;
        ended.assert_status(0);
        assert!(ended.out.contains(&format!(r#""subject":"{subject}""#)), "{name}: {}", ended.out);
        assert_eq!(server.count().token_requests - before.token_requests, token_requests, "{name}");
        assert_eq!(server.count().api_accepted - before.api_accepted, 1, "{name}");
    }
}

#[tokio::test]
async fn the_static_sample_token_is_sent_and_refused() {
    let server = examples::server_in_a_box::start(0).unwrap();
    let config = Config::sample("static.json", &server);
    let ended = cli(&["call", "--config", &config.path, &server.api_url()]).await;
    ended.assert_status(1);
    assert!(ended.out.contains("< HTTP/1.1 401"), "{}", ended.out);
    assert_eq!(server.count().api_rejected, 1);
}
