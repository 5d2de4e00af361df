use std::{future, process::ExitCode};

use bearer_token::{
    TokenProvider,
    oauth::{ClientAuth, ClientCredentials, TokenEndpoint},
};
use bearer_token_config::ProviderConfig;
use examples::server_in_a_box::{serve, start};
use reqwest_bearer::{BearerMiddleware, redirect_policy, reqwest_middleware::ClientBuilder};

use crate::{Ended, arguments};

async fn run(line: &[&str], stop: impl Future<Output = ()>) -> Ended {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let status = examples::server_in_a_box::run(arguments(line), stop, &mut out, &mut err).await;
    Ended { status, out: String::from_utf8(out).unwrap(), err: String::from_utf8(err).unwrap() }
}

#[tokio::test]
async fn it_suggests_commands_and_ends_after_its_time() {
    let ended = run(&["--port", "0", "--for", "0"], future::pending()).await;
    ended.assert_status(0);
    assert!(ended.out.contains("bearer-token-cli -- check --config examples/config/box.toml\n"), "{}", ended.out);
    assert!(ended.out.contains("box.toml http://127.0.0.1:") && ended.out.contains("/api/orders\n"), "{}", ended.out);
    assert!(ended.out.contains("change 8085 to "), "{}", ended.out);
}

/// A program with what the server prints, as a reader of the guide would write it.
#[tokio::test]
async fn it_prints_what_a_program_needs() {
    let server = start(0).unwrap();
    let mut out = Vec::new();
    serve(&server, future::ready(()), &mut out).await;
    let out = String::from_utf8(out).unwrap();
    let after = |label: &str| out.split_once(label).unwrap().1.lines().next().unwrap().trim();
    let quoted = |word: &str| after("  client").split_once(&format!("{word} `")).unwrap().1.split('`').next().unwrap();

    let source = TokenEndpoint::builder(after("  token endpoint"), ClientCredentials::new())
        .client_auth(ClientAuth::basic(quoted("id"), quoted("secret")))
        .scope(quoted("scope"))
        .build()
        .unwrap();
    let provider = TokenProvider::builder(source).allow_origin(after("  allowed origin")).build().unwrap();
    let http = reqwest::Client::builder().redirect(redirect_policy()).no_proxy().build().unwrap();
    let client = ClientBuilder::new(http).with(BearerMiddleware::new(provider)).build();
    let api = after("  API").split(',').next().unwrap();
    assert_eq!(client.get(api).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn it_ends_when_it_is_told_to() {
    run(&["--port", "0"], future::ready(())).await.assert_status(0);
}

#[tokio::test]
async fn it_tells_what_was_asked_of_it() {
    let server = start(0).unwrap();
    let config = ProviderConfig::load(concat!(env!("CARGO_MANIFEST_DIR"), "/config/box.toml")).unwrap();
    let (origins, token_url) = (format!("[\"{}\"]", server.issuer()), server.token_url());
    let changes =
        [("BOX_ALLOW_ORIGINS", &origins), ("BOX_JWT__AUDIENCE", &token_url), ("BOX_TOKEN_ENDPOINT__URL", &token_url)];
    let provider = config.override_with_variables("BOX_", changes).build().unwrap();
    let visit = async {
        let token = provider.token().await.unwrap();
        let request =
            reqwest::Client::builder().no_proxy().build().unwrap().get(server.api_url()).bearer_auth(token.secret());
        assert_eq!(request.send().await.unwrap().status(), 200);
    };
    let mut out = Vec::new();
    serve(&server, visit, &mut out).await;
    let out = String::from_utf8(out).unwrap();
    let last = "tokens: 1 issued, 0 refused; API requests: 1 accepted, 0 rejected\n";
    assert!(out.ends_with(last), "{out}");
}

#[tokio::test]
async fn a_port_in_use_is_an_error_naming_the_option() {
    let server = start(0).unwrap();
    let port = server.address().port().to_string();
    let ended = run(&["--port", &port], future::pending()).await;
    assert!(ended.status == ExitCode::FAILURE);
    assert!(ended.err.contains(&port) && ended.err.contains("--port"), "{}", ended.err);
}

#[tokio::test]
async fn bad_usage_is_explained_with_status_2() {
    for line in [&["--port"][..], &["--port", "70000"], &["--for", "soon"], &["--for", "-1"], &["8085"]] {
        let ended = run(line, future::pending()).await;
        ended.assert_status(2);
        assert!(ended.err.contains("usage: "), "{line:?}: {}", ended.err);
    }
    run(&["--help"], future::pending()).await.assert_status(0);
}
