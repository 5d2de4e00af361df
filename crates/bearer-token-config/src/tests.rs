use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use bearer_token::{Error, Problem, TokenProvider, transport::Transport};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;

use super::*;

mod client;
mod computed;
mod dry_run;
mod jwt;
mod keyed;
mod problems;
mod protected_resource;
mod refresh_token;
mod renewal;
mod requests;
mod send;
mod shared;
mod sources;
mod values;
mod variables;

const RSA: &str = include_str!("../../bearer-token/src/jwt/testdata/rsa2048.pem");
const CERTIFICATE: &str = include_str!("../../bearer-token/src/jwt/testdata/certificate.pem");

/// Keeps the token requests, and returns the same response to all.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Vec<http::Request<Bytes>>>>);

impl Transport for Recorder {
    async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, Error> {
        self.0.lock().unwrap().push(request);
        let reply = r#"{"access_token":"minted","token_type":"Bearer","expires_in":3600,"instance_url":"https://x.example.com"}"#;
        Ok(http::Response::new(Bytes::from_static(reply.as_bytes())))
    }
}

async fn request_of(config: ProviderConfig) -> (http::Request<Bytes>, Vec<(String, String)>) {
    let recorder = Recorder::default();
    let provider = config.transport(recorder.clone()).build().unwrap();
    assert_eq!(provider.token().await.unwrap().secret(), "minted");
    let request = recorder.0.lock().unwrap().remove(0);
    let form = form_urlencoded::parse(request.body()).into_owned().collect();
    (request, form)
}

fn parameter<'a>(form: &'a [(String, String)], name: &str) -> Option<&'a str> {
    form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

/// The header or the claims of a JWT.
fn part(jwt: &str, number: usize) -> Value {
    let text = BASE64_URL_SAFE_NO_PAD.decode(jwt.split('.').nth(number).unwrap()).unwrap();
    serde_json::from_slice(&text).unwrap()
}

fn problems(toml: &str) -> Vec<Problem> {
    let config = ProviderConfig::from_toml(toml).unwrap().transport(Recorder::default());
    config.build().expect_err(toml).problems().to_vec()
}

fn paths(toml: &str) -> Vec<String> {
    let mut paths: Vec<_> = problems(toml).iter().map(|problem| problem.path().to_owned()).collect();
    paths.sort();
    paths
}
