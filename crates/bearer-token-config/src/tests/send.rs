//! How tokens are sent to the API.

use bearer_token::Authorized;
use http::{HeaderMap, Request, StatusCode};

use super::*;

fn config(send: &str) -> ProviderConfig {
    let toml = format!("token = \"t0ken\"\nallow_origins = [\"https://api.example.com\"]\n[send]\n{send}");
    ProviderConfig::from_toml(&toml).unwrap()
}

async fn headers(send: &str) -> HeaderMap {
    let provider = config(send).build().unwrap();
    provider.token().await.unwrap();
    let mut request = Request::get("https://api.example.com/").body(()).unwrap();
    assert!(matches!(provider.authorize(&mut request).unwrap(), Authorized::Inserted(_)));
    request.headers().clone()
}

#[tokio::test]
async fn header_scheme_and_further_headers_are_sent() {
    assert_eq!(headers("").await["authorization"], "Bearer t0ken");
    assert_eq!(headers("scheme = \"Ghost\"").await["authorization"], "Ghost t0ken");
    let found = headers("header = \"x-vault-token\"\nscheme = \"\"\nheaders = { x-version = \"2\" }").await;
    assert_eq!((&found["x-vault-token"], &found["x-version"]), (&"t0ken".parse().unwrap(), &"2".parse().unwrap()));
    assert!(!found.contains_key("authorization"));
}

#[test]
fn further_statuses_reject_a_token() {
    let rejecting = |send: &str| {
        let provider = config(send).build().unwrap();
        let statuses = [400, 401, 403, 498].into_iter();
        statuses
            .filter(|status| provider.is_rejection(StatusCode::from_u16(*status).unwrap(), &HeaderMap::new()))
            .collect::<Vec<_>>()
    };
    assert_eq!(rejecting(""), [401]);
    assert_eq!(rejecting("reject_on = [401, 403, 498, \"invalid_session\", \"grpc:7\", \"grpc:16\"]"), [401, 403, 498]);
}

#[test]
fn mistakes_name_the_field() {
    for (send, path, message) in [
        ("header = \"a b\"", "header", "no header may have"),
        ("header = \"host\"", "header", "frames the message"),
        ("scheme = \"a b\"", "scheme", "found a scheme with a space"),
        ("headers = { x = { file = \"absent\" } }", "headers.x", "absent` cannot be read"),
        ("headers = { x = \"1\", \"x b\" = \"2\" }", "headers", "change character 2 of 3, a space"),
        ("reject_on = [200]", "reject_on", "found 200"),
        ("reject_on = [9999]", "reject_on[0]", "not an HTTP status"),
        ("reject_on = [\"403\"]", "reject_on[0]", "without quotes"),
        ("reject_on = [\"grpc:x\"]", "reject_on[0]", "`\"grpc:7\"`"),
        ("reject_on = 403", "reject_on", "found a number; expected a list"),
        ("settle_seconds = 600", "settle_seconds", "at most 60s"),
        ("hedaer = \"x\"", "hedaer", "did you mean `send.header`?"),
    ] {
        let error = config(send).build().unwrap_err();
        let [problem] = error.problems() else { panic!("{send}: {error}") };
        assert_eq!(problem.path(), format!("send.{path}"), "{send}");
        assert!(problem.message().contains(message), "{send}: {problem}");
    }
}
