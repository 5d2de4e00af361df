//! The server over real connections.
#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

mod api;
mod assertions;
mod behaviour;
mod clients;
mod exchange;
mod hostile;
mod life;

use std::time::{SystemTime, UNIX_EPOCH};

use bearer_token_testing::AuthorizationServer;
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

pub(crate) const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
pub(crate) const CLIENT_ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// A client that an `HTTP_PROXY` of the machine does not concern.
pub(crate) fn http() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

pub(crate) async fn post(server: &AuthorizationServer, form: &[(&str, &str)]) -> (StatusCode, Value) {
    let response = http().post(server.token_url()).form(form).send().await.unwrap();
    (response.status(), response.json().await.unwrap())
}

/// The token of a client `public`.
pub(crate) async fn token(server: &AuthorizationServer) -> String {
    let (status, response) = post(server, &[("grant_type", "client_credentials"), ("client_id", "public")]).await;
    assert_eq!(status, 200, "{response}");
    response["access_token"].as_str().unwrap().to_owned()
}

pub(crate) async fn call(server: &AuthorizationServer, token: &str) -> Response {
    http().get(server.api_url()).bearer_auth(token).send().await.unwrap()
}

#[allow(clippy::disallowed_methods, reason = "what a client of the world outside does")]
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// Claims that the server accepts, if it trusts the issuer.
pub(crate) fn claims(server: &AuthorizationServer, issuer: &str, id: &str) -> Value {
    let now = now();
    json!({ "iss": issuer, "sub": issuer, "aud": server.token_url(), "iat": now, "exp": now + 60, "jti": id })
}
