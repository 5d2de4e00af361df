//! The configuration files that the guide shows: each one builds, beside the keys of the recipes.

use std::path::Path;

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
            let file = variables.iter().fold(file, |file, variable| {
                let value = "{ value = \"https://runner.example.com/token?job=1\"";
                file.replace(&format!("{{ env = \"{variable}\""), value)
            });
            let file = file.replace("file = \"rsa.pem\"", "file = \"keys/rsa.pem\"");
            let file = file.replace("/run/secrets/client", "keys/client-secret.txt");
            let file = ["vault", "databricks"].iter().fold(file, |file, name| {
                file.replace(&format!("/var/run/secrets/tokens/{name}"), "keys/refresh-token.txt")
            });
            let result = ProviderConfig::from_toml(&file).and_then(|config| config.relative_to(recipes).build());
            if let Err(error) = result {
                panic!("{name}: {error:#}: {:#?}\n{file}", error.problems());
            }
            built += 1;
        }
    }
    assert!(built > 20, "{built}");
}
