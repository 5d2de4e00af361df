//! Every snippet of the README, run against the server in a box.
//!
//! `tests/build.rs` makes the modules below out of the README. A snippet without a test here fails `all_are_run`.
#![cfg(test)]

use std::{path::Path, process::Command};

use bearer_token::TokenProvider;
use reqwest_bearer::{BearerMiddleware, reqwest_middleware::ClientBuilder};

mod places;

#[allow(dead_code, unused_imports, clippy::all, clippy::pedantic, reason = "the README's code is short, not strict")]
mod snippets {
    include!(concat!(env!("OUT_DIR"), "/readme.rs"));
}

/// The tests of the snippets, and the names of all that have one.
macro_rules! runs {
    ($($name:ident => $run:expr;)*) => {
        const RUN: &[&str] = &[$(stringify!($name)),*];

        $(#[tokio::test]
        async fn $name() {
            $run.await;
        })*
    };
}

runs! {
    with_tower_and_hyper => async {
        assert_eq!(snippets::with_tower_and_hyper::example().await.unwrap(), 200);
    };
    with_tonic => async {
        let seen = places::serve_grpc("with_tonic").await;
        let serving = tonic_health::pb::health_check_response::ServingStatus::Serving as i32;
        assert_eq!(snippets::with_tonic::example().await.unwrap(), serving);
        let authorization = seen.lock().unwrap().clone();
        assert_eq!(get_orders("with_tonic", &authorization).await, 200, "{authorization}");
    };
    with_reqwest => async {
        assert_eq!(snippets::with_reqwest::example().await.unwrap(), 200);
    };
    from_a_configuration_file => async {
        let name = "from_a_configuration_file";
        let configuration = block("From a configuration file", "toml");
        std::fs::write(places::of(name, "provider.toml"), places::replace_all(name, configuration)).unwrap();
        use_provider(name, snippets::from_a_configuration_file::example().unwrap()).await;
    };
    from_a_configuration_file_2 => async {
        let name = "from_a_configuration_file_2";
        let exports = places::replace_all(name, block("From a configuration file", "sh"));
        let variables = exports.lines().filter_map(|line| line.strip_prefix("export ")?.split_once('='));
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_process_with_the_variables", "--ignored", "--nocapture"])
            .envs(variables.map(|(name, value)| (name, value.trim_matches('\''))))
            .env("README_ORDERS", places::of(name, "https://api.example.com/orders"))
            .output()
            .unwrap();
        assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
        assert_eq!(places::token_requests(name).len(), 1);
    };
}

#[tokio::test]
#[ignore = "started by `from_a_configuration_file_2`, with the variables of the README"]
async fn a_process_with_the_variables() {
    let provider = snippets::from_a_configuration_file_2::example().unwrap();
    let client = ClientBuilder::new(client()).with(BearerMiddleware::new(provider)).build();
    let response = client.get(std::env::var("README_ORDERS").unwrap()).send().await.unwrap();
    assert_eq!(response.status(), 200);
}

#[test]
fn all_are_run() {
    assert_eq!(snippets::NAMES, RUN, "each snippet of Rust has its test");
    for (heading, language, body) in snippets::BLOCKS {
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
        match *language {
            "rust" | "mermaid" | "text" => {}
            // `.ci/readme` builds the snippets with these dependencies.
            "toml" if body.starts_with("[dependencies]") => {}
            "toml" => assert_eq!(*heading, "From a configuration file"),
            "sh" if body.starts_with("export ") => assert_eq!(*heading, "From a configuration file"),
            "sh" => {
                for line in body.lines() {
                    if let Some((_, example)) = line.split_once("--example ") {
                        let name = example.split(' ').next().unwrap();
                        let [file, folder] = [format!("{name}.rs"), name.to_owned()].map(|path| examples.join(path));
                        assert!(file.is_file() || folder.is_dir(), "{line}");
                    } else {
                        let known = ["cargo test --workspace", "cargo install bearer-token-cli", "bearer-token check "];
                        assert!(known.iter().any(|command| line.starts_with(command)), "{line}");
                    }
                    if let Some((_, path)) = line.split_once("--config examples/") {
                        assert!(examples.join(path.split(' ').next().unwrap()).is_file(), "{line}");
                    }
                }
            }
            other => panic!("found a block of {other:?} under {heading:?}; expected one that this test can run"),
        }
    }
}

/// The only block of this language under this heading.
fn block(heading: &str, language: &str) -> &'static str {
    let found = snippets::BLOCKS.iter().find(|block| block.0 == heading && block.1 == language);
    found.unwrap_or_else(|| panic!("no block of {language} under {heading}")).2
}

/// Sends a request to the API of this snippet, with a token of this provider.
async fn use_provider(name: &'static str, provider: TokenProvider) {
    let client = ClientBuilder::new(client()).with(BearerMiddleware::new(provider)).build();
    let response = client.get(places::of(name, "https://api.example.com/orders")).send().await.unwrap();
    assert_eq!(response.status(), 200);
}

async fn get_orders(name: &'static str, authorization: &str) -> u16 {
    let url = places::of(name, "https://api.example.com/orders");
    client().get(url).header("authorization", authorization).send().await.unwrap().status().as_u16()
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}
