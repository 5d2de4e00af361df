//! A reqwest client whose requests carry bearer tokens.
//!
//! `cargo run --example reqwest` needs nothing: the authorization server and the API run inside this process. What is
//! printed was observed, and the exit status is 0 only if it was as expected.

use anyhow::{Context, ensure};
use bearer_token::{
    ErrorKind, Retry, TokenProvider,
    jwt::{Algorithm, JwtTemplate, SigningKey},
    oauth::{JwtBearer, TokenEndpoint},
};
use bearer_token_testing::{AuthorizationServer, Fault, Issuer, TestKey};
use reqwest_bearer::{BearerMiddleware, redirect_policy, token_error};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use serde_json::Value;

fn client(provider: TokenProvider) -> reqwest::Result<ClientWithMiddleware> {
    // reqwest's own policy sends the token to other ports and schemes of the same host; this one does not.
    let reqwest = reqwest::Client::builder().redirect(redirect_policy()).no_proxy().build()?;
    Ok(ClientBuilder::new(reqwest).with(BearerMiddleware::new(provider)).build())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // In place of your own.
    let server = AuthorizationServer::start()?;
    let key = TestKey::es256()?;
    server.trust(Issuer::new("reports@example.com", key.verifying_key()));
    let url = format!("{}/orders", server.api_url());

    // A JWT is signed and exchanged for an access token (RFC 7523 section 2.1).
    let assertion = JwtTemplate::builder(SigningKey::from_pem(Algorithm::ES256, key.private_pem())?)
        .issuer("reports@example.com")
        .subject("alice@example.com")
        .audience(server.token_url())
        .build()?;
    let source = TokenEndpoint::builder(server.token_url(), JwtBearer::new(assertion)).build()?;
    let provider = TokenProvider::builder(source).allow_origin(server.issuer()).build()?;
    let client = client(provider.clone())?;

    for page in 1..=3 {
        let response = client.get(format!("{url}?page={page}")).send().await?.error_for_status()?;
        let reply: Value = response.json().await?;
        println!("GET {url}?page={page}: as {}", reply["subject"]);
        ensure!(reply["subject"] == "alice@example.com" && reply["query"] == format!("page={page}"));
    }
    println!("token requests so far: {}\n", server.count().token_requests);
    ensure!(server.count().token_requests == 1);

    println!("The token is revoked, and the authorization server fails.");
    server.revoke_all();
    server.token_endpoint().always(Fault::status(503).header("retry-after", "30"));
    let response = client.get(&url).send().await?;
    println!("GET {url}: {}", response.status());
    ensure!(response.status() == 401);
    // The error of a request that finds no token.
    let error = provider.refresh_now().await.err().context("there was a token")?;
    println!("{error}\nkind: {:?}, retry: {:?}", error.kind(), error.retry());
    ensure!(error.kind() == ErrorKind::Unavailable && matches!(error.retry(), Retry::Later { after: Some(_) }));

    println!("\nA request over plain http is refused with the reason.");
    let error = client.get("http://api.example.com/").send().await.err().context("it was sent")?;
    let error = token_error(&error).context("it failed for another reason")?;
    println!("{error}");
    ensure!(error.kind() == ErrorKind::Origin);
    Ok(())
}
