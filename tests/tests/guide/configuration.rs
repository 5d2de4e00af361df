//! The configuration files that the guide shows: each one builds, beside the keys of the recipes.

use std::path::Path;

use bearer_token::Error;
use bearer_token_config::ProviderConfig;

use super::{blocks, chapter};

#[test]
fn every_configuration_of_the_guide_builds() {
    let recipes = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/providers"));
    let variables = ["ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"];
    let mut built = 0;
    for name in ["providers", "recipes", "migrating", "configuration"] {
        for file in blocks(&chapter(name), "toml") {
            // A file is whole if it says where its tokens go.
            if !file.contains("allow_origins") {
                continue;
            }
            for (_, rest) in
                file.match_indices("secret = { file = \"").map(|(at, found)| file.split_at(at + found.len()))
            {
                let secret = rest.split('"').next().unwrap();
                // Such a file would send the secret of the client to the API.
                assert!(!file.contains(&format!("token = {{ file = \"{secret}\"")), "{name}: {secret}\n{file}");
            }
            let file = variables.iter().fold(file, |file, variable| {
                let value = "{ value = \"https://runner.example.com/token?job=1\"";
                file.replace(&format!("{{ env = \"{variable}\""), value)
            });
            let file = file.replace("file = \"rsa.pem\"", "file = \"keys/rsa.pem\"");
            let file = file.replace("/run/secrets/client", "keys/client-secret.txt");
            let file = file.replace("/run/secrets/billing-token", "keys/refresh-token.txt");
            let file = ["vault", "databricks"].iter().fold(file, |file, name| {
                file.replace(&format!("/var/run/secrets/tokens/{name}"), "keys/refresh-token.txt")
            });
            for config in providers(&file) {
                let result = config.and_then(|config| config.relative_to(recipes).build());
                if let Err(error) = result {
                    panic!("{name}: {error:#}: {:#?}\n{file}", error.problems());
                }
                built += 1;
            }
        }
    }
    assert!(built > 20, "{built}");
}

/// The providers of a file: one, or several that each have a table.
fn providers(file: &str) -> Vec<Result<ProviderConfig, Error>> {
    let tables: toml::Table = file.parse().unwrap();
    if tables.contains_key("allow_origins") {
        return vec![ProviderConfig::from_toml(file)];
    }
    tables.values().map(|table| ProviderConfig::from_json(&serde_json::to_string(table).unwrap())).collect()
}

/// Parts of a configuration: each with the rest that makes it whole.
#[tokio::test]
async fn every_part_of_a_configuration_builds() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("fleet.keys"), "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n").unwrap();
    std::fs::write(directory.path().join("app.json"), r#"{ "client_secret": "a client's secret" }"#).unwrap();
    let whole =
        "allow_origins = [\"https://api.example.com\"]\n\n[token_endpoint]\nurl = \"https://as.example.com/token\"\n";
    let mut built = 0;
    for name in ["configuration", "fleets", "life", "observability", "production", "security", "sources", "tenants"] {
        for part in blocks(&chapter(name), "toml") {
            if part.contains("allow_origins") || part.contains("[dependencies]") {
                continue;
            }
            let client = if part.starts_with("secret = ") {
                format!("\n[token_endpoint.client]\nmethod = \"basic\"\nid = \"reporting\"\n{part}")
            } else {
                format!("client = {{ method = \"basic\", id = \"reporting\", secret = \"a secret\" }}\n\n{part}")
            };
            let file = format!("{whole}{client}").replace("/run/secrets/", "");
            let result =
                ProviderConfig::from_toml(&file).and_then(|config| config.relative_to(directory.path()).build());
            if let Err(error) = result {
                panic!("{name}: {error:#}: {:#?}\n{file}", error.problems());
            }
            built += 1;
        }
    }
    assert!(built > 1, "{built}");
}
