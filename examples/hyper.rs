//! A hyper client whose requests carry bearer tokens.
//!
//! `cargo run --example hyper` needs nothing: the authorization server and the API run inside this process. What is
//! printed was observed, and the exit status is 0 only if it was as expected.

use anyhow::ensure;
use bearer_token::{
    TokenProvider,
    oauth::{ClientAuth, ClientCredentials, TokenEndpoint},
};
use bearer_token_testing::{AuthorizationServer, Client as RegisteredClient};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;
use tower::{ServiceBuilder, ServiceExt, retry::Retry};
use tower_bearer::{BearerLayer, BearerService, BoxError, Replay};

/// The type of such a client. Clones share connections and the token.
type ApiClient = Retry<Replay, BearerService<Client<HttpConnector, Full<Bytes>>>>;

fn client(provider: TokenProvider) -> ApiClient {
    // In your code, use an HTTPS connector such as hyper-rustls's.
    let hyper = Client::builder(TokioExecutor::new()).build_http();
    ServiceBuilder::new()
        .retry(Replay::cloning()) // only if a request whose token was rejected shall be sent again
        .layer(BearerLayer::new(provider))
        .service(hyper)
}

async fn post(client: &ApiClient, url: &str, body: &'static str) -> Result<(StatusCode, Value), BoxError> {
    let request = Request::post(url).body(Full::from(body))?;
    let response = client.clone().oneshot(request).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    Ok((status, serde_json::from_slice(&body)?))
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // In place of your own.
    let server = AuthorizationServer::start()?;
    server.register(RegisteredClient::secret("reports", "its secret").scopes(["write"]));
    let url = format!("{}/orders", server.api_url());

    let source = TokenEndpoint::builder(server.token_url(), ClientCredentials::new())
        .client_auth(ClientAuth::basic("reports", "its secret"))
        .scope("write")
        .build()?;
    let provider = TokenProvider::builder(source).allow_origin(server.issuer()).build()?;
    let client = client(provider);

    for order in ["one", "two", "three"] {
        let (status, reply) = post(&client, &url, order).await.map_err(anyhow::Error::from_boxed)?;
        println!("POST {url}, {order}: {status}, as {} with scope {}", reply["client_id"], reply["scope"]);
        ensure!(status == StatusCode::OK && reply["body"] == order && reply["client_id"] == "reports");
    }
    println!("token requests so far: {}\n", server.count().token_requests);
    ensure!(server.count().token_requests == 1);

    server.revoke_all();
    let (status, reply) = post(&client, &url, "four").await.map_err(anyhow::Error::from_boxed)?;
    let count = server.count();
    println!("The token is revoked. POST {url}, four: {status}");
    println!("rejected by the API: {}, token requests so far: {}", count.api_rejected, count.token_requests);
    ensure!(status == StatusCode::OK && reply["body"] == "four");
    ensure!((count.api_rejected, count.api_accepted, count.token_requests) == (1, 4, 2));
    Ok(())
}
