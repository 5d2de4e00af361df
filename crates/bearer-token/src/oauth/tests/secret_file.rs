//! Client secrets in files that another program replaces.

use std::fs;

use super::*;
use crate::{StaticToken, TokenProvider, Value};

type Constructor = fn(&'static str, ClientSecret) -> ClientAuth;

/// What is sent, as the `Authorization` header and as the body.
fn sent(script: &Script) -> Vec<(Option<String>, String)> {
    let headers: Vec<_> = script
        .requests
        .lock()
        .unwrap()
        .iter()
        .map(|request| request.headers().get("authorization").map(|value| value.to_str().unwrap().to_owned()))
        .collect();
    headers.into_iter().zip(script.bodies()).collect()
}

#[tokio::test]
async fn l24_every_request_carries_the_files_latest_secret() {
    let basic: Constructor = ClientAuth::basic;
    for (auth, first, second) in [
        (basic, (Some("Basic aWQ6b25lJTNB"), ""), (Some("Basic aWQ6dHdv"), "")),
        (ClientAuth::basic_raw, (Some("Basic aWQ6b25lOg=="), ""), (Some("Basic aWQ6dHdv"), "")),
        (ClientAuth::post, (None, "&client_id=id&client_secret=one%3A"), (None, "&client_id=id&client_secret=two")),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        fs::write(&path, "one:\n").unwrap();
        let script = Script::new(std::iter::repeat_with(|| reply(200, TOKEN)).take(4));
        let source = TokenEndpoint::builder(URL, ClientCredentials::new())
            .client_auth(auth("id", ClientSecret::from_file(&path)))
            .transport(script.clone())
            .build()
            .unwrap();
        let fetch = || async { source.fetch(script.context()).await.unwrap() };
        fetch().await;
        fs::write(&path, "two\n").unwrap();
        assert!(source.has_changed());
        fetch().await;
        assert!(!source.has_changed());
        // A newline alone is not a secret.
        fs::write(&path, "\n").unwrap();
        fetch().await;
        fs::remove_file(&path).unwrap();
        fetch().await;
        let expected = [first, second, second, second]
            .map(|(header, body)| (header.map(str::to_owned), format!("grant_type=client_credentials{body}")));
        assert_eq!(sent(&script), expected);
        let requests = script.requests.lock().unwrap();
        let mut headers = requests.iter().filter_map(|request| request.headers().get("authorization"));
        assert!(headers.all(http::HeaderValue::is_sensitive));
    }
}

#[tokio::test]
async fn l24_a_member_of_a_file_is_read_again() {
    let basic: Constructor = ClientAuth::basic;
    for (auth, first, second) in [
        (basic, (Some("Basic aWQ6b25lJTNB"), ""), (Some("Basic aWQ6dHdv"), "")),
        (ClientAuth::post, (None, "&client_id=id&client_secret=one%3A"), (None, "&client_id=id&client_secret=two")),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("client.json");
        fs::write(&path, r#"{"secret":"one:"}"#).unwrap();
        let script = Script::new(std::iter::repeat_with(|| reply(200, TOKEN)).take(4));
        let source = TokenEndpoint::builder(URL, ClientCredentials::new())
            .client_auth(auth("id", Value::file(&path).member("/secret").into()))
            .transport(script.clone())
            .build()
            .unwrap();
        let fetch = || async { source.fetch(script.context()).await.unwrap() };
        fetch().await;
        fs::write(&path, r#"{"secret":"two"}"#).unwrap();
        assert!(source.has_changed());
        fetch().await;
        for unusable in [r#"{"other":"three"}"#, ""] {
            fs::write(&path, unusable).unwrap();
            fetch().await;
        }
        let expected = [first, second, second, second]
            .map(|(header, body)| (header.map(str::to_owned), format!("grant_type=client_credentials{body}")));
        assert_eq!(sent(&script), expected);
    }
}

#[tokio::test]
async fn the_token_of_a_provider_can_be_the_secret() {
    let vault = TokenProvider::builder(StaticToken::new("leased")).allow_any_https_origin().build().unwrap();
    let script = Script::new([reply(200, TOKEN)]);
    let source = TokenEndpoint::builder(URL, ClientCredentials::new())
        .client_auth(ClientAuth::post("id", Value::token_of(vault).prefix("v1-")))
        .transport(script.clone())
        .build()
        .unwrap();
    source.fetch(script.context()).await.unwrap();
    assert!(script.bodies()[0].ends_with("&client_secret=v1-leased"), "{:?}", script.bodies());
}

/// Puts another secret into the file, whenever a request has left.
struct Replacing(std::path::PathBuf, Script);

impl Transport for Replacing {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Error> {
        fs::write(&self.0, "two").unwrap();
        self.1.send(request).await
    }
}

#[tokio::test]
async fn l44_a_second_try_reads_the_file_too() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("secret");
    fs::write(&path, "one").unwrap();
    let script = Script::new([broken(ErrorKind::Transport), reply(200, TOKEN)]);
    let source = TokenEndpoint::builder(URL, ClientCredentials::new())
        .client_auth(ClientAuth::post("id", ClientSecret::from_file(&path)))
        .transport(Replacing(path, script.clone()))
        .build()
        .unwrap();
    source.fetch(script.context()).await.unwrap();
    assert!(script.bodies()[0].ends_with("=one") && script.bodies()[1].ends_with("=two"));
}

#[test]
fn a_file_without_a_secret_is_a_problem() {
    let basic: Constructor = ClientAuth::basic;
    for auth in [basic, ClientAuth::post] {
        let builder = TokenEndpoint::builder(URL, ClientCredentials::new());
        let auth = auth("id", ClientSecret::from_file("no-such-file"));
        let error = builder.client_auth(auth).transport(Script::default()).build().unwrap_err();
        assert_eq!(error.problems()[0].path(), "client_auth.client_secret");
        assert!(error.to_string().contains("`no-such-file` cannot be read"), "{error}");
    }
}
