//! A source of your own, and a grant of your own.
//!
//! `cargo run --example custom_source` needs nothing: everything that is asked runs inside this process. What is
//! printed was observed, and the exit status is 0 only if it was as expected.

use std::{path::PathBuf, time::Duration};

use anyhow::ensure;
use axum::{Json, Router, http::StatusCode, routing::post};
use bearer_token::{
    AccessToken, Error, ErrorKind, FetchContext, TokenProvider, TokenSource,
    oauth::{Grant, Parameters, TokenEndpoint},
};
use bearer_token_testing::{AuthorizationServer, Issuer, TestKey};
use reqwest_bearer::BearerMiddleware;
use reqwest_middleware::ClientBuilder;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinSet};

/// A source that asks a vault with its own protocol.
struct Vault {
    http: reqwest::Client,
    login_url: String,
    password: String,
}

impl TokenSource for Vault {
    async fn fetch(&self, cx: FetchContext) -> Result<AccessToken, Error> {
        // `source()` returns the cause. A message must hold no secret, because it is logged.
        let failed = |error: reqwest::Error| {
            Error::new(ErrorKind::Transport, "the vault does not respond").with_source(error.without_url())
        };
        let request = self.http.post(&self.login_url).json(&json!({ "password": self.password }));
        let response = request.timeout(cx.remaining()).send().await.map_err(failed)?;
        if response.status() == StatusCode::FORBIDDEN {
            // Waiting does not fix this kind of error.
            return Err(Error::new(ErrorKind::Refused, "the vault refuses the password"));
        }
        // Not the parser's error, which could quote its input.
        let reply: Value =
            response.json().await.map_err(|_| Error::new(ErrorKind::Response, "the vault's response is not JSON"))?;
        let token = reply["token"].as_str().ok_or(Error::new(ErrorKind::Response, "the vault returned no token"))?;
        let lease = reply["lease_seconds"].as_u64().map(Duration::from_secs);
        let token = AccessToken::new(token);
        Ok(lease.into_iter().fold(token, AccessToken::expires_in))
    }
}

/// A grant whose login token is in a file that the platform replaces. The token endpoint does the
/// rest: HTTP, client authentication, errors, the response.
struct FileLogin {
    file: PathBuf,
}

impl Grant for FileLogin {
    async fn parameters(&self, _cx: &FetchContext) -> Result<Parameters, Error> {
        // Read for each request, because the token of an hour ago has expired.
        let login = tokio::fs::read_to_string(&self.file).await.map_err(|error| {
            Error::new(ErrorKind::Source, format!("{} cannot be read", self.file.display())).with_source(error)
        })?;
        Ok(Parameters::new("urn:example:file-login").with("assertion", login.trim()))
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // In place of your own: an API that trusts two issuers, one of them the vault.
    let server = AuthorizationServer::start()?;
    let (vault_key, platform_key) = (TestKey::es256()?, TestKey::ed25519()?);
    server.trust(Issuer::new("vault", vault_key.verifying_key()).self_signed_audience(server.api_url()));
    server.trust(Issuer::new("platform", platform_key.verifying_key()));
    server.name_jwt_bearer("urn:example:file-login");
    let mut tasks = JoinSet::new();
    let login_url = vault(&mut tasks, vault_key, server.api_url()).await?;
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("login-token");
    let claims =
        json!({ "iss": "platform", "sub": "pod-7", "aud": server.token_url(), "exp": in_a_minute(), "jti": "1" });
    std::fs::write(&file, platform_key.sign(&claims)?)?;

    let http = reqwest::Client::builder().no_proxy().build()?;
    let with_password =
        |password: &str| Vault { http: http.clone(), login_url: login_url.clone(), password: password.to_owned() };
    let grant = TokenEndpoint::builder(server.token_url(), FileLogin { file }).build()?;
    let source = TokenProvider::builder(with_password("open sesame"));
    for (name, provider, subject) in
        [("a source", source, "clerk"), ("a grant", TokenProvider::builder(grant), "pod-7")]
    {
        let provider = provider.allow_origin(server.issuer()).build()?;
        let client = ClientBuilder::new(http.clone()).with(BearerMiddleware::new(provider)).build();
        for _ in 0..2 {
            let response = client.get(server.api_url()).send().await?.error_for_status()?;
            let reply: Value = response.json().await?;
            println!("{name} of your own: the API sees {}", reply["subject"]);
            ensure!(reply["subject"] == subject);
        }
    }
    println!("requests to the token endpoint: {}", server.count().token_requests);
    ensure!(server.count().token_requests == 1);

    let provider = TokenProvider::builder(with_password("guess")).allow_origin(server.issuer()).build()?;
    let refused = provider.token().await.err();
    println!("\nwith a wrong password: {refused:?}");
    ensure!(refused.is_some_and(|error| error.kind() == ErrorKind::Refused && !error.is_transient()));
    Ok(())
}

/// Starts a vault that issues JWTs for a password, and returns its URL.
async fn vault(tasks: &mut JoinSet<()>, key: TestKey, audience: String) -> anyhow::Result<String> {
    let login = async move |Json(login): Json<Value>| {
        let claims = json!({ "iss": "vault", "sub": "clerk", "aud": audience, "exp": in_a_minute() });
        match key.sign(&claims) {
            Ok(token) if login["password"] == "open sesame" => Ok(Json(json!({ "token": token, "lease_seconds": 60 }))),
            _ => Err(StatusCode::FORBIDDEN),
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/login", listener.local_addr()?);
    tasks.spawn(async move { drop(axum::serve(listener, Router::new().route("/login", post(login))).await) });
    Ok(url)
}

fn in_a_minute() -> u64 {
    let now = bearer_token::platform::Platform::system().now().wall();
    now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs() + 60
}
